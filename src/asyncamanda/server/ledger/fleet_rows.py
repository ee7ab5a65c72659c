"""What the ledger has of the whole fleet, at a cost that does not grow with its history.

Each client and each disk is found from the one before it in an index, and its newest rows from
there: the index `verdicts_by_age`, and those of the clients of requests and sessions. The same in
one statement for all, so that none is asked for each client. tests/system/test_fleet_rows.py looks
at the plans.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, inspect, or_, select

from asyncamanda.core.dispatch.records import WELL, RequestRow, RunKind
from asyncamanda.core.fleet.facts import MARKED_DAYS, FleetDay, SessionFacts
from asyncamanda.core.model import DleVerdict
from asyncamanda.core.restore.recorded import FUTURE_AFTER
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.fleet_statements import (
    dles_query,
    first_seen_query,
    requests_query,
    sessions_query,
)
from asyncamanda.server.ledger.fleet_tables import fleet_days
from asyncamanda.server.ledger.schema import runs
from asyncamanda.server.ledger.transactions import Transactions

Dle = tuple[str, str]  # host, disk
SESSIONS = 5  # of each client, for its page
MOST_AT_A_TIME = 500
SETTLED_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DleRows:
    """A DLE's newest verdict, its newest backup, and since when it has failed since that."""

    last: DleVerdict
    confirmed: DleVerdict | None
    failing_since: datetime | None


class FleetRows:
    """What is asked for all clients at once."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def dles(self, amanda_config: str, now: datetime) -> dict[Dle, DleRows]:
        """Return each DLE of a configuration of which there is a verdict.

        A confirmed dump is a backup where there is a full one as well. What was dumped while the
        clock was ahead counts only where there is nothing else, as in verdicts.py.
        """
        query = dles_query().bindparams(config=amanda_config, horizon=now + FUTURE_AFTER)
        found: dict[Dle, dict[str, Any]] = {}
        with self._transactions.reading() as connection:
            for verdict, row in read_each(connection, query, _pick, "verdicts"):
                place = found.setdefault((verdict.host, verdict.disk), dict(row))
                if verdict.timestamp == row["last_stamp"]:
                    place["last"] = verdict
                if verdict.timestamp == row["good_stamp"] and row["has_full"]:
                    place["good"] = verdict
        return {
            dle: DleRows(row["last"], row.get("good"), row["failing_since"])
            for dle, row in found.items()
            if "last" in row
        }

    def requests(self) -> dict[str, RequestRow]:
        """Return each client's newest request."""
        with self._transactions.reading() as connection:
            rows = read_each(connection, requests_query(), RequestRow, "requests")
        return {row.client: row for row in rows}

    def sessions(
        self, most: int = SESSIONS, clients: Collection[str] | None = None
    ) -> dict[str, tuple[SessionFacts, ...]]:
        """Return the last `most` sessions of these clients, oldest first; None: of all."""
        found: dict[str, list[SessionFacts]] = {}
        with self._transactions.reading() as connection:
            for client, session in _read_sessions(connection, most, clients):
                found.setdefault(client, []).append(session)
        return {client: tuple(own) for client, own in found.items()}

    def first_seen(self) -> dict[str, datetime]:
        """Return when the first session began that is kept of each client."""
        with self._transactions.reading() as connection:
            return dict(read_each(connection, first_seen_query(), _make_first, "sessions"))

    def runs_total(self, now: datetime) -> dict[str, int]:
        """Return how many runs ended how: "clean" and "failed". Neither falls as time goes on.

        A run of somebody else's is known by its log alone: it may go on, or turn out to be one of
        the dispatcher's. So it counts a day after its last line.
        """
        is_settled = or_(runs.c.kind != RunKind.OTHER, runs.c.ended_at < now - SETTLED_AFTER)
        query = (
            select(runs.c.is_clean, runs.c.exit_status, func.count())
            .where(runs.c.ended_at.is_not(None), is_settled)
            .group_by(runs.c.is_clean, runs.c.exit_status)
        )
        counts = {"clean": 0, "failed": 0}
        with self._transactions.reading() as connection:
            for is_clean, status, count in connection.execute(query):
                counts["clean" if is_clean and status in WELL else "failed"] += int(count)
        return counts

    def days(self) -> tuple[FleetDay, ...]:
        """Return the last days that were kept, oldest first."""
        query = select(fleet_days).order_by(fleet_days.c.day.desc()).limit(MARKED_DAYS)
        with self._transactions.reading() as connection:
            if not inspect(connection).has_table(fleet_days.name):
                return ()
            return tuple(reversed(read_each(connection, query, _make_day, "fleet_days")))

    def keep_day(self, day: FleetDay) -> None:
        """Write down how the fleet is, in place of what was written down of the same day."""
        values = {
            "day": day.day.isoformat(),
            "clients": day.clients,
            "protected": day.protected,
            "half_exposed": _seconds(day.half_exposed),
            "most_exposed": _seconds(day.most_exposed),
        }
        with self._transactions.writing() as connection:
            fleet_days.create(connection, checkfirst=True)
            connection.execute(delete(fleet_days).where(fleet_days.c.day == values["day"]))
            connection.execute(insert(fleet_days).values(values))


def _read_sessions(
    connection: Connection, most: int, clients: Collection[str] | None
) -> Iterator[tuple[str, SessionFacts]]:
    pieces: list[dict[str, Any]] = [{}]
    if clients is not None:
        every = sorted(clients)
        starts = range(0, len(every), MOST_AT_A_TIME)
        pieces = [{"names": every[start : start + MOST_AT_A_TIME]} for start in starts]
    for piece in pieces:
        query = sessions_query(of_all=clients is None).bindparams(most=most, **piece)
        yield from read_each(connection, query, _make_session, "sessions")


def _pick(
    last_stamp: str,
    good_stamp: str | None,
    has_full: bool,
    failing_since: datetime | None,
    **verdict: Any,
) -> tuple[DleVerdict, dict[str, Any]]:
    row = {"last_stamp": last_stamp, "good_stamp": good_stamp, "has_full": has_full}
    return DleVerdict(**verdict), row | {"failing_since": failing_since}


def _make_session(
    client: str, begun_at: datetime, seen_at: datetime, ended_at: datetime | None, how: str
) -> tuple[str, SessionFacts]:
    return client, SessionFacts(begun_at, seen_at, ended_at, how)


def _make_first(client: str, begun_at: datetime) -> tuple[str, datetime]:
    return client, begun_at


def _make_day(
    day: str, clients: int, protected: int, half_exposed: float | None, most_exposed: float | None
) -> FleetDay:
    half, most = (
        None if each is None else timedelta(seconds=each) for each in (half_exposed, most_exposed)
    )
    return FleetDay(date.fromisoformat(day), clients, protected, half, most)


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
