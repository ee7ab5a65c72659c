"""Who hears of it: a terminal, the journal, cron, a script, or nobody at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from asyncamanda.core.model import Outcome

if TYPE_CHECKING:
    from tests.system.conftest import Rig


def test_a_diary_that_cannot_be_written_is_no_reason_not_to_back_up(rig: Rig) -> None:
    """stderr is a file on a full disk: the run goes on to its end, and is remembered."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = rig.wait(rig.classic("echo one; dump /home; echo two", stderr=full.fileno()))
    assert done.exit == 0
    assert done.stdout.startswith("backed up in ")
    assert rig.memory().attempts[-1].outcome is Outcome.BACKED_UP
    again = rig.wait(rig.classic("mark"))
    assert (again.exit, again.stdout, again.stderr, rig.marks()) == (0, "", "", 0)


def test_a_failure_that_nobody_can_be_told_of_keeps_its_exit_code(rig: Rig) -> None:
    """A script has the code, though not the words."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        assert rig.wait(rig.classic("dump /home; exit 3", stderr=full.fileno())).exit == 100
        assert rig.wait(rig.start("run", "--no-such", stderr=full.fileno())).exit == 64


def test_a_listener_who_leaves_does_not_end_the_run(rig: Rig) -> None:
    """As `2>&1 | head -1` does: one line is read, and the backup is made anyway."""
    reader, writer = os.pipe()
    command = "echo one; hold; echo two; dump /home; mark"
    agent = rig.classic(command, stdout=writer, stderr=writer)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as listener:
        assert "running echo one" in listener.readline()
        rig.hold()
    rig.let_go()
    assert (rig.wait(agent).exit, rig.marks()) == (0, 1)
    assert rig.memory().attempts[-1].outcome is Outcome.BACKED_UP


@pytest.mark.parametrize("is_journal", [True, False])
def test_the_journal_hears_of_an_unreachable_server_and_no_pipe_else(
    rig: Rig, is_journal: bool
) -> None:
    """JOURNAL_STREAM is handed on to children that write elsewhere: it names the stream."""
    reader, writer = os.pipe()
    try:
        ours = os.fstat(writer)
        named = f"{ours.st_dev}:{ours.st_ino if is_journal else ours.st_ino + 1}"
        environ = {"JOURNAL_STREAM": named}
        agent = rig.classic("mark", "backup@amanda:2222", stderr=writer, environ=environ)
    finally:
        os.close(writer)
    assert rig.wait(agent).exit == 75
    with os.fdopen(reader, encoding="utf-8") as stream:
        said = stream.read()
    assert ("amanda refused the connection" in said) is is_journal
    assert (said == "") is not is_journal


def test_who_asks_for_an_answer_gets_one_at_every_start(rig: Rig) -> None:
    """Scripts that read --json, and people with -v: the quick way out is not theirs."""
    rig.configure()
    rig.set_dumped(ago=3600)
    changed = rig.laptop.path(rig.amandates).stat().st_mtime
    rig.until(lambda: _now(rig) > changed + 2.1, "what was written is no longer fresh", 5)
    notes = rig.laptop.path(rig.state)
    for _ in range(2):
        assert rig.run("run", "--json").json["outcome"] == "not due"
        assert rig.run("run", "-v").stdout.startswith("not due: ")
    assert not list(notes.rglob("note-*"))
    assert rig.run("run").stdout == ""
    assert len(list(notes.rglob("note-*"))) == 1
    assert rig.run("run", "--json").json["outcome"] == "not due"
    assert rig.run("run", "-v").stdout.startswith("not due: ")


def _now(rig: Rig) -> float:
    """Return the time by the clock that dates the laptop's files."""
    clock = rig.laptop.path("/srv/clock")
    clock.write_text("")
    return clock.stat().st_mtime


@pytest.mark.parametrize(
    "slip",
    [
        ("-i24", "-h", "amanda", "-c", "mark", "-a", "/var/lib/amanda/amandates"),
        ("-v", "-i", "24", "-h", "amanda", "-c", "mark", "-a", "/var/lib/amanda/amandates"),
        ("--json", "-i", "24", "-h", "amanda", "-c", "mark", "-a", "/var/lib/amanda/amandates"),
        ("-i", "24", "-h", "amanda", "-c", "mark"),
    ],
    ids=" ".join,
)
def test_a_mistyped_classic_line_is_a_usage_error(rig: Rig, slip: tuple[str, ...]) -> None:
    """It is not taken for a command, and nothing is connected to."""
    before = rig.server.connections
    done = rig.run(*slip)
    assert done.exit == 64
    said = done.stdout + done.stderr
    assert "-i|--interval HOURS" in said
    assert "is not understood" in said or "missing" in said
    assert rig.server.connections == before
