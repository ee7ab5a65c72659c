"""Disks that the real tar dumped, level upon level: each file comes back as it was, or is named.

ASYNCAMANDA_HISTORIES sets how many random histories are tried.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.system.histories import (
    Dump,
    Findings,
    judge_dump,
    judge_history,
    look_at,
    make_dump,
    make_history,
)

from asyncamanda.core.restore.member import Kind
from asyncamanda.core.restore.search import UNCLEAR

IS_CI = bool(os.environ.get("ASYNCAMANDA_CI"))
HISTORIES = int(os.environ.get("ASYNCAMANDA_HISTORIES", "1200" if IS_CI else "48"))
PARTS = 4
FIRST = "mkdir -p a/sub b/sub c; for f in a/f a/sub/f b/f b/sub/f c/f f; do echo $f >$f; done"
SWAP = "mv a x; mv b a; mv x b"

# what happens, level upon level; and whether a restore by `tar -xG` fails
LIVES: dict[str, tuple[list[str], bool]] = {
    "nothing": ([FIRST, "", ""], False),
    "changes": ([FIRST, "echo 1 >a/f; rm b/f; echo 1 >g", "echo 2 >b/f; rm a/f", ""], False),
    "a time that is kept": (
        [FIRST, "touch -r a/f t; echo 1 >a/f; touch -r t a/f; rm t; touch -d 1999-01-01 b/f", ""],
        False,
    ),
    "a file replaced by an older one": (
        [FIRST + "; touch -d 1999-01-01 c/f", "mv c/f a/f", "mv b/f c/f"],
        False,
    ),
    "a renamed folder": ([FIRST, "mv a d", "", "mv d a", "mv a c/d; echo 1 >c/d/f"], False),
    "a folder put into another, and out again": ([FIRST, "mv a b/a", "mv b/a/sub s", ""], False),
    "a child out, then its parent renamed": (
        ["mkdir -p a/b; echo 1 >a/b/f; echo 2 >a/g", "mv a/b c; mv a d", "", "echo 3 >d/g"],
        True,
    ),
    "a parent renamed, its child to a name that is met first": (
        ["mkdir -p m/b; echo 1 >m/b/f; echo 2 >m/g", "mv m/b a; mv m z", ""],
        True,
    ),
    "a child in its parent's place": (
        ["mkdir -p d3/d3; echo 1 >d3/d3/f; echo 2 >d3/g", "mv d3/d3 q; rm -r d3; mv q d3", ""],
        True,
    ),
    "a grandchild in its grandparent's place": (
        ["mkdir -p d0/d1/d0; echo 1 >d0/d1/d0/f", "mv d0/d1/d0 q; rm -r d0; mv q d0", ""],
        True,
    ),
    "a rename into a folder that was renamed": (
        ["mkdir a b; echo 1 >a/f; echo 2 >b/f", "mv a c; mv b c/b", ""],
        False,
    ),
    # tar's snapshot is wrong from here on, and it records the exchange once more at each dump
    "an exchange": (["mkdir a b; echo 1 >a/f; echo 2 >b/f", SWAP, ""], True),
    "an exchange, then nothing, then changes": (
        ["mkdir a b; echo 1 >a/f; echo 2 >b/f", SWAP, "", "", "echo 3 >a/f", ""],
        True,
    ),
    "an exchange and back": (
        ["mkdir a b; echo 1 >a/f; echo 2 >b/f", SWAP, SWAP, "", SWAP],
        True,
    ),
    "a turn of three": (
        [
            "mkdir a b c; echo 1 >a/f; echo 2 >b/f; echo 3 >c/f",
            "mv a x; mv b a; mv c b; mv x c",
            "",
            "mv a x; mv b a; mv c b; mv x c",
            "",
        ],
        True,
    ),
    "a name handed on": (
        ["mkdir a b; echo 1 >a/f; echo 2 >b/f", "mv a c; mv b a", "", "mv c d; mv a c", ""],
        False,
    ),
    "a folder replaced by another": (
        [FIRST + "; mv a/sub a/s", "rm -r a; mv b a", "", "echo 1 >a/sub/g", "mv c b"],
        True,
    ),
    "a folder thrown away and made again": (
        [FIRST, "rm -r a; mkdir a; echo 1 >a/f", "rm -r a/*; mkdir a/sub; echo 2 >a/sub/f", ""],
        False,
    ),
    "all into a subfolder of the same name": (
        [FIRST, "mv a x; mkdir a; mv x a/a", "", "mv a/a x; rmdir a; mv x a", ""],
        True,
    ),
    "files become folders, folders files": (
        [
            FIRST + "; mkdir x; echo 1 >x/f; ln -s f l",
            "rm f; mkdir f; echo 2 >f/g; rm -r x; echo 3 >x; rm l; mkdir l; echo 4 >l/f",
            "rm -r f; echo 5 >f; rm x; ln -s a x; rm -r l",
            "",
        ],
        False,
    ),
    "hard links": (
        [FIRST + "; ln a/f h", "ln a/f c/g; rm a/f", "mv a d; ln h d/f; rm h", ""],
        False,
    ),
}  # fmt: skip


def live(top: Path, script: list[str]) -> list[Dump]:
    """Return dumps of what a disk is after each step, level upon level."""
    (top / "disk").mkdir(parents=True)
    dumps = []
    for level, step in enumerate(script):
        subprocess.run(["sh", "-ec", step], cwd=top / "disk", check=True)
        dumps.append(make_dump(top, level))
    return dumps


def extract(dumps: list[Dump], folder: Path) -> bool:
    """Return whether `tar -xG` of all these ends without an error; the folder is new."""
    folder.mkdir()
    argv = ["tar", "-xpGf", "-", "-C", str(folder)]
    results = [
        subprocess.run(argv, input=dump.image, capture_output=True, check=False) for dump in dumps
    ]
    return all(result.returncode == 0 for result in results)


def without_inodes(disk: dict[bytes, tuple[Kind, bytes, int]]) -> dict[bytes, tuple[Kind, bytes]]:
    """Return what is on a disk, wherever it lies."""
    return {path: (kind, contents) for path, (kind, contents, _) in disk.items()}


@pytest.mark.parametrize(("script", "fails"), LIVES.values(), ids=LIVES)
def test_each_file_of_each_date_comes_back(script: list[str], fails: bool, tmp_path: Path) -> None:
    """The listing is exact, all files are found, and what is found are the bytes of that date.

    So it is as well where tar's own way back ends in an error or in another tree.
    """
    dumps = live(tmp_path / "life", script)
    findings = Findings()
    judge_history(dumps, findings)
    assert findings.faults == []
    assert {found for found in findings.counts if "right" not in found} <= {
        "listing exact", "folders with origin",
    }, findings.counts  # fmt: skip
    assert findings.counts["listing exact"] == len(script)
    is_restored = [
        extract(dumps[: level + 1], tmp_path / f"{level}")
        and without_inodes(look_at(tmp_path / f"{level}")) == without_inodes(dump.disk)
        for level, dump in enumerate(dumps)
    ]
    assert all(is_restored) is not fails


def test_a_subfolder_that_may_be_one_of_two_is_named(tmp_path: Path) -> None:
    """A folder took another's name; each had a subfolder of one name, and tar records no more.

    It writes the same where the subfolder was put from the one folder into the other, and the
    time of that was put back.
    """
    moved = "mv a/sub x; touch -r b t; rm -r b/sub a; mv b a; mv x a/sub; touch -r t a; rm t"
    for script in ("rm -r a; mv b a", moved):
        top = tmp_path / script[:2]
        dumps = live(top, [FIRST, script, "touch a/sub/f"])
        findings = Findings()
        judge_dump(dumps[:2], findings)
        assert findings.faults == []
        assert findings.counts == {
            f"unlocated: {UNCLEAR}": 1, "right, older": 3, "listing exact": 1,
        }, script  # fmt: skip
        judge_dump(dumps, findings)
        assert findings.counts["right, newest"] > 0
        assert findings.counts[f"unlocated: {UNCLEAR}"] == 1


def test_a_folder_that_tar_leaves_out_is_noticed(tmp_path: Path) -> None:
    """It lists it as an unchanged file, which no older dump has."""
    dumps = live(tmp_path / "life", [FIRST, SWAP, ""])
    findings = Findings()
    judge_history(dumps, findings)
    assert findings.faults == []
    assert findings.counts["listing incomplete, noticed"] > 0
    assert findings.counts["left-out"] > 0


@pytest.mark.parametrize("part", range(PARTS))
def test_no_bytes_are_wrong_whatever_happens(part: int, tmp_path: Path) -> None:
    """Of random histories, with tar's own faults in them: right, or named as not found."""
    findings = Findings()
    for seed in range(part, HISTORIES, PARTS):
        folder = tmp_path / "history"
        folder.mkdir()
        before = len(findings.faults)
        judge_history(make_history(seed, folder), findings)
        assert findings.faults[before:] == [], f"history {seed}"
        shutil.rmtree(folder)
    assert findings.counts["right, older"] > 0
    assert findings.counts["listing exact"] > findings.counts["listing incomplete, noticed"]
