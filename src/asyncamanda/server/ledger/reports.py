"""What the clients said of themselves last, and what that makes of their exposure."""

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, delete, insert, inspect, or_, select

from asyncamanda.core.exposure.reported import (
    UseBase,
    UseTotal,
    begin_base,
    heed_total,
    judge_total,
)
from asyncamanda.core.exposure.values import KEPT_DAYS, Exposure
from asyncamanda.core.fleet.facts import ClientReport
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.fleet_tables import bases, reports
from asyncamanda.server.ledger.schema import sessions
from asyncamanda.server.ledger.strips import mark_deferral
from asyncamanda.server.ledger.transactions import Transactions

_TOTAL = [
    reports.c.client,
    reports.c.at,
    reports.c.used_seconds,
    reports.c.gaps,
]
_REPORT = [column for column in reports.c if column.name not in {"used_seconds", "gaps"}]


class Reports:
    """The clients' reports. The dispatcher records them."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def record(
        self, client: str, report: ClientReport, used: float | None = None, gaps: int = 0
    ) -> None:
        """Write down what a client said, in place of what it said before.

        `used` are the seconds of use since it began to count, None if it does not count; `gaps` is
        how often it could not count.
        """
        said = UseTotal(report.at, used, gaps)
        values = {
            "client": client,
            "at": report.at,
            "software": report.software,
            "interval": _seconds(report.interval),
            "stale_after": _seconds(report.stale_after),
            "stale_after_use": _seconds(report.stale_after_use),
            "deferred_at": report.deferred_at,
            "deferred_reason": report.deferred_reason,
            "days": json.dumps({f"{day}": seconds for day, seconds in report.use.items()}),
            "used_seconds": used,
            "gaps": gaps,
            "is_least": gaps > 0,
        }
        with self._transactions.writing() as connection:
            base = _read_bases(connection, client).get(client)
            after = heed_total(_read_totals(connection, client).get(client), base, said)
            if after and after != base:
                _put_base(connection, client, after)
            connection.execute(delete(reports).where(reports.c.client == client))
            connection.execute(insert(reports).values(values))
            if report.deferred_at:
                mark_deferral(connection, client, report.at)

    def note_backup(self, client: str, backed_up_at: datetime) -> bool:
        """Write down that the client's last confirmed backup began then; return whether it is news.

        Each of its disks has a confirmed dump that began then or later.
        """
        with self._transactions.reading() as connection:
            base = _read_bases(connection, client).get(client)
        if base and backed_up_at <= base.backed_up_at:
            return False
        with self._transactions.writing() as connection:
            total = _read_totals(connection, client).get(client)
            base = _read_bases(connection, client).get(client)
            since = total.at if total else backed_up_at
            was_here = _was_here(connection, client, since, backed_up_at)
            after = begin_base(total, base, backed_up_at, was_here=was_here)
            if after:
                _put_base(connection, client, after)
        return after is not None

    def of_clients(self) -> dict[str, ClientReport]:
        """Return what each client said last; one that says nothing is left out."""
        with self._transactions.reading() as connection:
            if not _has_tables(connection):
                return {}
            found = read_each(connection, select(*_REPORT), _make_report, "reports")
        return dict(found)

    def exposures(self) -> dict[str, Exposure]:
        """Return the exposure of each client that has said something, as of then."""
        with self._transactions.reading() as connection:
            if not _has_tables(connection):
                return {}
            totals, based = _read_totals(connection), _read_bases(connection)
        return {client: judge_total(total, based.get(client)) for client, total in totals.items()}


def _has_tables(connection: Connection) -> bool:
    """Return whether the tables are there: an older asyncamanda has not made them."""
    return inspect(connection).has_table(reports.name)


def _read_totals(connection: Connection, client: str | None = None) -> dict[str, UseTotal]:
    query = select(*_TOTAL)
    if client is not None:
        query = query.where(reports.c.client == client)
    return dict(read_each(connection, query, _make_total, "reports"))


def _read_bases(connection: Connection, client: str | None = None) -> dict[str, UseBase]:
    query = select(bases)
    if client is not None:
        query = query.where(bases.c.client == client)
    return dict(read_each(connection, query, _make_base, "bases"))


def _put_base(connection: Connection, client: str, base: UseBase) -> None:
    connection.execute(delete(bases).where(bases.c.client == client))
    connection.execute(
        insert(bases).values(
            client=client,
            backed_up_at=base.backed_up_at,
            used_seconds=base.used,
            is_least=base.is_least,
        )
    )


def _was_here(connection: Connection, client: str, since: datetime, until: datetime) -> bool:
    """Return whether one session of the client's lasted from `since` to `until`."""
    query = select(sessions.c.id).where(
        sessions.c.client == client,
        sessions.c.begun_at <= since,
        or_(sessions.c.ended_at.is_(None), sessions.c.ended_at >= until),
    )
    return connection.execute(query.limit(1)).first() is not None


def _make_total(
    client: str, at: datetime, used_seconds: float | None, gaps: int
) -> tuple[str, UseTotal]:
    return client, UseTotal(at, used_seconds, gaps)


def _make_base(
    client: str, backed_up_at: datetime, used_seconds: float | None, is_least: bool
) -> tuple[str, UseBase]:
    return client, UseBase(backed_up_at, used_seconds, is_least)


def _make_report(  # noqa: PLR0913, PLR0917 - a row's columns
    client: str,
    at: datetime,
    software: str,
    interval: float | None,
    stale_after: float | None,
    stale_after_use: float | None,
    deferred_at: datetime | None,
    deferred_reason: str,
    days: str,
    is_least: bool,  # noqa: ARG001 - of the total, and no part of the report
) -> tuple[str, ClientReport]:
    return client, ClientReport(
        at=at,
        software=software,
        interval=_span(interval),
        stale_after=_span(stale_after),
        stale_after_use=_span(stale_after_use),
        deferred_at=deferred_at,
        deferred_reason=deferred_reason,
        use=_read_days(days),
    )


def _read_days(text: str) -> Mapping[date, float | None]:
    """Return the use of each day. Raises ValueError or TypeError if `text` holds none."""
    value = parse_json(text)
    if not isinstance(value, dict) or len(value) > KEPT_DAYS:
        raise ValueError("no use of at most 90 days")
    return {
        date.fromisoformat(day): None if seconds is None else float(seconds)
        for day, seconds in value.items()
    }


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
