"""What is made of the fleet: each step for itself, by one process at a time, and not too often."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.fleet.facts import DayMark
from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.errors import LaterError
from asyncamanda.server.background.tasks import Background
from asyncamanda.server.dispatch import refreshes
from asyncamanda.server.dispatch.refreshes import Refreshes
from asyncamanda.server.fleet import refreshing
from asyncamanda.server.fleet.gathering import FleetLook, assemble_fleet
from asyncamanda.server.fleet.refreshing import RefreshStep, keep_fleet_day, refresh
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.system.clock import now
from asyncamanda.system.locks import Held, hold_lock

CONFIG = ServerConfig()
SECOND = timedelta(seconds=1)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """An empty one, of a server whose state is beside it and which has no client."""
    monkeypatch.setattr(refreshing, "STATE", str(tmp_path))
    monkeypatch.setattr(refreshes, "STATE", str(tmp_path))
    empty = FleetLook((), {})
    monkeypatch.setattr(
        refreshing,
        "gather_fleet",
        lambda config, ledger, now: assemble_fleet(config, ledger, empty, now),
    )
    with closing(Ledger.open(str(tmp_path / "ledger.sqlite"), 5 * SECOND)) as opened:
        yield opened


def test_a_step_that_fails_keeps_no_other(ledger: Ledger) -> None:
    """By an error that is foreseen, or by a bug; what is not wanted is not done."""
    done: list[str] = []

    def fail(_config: ServerConfig, _ledger: Ledger, _view: FleetView) -> None:
        raise LaterError("x", "no room", "make some")

    def crash(_config: ServerConfig, _ledger: Ledger, _view: FleetView) -> None:
        raise KeyError("a bug")

    def work(_config: ServerConfig, _ledger: Ledger, view: FleetView) -> None:
        done.append(f"{len(view.clients)} clients")

    steps = [
        RefreshStep("the page", fail),
        RefreshStep("the file", crash),
        RefreshStep("what nobody wants", crash, lambda _: False),
        RefreshStep("the rest", work),
        RefreshStep("the day", keep_fleet_day),
    ]
    faults = refresh(CONFIG, ledger, now(), steps)
    assert [fault.partition(" failed: ")[0] for fault in faults] == ["the page", "the file"]
    assert done == ["0 clients"]
    assert [day.clients for day in ledger.fleet.days()] == [0]


def test_there_is_one_at_a_time(ledger: Ledger, tmp_path: Path) -> None:
    """The second is told so, and does nothing."""
    with hold_lock(tmp_path / refreshes.LOCK, now()), pytest.raises(Held):
        refresh(CONFIG, ledger, now())
    assert refresh(CONFIG, ledger, now()) == []


@pytest.mark.parametrize(("status", "begun_at"), [(0, [0]), (75, [0, 30, 60])])
def test_a_look_that_was_not_made_is_made_later(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, status: int, begun_at: list[int]
) -> None:
    """Though nothing changes any more: another process was at it, or the ledger was locked."""
    assert ledger
    begun: list[int] = []
    background = Background(lambda: None)
    looked = Refreshes(CONFIG, background, is_urgent=True)
    start = datetime(2026, 12, 1, tzinfo=UTC)

    def note(doing: object) -> None:
        doing.close()  # type: ignore[attr-defined]
        begun.append(second)
        looked._is_starting = False
        looked._process = subprocess.Popen(["sh", "-c", f"exit {status}"])
        looked._process.wait()

    monkeypatch.setattr(background, "start", note)
    for second in range(90):
        looked.look(1, start + second * SECOND)
    assert begun == begun_at


def looks(monkeypatch: pytest.MonkeyPatch, *, is_urgent: bool) -> list[float]:
    """Return at which seconds it is started; something changes in each but those of a minute."""
    begun: list[float] = []
    background = Background(lambda: None)
    looked = Refreshes(CONFIG, background, is_urgent=is_urgent)
    start = datetime(2026, 12, 1, tzinfo=UTC)

    def note(doing: object) -> None:
        doing.close()  # type: ignore[attr-defined]
        begun.append(second)
        looked._is_starting = False

    monkeypatch.setattr(background, "start", note)
    changes = 0
    for second in range(200):
        changes += not 60 <= second < 120
        looked.look(changes, start + second * SECOND)
    return begun


def test_at_most_every_thirty_seconds(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """And only where something has changed since; what comes meanwhile is looked at then."""
    assert ledger
    assert looks(monkeypatch, is_urgent=True) == [0, 30, 60, 120, 150, 180]


def test_where_nothing_is_asked_for_once_an_hour_is_enough(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the lock, which each look at the fleet changes, whoever's it was."""
    assert ledger
    lock = tmp_path / refreshes.LOCK
    lock.touch()
    start = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    os.utime(lock, (start - 3500, start - 3500))
    assert looks(monkeypatch, is_urgent=False)[0] == 100
    os.utime(lock, (start - 60, start - 60))
    assert looks(monkeypatch, is_urgent=False) == []


def test_who_is_enrolled_is_known_from_then_on(ledger: Ledger) -> None:
    """Though it has never connected."""
    ledger.strips.note([Identity("anna", "daily")], now(), DayMark.AWAY)
    (strip,) = ledger.strips.of_clients().values()
    assert str(strip)[-2:] == "-a"
