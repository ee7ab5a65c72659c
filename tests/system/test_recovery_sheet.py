"""The file of a recovery sheet: whole or not there, and read again whatever a machine is called."""

import resource
import subprocess
from pathlib import Path

import pytest

from asyncamanda.commands.sealed.making import hand_over, make_sheet, read_sheet
from asyncamanda.errors import RefusedError


@pytest.fixture
def key() -> str:
    """Return a key of age's."""
    made = subprocess.run(["age-keygen"], check=True, capture_output=True, text=True)
    return made.stdout.splitlines()[-1]


def test_a_sheet_without_room_is_not_there(tmp_path: Path, key: str) -> None:
    """So that the same command can be given again, and nobody carries half a key away."""
    path = tmp_path / "sheet"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(RefusedError):
            hand_over(make_sheet("laptop", "amanda", key), str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not path.exists()


@pytest.mark.parametrize("name", ["laptop", "1-web-3", "2024-lap-top"])
def test_a_sheet_is_read_whatever_the_machine_is_called(
    tmp_path: Path, key: str, name: str
) -> None:
    """A name may look as a group does."""
    path = tmp_path / "sheet"
    hand_over(make_sheet(name, "amanda", key), str(path))
    assert read_sheet(path) == key
    path.write_text(f"{key}\n")
    assert read_sheet(path) == key
