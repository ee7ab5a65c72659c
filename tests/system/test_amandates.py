"""amandates is read under Amanda's lock, within a time limit, and by whoever may."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncamanda.errors import BadDataError, LaterError
from asyncamanda.system.files import open_shared
from lab.patience import at_most

if TYPE_CHECKING:
    from tests.system.conftest import Rig

# holds a lock of the kind LOCK_EX or LOCK_SH on a file, until it is ended
HOLDER = """\
import fcntl, sys
file = open(sys.argv[2], "r+")
fcntl.lockf(file, getattr(fcntl, sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(path: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold a lock on `path`."""
    argv = [sys.executable, "-S", "-c", HOLDER, kind, str(path)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout
        assert program.stdout.readline() == "ready\n"
        yield program


@pytest.fixture
def amandates(tmp_path: Path) -> Path:
    """Return a file with one line."""
    path = tmp_path / "amandates"
    path.write_text("/home 0 1700000000\n")
    return path


def test_a_reader_waits_for_a_writer_as_long_as_it_may(amandates: Path) -> None:
    """The writer has Amanda's lock and keeps it: later, after the limit and not before."""
    with locked(amandates, "LOCK_EX"):
        begun = time.monotonic()
        with (
            pytest.raises(LaterError) as caught,
            open_shared(amandates, timedelta(seconds=0.3)),
        ):
            pass
        took = time.monotonic() - begun
    assert caught.value.reference == "amandates-locked"
    assert "is locked by another program for 0.3 seconds" in caught.value.message
    assert 0.3 <= took < at_most(1.5)


def test_a_reader_goes_on_when_the_writer_is_done(amandates: Path) -> None:
    """It reads what the writer has left, well before its limit."""
    with locked(amandates, "LOCK_EX") as writer:
        begun = time.monotonic()
        assert writer.stdin
        writer.stdin.close()
        with open_shared(amandates, timedelta(seconds=30)) as text:
            assert "".join(text.blocks()) == "/home 0 1700000000\n"
        assert time.monotonic() - begun < at_most(5)


def test_readers_do_not_wait_for_each_other(amandates: Path) -> None:
    """The lock is shared."""
    written = datetime.fromtimestamp(amandates.stat().st_mtime, UTC)
    with locked(amandates, "LOCK_SH"), open_shared(amandates, timedelta(0)) as text:
        assert text.written_at == written
        assert "".join(text.blocks()) == "/home 0 1700000000\n"


def test_a_writer_waits_for_a_reader(amandates: Path) -> None:
    """Amanda cannot rewrite the file under the reader's eyes."""
    argv = [sys.executable, "-S", "-c", HOLDER, "LOCK_EX", str(amandates)]
    with open_shared(amandates, timedelta(0)) as text:
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(0.3)
            writer.kill()
        assert "".join(text.blocks()) == "/home 0 1700000000\n"


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    """A folder and a path below a file are bad data, not a crash."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "amandates"):
        with pytest.raises(BadDataError), open_shared(path, timedelta(0)):
            pass


def test_a_missing_file(rig: Rig) -> None:
    """No amanda-client, or the wrong path: bad data, before anything is connected to."""
    rig.laptop.remove(rig.amandates)
    before = rig.server.connections
    done = rig.wait(rig.classic("mark"))
    assert done.exit == 65
    assert "/var/lib/amanda/amandates does not exist" in done.stderr
    assert "/var/lib/amanda/amandates" in " ".join(done.stderr.split())
    assert rig.server.connections == before


def test_an_unreadable_file(rig: Rig) -> None:
    """Who may not read it is refused, and told as whom to come."""
    rig.laptop.write(rig.amandates, "", owner="root", mode=0o600)
    rig.configure()
    for done in (rig.run("run", "--json"), rig.run("check", "--json")):
        assert (done.exit, done.json["error"]) == (77, "amandates-unreadable")
        assert "may not be read by uid 34" in done.json["message"]


def test_lines_that_amanda_skips_are_listed_with_their_numbers(rig: Rig) -> None:
    """`check` and `status` show where each is, what is wrong with it, and nothing to obey."""
    text = "rubbish\n/home 0 1700000000\n/etc zero 17\n\n/srv 400 17\n/\x1b[31mred\n"
    rig.laptop.write(rig.amandates, text, owner="backup", mode=0o660)
    rig.configure()
    for command, code in (("check", 0), ("status", 101)):  # the last backup is from 2023
        done = rig.run(command)
        assert done.exit == code
        told = "amandates: 4 lines skipped, as Amanda does; line 1: no disk name followed by"
        assert told in done.stdout
        listed = [line for line in done.stdout.splitlines() if line.startswith("  line ")]
        assert listed == [
            "  line 3: no level and time after the disk name: /etc zero 17",
            "  line 5: level 400 is not within 0 to 399: /srv 400 17",
            "  line 6: no disk name followed by a level and a time: /\\x1b[31mred",
        ]


def test_a_file_that_stays_locked(rig: Rig) -> None:
    """Ten seconds, then later: nothing hangs forever, and the server is left alone."""
    program = rig.laptop.start(
        ["/usr/bin/python3", "-S", "-c", HOLDER, "LOCK_EX", rig.amandates], user="backup"
    )
    try:
        assert program.stdout
        assert program.stdout.readline() == "ready\n"
        done = rig.wait(rig.classic("mark"))
    finally:
        program.kill()
        program.communicate()
    assert (done.exit, rig.marks()) == (75, 0)
    assert "is locked by another program for 10 seconds" in done.stderr
    assert 10 <= done.seconds < 15
