"""The process that answers one client: who may ask, whose turn it is, and how it ends."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.system.holdings import IMAGES, OLDER, PLAN, RUN

from asyncamanda.core.dispatch.records import RestoreRow
from asyncamanda.core.protocol.tickets import Claim
from asyncamanda.core.restore.answer import (
    AnswerDecoder,
    DiskAnswer,
    MissingFile,
    OtherLine,
    QueuedRestore,
    RestoreAnswer,
    RestoreDone,
    RestoreFailed,
)
from asyncamanda.core.restore.request import (
    DisksRequest,
    FilesRequest,
    ListRequest,
    RawRequest,
    RestoreRequest,
    encode_request,
)
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.server.enrol.enrolled import Enrolled, render_line
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.machines import receive
from asyncamanda.server.ledger.restores import RestoreBegun
from asyncamanda.server.restore.service import MOST_AN_HOUR
from asyncamanda.system.clock import now

ROOT = Path(__file__).parents[2]
PATIENCE = timedelta(seconds=5)
LAPTOP = Enrolled("laptop", "daily", PublicKey("ssh-ed25519", "AAAAlaptop"))
TABLET = Enrolled("tablet", "daily", PublicKey("ssh-ed25519", "AAAAtablet"))
FILES = FilesRequest("/home", (b"a",))
FOR_EVER = 0  # pieces


class Asked:
    """A process that answers; its output is read when that is asked for."""

    def __init__(self, folder: Path, told: dict[str, Any]) -> None:
        whole = {
            "folder": str(folder),
            "client": "laptop",
            "who": "client",
            "pieces": 3,
            "fault": "",
            "asked_within": 1000,
        } | told
        environ = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "tests/system/restore_server.py", json.dumps(whole)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
        )
        self._decoder = AnswerDecoder()

    def ask(self, request: RestoreRequest | bytes) -> "Asked":
        """Send a request, and leave stdin open."""
        assert self.process.stdin
        line = request if isinstance(request, bytes) else encode_request(request)
        self.process.stdin.write(line)
        self.process.stdin.flush()
        return self

    def hear(self) -> RestoreAnswer | OtherLine:
        """Return the next answer."""
        assert self.process.stderr
        (answer,) = self._decoder.feed(self.process.stderr.readline())
        return answer

    def receive(self) -> "Asked":
        """Wait for the first bytes."""
        assert self.process.stdout
        assert self.process.stdout.read(100).endswith(b"\n")
        return self

    def end(self) -> tuple[bytes, list[RestoreAnswer | OtherLine], int]:
        """Return what is on stdout, the answers, and the exit code."""
        output, said = self.process.communicate()
        return output, [*self._decoder.feed(said), *self._decoder.end()], self.process.returncode

    def fail(self) -> RestoreFailed:
        """Return how it fails, without a byte of what was asked for."""
        output, answers, status = self.end()
        failed = answers[-1]
        assert isinstance(failed, RestoreFailed)
        assert (output, status) == (b"", failed.exit)
        return failed

    def hang_up(self) -> None:
        """Do as sshd does when the connection is gone."""
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream
            stream.close()


class Office:
    """A server's files: who is enrolled, the ledger, and what it remembers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger.open(str(folder / "ledger.sqlite"), PATIENCE)
        self.enroll(LAPTOP, TABLET)
        self.asked: list[Asked] = []

    def enroll(self, *entries: Enrolled) -> None:
        """Let these come in, and nobody else."""
        text = "".join(map(render_line, entries))
        (self.folder / "authorized_keys").write_text(text)

    def begin(self, **told: Any) -> Asked:
        """Start a process that answers."""
        self.asked.append(Asked(self.folder, told))
        return self.asked[-1]

    def rows(self) -> list[RestoreRow]:
        """Return the restores that are written down, the oldest first."""
        return self.ledger.restores.list_recent(None, 1000)[::-1]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A server of which nothing goes on at the end."""
    office = Office(tmp_path)
    yield office
    for each in office.asked:
        with each.process as process:
            process.kill()
    office.ledger.close()


def test_files_are_given_back_and_written_down(office: Office) -> None:
    """With who, what, which dump, how much, and how it ended."""
    begun_at = now()
    output, answers, status = office.begin().ask(FILES).end()
    assert (len(output), status) == (300, 0)
    missing = MissingFile(b"a/b/c.txt", "the dump does not have it")
    assert answers == [PLAN, missing, RestoreDone(3, 300)]
    (row,) = office.rows()
    assert (row.client, row.amanda_config, row.who) == ("laptop", "daily", "client")
    assert (row.disk, row.paths, row.run) == ("/home", ("a",), RUN)
    assert (row.files, row.size, row.outcome) == (3, 300, "1 missing, all else sent")
    assert row.ended_at
    assert begun_at <= row.begun_at <= row.ended_at <= now()


def test_a_whole_image_is_given_back_and_written_down(office: Office) -> None:
    """By its level, and the run that has made it."""
    output, answers, status = office.begin().ask(RawRequest("/home", level=0)).end()
    assert (len(output), status) == (300, 0)
    assert answers == [IMAGES, RestoreDone(1, 300)]
    (row,) = office.rows()
    assert (row.disk, row.paths, row.run) == ("/home", ("the whole image of level 0",), OLDER)
    assert (row.files, row.size, row.outcome) == (1, 300, "all sent")


def test_lists_and_trials_are_not_restores(office: Office) -> None:
    """Nothing of a file is given away."""
    output, _, status = office.begin().ask(ListRequest("/home")).end()
    assert (output[:3], status) == (b"Da\0", 0)
    assert office.begin().ask(replace(FILES, is_dry_run=True)).end()[0] == b""
    assert office.begin().ask(RawRequest("/home")).end()[:2] == (b"", [IMAGES, RestoreDone(0, 0)])
    _, (disk, done), _ = office.begin().ask(DisksRequest()).end()
    assert isinstance(disk, DiskAnswer)
    assert done == RestoreDone(0, 0)
    assert office.rows() == []


def refuse_unknown(office: Office) -> None:
    office.enroll(TABLET)


def refuse_other_config(office: Office) -> None:
    office.enroll(replace(LAPTOP, amanda_config="weekly"))


def refuse_closed(office: Office) -> None:
    office.enroll(replace(LAPTOP, may_restore=False), TABLET)


def refuse_lost(office: Office) -> None:
    office.enroll(replace(LAPTOP, lost_at=datetime(2026, 11, 30, tzinfo=UTC)), TABLET)


@pytest.mark.parametrize(
    "change", [refuse_unknown, refuse_other_config, refuse_closed, refuse_lost]
)
def test_who_may_not_gets_nothing(office: Office, change: Callable[[Office], None]) -> None:
    """Whatever the command line of its connection's beginning said; an administrator may."""
    change(office)
    for request in (FILES, ListRequest("/home"), DisksRequest(), RawRequest("/home", level=0)):
        failed = office.begin().ask(request).fail()
        assert (failed.exit, failed.reference) == (77, "no-restore")
    assert office.rows() == []
    assert office.begin(who="admin:root").ask(FILES).end()[2] == 0
    assert [row.who for row in office.rows()] == ["admin:root"]


