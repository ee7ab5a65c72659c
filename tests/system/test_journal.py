"""Lines for the journal, read back from systemd's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.system.conftest import PYTHON
from tests.system.watching import until

from asyncamanda.system.journal import LONGEST, JournalLine, write_journal

if TYPE_CHECKING:
    from tests.system.conftest import Rig

# journald wants the second version's control groups where systemd has them
JOURNALD = "mount -t cgroup2 none /sys/fs/cgroup 2>&-; exec /lib/systemd/systemd-journald"
SETTINGS = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\n"
WRITE = """\
import sys
from asyncamanda.system.journal import JournalLine, Priority, write_journal
message = "first\\nMESSAGE_ID=false \\u00e9"
kind = "1a01a4aa39464e87bfa4457cec53e605"
line = JournalLine(message, Priority.ERROR, "laptop", "20261123120000", "failed", kind)
print(write_journal(line), write_journal(JournalLine("x" * 100_000)))
"""


@pytest.fixture
def journald(rig: Rig) -> Iterator[Rig]:
    """Yield the laptop with a journal."""
    rig.laptop.write("/etc/systemd/journald.conf", SETTINGS)
    for folder in ("/run/log/journal", "/run/systemd/journal"):
        rig.laptop.make_directory(folder)
    program = rig.laptop.start(["unshare", "-m", "sh", "-c", JOURNALD])
    socket = rig.laptop.path("/run/systemd/journal/socket")
    until(lambda: socket.exists() and program.poll() is None, "journald listens")
    yield rig
    program.terminate()
    program.communicate()
    rig.laptop.remove("/run/systemd/journal")


def read(rig: Rig) -> list[dict[str, Any]]:
    """Return the lines that are ours."""
    argv = "journalctl -D /run/log/journal -o json --all SYSLOG_IDENTIFIER=asyncamanda"
    said = rig.laptop.run(argv.split(), check=False).stdout
    return [json.loads(line) for line in said.splitlines()]


def test_journald_reads_each_field(journald: Rig) -> None:
    """By the Amanda user, as in life: several lines are one value, and a long one is cut."""
    said = journald.laptop.run([PYTHON, "-c", WRITE], user="backup").stdout
    assert said == "True True\n"
    until(lambda: len(read(journald)) == 2, "both lines are in the journal")
    line, long = read(journald)
    assert (line["MESSAGE"], line["PRIORITY"]) == ("first\nMESSAGE_ID=false é", "3")
    assert (line["ASYNCAMANDA_CLIENT"], line["ASYNCAMANDA_RUN"]) == ("laptop", "20261123120000")
    assert line["ASYNCAMANDA_OUTCOME"] == "failed"
    assert line["MESSAGE_ID"] == "1a01a4aa39464e87bfa4457cec53e605"
    assert line["_UID"] == str(journald.laptop.account("backup").uid)
    assert long["MESSAGE"] == "x" * LONGEST + "..."
    assert "ASYNCAMANDA_RUN" not in long


DIARY = """\
import sys
from pathlib import Path
from asyncamanda.server.background.tasks import write_log
from asyncamanda.server.background.log import close_log, open_log
open_log(Path("/tmp/dispatcher.log"))
write_log("laptop: a call failed", 30)
write_log("laptop: a call failed", 30)
close_log()
print(Path("/tmp/dispatcher.log").read_text(), end="")
"""


def test_the_dispatchers_diary_is_in_the_journal_as_well(journald: Rig) -> None:
    """With its level; what comes again and again is folded in both."""
    done = journald.laptop.run([PYTHON, "-c", DIARY])
    words = ["laptop: a call failed", "repeated once more: laptop: a call failed"]
    assert [line[21:] for line in done.stdout.splitlines()] == [f"warning: {w}" for w in words]

    def kept() -> list[tuple[str, str]]:
        lines = [(line["MESSAGE"], line["PRIORITY"]) for line in read(journald)]
        return [line for line in lines if line[0] in words]

    until(lambda: kept() == [(word, "4") for word in words], "the journal has both")


def test_where_there_is_no_journal_nothing_happens(tmp_path: Path) -> None:
    """As in a container, or under another init."""
    assert not write_journal(JournalLine("lost"), tmp_path / "socket")
