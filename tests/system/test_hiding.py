"""What hides held dumps from a driver that starts, and what is left of that afterwards."""

import os
from pathlib import Path

from asyncamanda.server.amanda.hiding import (
    KEEPER,
    OWNER,
    UNFINISHED,
    hide_dumps,
    list_directories,
    show_dumps,
)

LIVE = "4711"


def make(place: Path, day: int, **files: str) -> Path:
    """Return a holding directory of that day with these files."""
    folder = place / f"202601{day:02d}030405"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


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
