"""The files that a proof picks: regular ones of the disk that have not changed, and no way out."""

import os
import random
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.system.watching import until

from asyncamanda.client.restore.sampling import LiveDisk
from asyncamanda.core.restore.proof import LARGEST_FILE

LATER = time.time_ns() + 10**12
CHANCE = random.Random(7)  # noqa: S311 - which files are picked


def sample(top: Path, limit: int = LATER, is_excluded: Callable[[bytes], bool] = bool) -> set[str]:
    """Return the paths of all files that are found; `is_excluded` is bool for nothing."""
    excluded = (lambda _: False) if is_excluded is bool else is_excluded
    with closing(LiveDisk(os.fsencode(top), limit)) as disk:
        return {file.path.decode() for file in disk.sample(excluded, CHANCE)}


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Return a disk's folder with a bit of everything; beside it something of somebody else's."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/secret").write_text("secret")
    top = tmp_path / "disk"
    (top / "a/b").mkdir(parents=True)
    (top / "a/b/file").write_text("x")
    (top / "file").write_text("y")
    (top / "empty").touch()
    (top / "twin").write_text("z")
    (top / "a/twin").hardlink_to(top / "twin")
    (top / "link").symlink_to("file")
    (top / "way").symlink_to("../beside")
    os.mkfifo(top / "pipe")
    with (top / "huge").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    (top / "none").mkdir()
    return top


def pass_limit(top: Path) -> int:
    """Return a time that what changes from now on is stamped after: files have a coarse clock."""
    limit, probe = time.time_ns(), top.with_name("probe")

    def is_past() -> bool:
        probe.write_text("")
        probe.chmod(0o600)
        return probe.stat().st_ctime_ns > limit

    until(is_past, "the clock for files goes on")
    return limit


def test_regular_files_are_found_and_nothing_else(top: Path) -> None:
    """No link is followed, no pipe waited for; what has two names may be stored by the other."""
    assert sample(top) == {"file", "empty", "a/b/file"}


def test_what_is_excluded_or_has_changed_is_left_out(top: Path) -> None:
    """With all that is below an excluded folder."""
    assert sample(top, is_excluded=lambda path: path == b"a") == {"file", "empty"}
    limit = pass_limit(top)
    (top / "file").chmod(0o600)
    os.utime(top / "file", ns=(5, 5))  # what is written last is an older time
    assert sample(top, limit) == {"empty", "a/b/file"}


def test_a_folder_that_may_have_been_renamed_is_known(top: Path) -> None:
    """It, and the folder that it is in, have changed; either alone shows that it was not."""
    limit = pass_limit(top)
    (top / "a/new").touch()

    def unsettled() -> set[bytes]:
        with closing(LiveDisk(os.fsencode(top), limit)) as disk:
            found = disk.sample(lambda _: False, CHANCE)
            return {file.path for file in found if not file.is_settled}

    assert unsettled() == set()
    (top / "a").rename(top / "moved")
    assert unsettled() == {b"moved/b/file"}


def test_what_is_mounted_from_elsewhere_is_left_out(top: Path) -> None:
    """Though it is of the same file system, and its files and folders are old: no dump has them."""
    mounts = [(top.parent / "beside", top / "none"), (top.parent / "beside/secret", top / "file")]
    for source, place in mounts:
        subprocess.run(["mount", "--bind", source, place], check=True)
    try:
        assert sample(top) == {"empty", "a/b/file"}
        assert sample(top / "none") == {"secret"}
    finally:
        for _, place in mounts:
            subprocess.run(["umount", place], check=True)


def test_a_folder_that_becomes_a_link_leads_nowhere(top: Path) -> None:
    """However late: what was picked is looked at, and read, step by step from the disk's folder."""
    with closing(LiveDisk(os.fsencode(top), LATER)) as disk:
        assert disk.look(b"a/b/file")
        (top / "a/b").rename(top / "a/c")
        (top / "a/b").symlink_to(top.parent / "beside")
        assert disk.look(b"a/b/secret") is None
        disk.look(b"file")  # so that none of these folders is open any more
        with pytest.raises(NotADirectoryError):
            disk.open(b"a/b/secret")
        (top / "file").unlink()
        os.mkfifo(top / "file")
        with pytest.raises(OSError, match="Invalid argument"):
            disk.open(b"file")
