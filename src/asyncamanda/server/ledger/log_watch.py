"""Which of Amanda's logs are to be looked at: not those of years each time that a client comes.

What is relied on: a log's name begins with the time of its run; a folder's mtime changes when a
name comes or goes (POSIX, rename() and open()), though not twice within a tick of the kernel's
clock; and a log is written for as long as its run lives, or soon after.

- Nothing has come or gone in `logdir` and `oldlog` since the last look: only the logs that were
  written lately, or are not taken in, are looked at.
- Something has: names after a mark in the ledger are compared with what is taken in. Those before
  it, all of which were looked at, are counted, with a sum of them: if that is as it was, they are
  passed over. So a log that is copied back, however old, is taken in at the next look.
- Once a day every log is looked at, for an old one that has grown in its place.
"""

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zlib import crc32

from asyncamanda.server.amanda import logs
from asyncamanda.server.ledger.imported_logs import LogLook
from asyncamanda.server.ledger.ledger import Ledger

LATELY = timedelta(days=2)
EVERY = timedelta(days=1)
AFTER = timedelta(minutes=1)  # a dispatcher that has just begun is waited for
SETTLED_NS = 2_000_000_000  # after so long a folder's next change gives it another mtime
MOST_AFTER = 100  # logs after the mark, before it is moved

_Marks = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class PlannedLook:
    """The logs to look at, oldest first, and how long those were that are taken in, in bytes.

    `present` are all names that there are, and `marks` the folders' as they were just before.
    """

    names: list[str]
    taken: dict[str, int]
    present: frozenset[str]
    marks: _Marks | None
    at: datetime


class LogWatch:
    """What a dispatcher knows of one configuration's logs between two looks."""

    def __init__(self, amanda_config: str) -> None:
        """Know nothing but what the ledger has."""
        self._name = amanda_config
        self._begun_at: datetime | None = None
        self._ledger: Ledger | None = None
        self._marks: _Marks | None = None  # None: the folders are to be listed
        self._known: frozenset[str] = frozenset()  # all that was there at the last look
        self._open: set[str] = set()  # what is looked at each time
        self._after: set[str] = set()  # what was looked at from the mark on
        self._mark: LogLook | None = None  # None: all logs are to be looked at

    def plan(self, ledger: Ledger, logdir: Path, at: datetime) -> PlannedLook:
        """Return what to look at. Raises OSError if `logdir` cannot be listed.

        What follows from that look is remembered by note(): one that is broken off is made again.
        """
        if ledger is not self._ledger:
            self._ledger, self._marks, self._known = ledger, None, frozenset()
            self._after = set()
            self._mark = ledger.logs.read_look(self._name)
            self._begun_at = self._begun_at or at
        if self._is_overdue(at):
            self._mark = None
        marks = _read_marks(logdir)
        if self._mark is not None and marks == self._marks:
            present, names = self._known, frozenset(self._open)
        else:
            present = logs.list_names(logdir)
            names = self._find_after(present)
        ordered = logs.sort_names(names)
        taken = ledger.logs.list_taken(self._name, ordered[0]) if ordered else {}
        settled = marks if _are_settled(marks) else None
        return PlannedLook(ordered, taken, present, settled, at)

    def _is_overdue(self, at: datetime) -> bool:
        """Return whether each log is to be looked at again."""
        if self._mark is None or self._begun_at is None:
            return False
        has_begun = not self._begun_at <= at < self._begun_at + AFTER
        return has_begun and not self._mark.looked_at <= at < self._mark.looked_at + EVERY

    def _find_after(self, present: frozenset[str]) -> frozenset[str]:
        """Return the names to look at: those after the mark, or all if others are before it."""
        mark = self._mark
        if mark is None:
            return present
        first = f"log.{mark.stamp}"
        fresh, gone = present - self._known, self._known - present
        if not self._known or any(name < first for name in fresh | gone if logs.has_log_name(name)):
            older = [name for name in present if name < first]
            if _sum_up(older) != (mark.count, mark.digest):
                self._mark = None
                return present
            return frozenset(name for name in present if name >= first) | self._open
        return (fresh | self._after | self._open) - gone

    def note(
        self, logdir: Path, look: PlannedLook, live: Collection[str], faulty: Collection[str]
    ) -> None:
        """Remember what was looked at.

        `live` are the logs of runs in progress, which the mark does not pass, and `faulty` those
        that cannot be read.
        """
        assert self._ledger
        lately = {name for name in look.names if _is_late(logdir, name, look.at)} | {*live}
        self._open, self._known, self._marks = lately | {*faulty}, look.present, look.marks
        mark = self._mark
        if mark:
            self._after |= {name for name in look.names if name >= f"log.{mark.stamp}"}
            if len(self._after) <= MOST_AFTER:
                return
        stamps = [logs.stamp_of(name) for name in lately or look.names[-1:]]
        stamp = min(stamps, default="")
        if mark is None or stamp > mark.stamp:
            first = f"log.{stamp}"
            totals = _sum_up(name for name in look.present if name < first)
            self._mark = LogLook(stamp, *totals, mark.looked_at if mark else look.at)
            self._after = {name for name in look.names if name >= first}
            self._ledger.logs.write_look(self._name, self._mark)


def _read_marks(logdir: Path) -> _Marks:
    """Return what changes with the names in the folders."""
    marks: list[tuple[int, int] | None] = []
    for folder in (logdir, logdir / logs.OLD):
        marks.append(None)
        with suppress(OSError):
            status = folder.stat()
            marks[-1] = (status.st_mtime_ns, status.st_ino)
    return tuple(marks)


def _are_settled(marks: _Marks) -> bool:
    """Return whether a change from now on will be seen in the marks; a missing folder's is."""
    now = time.time_ns()
    return marks[0] is not None and all(
        mark is None or mark[0] + SETTLED_NS < now for mark in marks
    )


def _is_late(logdir: Path, name: str, at: datetime) -> bool:
    """Return whether a log was written lately; a clock may have been ahead."""
    try:
        return logs.size_log(logdir, name)[1] > (at - LATELY).timestamp()
    except OSError:
        return True


def _sum_up(names: Iterable[str]) -> tuple[int, int]:
    """Return how many logs those are, and a sum that is another for others, in whatever order."""
    sums = [crc32(name.encode("ascii")) for name in names if logs.has_log_name(name)]
    return len(sums), sum(sums)
