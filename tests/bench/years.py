"""A ledger as it is after years, and the logs beside it: written by plain SQL, in seconds.

Two hundred clients of two disks each, unless said otherwise; what grows is how much there is of
each.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncamanda.core.fleet.facts import MARKED_DAYS
from asyncamanda.server.ledger.ledger import Ledger

NAME = "daily"
CLIENTS = 200
DISKS = ("/", "/home")
NEWEST = datetime(2026, 11, 30, 22, tzinfo=UTC)
PATIENCE = timedelta(seconds=60)
DUE_AFTER = (86_400.0, 3600.0)  # seconds
MOST_PROOFS = 20_000  # they are kept for half a year

_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"

LOG = """\
INFO amdump amdump pid {pid}
START driver date {stamp}
DISK planner {host} /
START planner date {stamp}
INFO planner pid-done 2
FINISH planner date {stamp} time 0.1
SUCCESS dumper {host} / {stamp} 1 [sec 1.0 kb 1000 kps 1000.0 orig-kb 1000]
FINISH driver date {stamp} time 9.0
INFO driver pid-done 3
INFO amdump pid-done {pid}
"""


@dataclass(frozen=True, slots=True)
class Years:
    """How much there is."""

    verdicts: int
    sessions: int
    logs: int
    clients: int = CLIENTS


SMALL = Years(10_000, 1_000, 200)
LARGE = Years(1_000_000, 100_000, 20_000)


def clients(number: int = CLIENTS) -> list[str]:
    """Return the names of so many clients."""
    return [f"pc{each:03}" for each in range(number)]


def fill(folder: Path, years: Years) -> Path:
    """Make a ledger and a folder `log` in `folder`; return the ledger's path."""
    path, logdir = folder / "ledger.sqlite", folder / "log"
    Ledger.open(str(path), PATIENCE).close()
    (logdir / "oldlog").mkdir(parents=True)
    spans = [_moment(years, number) for number in range(years.logs)]
    stamps = [f"{at:%Y%m%d%H%M%S}" for at in spans]
    sizes = [_write_log(logdir, stamp, number) for number, stamp in enumerate(stamps)]
    with closing(sqlite3.connect(path)) as connection, connection:
        for pragma in ("synchronous=OFF", "cache_size=-500000"):
            connection.execute(f"PRAGMA {pragma}")
        made = connection.execute(_INDEXES).fetchall()  # at last, which is ten times as quick
        for name, _ in made:
            connection.execute(f"DROP INDEX {name}")
        for table, columns, rows in _rows(years, spans, stamps, sizes):
            marks = ", ".join("?" * len(columns.split(",")))
            connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608 - ours
        for _, statement in made:
            connection.execute(statement)
    return path


def _moment(years: Years, number: int) -> datetime:
    """Return when a run began: one every hour, the last one an hour before NEWEST."""
    return NEWEST - timedelta(hours=years.logs - number)


def _write_log(logdir: Path, stamp: str, number: int) -> int:
    host = f"pc{number % CLIENTS:03}"
    text = LOG.format(stamp=stamp, pid=number + 100, host=host)
    path = logdir / f"log.{stamp}.0"
    path.write_text(text, "ascii")
    at = datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    os.utime(path, (at, at))
    return len(text)


