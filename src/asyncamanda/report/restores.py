"""What was restored: as lines, and as JSON's values."""

from asyncamanda.core.dispatch.records import RestoreRow
from asyncamanda.core.values.printable import clip, printable
from asyncamanda.core.values.size import format_size
from asyncamanda.report.json import time_value
from asyncamanda.report.restore import count_things
from asyncamanda.report.text import format_time

LONGEST = 200  # characters of the paths

UNDER_WAY, WITHOUT_END = "under way", "ended without a result"


def describe_restore(row: RestoreRow, *, is_alive: bool) -> list[str]:
    """Return a restore in two lines; `is_alive`: its process is there.

    A table of this would have cells of a few letters.
    """
    amount = f"{count_things(row.files, 'file')}, {format_size(row.size)}"
    whose = f"{printable(row.client)}, by {printable(row.who)}"
    outcome = printable(_outcome(row, is_alive=is_alive))
    paths = clip(_name_paths(row), LONGEST)
    return [
        f"{format_time(row.begun_at)}  {whose}: {amount}, {outcome}",
        f"{printable(row.disk)} (run {row.run}): {paths}",
    ]


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
