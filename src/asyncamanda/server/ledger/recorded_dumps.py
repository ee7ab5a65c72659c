"""What the ledger has of a host's dumps, for those who want files of them."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, TextClause, or_, select

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.model import DleVerdict
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.newest import VERDICT
from asyncamanda.server.ledger.schema import IS_HELD, runs, verdicts


def read_dumps(
    connection: Connection,
    amanda_config: str,
    which: ColumnElement[bool] | TextClause,
    since: str = "",
) -> list[RecordedDump]:
    """Return those dumps, and attempts at dumps, by when their runs began.

    But for those of runs before the timestamp `since`, unless they are held.
    """
    made, flushed = runs.alias("made"), runs.alias("flushed")
    query = (
        select(
            *VERDICT,
            verdicts.c.filters,
            verdicts.c.machine,
            made.c.timestamp.label("made_in"),
            flushed.c.timestamp.label("brought_by"),
        )
        .outerjoin(made, made.c.id == verdicts.c.run_id)
        .outerjoin(flushed, flushed.c.id == verdicts.c.flushed_in)
        .where(verdicts.c.amanda_config == amanda_config, which)
        .order_by(verdicts.c.dumped_at, verdicts.c.timestamp, verdicts.c.disk)
    )
    if since:
        may_be = (verdicts.c.timestamp, made.c.timestamp, flushed.c.timestamp)
        query = query.where(or_(IS_HELD, *(stamp >= since for stamp in may_be)))
    return read_each(connection, query, _make, "verdicts")


def _make(
    filters: Filters | None,
    machine: int | None,
    made_in: str | None,
    brought_by: str | None,
    **verdict: Any,
) -> RecordedDump:
    stamps = (stamp for stamp in (made_in, brought_by) if stamp)
    return RecordedDump(DleVerdict(**verdict), filters, machine, tuple(dict.fromkeys(stamps)))
