"""Rows of the ledger that are invalid: passed over, and named, so that they stop nothing else.

They come of a hand that edited the ledger, of a bug, or of a disk that lies.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, Table, TextualSelect, select, update

from asyncamanda.core.dispatch.records import RequestState
from asyncamanda.server.ledger.schema import IS_LIVE, IS_OPEN, requests, runs

NOTED = "bad rows"  # in the connection's `info`
MOST_NOTED = 100

T = TypeVar("T")


def read_each(
    connection: Connection, query: Select[Any] | TextualSelect, make: Callable[..., T], what: str
) -> list[T]:
    """Return `make` of each row that `query` finds, by its columns' names.

    A row that cannot be read is passed over, and noted as one of `what`. Each is fetched by itself,
    since a fetch of several fails as a whole.
    """
    result = connection.execute(query).mappings()
    found: list[T] = []
    while True:
        try:
            row = result.fetchone()
            if row is None:
                return found
            found.append(make(**row))
        except (LookupError, ValueError, TypeError) as error:
            note_bad(connection, f"a row of the ledger's {what} is invalid: {error}")


def note_bad(connection: Connection, words: str) -> None:
    """Note what is wrong with a row, for take_noted()."""
    noted = connection.info.setdefault(NOTED, {})
    if len(noted) < MOST_NOTED:
        noted[words] = None


def take_noted(connection: Connection) -> list[str]:
    """Return what was noted on this connection since this was last asked."""
    return list(connection.info.pop(NOTED, {}))


def close_bad_rows(connection: Connection, at: datetime) -> list[str]:
    """End the open runs and requests that cannot be read; return a line on each.

    Nobody can go on with them, and a request that is open keeps its client from another.
    """
    closed = []
    endings = {"ended_at": at, "remark": "its row is invalid, and is set aside"}
    for number, why in _find_bad(connection, runs, IS_LIVE):
        connection.execute(update(runs).where(runs.c.id == number).values(endings))
        closed.append(f"run {number} of the ledger is set aside because its row is invalid: {why}")
    endings = {"ended_at": at, "state": RequestState.WITHDRAWN, "outcome": endings["remark"]}
    for number, why in _find_bad(connection, requests, IS_OPEN):
        connection.execute(update(requests).where(requests.c.id == number).values(endings))
        closed.append(
            f"request {number} of the ledger is set aside because its row is invalid: {why}"
        )
    return closed


def _find_bad(connection: Connection, table: Table, is_open: Any) -> list[tuple[int, str]]:
    bad = []
    for (number,) in connection.execute(select(table.c.id).where(is_open)).all():
        try:
            connection.execute(select(table).where(table.c.id == number)).one()
        except (LookupError, ValueError, TypeError) as error:
            bad.append((int(number), str(error)))
    return bad