def test_while_nobody_knows_who_may_nobody_gets_anything(office: Office, tmp_path: Path) -> None:
    """Who asks is put off; who is served already goes on."""
    served = office.begin(pieces=FOR_EVER).ask(FILES).receive()
    keys = tmp_path / "authorized_keys"
    keys.unlink()
    keys.mkdir()
    failed = office.begin().ask(FILES).fail()
    assert (failed.exit, failed.reference) == (75, "registry-unreadable")
    assert served.receive().process.poll() is None


def test_two_machines_with_one_key_get_nothing(office: Office) -> None:
    """Until it is settled which of them is the client; an administrator may."""
    for ticket, host_name in (("", "larch"), ("1-" + "0" * 32, "birch")):
        receive(
            office.ledger,
            "laptop",
            Claim(ticket, host_name),
            now(),
            is_elsewhere=False,
            random="0" * 32,
            dles=("daily", ()),
        )
    for request in (FILES, DisksRequest()):
        failed = office.begin().ask(request).fail()
        assert (failed.exit, failed.reference) == (77, "second-machine")
        assert "birch" in failed.message
    assert office.begin(client="tablet").ask(FILES).end()[2] == 0
    assert office.begin(who="admin:root").ask(FILES).end()[2] == 0


@pytest.mark.parametrize("line", [b"", b"\n", b"no JSON\n", b'{"type":"talk"}\n', b"x" * (1 << 21)])
def test_what_is_no_request_is_told_so(office: Office, line: bytes) -> None:
    """And ends at once, if only by its size."""
    asked = office.begin()
    with asked.process.stdin or open(os.devnull, "wb") as stdin:  # noqa: PTH123
        try:
            stdin.write(line)
        except BrokenPipeError:
            assert len(line) > 1 << 20
    asked.process.stdin = None
    failed = asked.fail()
    assert (failed.exit, failed.reference) == (76, "not-understood")


