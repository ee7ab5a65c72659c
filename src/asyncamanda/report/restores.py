"""What was restored: as rows, and as JSON's values."""

from collections.abc import Sequence

from asyncamanda.core.dispatch.records import RestoreRow
from asyncamanda.core.values.printable import clip, printable
from asyncamanda.core.values.size import format_size
from asyncamanda.report.json import time_value
from asyncamanda.report.text import format_time

RESTORE_HEADS = ("begun", "client", "who", "disk", "what", "run", "files", "size", "outcome")
CELL = 30  # characters

UNDER_WAY, WITHOUT_END = "under way", "ended without a result"


def describe_restore(row: RestoreRow, *, is_alive: bool) -> Sequence[str]:
    """Return a restore's cells, by RESTORE_HEADS; `is_alive`: its process is there."""
    return (
        format_time(row.begun_at),
        printable(row.client),
        printable(row.who),
        clip(printable(row.disk), CELL),
        clip(_name_paths(row), CELL),
        row.run,
        str(row.files),
        format_size(row.size),
        printable(_outcome(row, is_alive=is_alive)),
    )


def restore_value(row: RestoreRow, *, is_alive: bool) -> dict[str, object]:
    """Return a restore for JSON."""
    return {
        "begun_at": time_value(row.begun_at),
        "ended_at": time_value(row.ended_at),
        "client": row.client,
        "amanda_config": row.amanda_config,
        "who": row.who,
        "disk": row.disk,
        "paths": list(row.paths),
        "more_paths": row.more_paths,
        "run": row.run,
        "files": row.files,
        "bytes": row.size,
        "outcome": _outcome(row, is_alive=is_alive),
    }


def _name_paths(row: RestoreRow) -> str:
    """Return the paths in a line; the disk's folder is a dot."""
    more = [f"and {row.more_paths} more"] if row.more_paths else []
    return ", ".join([*(printable(path) or "." for path in row.paths), *more])


def _outcome(row: RestoreRow, *, is_alive: bool) -> str:
    if row.ended_at is not None:
        return row.outcome
    return UNDER_WAY if is_alive else WITHOUT_END
