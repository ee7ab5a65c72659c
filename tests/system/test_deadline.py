"""A database server that does not answer keeps nobody waiting forever, and nobody else at all."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from asyncamanda.core.dispatch.records import RequestRow
from asyncamanda.errors import LaterError
from asyncamanda.server.background.deadline import bind, deadline
from asyncamanda.server.ledger import access as access_module
from asyncamanda.server.ledger import database
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.ledger.database import plan_connection, transaction
from asyncamanda.server.ledger.ledger import Ledger, LedgerBusy, LedgerUnavailable
from lab.patience import at_most

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FILE = "a SQLite file"
DATABASES = (FILE, *filter(None, [os.environ.get("ASYNCAMANDA_TEST_DATABASE")]))


def test_a_connection_is_cut_when_its_time_is_over() -> None:
    """Whoever waits for it reads its end."""
    ours, theirs = socket.socketpair()
    with ours, theirs, deadline(0.2) as bound:
        bind(ours.fileno())
        ours.settimeout(20)
        assert ours.recv(1) == b""
        assert bound.was_silent(4)


def test_a_connection_that_is_done_in_time_is_left_alone() -> None:
    """Nor is another one that has its number by then."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with deadline(1) as bound:
            bind(ours.fileno())
        time.sleep(1.2)
        theirs.send(b"x")
        assert ours.recv(1) == b"x"
        assert not bound.was_silent(4)


def test_who_could_not_even_connect_in_time_met_silence() -> None:
    """Each driver has other words for that."""
    with deadline(60) as bound:
        assert not bound.was_silent(4)
        assert bound.was_silent(0.5)


def test_a_connection_to_a_server_has_bounds() -> None:
    """What the URL itself sets counts."""
    url = make_url("postgresql://backup@db/amanda?connect_timeout=30")
    planned = plan_connection(url, SECOND / 5)
    assert planned["options"] == "-c lock_timeout=200 -c statement_timeout=8000"
    assert "connect_timeout" not in planned
    assert plan_connection(make_url("postgresql://db/amanda"), SECOND)["connect_timeout"] == "4"
    assert planned["tcp_user_timeout"] == "8000"


def test_a_server_that_does_not_answer_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for it is told why; what was asked of it is done once, when it answers."""
    monkeypatch.setattr(Ledger, "is_remote", True)
    monkeypatch.setattr(access_module, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(access_module, "BROKEN_FOR", 0.2 * SECOND)
    monkeypatch.setattr(access_module, "WAITED", 0.2 * SECOND)
    ledger = Ledger.open(str(tmp_path / "ledger.sqlite"), SECOND)
    answers, tries = threading.Event(), 0

    def ask(one: Ledger) -> RequestRow:
        nonlocal tries
        tries += 1
        assert answers.wait(30)
        return one.requests.open("laptop", "daily", NOON)

    async def wait() -> RequestRow:
        record = LedgerAccess(ledger)
        writing = asyncio.create_task(record.write(ask))
        with pytest.raises(LaterError, match="does not answer"):
            await record.unless_troubled(record.write(ask))
        assert record.find_hindrance(datetime.now(UTC))
        answers.set()
        row = await writing
        assert not record.find_lasting_trouble(datetime.now(UTC) + timedelta(hours=1))
        return row

    row = asyncio.run(asyncio.wait_for(wait(), 30))
    assert (row.client, tries) == ("laptop", 1)
    ledger.close()


class Mute:
    """A way to a database that can fall silent, as one to a server that is stopped does."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._kept: list[socket.socket] = []
        self.is_mute = False
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._kept += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.is_mute:
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Release everything."""
        for each in (self._listener, *self._kept):
            each.close()


@pytest.fixture(params=DATABASES)
def stuck_ledger(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    """Yield a ledger that does not answer: another program has the file, or the net is silent."""
    monkeypatch.setattr(database, "ANSWER_SECONDS", 1.0)
    if request.param == FILE:
        path = str(tmp_path / "ledger.sqlite")
        ledger, other = (Ledger.open(path, SECOND / 5) for _ in range(2))
        with transaction(other.engine, is_writing=True):
            yield ledger
        ledger.close()
        other.close()
        return
    url = make_url(request.param)
    mute = Mute(url.host or "127.0.0.1", url.port or 5432)
    near = url.set(host="127.0.0.1", port=mute.port)
    ledger = Ledger.open(near.render_as_string(hide_password=False), SECOND / 5)
    mute.is_mute = True
    yield ledger
    ledger.close()
    mute.close()


def test_a_ledger_that_does_not_answer_is_given_up(stuck_ledger: Ledger) -> None:
    """Within its bounds, with the reason."""
    begun = time.monotonic()
    with pytest.raises((LedgerBusy, LedgerUnavailable), match=r"is locked|does not answer"):
        stuck_ledger.requests.open("laptop", "daily", NOON)
    assert time.monotonic() - begun < at_most(20)
