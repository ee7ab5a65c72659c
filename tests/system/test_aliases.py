"""The Amanda user's ~/.ssh/config: the line that includes the aliases, whatever lies there."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncamanda.server.enrol.ssh_aliases import (
    ALIASES,
    is_included,
    write_aliases,
    write_include,
)
from lab.patience import at_most

PRIVATE = 0o600


@pytest.fixture(autouse=True)
def _alarm() -> Iterator[None]:
    """End what hangs."""

    def fail(*_: object) -> None:
        pytest.fail("it hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(int(at_most(10)))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_a_config_that_is_missing_is_made(tmp_path: Path) -> None:
    """For its owner alone."""
    config = tmp_path / "config"
    write_include(config)
    assert is_included(config.read_text())
    assert config.stat().st_mode & 0o777 == PRIVATE


def test_a_config_that_includes_the_aliases_stays(tmp_path: Path) -> None:
    """What stands in it does, byte for byte."""
    config = tmp_path / "config"
    config.write_bytes(b"Host na\xefve\r\n")
    write_include(config)
    once = config.read_bytes()
    assert once.endswith(b"\nHost na\xefve\r\n")
    write_include(config)
    assert config.read_bytes() == once


@pytest.mark.parametrize("is_there", [True, False])
def test_a_config_that_is_a_link_stays_one(tmp_path: Path, is_there: bool) -> None:
    """Where the file is kept elsewhere, it is changed there, and made there if it is missing."""
    (tmp_path / "kept").mkdir()
    kept, config = tmp_path / "kept" / "mine", tmp_path / "config"
    if is_there:
        kept.write_text("Host *\n")
    config.symlink_to(kept)
    write_include(config)
    assert config.is_symlink()
    assert config.readlink() == kept
    assert is_included(kept.read_text())
    assert kept.read_text().endswith("Host *\n") == is_there


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("is_linked", [True, False])
def test_what_is_no_file_is_told_and_stays(tmp_path: Path, make: object, is_linked: bool) -> None:
    """Nobody waits for whoever would write to a FIFO."""
    assert callable(make)
    config = tmp_path / "config"
    place = tmp_path / "elsewhere" if is_linked else config
    make(place)
    if is_linked:
        config.symlink_to(place)
    before = place.stat().st_ino
    with pytest.raises(OSError, match="not a file"):
        write_include(config)
    assert place.stat().st_ino == before
    config.rename(tmp_path / ALIASES)
    with pytest.raises(OSError, match="not a file"):
        write_aliases(tmp_path, ["laptop"])
