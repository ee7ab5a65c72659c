"""A client's days as letters, whoever writes them and in which order."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from asyncamanda.core.fleet.facts import MARKED_DAYS, DayMark
from asyncamanda.core.fleet.strips import (
    Strip,
    extend,
    find_known_since,
    list_days,
    make_strip,
    parse_strip,
    put_mark,
    show_days,
)

TODAY = date(2026, 12, 1)
DAY = timedelta(days=1)


def ends(strip: Strip, count: int = 6) -> str:
    """Return the last letters of a strip."""
    return str(strip)[-count:]


def test_a_day_has_the_mark_that_goes_first() -> None:
    """Whatever came later that day."""
    strip = Strip(TODAY)
    for mark, letter in ((DayMark.HERE, "h"), (DayMark.FAILED, "f"), (DayMark.DEFERRED, "f")):
        strip = put_mark(strip, TODAY, mark)
        assert ends(strip, 1) == letter
    assert ends(put_mark(strip, TODAY, DayMark.BACKED_UP)) == "-----b"


def test_days_between_were_away_once_it_was_known() -> None:
    """Before that nobody knows."""
    strip = put_mark(Strip(TODAY), TODAY, DayMark.BACKED_UP)
    strip = put_mark(strip, TODAY + 3 * DAY, DayMark.HERE)
    assert (strip.until, ends(strip)) == (TODAY + 3 * DAY, "--baah")
    assert ends(extend(Strip(TODAY), TODAY + 2 * DAY)) == "------"
    assert find_known_since(strip) == TODAY
    assert find_known_since(Strip(TODAY)) is None
    assert set(str(extend(strip, TODAY + 1000 * DAY))) == {"a"}


def test_an_older_day_is_filled_in() -> None:
    """As when a log is taken in later; one from before all marks is passed over."""
    strip = put_mark(Strip(TODAY), TODAY, DayMark.HERE)
    assert ends(put_mark(strip, TODAY - 2 * DAY, DayMark.FAILED)) == "---fah"
    assert put_mark(strip, TODAY - MARKED_DAYS * DAY, DayMark.FAILED) == strip


def test_a_strip_does_not_depend_on_the_order() -> None:
    """It is the same made again from all marks, in any order."""
    marks = [(TODAY - n * DAY, mark) for n, mark in ((5, DayMark.HERE), (2, DayMark.FAILED))]
    assert make_strip(TODAY, marks) == make_strip(TODAY, reversed(marks))
    assert ends(make_strip(TODAY, marks)) == "haafaa"


def test_who_is_connected_is_here() -> None:
    """Though nobody has written that down yet."""
    assert "".join(mark.value for mark in show_days(None, TODAY, is_here=True))[-3:] == "--h"
    known = put_mark(Strip(TODAY - DAY), TODAY - DAY, DayMark.BACKED_UP)
    shown = show_days(known, TODAY, is_here=False)
    assert [mark.value for mark in shown[-2:]] == ["b", "a"]
    assert len(shown) == MARKED_DAYS


def test_what_is_kept_is_read() -> None:
    """And nothing else is taken for a strip."""
    strip = put_mark(Strip(TODAY), TODAY, DayMark.DEFERRED)
    assert parse_strip("2026-12-01", str(strip)) == strip
    for until, marks in (("2026-12-01", "x" * MARKED_DAYS), ("2026-12-01", "b"), ("x", str(strip))):
        with pytest.raises(ValueError, match=r"days' marks|isoformat"):
            parse_strip(until, marks)


def test_the_days_of_a_long_session() -> None:
    """The last ones, at most as many as are kept."""
    assert list_days(TODAY - DAY, TODAY) == [TODAY - DAY, TODAY]
    assert list_days(TODAY, TODAY - DAY) == [TODAY - DAY]
    assert len(list_days(TODAY - 999 * DAY, TODAY)) == MARKED_DAYS
