"""A start that does not end: for how long it is an excuse, and when it has to be reported."""

from datetime import datetime, timedelta

EXCUSED_FOR = timedelta(days=1)  # a first full over a slow link may take so long
TOLERANCE = timedelta(minutes=5)  # by how much clocks are corrected all the time


def is_excuse(since: datetime | None, now: datetime) -> bool:
    """Return whether a start that has run `since` then may well bring the backup that is due.

    None is no excuse: an agent that holds its lock says since when.
    """
    return since is not None and -TOLERANCE <= now - since < EXCUSED_FOR


def tells_at(stale_at: datetime, began_at: datetime) -> datetime:
    """Return when a start that began then, and still goes on, is to report a stale backup.

    `stale_at` is when it becomes so. Where it was so before, as after a holiday, the start may well
    fix it, and has its time.
    """
    return stale_at if stale_at > began_at else began_at + EXCUSED_FOR


def explain_state(state: str) -> str:
    """Return why a process does not go on, by its state letter (proc(5))."""
    return {
        "D": "; it waits for a disk or a file system that does not answer, and cannot be ended",
        "T": "; it is stopped, and `kill -CONT` lets it go on",
        "t": "; a debugger has stopped it",
    }.get(state, "")
