"""Time windows of the week, in the wall time of a place: "Mon..Fri 08:00-19:00".

What the wall clock shows is what counts. So a window opens as far as its minutes exist on the day
on which clocks go forward, and twice where its minutes come twice, when they go back.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

ALLOWED = (
    'days and times, such as "Mon..Fri 08:00-19:00", "Sat,Sun 10:00-24:00" or "22:00-06:00" '
    "(every day, until the next morning)"
)

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBER = {name: number for number, day in enumerate(_DAYS) for name in (day, day[:3])}
_EVERY_DAY = frozenset(range(7))
_DAY_LONG = 24 * 60
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_DAY = timedelta(days=1)
_STEP = timedelta(hours=6)  # no zone changes its clocks twice in so short a time
# the week after next: a window of one day a week may fall into the hour that is left out
_HORIZON = timedelta(days=16)


@dataclass(frozen=True, slots=True)
class Window:
    """On `days` (0 is Monday), from minute `start` until before minute `end` of the day.

    An `end` that is not after `start` is on the day after; `days` are those on which it starts.
    """

    days: frozenset[int]
    start: int
    end: int


def parse_window(text: str) -> Window:
    """Return the window that `text` means; raises ValueError, with what is wrong."""
    joined = re.sub(r"\s*(\.\.|[,-])\s*", r"\1", text.strip().lower())
    *days, times = joined.split() or [""]
    if len(days) > 1:
        raise ValueError("more than days and times")
    start_text, dash, end_text = times.partition("-")
    if not dash or ":" not in times:
        raise ValueError(f'"{times}" is not a pair of times, such as 08:00-19:00')
    start, end = _parse_time(start_text), _parse_time(end_text)
    if start == _DAY_LONG:
        raise ValueError("24:00 is only an end: a window starts at 00:00")
    if start == end:
        raise ValueError("it starts and ends at the same time (all day is 00:00-24:00)")
    return Window(_parse_days(days[0]) if days else _EVERY_DAY, start, end)


def _parse_time(text: str) -> int:
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError(f'"{text}" is not a time, such as 08:00')
    minutes = int(match[1]) * 60 + int(match[2])
    if int(match[2]) > 59 or minutes > _DAY_LONG:
        raise ValueError(f'there is no such time: "{text}"')
    return minutes


def _parse_days(text: str) -> frozenset[int]:
    if text == "*":
        return _EVERY_DAY
    found: set[int] = set()
    for part in text.split(","):
        first, dots, last = part.partition("..")
        begin = _parse_day(first)
        count = (_parse_day(last) - begin) % 7 if dots else 0
        found.update((begin + step) % 7 for step in range(count + 1))
    return frozenset(found)


def _parse_day(text: str) -> int:
    if text in _NUMBER:
        return _NUMBER[text]
    first, _, last = text.partition("-")
    if first in _NUMBER and last in _NUMBER:
        raise ValueError(f'"{text}" is not a day: a range is written {first[:3]}..{last[:3]}')
    raise ValueError(f'"{text}" is not a day: Mon, Tue, Wed, Thu, Fri, Sat or Sun')


def format_window(window: Window) -> str:
    """Return the window in a form that parse_window() reads: "Mon..Fri 08:00-19:00"."""
    times = "-".join(f"{at // 60:02}:{at % 60:02}" for at in (window.start, window.end))
    if window.days == _EVERY_DAY:
        return times
    runs: list[list[int]] = []
    for day in sorted(window.days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    ends = (dict.fromkeys((run[0], run[-1])) for run in runs)
    days = ",".join("..".join(_DAYS[day][:3].title() for day in end) for end in ends)
    return f"{days} {times}"


def format_wall(moment: datetime, zone: tzinfo | None) -> str:
    """Return what calendar and clock on the wall show: "Mon 08:00"."""
    wall = _wall(moment, zone)
    return f"{_DAYS[wall.weekday()][:3].title()} {wall:%H:%M}"


def is_open(windows: Iterable[Window], moment: datetime, zone: tzinfo | None) -> bool:
    """Say whether any of the windows is open at `moment` in `zone` (None: UTC)."""
    wall = _wall(moment, zone)
    day, minute = wall.weekday(), wall.hour * 60 + wall.minute
    return any(_includes(window, day, minute) for window in windows)


def _wall(moment: datetime, zone: tzinfo | None) -> datetime:
    return moment.astimezone(zone or UTC)


def _includes(window: Window, day: int, minute: int) -> bool:
    if window.start < window.end:
        return day in window.days and window.start <= minute < window.end
    is_evening = day in window.days and minute >= window.start
    is_morning = (day - 1) % 7 in window.days and minute < window.end
    return is_evening or is_morning


def next_opening(
    windows: tuple[Window, ...], moment: datetime, zone: tzinfo | None
) -> datetime | None:
    """Return the first moment after `moment` at which a window is open, in UTC.

    None if one is open at `moment`, or if there are none.
    """
    if not windows or is_open(windows, moment, zone):
        return None
    begin = moment.astimezone(UTC)
    # windows open where they start, or where the clocks jump into one
    candidates = [*_starts(windows, begin, zone or UTC), *_changes(begin, zone or UTC)]
    opened = (at for at in candidates if at > begin and is_open(windows, at, zone))
    return min(opened, default=None)


def _starts(windows: tuple[Window, ...], begin: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the starts of windows in the days around, as UTC; each, where it comes twice."""
    first = _wall(begin, zone).date() - _DAY
    for offset in range((_HORIZON + 2 * _DAY).days):
        date = first + offset * _DAY
        for window in windows:
            if date.weekday() in window.days:
                start = time(window.start // 60, window.start % 60, tzinfo=zone)
                for fold in (0, 1):
                    wall = datetime.combine(date, start.replace(fold=fold))
                    yield wall.astimezone(UTC)


def _changes(begin: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the moments, as UTC, at which the zone's clocks change, to the second."""
    low = begin.replace(microsecond=0)
    for _ in range(_HORIZON // _STEP):
        high = low + _STEP
        if _offset(low, zone) != _offset(high, zone):
            yield _change_between(low, high, zone)
        low = high


def _change_between(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    before = _offset(low, zone)
    second = timedelta(seconds=1)
    while high - low > second:
        middle = low + (high - low) // second // 2 * second
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high


def _offset(moment: datetime, zone: tzinfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()
