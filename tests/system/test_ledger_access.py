"""What the dispatcher remembers waits for room, and keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import event

from asyncamanda.errors import LaterError
from asyncamanda.server.ledger import access as access_module
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.ledger.ledger import Ledger
from lab.patience import at_most

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
T = TypeVar("T")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Yield a ledger in a SQLite file."""
    opened = Ledger.open(str(tmp_path / "ledger.sqlite"), timedelta(seconds=0.2))
    yield opened
    opened.close()


def fill(ledger: Ledger) -> None:
    """Let SQLite find no room for one more page, as on a full disk."""

    def limit(connection: Any, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    ledger.engine.dispose()
    event.listen(ledger.engine, "connect", limit)


def write_much(ledger: Ledger) -> None:
    """Write what needs room."""
    ledger.requests.open("laptop" * 10_000, "daily", NOON)


def run(doing: Coroutine[Any, Any, T]) -> T:
    """Run to the end, within bounds."""
    return asyncio.run(asyncio.wait_for(doing, at_most(20)))


def test_reads_do_not_queue_behind_who_cannot_write(ledger: Ledger) -> None:
    """A disk that fills keeps the one waiting, and not the others."""
    fill(ledger)

    async def read_beside_a_writer() -> tuple[list[object], bool]:
        record = LedgerAccess(ledger)
        writer = asyncio.create_task(record.write(write_much))
        await asyncio.sleep(0)  # it has tried, and waits
        found = await asyncio.wait_for(
            record.read(lambda one: one.requests.list_open()), at_most(5)
        )
        is_waiting = not writer.done()
        writer.cancel()
        return list(found), is_waiting

    assert run(read_beside_a_writer()) == ([], True)


def test_who_waits_for_room_is_told_after_a_while(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SQLite's own words; and what was not written is not there."""
    monkeypatch.setattr(access_module, "BROKEN_FOR", timedelta(seconds=0.1))
    monkeypatch.setattr(access_module, "WAITED", timedelta(seconds=0.1))
    fill(ledger)

    async def wait() -> None:
        record = LedgerAccess(ledger)
        await record.unless_troubled(record.write(write_much))

    with pytest.raises(LaterError, match="cannot be used: database or disk is full"):
        run(wait())
    assert ledger.requests.list_open() == []


def test_what_was_not_written_is_written_when_there_is_room(ledger: Ledger) -> None:
    """And then nothing is said of trouble any more."""
    fill(ledger)

    async def make_room() -> bool:
        record = LedgerAccess(ledger)
        writer = asyncio.create_task(record.write(write_much))
        await asyncio.sleep(0)
        with ledger.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        await writer
        return record.find_lasting_trouble(datetime.now(UTC) + timedelta(hours=1)) is None

    assert run(make_room())
    assert len(ledger.requests.list_open()) == 1


def test_what_fails_otherwise_is_told_as_it_is(ledger: Ledger) -> None:
    """Only the ledger's trouble ends a wait."""

    async def fail() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run(LedgerAccess(ledger).unless_troubled(fail()))
