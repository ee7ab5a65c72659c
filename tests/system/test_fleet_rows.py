"""The whole fleet out of a real ledger: what it says of each client, and at what cost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.dispatch.records import RunEnd, RunKind
from asyncamanda.core.fleet.days import sum_up_day
from asyncamanda.core.fleet.facts import ClientReport, DayMark, FleetDay
from asyncamanda.core.fleet.standing import ClientState, FleetView
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.fleet.amanda_facts import AmandaFacts
from asyncamanda.server.fleet.gathering import NO_LEDGER, FleetLook, assemble_fleet
from asyncamanda.server.ledger import fleet_statements
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.system.clock import format_local_stamp, now

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = now().replace(microsecond=0)
STORED, HELD, FAILED = DumpState.STORED, DumpState.HELD, DumpState.FAILED
KEY = PublicKey("ssh-ed25519", "AAAA", "")
FLEET_TABLES = ("reports", "bases", "strips", "fleet_days", "told")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """An empty one."""
    with closing(Ledger.open(str(path), timedelta(seconds=5))) as opened:
        yield opened


def run(ledger: Ledger, ago: timedelta, **states: DumpState | tuple[DumpState, int, str]) -> None:
    """Write down a run of so long ago: for each host the result of its /home."""
    at = NOW - ago
    row = ledger.runs.begin(RunKind.BATCH, "daily", [*states], [], at)
    stamp = format_local_stamp(at)
    ledger.runs.note(row.id, timestamp=stamp)
    words = []
    for host, said in states.items():
        state, level, reason = said if isinstance(said, tuple) else (said, 0, "")
        words.append(DleVerdict(host, "/home", stamp, state, level, reason, 10, dumped_at=at))
    ledger.runs.end(row.id, at + HOUR / 2, RunEnd(0, is_clean=True, verdicts=tuple(words)))


def session(ledger: Ledger, client: str, ago: timedelta) -> None:
    """Write down a session of an hour that began so long ago."""
    number = ledger.sessions.begin(client, "daily", NOW - ago)
    ledger.sessions.end(number, NOW - ago + HOUR, "left")


def look(*clients: str, fault: str = "", **amanda: Any) -> FleetLook:
    """Return that these are enrolled, and what Amanda says: a /home of each."""
    entries = tuple(Enrolled(client, "daily", KEY) for client in clients)
    said = AmandaFacts(dles={client: (Dle(client, "/home"),) for client in clients}, **amanda)
    if fault:
        said = AmandaFacts(fault)
    return FleetLook(entries, {"daily": said}, NOW - 100 * DAY)


def states(view: FleetView) -> dict[str, ClientState]:
    """Return each client's state."""
    return {each.facts.client: each.standing.state for each in view.clients}


def test_each_client_by_what_the_ledger_has(ledger: Ledger) -> None:
    """Backed up, failing since the first failure, away, new, and retired."""
    run(ledger, 3 * DAY, anna=STORED, bert=STORED, carl=STORED, dora=STORED)
    run(ledger, 2 * DAY, bert=(FAILED, 0, "no space"), dora=(HELD, 1, ""))
    run(ledger, 5 * HOUR, anna=(HELD, 1, ""), bert=(FAILED, 0, "full"))
    for client, ago in (("anna", 5 * HOUR), ("bert", 5 * HOUR), ("carl", 3 * DAY)):
        session(ledger, client, ago)
        ledger.reports.record(client, ClientReport(NOW - ago, "asyncamanda 1", DAY, 7 * DAY))
    retired = {"dora": (NOW - DAY).date()}
    seen = look("anna", "bert", "carl", "emil", retired=retired)
    view = assemble_fleet(ServerConfig(), ledger, seen, NOW)
    assert states(view) == {
        "anna": ClientState.PROTECTED,
        "bert": ClientState.FAILING,
        "carl": ClientState.AWAY,
        "dora": ClientState.RETIRED,
        "emil": ClientState.NEVER,
    }
    anna, bert, carl, dora, emil = view.clients
    assert bert.standing.since == NOW - 2 * DAY
    assert bert.standing.alarm == "failing because full"
    assert carl.facts.last_seen == NOW - 3 * DAY + HOUR
    assert [disk.disk for disk in dora.facts.disks] == ["/home"]
    assert emil.facts.known_since == NOW - 100 * DAY
    assert anna.facts.days[-4] is DayMark.BACKED_UP
    assert anna.facts.days[-1] in {DayMark.BACKED_UP, DayMark.AWAY}  # it is just past midnight
    assert DayMark.FAILED in bert.facts.days
    assert view.runs_total == {"clean": 3, "failed": 0}


def test_an_incremental_without_a_full_is_no_backup(ledger: Ledger) -> None:
    """As the client is told; it does not end what has failed before, either."""
    run(ledger, 3 * DAY, bert=FAILED)
    run(ledger, 2 * DAY, bert=(STORED, 1, ""))
    run(ledger, HOUR, anna=(STORED, 1, ""), bert=FAILED)
    view = assemble_fleet(ServerConfig(), ledger, look("anna", "bert"), NOW)
    assert states(view) == {"anna": ClientState.NEVER, "bert": ClientState.FAILING}
    assert view.clients[1].standing.since == NOW - 3 * DAY


