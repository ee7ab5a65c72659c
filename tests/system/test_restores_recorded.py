"""The ledger knows who got which files back, and an older asyncamanda's ledger learns it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from asyncamanda.core.dispatch.records import RestoreRow
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.ledger import Ledger, LedgerBusy
from asyncamanda.server.ledger.restores import (
    LONGEST_KEPT,
    MOST_PATHS,
    RestoreBegun,
    shorten_paths,
)
from asyncamanda.server.ledger.schema import FORMAT, METADATA, restores

FILE = "a SQLite file"
DATABASES = (FILE, *filter(None, [os.environ.get("ASYNCAMANDA_TEST_DATABASE")]))
PATIENCE = timedelta(seconds=0.2)
NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def place_of(database: str, folder: Path) -> str:
    """Return where to open a ledger; one on a server is emptied."""
    if database == FILE:
        return str(folder / "ledger.sqlite")
    engine = create_engine(database)
    METADATA.drop_all(engine)
    engine.dispose()
    return database


@pytest.fixture(params=DATABASES)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    opened = Ledger.open(place_of(request.param, tmp_path), PATIENCE)
    yield opened
    opened.close()


def begun(client: str = "laptop", at: datetime = NOON, who: str = "client") -> RestoreBegun:
    """A restore that has begun."""
    return RestoreBegun(
        "daily", client, who, "/\udce9", "20261120120000", at, 4711, 99, "b-1", ("a/\udcff",), 2
    )


def test_a_restore_is_kept_as_it_was_told(ledger: Ledger) -> None:
    """From its beginning, with names that are no UTF-8; and its end is added."""
    number = ledger.restores.begin(begun())
    row = RestoreRow(
        number,
        "daily",
        "laptop",
        "client",
        "/\udce9",
        ("a/\udcff",),
        2,
        "20261120120000",
        NOON,
        4711,
        99,
        "b-1",
    )
    assert ledger.restores.list_recent("laptop", 9) == [row]
    ledger.restores.end(number, NOON + MINUTE, 7, 5_000_000_000, "all sent")
    (ended,) = ledger.restores.list_recent(None, 9)
    assert (ended.ended_at, ended.files, ended.size) == (NOON + MINUTE, 7, 5_000_000_000)
    assert ended.outcome == "all sent"


def test_the_last_restores_come_first_of_one_client_or_of_all(ledger: Ledger) -> None:
    """And no more than are asked for."""
    clients = ("laptop", "tablet", "laptop")
    for minute, client in enumerate(clients):
        ledger.restores.begin(begun(client, NOON + minute * MINUTE))
    assert [row.client for row in ledger.restores.list_recent(None, 2)] == ["laptop", "tablet"]
    own = ledger.restores.list_recent("laptop", 9)
    assert [row.begun_at for row in own] == [NOON + 2 * MINUTE, NOON]


def test_a_clients_own_restores_are_counted(ledger: Ledger) -> None:
    """Those of a time, and neither another's nor the administrator's."""
    assert ledger.restores.count_since("laptop", NOON) == 0
    for minute in range(3):
        ledger.restores.begin(begun(at=NOON + minute * MINUTE))
    ledger.restores.begin(begun("tablet"))
    ledger.restores.begin(begun(who="admin:root"))
    assert ledger.restores.count_since("laptop", NOON + MINUTE) == 2


def test_restores_are_forgotten_with_the_requests_of_their_time(ledger: Ledger) -> None:
    """Those that never ended, too."""
    ledger.restores.end(ledger.restores.begin(begun(at=NOON - MINUTE)), NOON, 1, 1, "all sent")
    ledger.restores.begin(begun(at=NOON - MINUTE))
    kept = ledger.restores.begin(begun())
    assert ledger.forget(NOON) == 2
    assert [row.id for row in ledger.restores.list_recent(None, 9)] == [kept]


@pytest.mark.parametrize("database", DATABASES)
def test_a_ledger_that_an_older_version_began_takes_restores(database: str, tmp_path: Path) -> None:
    """Whoever serves the first one makes the table; until then there are none, and no error."""
    place = place_of(database, tmp_path)
    Ledger.open(place, PATIENCE).close()
    engine = create_engine(f"sqlite:///{place}" if database == FILE else place)
    restores.drop(engine)
    engine.dispose()
    reader = Ledger.open(place, PATIENCE, is_owner=False)
    assert reader.restores.list_recent(None, 9) == []
    assert reader.restores.count_since("laptop", NOON) == 0
    number = reader.restores.begin(begun())
    assert [row.id for row in reader.restores.list_recent(None, 9)] == [number]
    reader.close()


def test_an_older_version_does_not_mind_the_table(ledger: Ledger) -> None:
    """It looks at the format and at its own tables, and this one is no other format."""
    ledger.restores.begin(begun())
    with transaction(ledger.engine, is_writing=False) as connection:
        tables = {*inspect(connection).get_table_names()}
        assert connection.execute(text("SELECT format FROM ledger")).scalar_one() == 2 == FORMAT
    assert tables == {*METADATA.tables}


def test_a_restore_cannot_be_begun_while_the_ledger_is_locked(tmp_path: Path) -> None:
    """So none goes by unrecorded."""
    place = place_of(FILE, tmp_path)
    first = Ledger.open(place, PATIENCE)
    second = Ledger.open(place, PATIENCE, is_owner=False)
    with transaction(first.engine, is_writing=True), pytest.raises(LedgerBusy):
        second.restores.begin(begun())
    first.close()
    second.close()


def test_a_row_that_makes_no_sense_hides_no_other(ledger: Ledger) -> None:
    """It is named."""
    for _ in range(2):
        ledger.restores.begin(begun())
    with transaction(ledger.engine, is_writing=True) as connection:
        connection.execute(text("UPDATE restores SET begun_at = 'x' WHERE id = 1"))
    assert [row.id for row in ledger.restores.list_recent(None, 9)] == [2]
    assert "restores is invalid" in " ".join(ledger.bad_rows)


def test_what_is_kept_of_the_paths_has_a_bound() -> None:
    """The end of a long one says most; of many the first are kept, and the number."""
    assert shorten_paths([b"a", b"\xe9", b""]) == (("a", "\udce9", ""), 0)
    many = [b"%d" % number for number in range(MOST_PATHS + 5)]
    kept, more = shorten_paths(many)
    assert (len(kept), more) == (MOST_PATHS, 5)
    ((long,), more) = shorten_paths([b"x" * 5000 + b"/name"])
    assert (len(long), long[:4], long[-5:], more) == (LONGEST_KEPT, "...x", "/name", 0)
