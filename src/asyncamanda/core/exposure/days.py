"""The use of a machine by days: whose day a stretch of time was, as far as that is known."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from asyncamanda.core.exposure.values import KEPT_DAYS

LONGEST_DAY = 90_000.0  # seconds: in autumn a day has 25 hours
DAY_UNSURE = 1800.0  # seconds: what is known of a day to within these counts as known

Days = Mapping[date, float | None]


def day_of(at: datetime, zone: tzinfo) -> date:
    """Return the day that it was in `zone`."""
    return at.astimezone(zone).date()


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return when `day` began in `zone`, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def add_use(
    days: Days, start: datetime, end: datetime, seconds: float | None, zone: tzinfo
) -> dict[date, float | None]:
    """Return `days` with `seconds` of use between `start` and `end`; None where nobody knows.

    Where a machine slept meanwhile, how much of it was on which day may not be known: then the day
    is not. A clock that was set back makes `end` the earlier one, and all of it that one's day.
    """
    after = dict(days)
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    pieces = [*_cut(min(start, end), end, zone)]
    whole = sum(inside for _, inside in pieces)
    for day, inside in pieces:
        part = seconds
        if seconds is not None and len(pieces) > 1:
            least, most = max(0.0, seconds - (whole - inside)), min(seconds, inside)
            part = least if most - least <= DAY_UNSURE else None
        before = after.get(day, 0.0)
        added = None if part is None or before is None else before + part
        after[day] = None if added is None or added > LONGEST_DAY else added
    newest = day_of(end, zone)
    return {day: use for day, use in after.items() if _is_kept(day, newest)}


def _is_kept(day: date, newest: date) -> bool:
    return timedelta(0) <= newest - day < timedelta(days=KEPT_DAYS)


def _cut(start: datetime, end: datetime, zone: tzinfo) -> Iterator[tuple[date, float]]:
    """Yield each day between `start` and `end`, and how many seconds of it that is.

    Of a long time only the last KEPT_DAYS days, with all that was before in the first of them.
    """
    newest = day_of(end, zone)
    day = max(day_of(start, zone), newest - timedelta(days=KEPT_DAYS))
    while day <= newest:
        following = day + timedelta(days=1)
        until = min(midnight(following, zone), end) if day < newest else end
        yield day, max((until - start).total_seconds(), 0.0)
        start, day = until, following


def sort_days(
    use: Days, days: Iterable[date], at_least: float = 600.0
) -> tuple[list[date], list[date]]:
    """Return which of `days` the machine was used on, for `at_least` seconds; and the unknown ones.

    A day that is in neither was one without use.
    """
    used, unknown = [], []
    for day in days:
        seconds = use.get(day)
        if seconds is None:
            unknown.append(day)
        elif seconds >= at_least:
            used.append(day)
    return used, unknown
