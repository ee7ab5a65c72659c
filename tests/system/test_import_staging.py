"""What an import finds in its way gets another name, and its own back if the import ends early."""

from pathlib import Path

import pytest

from asyncamanda.errors import RefusedError
from asyncamanda.server.export.staging import Undo, set_aside

END = "~before-import-20261201T040000Z"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return a file, with another one that goes along beside it."""
    path = tmp_path / "ledger"
    path.write_text("now")
    path.with_name("ledger-wal").write_text("now, too")
    return path


def contents(folder: Path) -> dict[str, str]:
    """Return what the files in a folder hold, by their names."""
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_what_was_set_aside_within_the_same_second_stays(ledger: Path) -> None:
    """A file would be replaced, and nobody told; a folder could not be set aside."""
    ledger.with_name(ledger.name + END).write_text("before")
    undo = Undo()
    assert set_aside(ledger, END, undo, ("-wal", "-shm")).name == f"ledger{END}-2"
    assert contents(ledger.parent) == {
        f"ledger{END}": "before",
        f"ledger{END}-2": "now",
        f"ledger{END}-2-wal": "now, too",
    }
    undo.do()
    assert contents(ledger.parent) == {
        f"ledger{END}": "before",
        "ledger": "now",
        "ledger-wal": "now, too",
    }


def test_a_folder_that_is_set_aside_twice_is_kept_twice(tmp_path: Path) -> None:
    """Both with what is in them."""
    config = tmp_path / "daily"
    for word in ("first", "second"):
        config.mkdir()
        (config / "amanda.conf").write_text(word)
        set_aside(config, END, Undo())
    kept = sorted(path.read_text() for path in tmp_path.glob("*/amanda.conf"))
    assert kept == ["first", "second"]


def test_what_cannot_be_renamed_is_named(tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(RefusedError, match="missing is there already, and cannot be renamed"):
        set_aside(tmp_path / "missing", END, Undo())
