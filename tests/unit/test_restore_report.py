"""What `list` and `restore` say."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from asyncamanda.core.restore.answer import DiskAnswer
from asyncamanda.core.restore.outcome import RestoreOutcome, RestoreOutlook
from asyncamanda.report.restore import (
    describe_amount,
    describe_outcome,
    describe_outlook,
    describe_rehearsal,
    disk_remarks,
    outcome_value,
)

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
OUTLOOK = RestoreOutlook("/home", "20261120120000", AT, 3, 1, 36_000_000)
DONE = RestoreOutcome("/root/out", (OUTLOOK,), files=3, folders=1, size=36_000_000, seconds=1.25)


def test_an_amount_has_what_is_known_of_it() -> None:
    """Files, folders and bytes."""
    assert describe_amount(3, 1, 36_000_000) == "3 files, 1 folder, 36 MB"
    assert describe_amount(1, 0, None) == "1 file"
    assert describe_amount(None, None, None) == "of an unknown size"


def test_what_comes_is_said_with_its_date_and_run() -> None:
    """Before it comes."""
    assert describe_outlook(OUTLOOK).startswith("/home as it was at 2026-11-20 ")
    assert describe_outlook(OUTLOOK).endswith(" (run 20261120120000): 3 files, 1 folder, 36 MB")
    doubtful = replace(OUTLOOK, doubts=("a level was lost",))
    outcome = RestoreOutcome("", (doubtful,), is_dry_run=True)
    head, _, doubt = describe_rehearsal(outcome, "/root/out")
    assert head == "would restore to /root/out:"
    assert doubt.strip() == "warning: /home: a level was lost"


@pytest.mark.parametrize(
    ("overwrite", "words"),
    [
        ("never", "1 file that is there already would be kept:"),
        ("newer", "1 file that is there already would be replaced by a newer one in the backup:"),
        ("always", "1 file that is there already would be replaced:"),
    ],
)
def test_a_dry_run_in_place_names_the_files_that_are_there(overwrite: str, words: str) -> None:
    """And what would become of them; as JSON all of them."""
    there = RestoreOutcome(
        "", (OUTLOOK,), is_dry_run=True, existing=(b"/home/a\nb",), overwrite=overwrite
    )
    lines = describe_rehearsal(there, "where the files were")
    assert lines[2:] == [words, "  /home/a\\x0ab"]
    many = replace(there, existing=tuple(b"/home/%02d" % number for number in range(12)))
    assert describe_rehearsal(many, "")[-1] == "  and 2 more (--json has them all)"
    value = outcome_value(many, 0)
    assert (value["overwrite"], len(value["existing"])) == (overwrite, 12)  # type: ignore[arg-type]


def test_a_whole_restore_is_one_line() -> None:
    """How much, where to, how long."""
    assert describe_outcome(DONE) == [
        "restored 3 files, 1 folder, 36 MB to /root/out in 1.2s",
    ]
    assert describe_outcome(replace(DONE, target="", seconds=75)) == [
        "restored 3 files, 1 folder, 36 MB in place in 1m 15s",
    ]


def test_whatever_is_not_as_it_was_is_named() -> None:
    """A few of each kind, the rest counted; and what would steer a terminal is escaped."""
    outcome = replace(
        DONE,
        missing=tuple((b"/home/m%02d" % number, "in no dump") for number in range(12)),
        failed=((b"/home/\x1b[2J", "a folder is in its place"),),
        unmatched=((b"/home/nope", (b"/home/hope",)),),
        kept=(b"/home/k",),
        replaced=1,
        notes=(("owner", "Operation not permitted", 2),),
    )
    assert not outcome.is_whole
    lines = describe_outcome(outcome)
    assert lines[1:3] == [
        "1 file that was there was replaced",
        "1 file that was there already was kept; --overwrite newer or always replaces it",
    ]
    newer = describe_outcome(replace(outcome, overwrite="newer"))
    assert newer[2] == (
        "1 file that was there already was kept, since the one in the backup is not newer; "
        "--overwrite always replaces it"
    )
    assert "12 files are in no backup of then:" in lines
    assert "  /home/m00: in no dump" in lines
    assert "  and 2 more (--json has them all)" in lines
    assert "  /home/\\x1b[2J: a folder is in its place" in lines
    assert "  /home/nope (near it: /home/hope)" in lines
    assert lines[-1] == "note: the owner of 2 files was not set: Operation not permitted"
    value = outcome_value(outcome, 100)
    assert value["exit"] == 100
    assert value["missing"] == [
        {"path": f"/home/m{number:02}", "reason": "in no dump"} for number in range(12)
    ]


def test_what_is_gone_or_cannot_be_had_singly_is_said_of_a_disk() -> None:
    """With the volume that was used again, if it is known."""
    disk = DiskAnswer("/home", "/home", AT, AT, (), is_listable=True)
    assert disk_remarks([disk]) == []
    gone = replace(disk, gone_at=AT, gone_with="DAILY-007")
    (line,) = disk_remarks([gone])
    assert line.startswith("/home: gone up to 2026-11-20 ")
    assert line.endswith(", since volume DAILY-007 was used again")
    whole = replace(disk, is_listable=False, reason="it is made by DUMP")
    assert disk_remarks([whole]) == [
        "/home: single files cannot be restored: it is made by DUMP",
    ]
    odd = replace(whole, disk="/my home", has_images=True)
    assert disk_remarks([odd]) == [
        "/my home: single files cannot be restored: it is made by DUMP",
        "  the whole images, as root: asyncamanda restore --raw '/my home'",
    ]
    assert disk_remarks([odd], "get {} now")[1] == "  get '/my home' now"
    assert disk_remarks([replace(disk, has_images=True)]) == []