def _kept(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def _rows(
    years: Years, spans: list[datetime], stamps: list[str], sizes: list[int]
) -> Iterator[tuple[str, str, Iterator[tuple[object, ...]]]]:
    """Yield each table's name, columns and rows."""
    names = clients(years.clients)
    yield (
        "runs",
        "id, amanda_config, timestamp, kind, hosts, begun_at, ended_at, exit_status, is_clean, "
        "labels, remark",
        (
            (i + 1, NAME, stamp, "batch" if i % 3 else "other", "[]", _kept(at), _kept(at), 0, 1,
             "[]", "")
            for i, (at, stamp) in enumerate(zip(spans, stamps, strict=True))
        ),
    )  # fmt: skip
    yield "verdicts", _VERDICT, _verdicts(years, spans, stamps)
    times = [spans[i * years.logs // years.sessions] for i in range(years.sessions)]
    yield (
        "sessions",
        "client, amanda_config, begun_at, seen_at, ended_at, how",
        ((names[i % years.clients], NAME, *[_kept(at)] * 3, "it left") for i, at in enumerate(times)),
    )
    yield (
        "requests",
        "client, amanda_config, submitted_at, state, run_id, ended_at, outcome",
        (
            (names[i % years.clients], NAME, _kept(at), "done", i * years.logs // years.sessions + 1,
             _kept(at), "")
            for i, at in enumerate(times)
        ),
    )  # fmt: skip
    yield (
        "logs",
        "amanda_config, name, size, taken_at",
        ((NAME, f"log.{s}.0", size, _kept(NEWEST)) for s, size in zip(stamps, sizes, strict=True)),
    )
    proofs = min(years.sessions, MOST_PROOFS)
    yield (
        "proofs",
        "amanda_config, host, disk, kind, proved_at, timestamp, level, is_good, what, size",
        (
            (NAME, names[i // 2 % years.clients], DISKS[i % 2], "drill" if i % 4 < 2 else "client",
             _kept(NEWEST - timedelta(minutes=proofs - i)), stamps[-1], 0, i % 50 != 0, "", 1)
            for i in range(proofs)
        ),
    )  # fmt: skip
    yield (
        "machines",
        "client, lineage, ticket, previous, is_written, host_name, seen_at, other_host_name, noted",
        ((name, 1, "a" * 32, "", 1, name, _kept(NEWEST), "", "") for name in names),
    )
    yield from _fleet_rows(names)


def _fleet_rows(names: list[str]) -> Iterator[tuple[str, str, Iterator[tuple[object, ...]]]]:
    """Yield the tables with a row for each client or day; each fifth client is due each hour."""
    days = [f"{NEWEST - timedelta(days=ago):%Y-%m-%d}" for ago in range(MARKED_DAYS)]
    used = json.dumps(dict.fromkeys(days, 3600.0))
    yield (
        "reports",
        "client, at, software, interval, stale_after, stale_after_use, deferred_at, "
        "deferred_reason, days, used_seconds, gaps, is_least",
        (
            (name, _kept(NEWEST), "asyncamanda 0.1", DUE_AFTER[i % 5 == 0], 7 * 86_400.0,
             72_000.0, None, "", used, 9e6, 0, 0)
            for i, name in enumerate(names)
        ),
    )  # fmt: skip
    bases = ((name, _kept(NEWEST - timedelta(hours=9)), 9e6 - 3600, 0) for name in names)
    yield "bases", "client, backed_up_at, used_seconds, is_least", bases
    marks = ("bbhbbaa" * MARKED_DAYS)[:MARKED_DAYS]
    strips = ((name, NAME, days[0], marks) for name in names)
    yield "strips", "client, amanda_config, until, marks", strips
    told = ((name, "mail", "protected", _kept(NEWEST), 1) for name in names)
    yield "told", "client, channel, state, at, times", told
    curve = ((day, len(names), len(names) - 7, 3600.0, 7200.0) for day in days)
    yield "fleet_days", "day, clients, protected, half_exposed, most_exposed", curve


_VERDICT = (
    "amanda_config, host, disk, timestamp, run_id, state, level, reason, kilobytes, is_strange, "
    "has_begun, has_failed_since, dumped_at, machine"
)


def _verdicts(
    years: Years, spans: list[datetime], stamps: list[str]
) -> Iterator[tuple[object, ...]]:
    """Yield the verdicts: fifty a run, of each disk in turn, a full each seventh time."""
    names = clients(years.clients)
    each, disks = years.verdicts // years.logs, years.clients * len(DISKS)
    for number in range(years.verdicts):
        run, place, turn = number // each, number % disks, number // disks
        state = "failed" if turn % 10 == 3 else "held" if run >= years.logs - 2 else "stored"
        yield (
            NAME, names[place // 2], DISKS[place % 2], stamps[run], run + 1, state,
            0 if turn % 7 == 0 else 1, "", 1000, 0, 1, 0, _kept(spans[run]), 1,
        )  # fmt: skip
