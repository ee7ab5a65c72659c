"""When the server is told that a due backup waits for a better moment."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncamanda.core.conditions.judge import Deferred
from asyncamanda.core.model import Memory, Outcome

TOLD_AGAIN = timedelta(hours=6)  # a server believes a report for 30 hours
TRIED_AGAIN = timedelta(hours=1)  # after one that was not heard, or when the reason is another


@dataclass(frozen=True, slots=True)
class DeferralTold:
    """The last time, `at`, that the server was to be told of a deferral; `is_heard`: it was.

    The deferral was one `since` then, by the conditions that are named in `why`.
    """

    at: datetime
    since: datetime
    why: str
    is_heard: bool = False


def decide_telling(
    told: DeferralTold | None, memory: Memory, deferred: Deferred, now: datetime
) -> DeferralTold | None:
    """Return what is to be told now, None for nothing. A deferral is one once it is remembered.

    A charge, a load or a time that differs is no other reason: what counts is which conditions.
    """
    last = memory.attempts[-1] if memory.attempts else None
    if last is None or last.outcome is not Outcome.DEFERRED or not memory.ticket:
        return None
    why = " ".join(sorted(reason.condition.value for reason in deferred.reasons))
    telling = DeferralTold(now, min(last.started_at, now), why)
    if told is None:
        return telling
    is_same = told.is_heard and (told.since, told.why) == (telling.since, why)
    within = TOLD_AGAIN if is_same else TRIED_AGAIN
    is_lately = timedelta(0) <= now - told.at < within  # else the clock was set back
    return None if is_lately else telling
