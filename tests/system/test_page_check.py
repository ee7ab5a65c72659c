"""A large ledger is checked for damage while clients are served; a damaged one is replaced."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.bench.growth import make_server
from tests.bench.years import Years

from asyncamanda.server.dispatch.ledger_care import CHECK_EVERY, LedgerCare
from asyncamanda.server.ledger import preparing
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.ledger.ledger import Ledger

NOW = datetime(2026, 12, 20, tzinfo=UTC)
PATIENCE = timedelta(seconds=5)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger that counts as large."""
    monkeypatch.setattr(preparing, "CHECKED_AT_ONCE", 0)
    make_server(tmp_path / "server", Years(4000, 400, 40)).ledger.close()
    return tmp_path / "server" / "ledger.sqlite"


def care_of(ledger: Ledger) -> tuple[LedgerCare, LedgerAccess]:
    """What a dispatcher has."""
    config = cast("Any", SimpleNamespace(ledger=str(ledger.path)))
    access = LedgerAccess(ledger)
    return LedgerCare(config, access, list, []), access


async def _check(path: Path) -> tuple[bool, str]:
    """Open it, check it as a dispatcher does, and replace it; return if that was due, and how."""
    ledger = Ledger.open(str(path), PATIENCE)
    assert (ledger.is_checked, ledger.remark) == (False, "")
    care, access = care_of(ledger)
    assert care.is_check_due(NOW)
    await care.check(NOW)
    assert not care.is_check_due(NOW + timedelta(hours=1))
    assert care.is_check_due(NOW + CHECK_EVERY)
    is_lost = care.is_lost()
    if is_lost:
        await care.replace()
    last = access.ledger
    remark, is_empty = last.remark, not last.runs.list_recent()
    last.close()
    return is_lost, f"{remark} {'empty' if is_empty else 'full'}".strip()


def test_a_ledger_that_is_well_stays(path: Path) -> None:
    """And is checked again a day later."""
    assert asyncio.run(_check(path)) == (False, "full")


def test_a_page_of_nonsense_is_found_soon_after_the_start(path: Path) -> None:
    """The file is set aside, and a new one is used from then on."""
    query = "SELECT rootpage FROM sqlite_master WHERE name = 'verdicts_by_age'"
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(query).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    is_lost, how = asyncio.run(_check(path))
    assert is_lost
    assert "is damaged" in how
    assert how.endswith("empty")
    assert list(path.parent.glob("ledger.sqlite.damaged-*"))


def test_a_small_ledger_is_checked_before_anybody_is_served(tmp_path: Path) -> None:
    """Then the next check is due a day later."""
    ledger = Ledger.open(str(tmp_path / "ledger.sqlite"), PATIENCE)
    care, _ = care_of(ledger)
    assert ledger.is_checked
    assert not care.is_check_due(NOW)
    assert care.is_check_due(NOW + CHECK_EVERY)
    ledger.close()
