"""A letter for each of a client's last days: what it was, the first DayMark that is true.

A strip ends with the day `until`, in the server's local time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from asyncamanda.core.fleet.facts import MARKED_DAYS, DayMark

_DAY = timedelta(days=1)
_RANK = {mark: rank for rank, mark in enumerate(DayMark)}
_LETTERS = {mark.value: mark for mark in DayMark}


@dataclass(frozen=True, slots=True)
class Strip:
    """The marks of MARKED_DAYS days, the last of which is `until`."""

    until: date
    marks: tuple[DayMark, ...] = (DayMark.UNKNOWN,) * MARKED_DAYS

    def __str__(self) -> str:
        return "".join(mark.value for mark in self.marks)


def parse_strip(until: str, marks: str) -> Strip:
    """Return what is kept as text. Raises ValueError where it is no strip."""
    if len(marks) != MARKED_DAYS or not _LETTERS.keys() >= {*marks}:
        raise ValueError(f"no {MARKED_DAYS} days' marks")
    return Strip(date.fromisoformat(until), tuple(_LETTERS[letter] for letter in marks))


def extend(strip: Strip, today: date) -> Strip:
    """Return the strip up to `today`: on the days since it was away, if it was known before.

    One that ends later, by a clock that was ahead, stays as it is.
    """
    ahead = (today - strip.until).days
    if ahead <= 0:
        return strip
    fill = DayMark.UNKNOWN if strip.marks[-1] is DayMark.UNKNOWN else DayMark.AWAY
    added = (fill,) * min(ahead, MARKED_DAYS)
    return Strip(today, (*strip.marks, *added)[-MARKED_DAYS:])


def put_mark(strip: Strip, day: date, mark: DayMark) -> Strip:
    """Return the strip with a day's mark, unless the day has one that goes before it.

    A day before all that it has is passed over.
    """
    strip = extend(strip, day)
    place = MARKED_DAYS - 1 - (strip.until - day).days
    if place < 0 or _RANK[strip.marks[place]] <= _RANK[mark]:
        return strip
    marks = list(strip.marks)
    marks[place] = mark
    for later in range(place + 1, MARKED_DAYS):  # it is known from then on
        if marks[later] is DayMark.UNKNOWN:
            marks[later] = DayMark.AWAY
    return replace(strip, marks=tuple(marks))


def make_strip(today: date, marks: Iterable[tuple[date, DayMark]]) -> Strip:
    """Return the strip up to `today` that all these marks make."""
    strip = Strip(today)
    for day, mark in marks:
        if day <= today:
            strip = put_mark(strip, day, mark)
    return strip


def list_days(first: date, last: date) -> list[date]:
    """Return the days from `first` to `last`, at most MARKED_DAYS: the last ones."""
    count = max(min((last - first).days, MARKED_DAYS - 1), 0)
    return [last - ago * _DAY for ago in range(count, -1, -1)]


def find_known_since(strip: Strip) -> date | None:
    """Return the first day of a strip on which its client was known; None if none is."""
    for place, mark in enumerate(strip.marks):
        if mark is not DayMark.UNKNOWN:
            return strip.until - (MARKED_DAYS - 1 - place) * _DAY
    return None


def show_days(strip: Strip | None, today: date, *, is_here: bool) -> tuple[DayMark, ...]:
    """Return the marks up to `today`; `is_here`: it is connected, whatever was written down."""
    shown = extend(strip or Strip(today), today)
    return (put_mark(shown, today, DayMark.HERE) if is_here else shown).marks