def test_what_amanda_does_not_say_comes_from_the_ledger(ledger: Ledger) -> None:
    """With a sentence about it; without a ledger there is one on that."""
    run(ledger, HOUR, anna=STORED)
    view = assemble_fleet(ServerConfig(), ledger, look("anna", fault="no such config"), NOW)
    assert states(view) == {"anna": ClientState.PROTECTED}
    assert view.configs[0].fault == "no such config"
    bare = assemble_fleet(ServerConfig(), None, look("anna"), NOW)
    assert bare.faults == (NO_LEDGER,)
    assert states(bare) == {"anna": ClientState.NEVER}


def test_a_clock_that_was_ahead_hides_nothing(ledger: Ledger) -> None:
    """A dump of next year counts only where there is no other."""
    run(ledger, -300 * DAY, anna=STORED, bert=STORED)
    run(ledger, 2 * DAY, anna=STORED)
    rows = ledger.fleet.dles("daily", NOW)
    assert rows["anna", "/home"].last.dumped_at == NOW - 2 * DAY
    assert rows["bert", "/home"].last.dumped_at == NOW + 300 * DAY


def test_a_ledger_that_an_older_asyncamanda_has_begun(ledger: Ledger, path: Path) -> None:
    """It has none of the fleet's tables: all is unknown, and the strips are made from the rest."""
    run(ledger, 2 * DAY, anna=STORED, bert=FAILED)
    session(ledger, "anna", DAY)
    kept = ledger.strips.of_clients()
    ledger.close()
    with closing(sqlite3.connect(path)) as connection:
        for table in FLEET_TABLES:
            connection.execute(f"DROP TABLE {table}")
        connection.commit()
    with closing(Ledger.open(str(path), timedelta(seconds=5), is_owner=False)) as older:
        view = assemble_fleet(ServerConfig(), older, look("anna", "bert"), NOW)
        assert states(view)["anna"] is ClientState.UNKNOWN
        assert set(view.clients[0].facts.days) == {DayMark.UNKNOWN}
        assert view.days == ()
        assert older.strips.are_missing()
        assert older.strips.make_anew(now()) == len(kept)
        assert not older.strips.are_missing()
        made = older.strips.of_clients()
        older.fleet.keep_day(sum_up_day(view))
        older.fleet.keep_day(sum_up_day(view))
        assert [day.clients for day in older.fleet.days()] == [2]
    letters = {who.client: str(strip)[-3:] for who, strip in made.items()}
    assert letters == {"anna": "bha", "bert": "faa"}


def test_a_fleet_without_exposure_is_kept(ledger: Ledger) -> None:
    """None is not the same as none at all: after a backup nobody has used his machine."""
    days = [
        FleetDay((NOW - DAY).date(), 2, 1, None, None),
        FleetDay(NOW.date(), 2, 2, timedelta(), timedelta()),
    ]
    for day in days:
        ledger.fleet.keep_day(day)
    assert ledger.fleet.days() == tuple(days)


def test_a_strip_that_is_damaged_is_made_again(ledger: Ledger, path: Path) -> None:
    """What its other days were is known from verdicts; what was deferred was only there."""
    run(ledger, 2 * DAY, anna=STORED)
    ledger.strips.note([Identity("anna", "daily")], NOW - DAY, DayMark.DEFERRED)
    before = ledger.strips.of_clients()
    ledger.strips.make_anew(now())
    assert str(ledger.strips.of_clients()[Identity("anna", "daily")])[-3:-1] == "bd"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE strips SET marks = 'x'")
        connection.commit()
    assert before
    assert ledger.strips.of_clients() == {}
    assert ledger.strips.are_missing()
    ledger.strips.make_anew(now())
    assert str(ledger.strips.of_clients()[Identity("anna", "daily")])[-3:] == "baa"


def test_a_deferral_marks_the_day(ledger: Ledger) -> None:
    """For a client that is known; what a client says of itself is about no other."""
    session(ledger, "anna", 2 * HOUR)
    said = ClientReport(now(), "asyncamanda 1", deferred_at=NOW - HOUR, deferred_reason="battery")
    ledger.reports.record("anna", said)
    ledger.reports.record("nobody", said)
    (strip,) = ledger.strips.of_clients().values()
    assert strip.marks[-1] is DayMark.DEFERRED


QUERIES: dict[str, tuple[Any, dict[str, object]]] = {
    "dles": (fleet_statements.dles_query(), {"config": "daily", "horizon": "2026"}),
    "requests": (fleet_statements.requests_query(), {}),
    "sessions": (fleet_statements.sessions_query(of_all=True), {"most": 5}),
    "first seen": (fleet_statements.first_seen_query(), {}),
}


@pytest.mark.parametrize("name", QUERIES)
def test_no_table_is_read_whole(ledger: Ledger, path: Path, name: str) -> None:
    """By the plan: each row is looked up in an index, so that history costs nothing."""
    assert ledger.path == path
    query, values = QUERIES[name]
    with closing(sqlite3.connect(path)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    scans = {line for line in plan if line.startswith("SCAN")}
    tables = {"v", "r", "s", "t", "o"}
    assert not {line for line in scans if line.split()[1] in tables}
    searches = [line.split()[1] for line in plan if line.startswith("SEARCH")]
    assert tables & set(searches)
    if name == "dles":
        by_age = "verdicts_by_age (amanda_config=? AND host=? AND disk=? AND state=?"
        assert any(by_age in line for line in plan)
