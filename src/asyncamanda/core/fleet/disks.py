"""How one disk of a client stands, by its newest verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from asyncamanda.core.agent.due import TOLERANCE
from asyncamanda.core.amanda.reasons import REASONS, find_meaning
from asyncamanda.core.fleet.facts import DiskFacts, SessionFacts
from asyncamanda.core.fleet.wording import LONGEST_REASON, say_ago, say_moment
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.values.printable import clip

# how core/amanda/dump_result.py words a dump of which only a part arrived, and server/relay a
# call to a client that went
_CUT_WORDS = (
    "only a part of the dump arrived",
    "its connection is lost",
    " is not connected",
    REASONS["lost"].meaning,
)
# what Amanda's dumper and planner say of a client that went, and of some other faults, too
_PERHAPS_CUT = ("missing size line from sendbackup", "error sending REQ", "known to be whole")
CUT_ENDS = frozenset({"silent", "its gate ended"})  # of a session (server/gate/session.py)


class DiskState(IntEnum):
    """The state of a disk, the worst first."""

    FAILING = 1
    CUT = 2
    NEVER = 3
    DUE = 4
    FRESH = 5
    PARKED = 6  # left out by the server's configuration: it does not count


@dataclass(frozen=True, slots=True)
class DiskStanding:
    """A disk's state, since when, and a line that says so."""

    disk: DiskFacts
    state: DiskState
    since: datetime | None
    words: str

    @property
    def reason(self) -> str:
        """Why its newest dump failed, in Amanda's words."""
        return self.disk.last.reason if self.disk.last else ""


def judge_disk(
    disk: DiskFacts, interval: timedelta, sessions: Sequence[SessionFacts], now: datetime
) -> DiskStanding:
    """Return how a disk stands that is to be backed up each `interval`."""
    good, last = disk.confirmed, disk.last
    if disk.is_parked:
        words = "left out by the server's configuration"
        return _stand(disk, DiskState.PARKED, None, words)
    backed_up = f"last backup {say_ago(good.dumped_at, now)}" if good and good.dumped_at else ""
    if last and is_bad(last) and _is_newer(last, good):
        since = disk.failing_since or last.dumped_at
        is_broken = is_cut(last, sessions)
        word = "broken off" if is_broken else "failing"
        when = f" since {say_moment(since, now)}" if since else ""
        why = f": {clip(last.reason, LONGEST_REASON)}" if last.reason else ""
        words = f"{word}{when}{why}; {backed_up or 'no backup of it'}"
        return _stand(disk, DiskState.CUT if is_broken else DiskState.FAILING, since, words)
    if good is None or good.dumped_at is None:
        return _stand(disk, DiskState.NEVER, None, "no backup yet")
    due_at = good.dumped_at + interval * (1 - TOLERANCE)
    level = "" if good.level is None else f", level {good.level}"
    if now >= due_at:
        return _stand(disk, DiskState.DUE, due_at, f"due; {backed_up}{level}")
    return _stand(disk, DiskState.FRESH, good.dumped_at, f"{backed_up}{level}")


def _stand(disk: DiskFacts, state: DiskState, since: datetime | None, words: str) -> DiskStanding:
    return DiskStanding(disk, state, since, f"{disk.disk}: {words}")


def is_bad(verdict: DleVerdict) -> bool:
    """Return whether a dump that was meant to be made is not there."""
    return not verdict.state.is_confirmed and verdict.state is not DumpState.SKIPPED


def is_cut(verdict: DleVerdict, sessions: Sequence[SessionFacts]) -> bool:
    """Return whether a dump was broken off because its client went: that is no fault of a disk.

    By Amanda's reason; where that leaves it open, by a session that broke after the run had begun.
    """
    said, began_at = verdict.reason, verdict.dumped_at
    if find_meaning(said) is REASONS["lost"] or any(words in said for words in _CUT_WORDS):
        return True
    if began_at is None or not any(words in said for words in _PERHAPS_CUT):
        return False
    during = (each for each in sessions if each.begun_at <= began_at <= (each.ended_at or began_at))
    return any(each.how in CUT_ENDS for each in during)


def _is_newer(last: DleVerdict, good: DleVerdict | None) -> bool:
    if good is None or good.dumped_at is None or last.dumped_at is None:
        return good is None or last.timestamp > good.timestamp
    return last.dumped_at > good.dumped_at
