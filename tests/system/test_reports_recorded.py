"""The ledger keeps what clients say of themselves, and an older asyncamanda's learns it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from tests.system.test_restores_recorded import DATABASES, PATIENCE, place_of

from asyncamanda.core.exposure.values import Exposure
from asyncamanda.core.fleet.facts import ClientReport
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.fleet_tables import reports
from asyncamanda.server.ledger.ledger import Ledger

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
H = 3600.0


@pytest.fixture(params=DATABASES)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    opened = Ledger.open(place_of(request.param, tmp_path), PATIENCE)
    yield opened
    opened.close()


def report(at: datetime = NOON) -> ClientReport:
    """A report with all that there may be in one."""
    use = {date(2026, 12, 1): 60.0, date(2026, 11, 30): None}
    return ClientReport(at, "asyncamanda 1", DAY, 7 * DAY, 20 * HOUR, NOON - HOUR, "\udce9", use)


def test_the_last_report_of_each_client_is_kept_as_it_was_told(ledger: Ledger) -> None:
    """Also one in which hardly anything is said."""
    short = ClientReport(NOON, "")
    ledger.reports.record("laptop", report(), 100 * H)
    ledger.reports.record("laptop", report(NOON + HOUR), 101 * H)
    ledger.reports.record("tower", short)
    assert ledger.reports.of_clients() == {"laptop": report(NOON + HOUR), "tower": short}
    assert ledger.reports.exposures() == {
        "laptop": Exposure(None, as_of=NOON + HOUR),
        "tower": Exposure(None, as_of=NOON),
    }


def test_the_exposure_is_what_was_used_since_the_backup_began(ledger: Ledger) -> None:
    """While it is connected it is awake, from its report to the beginning of its dump."""
    ledger.sessions.begin("laptop", "daily", NOON - HOUR)
    ledger.reports.record("laptop", report(), 100 * H)
    assert ledger.reports.note_backup("laptop", NOON + HOUR)
    assert not ledger.reports.note_backup("laptop", NOON + HOUR)
    assert ledger.reports.exposures()["laptop"].used == timedelta(0)
    ledger.reports.record("laptop", report(NOON + DAY), 107 * H)
    assert ledger.reports.exposures() == {"laptop": Exposure(6 * HOUR, False, NOON + DAY)}
    ledger.reports.record("laptop", report(NOON + 2 * DAY), 0, 0)  # another machine
    assert ledger.reports.exposures() == {"laptop": Exposure(6 * HOUR, True, NOON + 2 * DAY)}


def test_without_a_report_before_it_nobody_knows_what_a_backup_was_of(ledger: Ledger) -> None:
    """Then it counts from the first report on."""
    ledger.reports.note_backup("laptop", NOON)
    assert ledger.reports.exposures() == {}
    ledger.reports.record("laptop", report(NOON + HOUR), 100 * H)
    ledger.reports.record("laptop", report(NOON + DAY), 104 * H)
    assert ledger.reports.exposures() == {"laptop": Exposure(4 * HOUR, True, NOON + DAY)}


def test_a_ledger_without_the_tables_has_no_reports(ledger: Ledger) -> None:
    """An older asyncamanda has made it, and whoever only reads does not change that."""
    with transaction(ledger.engine, is_writing=True) as connection:
        reports.drop(connection)
    assert ledger.reports.of_clients() == {}
    assert ledger.reports.exposures() == {}
