"""What dumps went through, recorded as they are confirmed, within a transaction of the ledger's."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, bindparam, or_, select, update

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.witness import Dump
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.schema import verdicts

_CONFIRMED = [state for state in DumpState if state.is_confirmed]


def put_filters(
    connection: Connection,
    amanda_config: str,
    words: Collection[DleVerdict],
    filters: Mapping[tuple[str, str], Filters],
) -> None:
    """Record what those dumps of `words` went through that the server has by now, each once.

    `filters` are what the DLEs (host, disk) are dumped with now. What was recorded before stays:
    a dumptype that is changed later changes no dump.
    """
    known = [
        {"its_host": w.host, "its_disk": w.disk, "its_timestamp": w.timestamp, "its_filters": its}
        for w in words
        if (its := filters.get((w.host, w.disk)))
    ]
    if not known:
        return
    statement = (
        update(verdicts)
        .where(
            verdicts.c.amanda_config == amanda_config,
            *(verdicts.c[key] == bindparam(f"its_{key}") for key in ("host", "disk", "timestamp")),
            or_(*(verdicts.c.state == state for state in _CONFIRMED)),  # IN cannot be of many
            verdicts.c.filters.is_(None),
        )
        .values(filters=bindparam("its_filters"))
    )
    connection.execute(statement, known)


def read_filters(connection: Connection, run_id: int) -> dict[Dump, Filters]:
    """Return what is recorded of the dumps that a run made or brought to a volume."""
    names = ("host", "disk", "timestamp", "filters")
    query = select(*(verdicts.c[name] for name in names)).where(
        or_(verdicts.c.run_id == run_id, verdicts.c.flushed_in == run_id),
        verdicts.c.filters.is_not(None),
    )
    return dict(read_each(connection, query, _place, "verdicts"))


def _place(host: str, disk: str, timestamp: str, filters: Filters) -> tuple[Dump, Filters]:
    return (host, disk, timestamp), filters
