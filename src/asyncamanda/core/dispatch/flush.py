"""When what the holding disk holds is brought to a volume.

A flush runs when nothing else does. Under steady load there is no such moment, so a flush that has
waited long enough delays the next runs, for a while: a dump that takes all day must not keep
everybody waiting for it.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import Enum


class FlushKind(Enum):
    """The reasons for which a flush is due."""

    THRESHOLD = "threshold"  # the holding disk is full enough
    DAILY = "daily"  # a time of day
    OFF = "off"


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """When a flush is due, how long it waits for a gap, and for how long it delays runs.

    `threshold` is a part of the holding disk; `at` is local time; after one that failed the
    next is not tried before `retry_after`.
    """

    kind: FlushKind = FlushKind.THRESHOLD
    threshold: float = 0.7
    at: time = time(3, 30)
    patience: timedelta = timedelta(minutes=15)
    hold_back: timedelta = timedelta(minutes=10)
    retry_after: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Holding:
    """The holding disk: bytes held and room in all, and when the oldest dump in it was made."""

    held: int
    capacity: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class FlushHistory:
    """What happened to flushes: the last one's begin, whether it failed, and since when one is due.

    `is_asked` says that somebody asked for one by hand.
    """

    last_at: datetime | None = None
    has_failed: bool = False
    due_since: datetime | None = None
    is_asked: bool = False


class FlushStep(Enum):
    """What is to be done about it now."""

    NOTHING = "nothing"
    WAIT = "wait for a gap"
    HOLD_BACK = "hold new runs back"
    GO = "flush"


def is_flush_due(
    holding: Holding, history: FlushHistory, policy: FlushPolicy, now: datetime
) -> bool:
    """Return whether the held dumps are to go to a volume. `now` is in local time."""
    if not holding.held:
        return False
    if history.is_asked:
        return True
    failed_at = history.last_at if history.has_failed else None
    if failed_at and failed_at <= now < failed_at + policy.retry_after:
        return False
    match policy.kind:
        case FlushKind.OFF:
            return False
        case FlushKind.THRESHOLD:
            return holding.held >= policy.threshold * holding.capacity
        case FlushKind.DAILY:
            hour = last_time_of_day(policy.at, now)
            is_older = holding.oldest_at is None or holding.oldest_at < hour
            is_tried = history.last_at is not None and history.last_at >= hour
            return is_older and (history.has_failed or not is_tried)


def last_time_of_day(at: time, now: datetime) -> datetime:
    """Return the last moment, up to `now`, at which the local clock showed `at`."""
    today = now.replace(hour=at.hour, minute=at.minute, second=at.second, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


def decide_flush(
    history: FlushHistory,
    policy: FlushPolicy,
    now: datetime,
    *,
    is_idle: bool,
    is_wanted: bool,
) -> FlushStep:
    """Return what to do about a flush that is due since `history.due_since` (None: none is).

    `is_idle`: nothing runs. `is_wanted`: somebody waits for a run. A flush takes the first gap in
    which nobody waits. Once it has been patient, new runs are delayed for `hold_back`; if what runs
    has not ended by then they may start again, and the patience begins again. One that somebody
    asked for by hand begins with delaying them.
    """
    if history.due_since is None:
        return FlushStep.NOTHING
    waited = max(now - history.due_since, timedelta(0))
    if history.is_asked:
        waited += policy.patience
    is_its_turn = waited % (policy.patience + policy.hold_back) >= policy.patience
    if is_idle and (is_its_turn or not is_wanted):
        return FlushStep.GO
    return FlushStep.HOLD_BACK if is_its_turn else FlushStep.WAIT
