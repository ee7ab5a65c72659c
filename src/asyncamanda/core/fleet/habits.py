"""When a client usually comes back, learned from its own sessions: "Mon 09:00".

A habit is of one weekday. It is said only where it has held often enough: the client came on that
weekday in at least HELD of the LOOKED weeks before it was seen last, each time at about the same
time of day. The time of day is the server's local time, so that summer time does not move it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from statistics import median

from asyncamanda.core.fleet.facts import SessionFacts
from asyncamanda.core.fleet.wording import WEEKDAYS

LOOKED, HELD = 4, 3  # weeks
NEAR_MINUTES = 90  # how far an arrival may be from the usual time of day
ROUNDED_MINUTES = 15
BREAK = timedelta(hours=4)  # a client that was away for less never left
FORGOTTEN_AFTER = timedelta(weeks=5)  # away for longer, nobody knows whether it will do as before
DAYS = 7
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Habit:
    """That a client usually comes on this weekday, 0 for Monday, at about this local time."""

    weekday: int
    at: time

    def __str__(self) -> str:
        return f"{WEEKDAYS[self.weekday]} {self.at:%H:%M}"


def learn_return(sessions: Sequence[SessionFacts], now: datetime) -> Habit | None:
    """Return when a client that is away usually comes next, None where that cannot be said.

    `now` is in the server's local time zone.
    """
    arrivals = _find_arrivals(sessions, now)
    if not arrivals:
        return None
    last = max(arrivals)
    if now - max(session.seen_at for session in sessions) > FORGOTTEN_AFTER:
        return None
    for ahead in range(DAYS + 1):
        day = now.date() + ahead * _DAY
        habit = _learn_day(arrivals, day.weekday(), last)
        if habit and (ahead or habit.at > now.time()):
            return habit
    return None


def _find_arrivals(sessions: Iterable[SessionFacts], now: datetime) -> dict[date, int]:
    """Return at which minute of its local day the client came first, by day."""
    arrivals: dict[date, int] = {}
    was_there_until: datetime | None = None
    for session in sorted(sessions, key=lambda each: each.begun_at):
        local = session.begun_at.astimezone(now.tzinfo)
        is_back = was_there_until is None or session.begun_at - was_there_until >= BREAK
        if is_back and session.begun_at <= now:
            arrivals.setdefault(local.date(), local.hour * 60 + local.minute)
        until = max(session.begun_at, session.seen_at)
        was_there_until = max(until, was_there_until or until)
    return arrivals


def _learn_day(arrivals: dict[date, int], weekday: int, last: date) -> Habit | None:
    newest = last - ((last.weekday() - weekday) % DAYS) * _DAY
    days = [newest - week * DAYS * _DAY for week in range(LOOKED)]
    minutes = [arrivals[day] for day in days if day in arrivals]
    if len(minutes) < HELD:
        return None
    usual = median(minutes)
    near = [each for each in minutes if abs(each - usual) <= NEAR_MINUTES]
    if len(near) < HELD:
        return None
    rounded = int((usual + ROUNDED_MINUTES / 2) // ROUNDED_MINUTES) * ROUNDED_MINUTES
    hours, minute = divmod(min(rounded, 24 * 60 - ROUNDED_MINUTES), 60)
    return Habit(weekday, time(hours, minute))
