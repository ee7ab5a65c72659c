# ruff: noqa: S608 - all that these statements are made of is written here
"""The statements of fleet_rows.py, which SQLite and PostgreSQL take alike.

Each distinct client, host or disk is found from the one before it in an index.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, String, bindparam, column, text

from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.server.ledger.column_types import Moment, Name
from asyncamanda.server.ledger.schema import requests, sessions, verdicts

_CONFIRMED = tuple(state for state in DumpState if state.is_confirmed)
_BAD = tuple(
    state for state in DumpState if not state.is_confirmed and state is not DumpState.SKIPPED
)
_VERDICT = tuple(DleVerdict.__dataclass_fields__)

_DLE = "v.amanda_config = :config AND v.host = dles.host AND v.disk = dles.disk"
_DLES = """
WITH RECURSIVE hosts(host) AS (
    SELECT min(v.host) FROM verdicts v WHERE v.amanda_config = :config
    UNION ALL
    SELECT (SELECT min(v.host) FROM verdicts v
            WHERE v.amanda_config = :config AND v.host > hosts.host)
    FROM hosts WHERE hosts.host IS NOT NULL
), dles(host, disk) AS (
    SELECT hosts.host, (SELECT min(v.disk) FROM verdicts v
                        WHERE v.amanda_config = :config AND v.host = hosts.host)
    FROM hosts WHERE hosts.host IS NOT NULL
    UNION ALL
    SELECT dles.host, (SELECT min(v.disk) FROM verdicts v
                       WHERE v.amanda_config = :config AND v.host = dles.host
                       AND v.disk > dles.disk)
    FROM dles WHERE dles.disk IS NOT NULL
), newest AS MATERIALIZED (
    SELECT dles.host, dles.disk, {last} AS last_stamp, {good} AS good_stamp, {full} AS has_full
    FROM dles WHERE dles.disk IS NOT NULL
), dated AS MATERIALIZED (
    SELECT dles.*, (SELECT v.dumped_at FROM verdicts v
                    WHERE {dle} AND v.timestamp = dles.good_stamp AND dles.has_full) AS good_at
    FROM newest AS dles
)
SELECT dles.last_stamp, dles.good_stamp, dles.has_full, {since} AS failing_since, {columns}
FROM dated AS dles JOIN verdicts v
ON {dle} AND v.timestamp IN (dles.last_stamp, dles.good_stamp)
"""
_CLIENTS = """
WITH RECURSIVE clients(client) AS (
    SELECT min(t.client) FROM {table} t
    UNION ALL
    SELECT (SELECT min(t.client) FROM {table} t WHERE t.client > clients.client)
    FROM clients WHERE clients.client IS NOT NULL
)
"""
_OF_CLIENTS = """
WITH clients(client) AS (SELECT DISTINCT t.client FROM {table} t WHERE t.client IN :names)
"""


def dles_query() -> Any:
    """Return the statement of FleetRows.dles(), with `config` and `horizon` to be bound."""
    sql = _DLES.format(
        dle=_DLE,
        last=_newest(DumpState),
        good=_newest(_CONFIRMED),
        full=(
            f"EXISTS (SELECT 1 FROM verdicts v WHERE {_DLE} AND coalesce(level, 0) = 0"
            f" AND v.state IN ({', '.join(map(_word, _CONFIRMED))}))"
        ),
        since=_first_failure(),
        columns=", ".join(f"v.{name}" for name in _VERDICT),
    )
    known: list[Any] = [
        column("last_stamp", String),
        column("good_stamp", String),
        column("has_full", Boolean),
        column("failing_since", Moment),
    ]
    return (
        text(sql)
        .bindparams(bindparam("config", type_=Name()), bindparam("horizon", type_=Moment()))
        .columns(*known, *(verdicts.c[name] for name in _VERDICT))
    )


def _newest(states: Iterable[DumpState]) -> str:
    """Return the timestamp of a DLE's newest verdict of these states, as a part of a statement."""

    def find(also: str) -> str:
        each = " UNION ALL ".join(
            f"SELECT * FROM (SELECT v.dumped_at, v.timestamp FROM verdicts v WHERE {_DLE}"
            f" AND v.state = {_word(state)}{also}"
            f" ORDER BY v.dumped_at DESC, v.timestamp DESC LIMIT 1) AS of_{state.value}"
            for state in states
        )
        return (
            f"(SELECT timestamp FROM ({each}) AS n ORDER BY dumped_at DESC, timestamp DESC LIMIT 1)"
        )

    return f"coalesce({find(' AND v.dumped_at <= :horizon')}, {find('')})"


def _first_failure() -> str:
    each = " UNION ALL ".join(
        f"SELECT min(v.dumped_at) AS at FROM verdicts v WHERE {_DLE}"
        f" AND v.state = {_word(state)} AND v.dumped_at > coalesce(dles.good_at, '')"
        for state in _BAD
    )
    return f"(SELECT min(at) FROM ({each}) AS f)"


def _word(state: DumpState) -> str:
    return f"'{state.value}'"


def requests_query() -> Any:
    """Return the statement of FleetRows.requests()."""
    names = ", ".join(f"r.{each.name}" for each in requests.c)
    sql = (
        f"{_CLIENTS.format(table='requests')} SELECT {names} FROM clients JOIN requests r"
        " ON r.id = (SELECT max(o.id) FROM requests o WHERE o.client = clients.client)"
    )
    return text(sql).columns(*requests.c)


def sessions_query(*, of_all: bool) -> Any:
    """Return the statement of FleetRows.sessions(): `most`, and `names` unless of all, unbound."""
    clients = (_CLIENTS if of_all else _OF_CLIENTS).format(table="sessions")
    sql = text(
        f"{clients} SELECT s.client, s.begun_at, s.seen_at, s.ended_at, s.how"
        " FROM clients JOIN sessions s ON s.id IN (SELECT o.id FROM sessions o"
        " WHERE o.client = clients.client ORDER BY o.id DESC LIMIT :most)"
        " ORDER BY s.client, s.id"
    )
    if not of_all:
        sql = sql.bindparams(bindparam("names", expanding=True, type_=Name()))
    names = ("client", "begun_at", "seen_at", "ended_at", "how")
    return sql.columns(*(sessions.c[name] for name in names))


def first_seen_query() -> Any:
    """Return the statement of FleetRows.first_seen()."""
    sql = (
        f"{_CLIENTS.format(table='sessions')} SELECT s.client, s.begun_at FROM clients"
        " JOIN sessions s"
        " ON s.id = (SELECT min(o.id) FROM sessions o WHERE o.client = clients.client)"
    )
    return text(sql).columns(sessions.c.client, sessions.c.begun_at)
