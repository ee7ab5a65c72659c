"""What hides held dumps from a driver that starts, and what is left of that afterwards."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncamanda.server.amanda.hiding import (
    KEEPER,
    OWNER,
    UNFINISHED,
    close_directories,
    hide_dumps,
    list_directories,
    show_dumps,
)
from asyncamanda.server.amanda.run import remove_keepers

LIVE = "4711"


def make(place: Path, day: int, **files: str) -> Path:
    """Return a holding directory of that day with these files."""
    folder = place / f"202601{day:02d}030405"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@contextmanager
def worker(log: Path) -> Iterator[None]:
    """Let a process live that was given a run's log, as each of Amanda's is."""
    argv = [sys.executable, "-c", "print(flush=True); input()", "--log-filename", str(log)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"\n"
        yield
        process.communicate(b"\n")


def closed(*folders: Path) -> list[bool]:
    """Return of each directory whether its owner may not write in it."""
    return [not folder.stat().st_mode & stat.S_IWUSR for folder in folders]


def names(folder: Path) -> set[str]:
    """Return what is in a directory."""
    return {path.name for path in folder.iterdir()}


def test_held_dumps_are_hidden_for_a_while(tmp_path: Path) -> None:
    """Amanda reads a number there: of a process that lives, and is not a driver."""
    one, two = make(tmp_path, 1, dump="x"), make(tmp_path, 2, dump="y")
    folders = list_directories([tmp_path])
    hide_dumps(folders)
    assert [int((folder / OWNER).read_text().split()[0]) for folder in (one, two)] == [
        os.getpid(),
        os.getpid(),
    ]
    (one / OWNER).unlink()  # as one that has looked does
    show_dumps(folders)
    assert [names(folder) for folder in (one, two)] == [{"dump"}, {"dump"}]


def test_word_of_a_live_run_stays(tmp_path: Path) -> None:
    """That of one of asyncamanda's where it is gone, and that of others, which is not touched."""
    ours = make(tmp_path, 1, **{KEEPER: LIVE, f"dump{UNFINISHED}": "x"})
    through = make(tmp_path, 2, **{KEEPER: LIVE, "dump": "x"})
    theirs = make(tmp_path, 3, **{OWNER: "815", "dump": "x"})
    folders = list_directories([tmp_path])
    hide_dumps(folders)
    words = [(folder / OWNER).read_text() for folder in (ours, through, theirs)]
    assert words == [LIVE, LIVE, "815"]
    show_dumps(folders)
    assert names(ours) == {KEEPER, OWNER, f"dump{UNFINISHED}"}
    assert names(through) == {KEEPER, "dump"}  # all that it has is listed again
    assert names(theirs) == {OWNER, "dump"}


def test_what_a_killed_dispatcher_has_left_is_taken_away(tmp_path: Path) -> None:
    """Between writing a file and giving it its name, too."""
    folder = make(tmp_path, 1, dump="x")
    hide_dumps([folder])
    (folder / OWNER).rename(folder / ".asyncamanda.hidden")
    show_dumps([folder])
    assert names(folder) == {"dump"}
    hide_dumps([folder])
    show_dumps([folder])
    assert names(folder) == {"dump"}


def test_a_keeper_that_was_just_being_made_is_removed_with_the_others(tmp_path: Path) -> None:
    """Its dispatcher was killed meanwhile. A directory without such a file is left alone."""
    making = make(tmp_path, 1, **{f"{KEEPER}.new": LIVE, OWNER: LIVE})
    dumped = make(tmp_path, 2, **{KEEPER: LIVE, f"{KEEPER}.new": "", "dump": "x"})
    theirs = make(tmp_path, 3, **{OWNER: "815"})
    remove_keepers(iter((making, dumped, theirs)))
    assert not making.exists()
    assert names(dumped) == {"dump"}
    assert names(theirs) == {OWNER}


def test_what_is_no_holding_directory_is_left_alone(tmp_path: Path) -> None:
    """Nor does one that is gone, or a disk that is not there, stop anything."""
    other = tmp_path / "lost+found"
    other.mkdir()
    by_day = tmp_path / "20260102"  # of an old configuration
    by_day.mkdir()
    found = list_directories([tmp_path, tmp_path / "none"])
    assert found == [by_day]
    hide_dumps([tmp_path / "20260101000000", by_day])
    show_dumps([tmp_path / "20260101000000"])
    assert names(by_day) == {OWNER}
    assert names(other) == set()


def test_directories_are_closed_where_no_run_writes(tmp_path: Path) -> None:
    """A driver that looks twice cannot remove what hides them; then all is as before."""
    logdir, place = tmp_path / "log", tmp_path / "holding"
    old, ours, other = (
        make(place, 1, dump="x"),
        make(place, 2, **{KEEPER: LIVE, "dump": "x"}),
        make(place, 3, dump="x"),
    )
    folders = list_directories([place])
    modes = [folder.stat().st_mode for folder in folders]
    with (
        worker(logdir / f"log.{ours.name}.0"),
        worker(tmp_path / "another configuration" / f"log.{other.name}.0"),
    ):
        hide_dumps(folders)
        close_directories(folders, logdir)
    assert closed(old, ours, other) == [True, False, False]
    assert OWNER in names(old)
    hide_dumps(folders)  # again, as until the driver has looked
    show_dumps(folders)
    assert names(old) == {"dump"}
    assert [folder.stat().st_mode for folder in folders] == modes


def test_what_amanda_has_not_made_is_not_closed(tmp_path: Path) -> None:
    """Its directories are named by a day or a moment; a file is none, whatever its name."""
    file, year = tmp_path / "20260101030405", tmp_path / "2026"
    file.write_text("x")
    year.mkdir(mode=0o755)
    folders = list_directories([tmp_path])
    hide_dumps(folders)
    close_directories(folders, tmp_path)
    assert closed(file, year) == [False, False]
    assert names(year) == set()


def test_nothing_is_closed_while_others_may_flush(tmp_path: Path) -> None:
    """A flush of somebody else's removes dumps from directories that are not its own."""
    logdir, place = tmp_path / "log", tmp_path / "holding"
    old = make(place, 1, dump="x")
    with worker(logdir / "log.20260109030405.0"):
        close_directories([old], logdir)
    assert closed(old) == [False]
    close_directories([old], logdir)
    assert closed(old) == [True]


def test_nothing_is_closed_while_another_configuration_flushes_from_the_same_disk(
    tmp_path: Path,
) -> None:
    """Be it by amflush itself or by asyncamanda; a dump of its own is no hindrance."""
    place, theirs = tmp_path / "holding", tmp_path / "another configuration"
    old = make(place, 1, dump="x")
    theirs.mkdir()
    log = theirs / "log.20260109030405.0"
    for program, is_closed in (("amflush", False), ("amdump", True)):
        log.write_text(f"INFO {program} {program} pid 815\nDATE 20260109030405\n")
        with worker(log):
            close_directories([old], tmp_path / "log")
        assert closed(old) == [is_closed]
