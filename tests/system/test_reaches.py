"""How far back many clients' backups go: Amanda is asked once, not for each."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.dispatch.records import RunEnd, RunKind
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.errors import ConfigurationError
from asyncamanda.server.dispatch.after_runs import is_reach_old
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.reach_file import ReachFound
from asyncamanda.server.restore.reach import Reach, find_reaches_in
from asyncamanda.server.restore.source import Stock
from asyncamanda.system.clock import parse_local_stamp

CLIENTS = [f"laptop{number:03d}" for number in range(200)]
HELD, TAPED = "20261122010000", "20261121010000"
ROW = "2026-11-21 01:00:00 {} /home  0 daily daily DAILY-001    {} 1/1 OK "


class Fleet:
    """Two full dumps of each client, one held and one on a virtual tape."""

    def __init__(self, folder: Path) -> None:
        files = AmandaFiles(folder / "amanda")
        self.ledger = Ledger.open(str(folder / "ledger.sqlite"), timedelta(seconds=5))
        self.asked: list[str] = []
        self.rows = []
        for number, client in enumerate(CLIENTS, 1):
            files.hold(HELD, host=client, level=0)
            files.tape(TAPED, "DAILY-001", number, host=client, level=0)
            self.rows.append(ROW.format(client, number))
        self._note(TAPED, DumpState.STORED)
        self._note(HELD, DumpState.HELD)
        dles = {client: [Dle(client, "/home", "/home")] for client in CLIENTS}
        self.stock = Stock(files.settings, dles)

    def find(self, _config: str, host: str) -> str:
        """Return what `amadmin find` would print of a host, of all where that is ""."""
        self.asked.append(host)
        return "\n".join(row for row in self.rows if host in {"", row.split()[2]}) + "\n"

    def _note(self, stamp: str, state: DumpState) -> None:
        begun = parse_local_stamp(stamp)
        run = self.ledger.runs.begin(RunKind.OTHER, "daily", CLIENTS, (), begun)
        self.ledger.runs.note(run.id, timestamp=stamp)
        verdicts = tuple(
            DleVerdict(client, "/home", stamp, state, 0, dumped_at=begun, has_begun=True)
            for client in CLIENTS
        )
        self.ledger.runs.end(run.id, begun, RunEnd(0, is_clean=True, verdicts=verdicts), {})


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Yield the clients' dumps."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.ledger.close()


def test_amanda_is_asked_once_for_all_clients(fleet: Fleet) -> None:
    """And each has the date of its own first dump, which is on a volume."""
    fleet.asked.clear()
    config = ServerConfig()
    found = find_reaches_in(fleet.stock, config, fleet.ledger, CLIENTS, fleet.find)
    assert fleet.asked == [""]
    assert list(found) == CLIENTS
    first = parse_local_stamp(TAPED)
    assert {reach.since for reach in found.values() if isinstance(reach, Reach)} == {first}


def test_an_amanda_that_cannot_tell_is_asked_once_too(fleet: Fleet) -> None:
    """It may take minutes to say nothing."""
    asked = []

    def ask(amanda_config: str, host: str) -> str:
        asked.append((amanda_config, host))
        raise ConfigurationError("no", "it cannot tell", "ask another")

    found = find_reaches_in(fleet.stock, ServerConfig(), fleet.ledger, CLIENTS, ask)
    assert asked == [("daily", "")]
    assert {str(fault) for fault in found.values()} == {"it cannot tell"}


@pytest.mark.parametrize(
    ("looked_at", "written_at", "is_old"),
    [
        (None, None, True),
        (-3600, None, False),  # no volume has been written yet
        (-3600, -7200, False),
        (-3600, -60, True),
        (-3600, -3600, True),
        (-90_000, -100_000, True),  # more than a day ago
        (3600, -7200, True),  # by a clock that was ahead
    ],
)
def test_it_is_found_again_when_volumes_were_written(
    tmp_path: Path, looked_at: int | None, written_at: int | None, *, is_old: bool
) -> None:
    """By whomever; and once a day. All is in seconds from now."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    tapelist = tmp_path / "tapelist"
    if written_at is not None:
        tapelist.touch()
        os.utime(tapelist, times=(now.timestamp() + written_at,) * 2)
    found = None if looked_at is None else ReachFound(now + timedelta(seconds=looked_at))
    assert is_reach_old(found, tapelist, now) is is_old