def test_who_asks_nothing_is_not_waited_for(office: Office) -> None:
    """A client that only connects keeps no process."""
    asked = office.begin(asked_within=0.1)
    failed = asked.hear()
    assert isinstance(failed, RestoreFailed)
    assert (failed.exit, failed.reference) == (76, "not-understood")
    assert "no request has come" in failed.message
    assert asked.process.wait() == 76


def test_a_third_restore_waits_for_its_turn(office: Office) -> None:
    """It is told its place, and lists do not wait for it."""
    busy = [office.begin(pieces=FOR_EVER).ask(FILES).receive() for _ in range(2)]
    waiting = office.begin(client="tablet").ask(FILES)
    assert waiting.hear() == QueuedRestore(1)
    assert office.begin().ask(ListRequest("/home")).end()[2] == 0
    busy[0].hang_up()
    output, answers, status = waiting.end()
    assert (len(output), answers[0], status) == (300, PLAN, 0)
    assert busy[0].process.wait() == 75
    outcomes = {row.pid: row.outcome for row in office.rows()}
    assert outcomes == {
        busy[0].process.pid: "the connection ended",
        busy[1].process.pid: "",
        waiting.process.pid: "1 missing, all else sent",
    }


def test_who_hangs_up_in_the_queue_leaves_it(office: Office) -> None:
    """And gets nothing later on."""
    for _ in range(2):
        office.begin(pieces=FOR_EVER).ask(FILES).receive()
    first = office.begin(client="tablet").ask(FILES)
    assert first.hear() == QueuedRestore(1)
    second = office.begin(client="tablet").ask(FILES)
    assert second.hear() == QueuedRestore(2)
    first.hang_up()
    assert first.process.wait() == 75
    assert second.hear() == QueuedRestore(1)
    assert len(office.rows()) == 2


def test_who_hangs_up_in_mid_stream_is_written_down(office: Office) -> None:
    """With what it had got by then."""
    asked = office.begin(pieces=FOR_EVER).ask(FILES).receive()
    asked.receive()  # so the first piece is counted by now
    asked.hang_up()
    assert asked.process.wait() == 75
    (row,) = office.rows()
    assert (row.outcome, row.ended_at is not None) == ("the connection ended", True)
    assert row.size >= 100


