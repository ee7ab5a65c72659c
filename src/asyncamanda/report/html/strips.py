"""The days of a client: a strip for the list, a calendar for its page, and both in words.

Kinds differ in height and pattern, not in colour only.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import groupby

from asyncamanda.core.fleet.facts import DayMark

HEIGHT = 12
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MarkStyle:
    """How a day is shown: its class in the style sheet, its words, and the height of its bar."""

    mark: DayMark
    css: str
    words: str
    height: int


STYLES = {
    style.mark.value: style
    for style in (
        MarkStyle(DayMark.BACKED_UP, "b", "backed up", 9),
        MarkStyle(DayMark.FAILED, "f", "failed", 12),
        MarkStyle(DayMark.DEFERRED, "d", "deferred", 6),
        MarkStyle(DayMark.HERE, "h", "here with nothing due", 3),
        MarkStyle(DayMark.AWAY, "a", "away", 2),
        MarkStyle(DayMark.UNKNOWN, "u", "not known", 0),
    )
}
DRAWN = tuple((letter, style) for letter, style in STYLES.items() if style.height)
LEGEND = tuple(style for _, style in DRAWN)


@dataclass(frozen=True, slots=True)
class StripPicture:
    """The days of a client as a picture: its paths as (class, path), and what it shows in words."""

    width: int
    paths: tuple[tuple[str, str], ...]
    words: str


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A day of the calendar; `css` and `words` are "" where the calendar does not have it."""

    day: date
    css: str = ""
    words: str = ""


def spell_days(days: Sequence[DayMark]) -> str:
    """Return the letters of days, which are cheaper to compare than marks."""
    return "".join([mark._value_ for mark in days])


@lru_cache(maxsize=4096)
def draw_strip(days: str) -> StripPicture:
    """Return the strip of `days`, a letter each, the last of which is today.

    Each run of equal days is one line, which the style sheet cuts into days.
    """
    pieces: dict[str, list[str]] = {}
    x = 0
    for letter, run in groupby(days):
        length = sum(1 for _ in run)
        pieces.setdefault(letter, []).append(f"M{x} {_middle(letter)}h{length}")
        x += length
    paths = tuple((each.css, "".join(pieces[mark])) for mark, each in DRAWN if mark in pieces)
    return StripPicture(len(days), paths, describe_days(days))


def _middle(letter: str) -> str:
    return f"{HEIGHT - STYLES[letter].height / 2:g}"


def describe_days(days: str) -> str:
    """Return how many days were of each kind, in words."""
    counts = Counter(days)
    parts = [f"{counts[mark]} {style.words}" for mark, style in STYLES.items() if counts[mark]]
    return f"last {len(days)} days: {', '.join(parts)}" if parts else "no days are known"


def lay_calendar(days: str, today: date) -> tuple[tuple[CalendarDay, ...], ...]:
    """Return whole weeks from Monday to Sunday, the oldest first, that hold all known `days`."""
    known = [
        (today - (len(days) - 1 - place) * DAY, mark)
        for place, mark in enumerate(days)
        if mark != DayMark.UNKNOWN.value
    ]
    if not known:
        return ()
    marks = dict(known)
    first = known[0][0] - known[0][0].weekday() * DAY
    weeks = ((today - first).days // 7) + 1
    return tuple(
        tuple(_calendar_day(first + (7 * week + day) * DAY, marks) for day in range(7))
        for week in range(weeks)
    )


def _calendar_day(day: date, marks: dict[date, str]) -> CalendarDay:
    mark = marks.get(day)
    return CalendarDay(day, STYLES[mark].css, STYLES[mark].words) if mark else CalendarDay(day)
