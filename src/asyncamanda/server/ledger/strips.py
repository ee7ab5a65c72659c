"""What each day of each client was, kept by whoever writes what has made it so.

A strip that cannot be read is made again from verdicts and sessions, as all are in a ledger that an
older asyncamanda has begun.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, inspect, select, update

from asyncamanda.core.fleet.disks import is_bad
from asyncamanda.core.fleet.facts import MARKED_DAYS, DayMark
from asyncamanda.core.fleet.strips import Strip, list_days, make_strip, parse_strip, put_mark
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.fleet_tables import strips
from asyncamanda.server.ledger.schema import sessions, verdicts
from asyncamanda.server.ledger.transactions import Transactions
from asyncamanda.system.clock import now as read_clock

_A_DAY = timedelta(days=1)
_Marked = tuple[Identity, date, DayMark]


class Strips:
    """The strips of all clients."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def of_clients(self) -> dict[Identity, Strip]:
        """Return all strips; those that cannot be read are left out."""
        with self._transactions.reading() as connection:
            if not inspect(connection).has_table(strips.name):
                return {}
            return dict(read_each(connection, select(strips), _make, "strips"))

    def are_missing(self) -> bool:
        """Return whether they are to be made again: there are none, or one cannot be read."""
        with self._transactions.reading() as connection:
            if not inspect(connection).has_table(strips.name):
                return True
            count = connection.execute(select(func.count()).select_from(strips)).scalar_one()
            return not count or count != len(read_each(connection, select(strips), _make, "strips"))

    def make_anew(self, now: datetime) -> int:
        """Make all strips from verdicts and sessions; return how many those are.

        What was deferred neither says: what a strip has of its own stays, as far as it can be read.
        All verdicts are read before anything is written, so that no writer waits for that.
        """
        today = now.astimezone().date()
        marks: dict[Identity, list[tuple[date, DayMark]]] = {}
        with self._transactions.reading() as connection:
            for who, day, mark in _read_marks(connection, now - MARKED_DAYS * _A_DAY):
                marks.setdefault(who, []).append((day, mark))
        made = {who: make_strip(today, own) for who, own in marks.items()}
        with self._transactions.writing() as connection:
            strips.create(connection, checkfirst=True)
            for who, strip in read_each(connection, select(strips), _make, "strips"):
                for day, mark in _list_marks(strip):
                    made[who] = put_mark(made.get(who, Strip(today)), day, mark)
            connection.execute(delete(strips))
            if made:
                rows = [_name(who) | _value(strip) for who, strip in made.items()]
                connection.execute(insert(strips), rows)
        return len(made)

    def note(self, who: Iterable[Identity], at: datetime, mark: DayMark) -> None:
        """Mark the day of `at` for these clients, where no mark goes before this one."""
        with self._transactions.writing() as connection:
            note_marks(connection, [(each, at.astimezone().date(), mark) for each in who])


def note_marks(connection: Connection, marks: Iterable[_Marked]) -> None:
    """Write marks of days down. Days to come, by a clock that was ahead, are passed over."""
    today = read_clock().astimezone().date()
    for who, day, mark in dict.fromkeys(marks):
        if day <= today:
            known = _read(connection, who)
            strip = put_mark(known or Strip(day), day, mark)
            if strip != known:
                _put(connection, who, strip)


def mark_verdicts(
    connection: Connection, amanda_config: str, words: Iterable[DleVerdict], begun_at: datetime
) -> None:
    """Mark the days of dumps; `begun_at` is when their run began, where they do not say it."""
    marks = []
    for word in words:
        if word.state.is_confirmed or is_bad(word):
            mark = DayMark.BACKED_UP if word.state.is_confirmed else DayMark.FAILED
            day = (word.dumped_at or begun_at).astimezone().date()
            marks.append((Identity(word.host, amanda_config), day, mark))
    note_marks(connection, marks)


def mark_session(
    connection: Connection, who: Identity, begun_at: datetime, seen_at: datetime
) -> None:
    """Mark the days of a session."""
    days = list_days(begun_at.astimezone().date(), seen_at.astimezone().date())
    note_marks(connection, [(who, day, DayMark.HERE) for day in days])


def mark_deferral(connection: Connection, client: str, at: datetime) -> None:
    """Mark the day on which a client's agent has put a due backup off."""
    configs = select(strips.c.amanda_config).where(strips.c.client == client)
    whose = [Identity(client, str(name)) for (name,) in connection.execute(configs)]
    note_marks(connection, [(who, at.astimezone().date(), DayMark.DEFERRED) for who in whose])


def _read_marks(connection: Connection, since: datetime) -> Iterator[_Marked]:
    query = select(
        verdicts.c.host, verdicts.c.amanda_config, verdicts.c.dumped_at, verdicts.c.state
    ).where(verdicts.c.dumped_at >= since, verdicts.c.state != DumpState.SKIPPED)
    yield from read_each(connection, query, _mark_of_verdict, "verdicts")
    spans = select(
        sessions.c.client, sessions.c.amanda_config, sessions.c.begun_at, sessions.c.seen_at
    ).where(sessions.c.seen_at >= since)
    for who, first, last in read_each(connection, spans, _days_of_session, "sessions"):
        yield from ((who, day, DayMark.HERE) for day in list_days(first, last))


def _mark_of_verdict(
    host: str, amanda_config: str, dumped_at: datetime, state: DumpState
) -> _Marked:
    mark = DayMark.BACKED_UP if state.is_confirmed else DayMark.FAILED
    return Identity(host, amanda_config), dumped_at.astimezone().date(), mark


def _days_of_session(
    client: str, amanda_config: str, begun_at: datetime, seen_at: datetime
) -> tuple[Identity, date, date]:
    days = begun_at.astimezone().date(), seen_at.astimezone().date()
    return Identity(client, amanda_config), *days


def _list_marks(strip: Strip) -> list[tuple[date, DayMark]]:
    first = strip.until - (MARKED_DAYS - 1) * _A_DAY
    return [
        (first + place * _A_DAY, mark)
        for place, mark in enumerate(strip.marks)
        if mark not in {DayMark.AWAY, DayMark.UNKNOWN}
    ]


def _read(connection: Connection, who: Identity) -> Strip | None:
    query = select(strips).where(
        strips.c.client == who.client, strips.c.amanda_config == who.amanda_config
    )
    return next((strip for _, strip in read_each(connection, query, _make, "strips")), None)


def _put(connection: Connection, who: Identity, strip: Strip) -> None:
    its = (strips.c.client == who.client, strips.c.amanda_config == who.amanda_config)
    if not connection.execute(update(strips).where(*its).values(_value(strip))).rowcount:
        connection.execute(insert(strips).values(_name(who) | _value(strip)))


def _name(who: Identity) -> dict[str, str]:
    return {"client": who.client, "amanda_config": who.amanda_config}


def _value(strip: Strip) -> dict[str, str]:
    return {"until": strip.until.isoformat(), "marks": str(strip)}


def _make(client: str, amanda_config: str, until: str, marks: str) -> tuple[Identity, Strip]:
    return Identity(client, amanda_config), parse_strip(until, marks)