def test_a_client_that_is_revoked_gets_no_more(office: Office) -> None:
    """In the middle of what it gets, over a connection that outlives its key."""
    asked = office.begin(pieces=FOR_EVER).ask(FILES).receive()
    office.enroll(TABLET)
    _, (plan, failed), status = asked.end()
    assert plan == PLAN
    assert isinstance(failed, RestoreFailed)
    assert (status, failed.reference) == (75, "session-over")
    assert [row.outcome for row in office.rows()] == ["this client is not enrolled any more"]


def test_a_process_that_is_killed_leaves_a_row_without_an_end(office: Office) -> None:
    """So that it is seen that files were given away; its turn is free."""
    asked = office.begin(pieces=FOR_EVER).ask(FILES).receive()
    asked.process.kill()
    asked.hang_up()
    asked.process.wait()
    (row,) = office.rows()
    assert (row.ended_at, row.outcome, row.pid) == (None, "", asked.process.pid)
    assert office.begin().ask(FILES).end()[2] == 0


def test_nothing_is_given_back_that_cannot_be_written_down(office: Office, tmp_path: Path) -> None:
    """Who asks is put off."""
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        output, answers, status = office.begin().ask(FILES).end()
        failed = answers[-1]
        assert isinstance(failed, RestoreFailed)
        assert (output, status, failed.reference) == (b"", 75, "ledger-busy")
        output, _, status = office.begin(who="admin:root").ask(FILES).end()
        assert (len(output), status) == (300, 0)  # who may have to fix just that
    assert office.rows() == []
    assert "not written down" in (tmp_path / "restore.log").read_text()


def test_without_a_ledger_it_is_told_why(office: Office, tmp_path: Path) -> None:
    """Nothing is known then, and none is begun."""
    (tmp_path / "ledger.sqlite").unlink()
    failed = office.begin().ask(DisksRequest()).fail()
    assert (failed.exit, failed.reference) == (75, "ledger-missing")
    assert not (tmp_path / "ledger.sqlite").exists()


def test_a_bug_is_told_as_one_and_explained_in_the_log(office: Office, tmp_path: Path) -> None:
    """The client sees nothing of the server's inside."""
    output, answers, status = office.begin(fault="bug").ask(FILES).end()
    failed = answers[-1]
    assert isinstance(failed, RestoreFailed)
    assert (len(output), status, failed.reference) == (100, 70, "internal")
    assert not [each for each in answers if isinstance(each, OtherLine)]
    assert "RuntimeError: a bug" in (tmp_path / "restore.log").read_text()
    assert [(row.files, row.size, row.outcome) for row in office.rows()] == [
        (1, 100, "RuntimeError")
    ]


def test_a_backup_that_takes_too_much_memory_is_no_bug(office: Office) -> None:
    """And it ends with the process, which may take so much and no more."""
    output, answers, status = office.begin(fault="memory").ask(FILES).end()
    failed = answers[-1]
    assert isinstance(failed, RestoreFailed)
    assert (len(output), status, failed.reference) == (100, 65, "too-large")
    greedy = "from asyncamanda.server.restore import serve; serve.bound_memory(); b'x' * %d"
    for amount, is_well in ((1 << 28, True), (os.sysconf("SC_PHYS_PAGES") << 12, False)):
        argv = [sys.executable, "-c", greedy % amount]
        done = subprocess.run(argv, capture_output=True, check=False)
        assert (done.returncode == 0) is is_well
        assert is_well or b"MemoryError" in done.stderr


def test_a_client_has_so_many_an_hour(office: Office) -> None:
    """Another one its own."""
    at = datetime.now(UTC)
    for _ in range(MOST_AN_HOUR):
        office.ledger.restores.begin(
            RestoreBegun("daily", "laptop", "client", "/home", RUN, at, 1, 1, "b")
        )
    for request in (FILES, RawRequest("/home", level=0)):
        failed = office.begin().ask(request).fail()
        assert (failed.exit, failed.reference) == (75, "too-many-restores")
    assert office.begin(client="tablet").ask(FILES).end()[2] == 0
    assert office.begin().ask(ListRequest("/home")).end()[2] == 0
