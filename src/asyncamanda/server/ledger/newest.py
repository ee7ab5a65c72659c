"""The newest of each, found by a walk through an index: what is older costs nothing.

`max() ... GROUP BY` reads all that there ever was. Here each value of a column is found from the
one before it ("loose index scan"), and the newest row of each is the first of its place in an
index.
The indexes are named in schema.py; tests/system/test_growth.py looks at the plans.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    CTE,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Table,
    TextualSelect,
    and_,
    bindparam,
    func,
    or_,
    select,
    text,
)

from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.restore.recorded import FUTURE_AFTER
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.column_types import Moment, Name
from asyncamanda.server.ledger.schema import IS_FULL, verdicts
from asyncamanda.system.clock import now

Dle = tuple[str, str]  # host, disk
T = TypeVar("T", int, str)
MOST_AT_A_TIME = 500
FOREVER = datetime.max.replace(tzinfo=UTC)

CONFIRMED = tuple(state for state in DumpState if state.is_confirmed)
VERDICT = [verdicts.c[name] for name in DleVerdict.__dataclass_fields__]


def walk(column: Column[Any], *where: ColumnElement[bool]) -> CTE:
    """Return the distinct values of a column, by itself, as `value`; the last one is NULL.

    An index has to begin with the columns of `where`, and then have this one.
    """
    known = select(func.min(column).label("value")).where(*where).cte(recursive=True)
    following = select(func.min(column)).where(*where, column > known.c.value).scalar_subquery()
    return known.union_all(select(following).where(known.c.value.is_not(None)))


def walk_values(
    connection: Connection, column: Column[Any], *where: ColumnElement[bool]
) -> list[str]:
    """Return the distinct values of a column of text, in their order."""
    known = walk(column, *where)
    query = select(known.c.value).where(known.c.value.is_not(None))
    return [str(value) for (value,) in connection.execute(query)]


def walk_pairs(first: Column[Any], second: Column[Any], *where: ColumnElement[bool]) -> CTE:
    """Return the distinct pairs of two columns, as `first` and `second`; NULL is no `second`."""
    every = walk(first, *where)
    least = select(func.min(second)).where(*where, first == every.c.value).scalar_subquery()
    base = select(every.c.value.label("first"), least.label("second"))
    known = base.where(every.c.value.is_not(None)).cte(recursive=True)
    following = select(func.min(second)).where(
        *where, first == known.c.first, second > known.c.second
    )
    step = select(known.c.first, following.scalar_subquery())
    return known.union_all(step.where(known.c.second.is_not(None)))


def newest_id(table: Table, *where: ColumnElement[bool]) -> Any:
    """Return the number of the row that was written last, to be part of a query."""
    return select(table.c.id).where(*where).order_by(table.c.id.desc()).limit(1).scalar_subquery()


def in_pieces(values: Collection[T]) -> Iterator[list[T]]:
    """Yield the values in their order, as many at a time as a database takes."""
    every = sorted(values)
    for start in range(0, len(every), MOST_AT_A_TIME):
        yield every[start : start + MOST_AT_A_TIME]


# -- verdicts


def list_dles(connection: Connection, amanda_config: str, host: str | None = None) -> list[Dle]:
    """Return the DLEs of which there are verdicts, of one host or of all."""
    its = [verdicts.c.amanda_config == amanda_config]
    if host is not None:
        disks = walk_values(connection, verdicts.c.disk, *its, verdicts.c.host == host)
        return [(host, disk) for disk in disks]
    dles = walk_pairs(verdicts.c.host, verdicts.c.disk, *its)
    query = select(dles).where(dles.c.second.is_not(None))
    return [(str(name), str(disk)) for name, disk in connection.execute(query)]


def newest_verdicts(
    connection: Connection,
    amanda_config: str,
    dles: Iterable[Dle],
    states: Collection[DumpState] = tuple(DumpState),
    machine: int | None = None,
) -> dict[Dle, DleVerdict]:
    """Return each DLE's newest verdict, of those of `states` that count for `machine`.

    That is by when their runs began: timestamps are local time, in autumn ambiguous, and may lie
    ahead of the run that has them. What was dumped while the clock was ahead counts only where
    there is nothing else: else it would hide all that comes, until its time has come.
    """
    horizon = now() + FUTURE_AFTER
    found = {}
    for dle in dles:
        place = _Place(amanda_config, *dle, machine)
        newest = _find_newest(connection, place, states, horizon)
        newest = newest or _find_newest(connection, place, states, FOREVER)
        if newest:
            found[dle] = newest
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """A DLE, and the machine for which its dumps are to count."""

    amanda_config: str
    host: str
    disk: str
    machine: int | None = None


def _is_dle(dle: Dle) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return verdicts.c.host == dle[0], verdicts.c.disk == dle[1]


def carried_by(machine: int | None) -> list[ColumnElement[bool]]:
    """Return what a dump has to be for it to count for `machine`; None: nothing."""
    if machine is None:
        return []
    return [or_(verdicts.c.machine.is_(None), verdicts.c.machine == machine)]


def _find_newest(
    connection: Connection,
    place: _Place,
    states: Collection[DumpState],
    until: datetime,
    *,
    is_full: bool = False,
) -> DleVerdict | None:
    query = one_of_each_state(tuple(states), is_newest=True, is_full=is_full)
    found = read_each(
        connection, query.bindparams(**asdict(place), until=until), DleVerdict, "verdicts"
    )
    return max(found, key=_age, default=None)


def _age(verdict: DleVerdict) -> tuple[datetime, str]:
    assert verdict.dumped_at
    return verdict.dumped_at, verdict.timestamp


@cache
def one_of_each_state(
    states: tuple[DumpState, ...], *, is_newest: bool, is_full: bool = False
) -> TextualSelect:
    """Return the newest, or the oldest, verdict of each state, of a _Place and `until` a time.

    As text: SQLAlchemy takes longer to recognise as much of its own than SQLite to answer it.
    """
    columns = ", ".join(column.name for column in VERDICT)
    way = "DESC" if is_newest else "ASC"
    level = "AND level = 0 " if is_full else ""
    each = (
        f"SELECT * FROM (SELECT {columns} FROM verdicts WHERE amanda_config = :amanda_config "  # noqa: S608 - our own words
        f"AND host = :host AND disk = :disk AND state = '{state.value}' AND dumped_at <= :until "
        f"{level}AND (CAST(:machine AS INTEGER) IS NULL OR machine IS NULL OR machine = :machine) "
        f"ORDER BY dumped_at {way}, timestamp {way} LIMIT 1) AS of_{state.value}"
        for state in states
    )
    words = text(" UNION ALL ".join(each)).bindparams(
        *(bindparam(name, type_=Name()) for name in ("amanda_config", "host", "disk")),
        bindparam("machine", type_=Integer()),
        bindparam("until", type_=Moment()),
    )
    return words.columns(*VERDICT)


def first_confirmed(connection: Connection, amanda_config: str, host: str) -> dict[str, datetime]:
    """Return when the first confirmed dump of each disk of a host was made."""
    first_at = {}
    query = one_of_each_state(CONFIRMED, is_newest=False)
    for dle in list_dles(connection, amanda_config, host):
        its = query.bindparams(**asdict(_Place(amanda_config, *dle)), until=FOREVER)
        dates = [each.dumped_at for each in read_each(connection, its, DleVerdict, "verdicts")]
        if known := [date for date in dates if date]:
            first_at[dle[1]] = min(known)
    return first_at


def confirmed_after(
    connection: Connection, amanda_config: str, host: str, after: datetime
) -> list[DleVerdict]:
    """Return the confirmed dumps of a host whose runs began after that."""
    found: list[DleVerdict] = []
    for dle in list_dles(connection, amanda_config, host):
        query = select(*VERDICT).where(
            verdicts.c.amanda_config == amanda_config,
            *_is_dle(dle),
            verdicts.c.state.in_(CONFIRMED),
            verdicts.c.dumped_at > after,
        )
        found += read_each(connection, query, DleVerdict, "verdicts")
    return found


def newest_fulls(connection: Connection, amanda_config: str, host: str) -> dict[str, DleVerdict]:
    """Return the newest confirmed dump of level 0 of each disk of a host.

    Between two of them there are as many as Amanda's dumpcycle is long.
    """
    found = {}
    for dle in list_dles(connection, amanda_config, host):
        place = _Place(amanda_config, *dle)
        newest = _find_newest(connection, place, CONFIRMED, FOREVER, is_full=True)
        if newest:
            found[dle[1]] = newest
    return found


def dles_with_full(
    connection: Connection, amanda_config: str, dles: Iterable[Dle], machine: int | None = None
) -> set[Dle]:
    """Return those of `dles` of which the server has a full dump, of just that name."""
    return {dle for dle in dles if _has_full(connection, amanda_config, dle, carried_by(machine))}


def _has_full(
    connection: Connection, amanda_config: str, dle: Dle, also: Sequence[ColumnElement[bool]]
) -> bool:
    query = (
        select(verdicts.c.timestamp)
        .where(
            and_(verdicts.c.amanda_config == amanda_config, *_is_dle(dle)),
            verdicts.c.state.in_(CONFIRMED),
            IS_FULL,
            *also,
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None


def find_backups(
    connection: Connection, amanda_config: str, host: str | None = None, machine: int | None = None
) -> dict[Dle, DleVerdict]:
    """Return each DLE's newest dump that the server has, if it has a full one as well.

    Of one host or of all. With a `machine`, those that another one's session carried do not count.
    """
    dles = list_dles(connection, amanda_config, host)
    found = newest_verdicts(connection, amanda_config, dles, CONFIRMED, machine)
    with_full = dles_with_full(connection, amanda_config, found, machine)
    return {dle: verdict for dle, verdict in found.items() if dle in with_full}
