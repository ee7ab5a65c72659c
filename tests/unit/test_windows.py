"""Time windows: how they are written, when they are open, and the days when clocks change.

In 2026, clocks go forward in Berlin on 29 March at 02:00, back on 25 October at 03:00; in New York
on 8 March and 1 November at 02:00; in Sydney on 4 October at 02:00 and 5 April at 03:00. In
Santiago they go forward on 6 September at 00:00, so that there is no midnight.
"""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from asyncamanda.core.conditions.windows import (
    Window,
    format_wall,
    format_window,
    is_open,
    next_opening,
    parse_window,
)

BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"
SYDNEY = "Australia/Sydney"
SANTIAGO = "America/Santiago"
EVERY_DAY = frozenset(range(7))
WORKDAYS = frozenset(range(5))


def at(text: str) -> datetime:
    """Return the moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def windows(*texts: str) -> tuple[Window, ...]:
    """Return the windows that the texts mean."""
    return tuple(map(parse_window, texts))


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("Mon..Fri 08:00-19:00", Window(WORKDAYS, 480, 1140)),
        ("monday..FRIDAY 8:00-19:00", Window(WORKDAYS, 480, 1140)),
        ("  Mon .. Fri   08:00 - 19:00 ", Window(WORKDAYS, 480, 1140)),
        ("Mon 00:00-24:00", Window(frozenset({0}), 0, 1440)),
        ("Mon,Wed 08:00-09:00", Window(frozenset({0, 2}), 480, 540)),
        ("Mon, Wed 08:00-09:00", Window(frozenset({0, 2}), 480, 540)),
        ("Sat..Mon 08:00-09:00", Window(frozenset({5, 6, 0}), 480, 540)),
        ("Mon..Wed,Fri 08:00-09:00", Window(frozenset({0, 1, 2, 4}), 480, 540)),
        ("Tue..Tue 08:00-09:00", Window(frozenset({1}), 480, 540)),
        ("08:00-09:00", Window(EVERY_DAY, 480, 540)),
        ("* 22:00-06:00", Window(EVERY_DAY, 1320, 360)),
        ("Fri 22:00-00:00", Window(frozenset({4}), 1320, 0)),
    ],
)
def test_a_window_is_read(text: str, window: Window) -> None:
    """Days in English, short or full, in ranges that may wrap; and what is read is written so."""
    assert parse_window(text) == window
    assert parse_window(format_window(window)) == window


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not a pair of times"),
        ("Mon", "not a pair of times"),
        ("Mon..Fri", "not a pair of times"),
        ("Mon-Fri", "not a pair of times"),
        ("Mon 08:00", "not a pair of times"),
        ("Mon 08:00-", '"" is not a time'),
        ("Mon 8-19:00", '"8" is not a time'),
        ("Mon 08:00-19:00-20:00", '"19:00-20:00" is not a time'),
        ("Mon 08:00-24:01", 'no such time: "24:01"'),
        ("Mon 08:60-09:00", 'no such time: "08:60"'),
        ("Mon 25:00-09:00", 'no such time: "25:00"'),
        ("Mon 24:00-09:00", "24:00 is only an end"),
        ("Mon 08:00-08:00", "same time"),
        ("Mon-Fri 08:00-19:00", "mon..fri"),
        ("Mo 08:00-19:00", '"mo" is not a day'),
        ("Mon..Wed..Fri 08:00-19:00", '"wed..fri" is not a day'),
        ("Mon, 08:00-19:00", '"mon,08:00" is not a time'),
        ("Mon Tue 08:00-19:00", "more than days and times"),
        ("08:00-19:00 Mon", "not a pair of times"),
        ("Mon ٠٨:00-19:00", "not a time"),
    ],
)
def test_what_is_no_window_is_refused_with_the_reason(text: str, fault: str) -> None:
    """Rather than to wait for a time that never comes."""
    with pytest.raises(ValueError, match=fault):
        parse_window(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("mon,tue,wed,thu,fri 8:00-19:00", "Mon..Fri 08:00-19:00"),
        ("sat..mon 8:00-9:00", "Mon,Sat..Sun 08:00-09:00"),
        ("* 22:00-24:00", "22:00-24:00"),
    ],
)
def test_a_window_is_shown_in_its_shortest_form(text: str, written: str) -> None:
    """Ranges where days follow one another."""
    assert format_window(parse_window(text)) == written


@pytest.mark.parametrize(
    ("text", "wall", "expected"),
    [
        ("Mon..Fri 08:00-19:00", "2026-11-23T07:59:59.999999", False),
        ("Mon..Fri 08:00-19:00", "2026-11-23T08:00", True),
        ("Mon..Fri 08:00-19:00", "2026-11-23T18:59:59.999999", True),
        ("Mon..Fri 08:00-19:00", "2026-11-23T19:00", False),
        ("Mon..Fri 08:00-19:00", "2026-11-22T12:00", False),
        ("Mon 00:00-24:00", "2026-11-23T23:59:59", True),
        ("Mon 00:00-24:00", "2026-11-24T00:00", False),
        ("Fri 22:00-06:00", "2026-11-27T22:00", True),
        ("Fri 22:00-06:00", "2026-11-28T05:59", True),
        ("Fri 22:00-06:00", "2026-11-28T06:00", False),
        ("Fri 22:00-06:00", "2026-11-27T05:00", False),
        ("Fri 22:00-06:00", "2026-11-28T22:00", False),
        ("Sun 22:00-06:00", "2026-11-23T05:00", True),
        ("Fri 22:00-00:00", "2026-11-28T00:00", False),
    ],
)
def test_a_window_is_open_from_its_start_until_before_its_end(
    text: str, wall: str, expected: bool
) -> None:
    """Past midnight it belongs to the day on which it started."""
    moment = datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo(BERLIN))
    assert is_open(windows(text), moment, ZoneInfo(BERLIN)) is expected


def test_the_wall_clock_is_that_of_the_zone() -> None:
    """Whatever zone the moment is told in; without a zone it is UTC."""
    nine = windows("Mon 09:00-10:00")
    moment = datetime(2026, 11, 23, 3, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert is_open(nine, moment, ZoneInfo(BERLIN))
    assert not is_open(nine, moment, None)
    assert is_open(windows("Mon 08:00-09:00"), moment, None)
    assert format_wall(moment, ZoneInfo(BERLIN)) == "Mon 09:30"
    assert format_wall(moment, None) == "Mon 08:30"


@pytest.mark.parametrize(
    ("zone", "text", "before", "opens"),
    [
        # plain days
        (BERLIN, "Mon..Fri 08:00-19:00", "2026-11-20T18:00", "2026-11-23T07:00"),
        (BERLIN, "Mon..Fri 08:00-19:00", "2026-11-23T06:59:59.999999", "2026-11-23T07:00"),
        (NEW_YORK, "Mon..Fri 08:00-19:00", "2026-11-23T06:00", "2026-11-23T13:00"),
        (SYDNEY, "Mon 00:00-24:00", "2026-11-21T00:00", "2026-11-22T13:00"),
        (BERLIN, "Mon 08:00-09:00", "2026-11-23T08:00", "2026-11-30T07:00"),
        # the same time on the wall, before and after the change
        (BERLIN, "08:00-09:00", "2026-03-28T09:00", "2026-03-29T06:00"),
        (BERLIN, "08:00-09:00", "2026-10-24T09:00", "2026-10-25T07:00"),
        # forward: it starts in the gap, and opens with the first minute that there is
        (BERLIN, "02:30-05:00", "2026-03-29T00:00", "2026-03-29T01:00"),
        (BERLIN, "02:30-05:00", "2026-03-29T00:00:00.123456", "2026-03-29T01:00"),
        (BERLIN, "Sun 02:59-03:01", "2026-03-28T12:00", "2026-03-29T01:00"),
        (NEW_YORK, "02:15-05:00", "2026-03-08T06:00", "2026-03-08T07:00"),
        (SYDNEY, "02:15-05:00", "2026-10-03T15:00", "2026-10-03T16:00"),
        (SANTIAGO, "Sun 00:00-06:00", "2026-09-05T12:00", "2026-09-06T04:00"),
        # forward: it lies in the gap, and does not open that day
        (BERLIN, "02:00-03:00", "2026-03-28T12:00", "2026-03-30T00:00"),
        (BERLIN, "Sun 02:15-02:45", "2026-03-24T00:00", "2026-04-05T00:15"),
        (BERLIN, "Sun 02:15-02:45", "2026-03-22T01:45", "2026-04-05T00:15"),
        (NEW_YORK, "02:10-02:50", "2026-03-08T00:00", "2026-03-09T06:10"),
        (SYDNEY, "Sun 02:10-02:50", "2026-10-02T00:00", "2026-10-10T15:10"),
        # back: its minutes come twice
        (BERLIN, "02:15-02:45", "2026-10-25T00:00", "2026-10-25T00:15"),
        (BERLIN, "02:15-02:45", "2026-10-25T00:45", "2026-10-25T01:15"),
        (NEW_YORK, "01:15-01:45", "2026-11-01T05:45", "2026-11-01T06:15"),
        (SYDNEY, "02:15-02:45", "2026-04-04T15:45", "2026-04-04T16:15"),
        # back: the clock jumps into it
        (BERLIN, "01:00-02:30", "2026-10-25T00:30", "2026-10-25T01:00"),
        (NEW_YORK, "00:30-01:30", "2026-11-01T05:30:01", "2026-11-01T06:00"),
    ],
)
def test_the_next_opening_is_exact(zone: str, text: str, before: str, opens: str) -> None:
    """To the minute, on the days on which the clocks change, too."""
    found = next_opening(windows(text), at(before), ZoneInfo(zone))
    assert found == at(opens)
    assert found.utcoffset() == timedelta(0)
    assert is_open(windows(text), found, ZoneInfo(zone))
    assert not is_open(windows(text), found - timedelta.resolution, ZoneInfo(zone))


def test_a_window_that_ends_in_the_gap_ends_with_the_gap() -> None:
    """01:00-02:30 is open until 02:00, when it is three o'clock at once."""
    found = [
        is_open(windows("01:00-02:30"), at(moment), ZoneInfo(BERLIN))
        for moment in ("2026-03-29T00:00", "2026-03-29T00:59:59", "2026-03-29T01:00")
    ]
    assert found == [True, True, False]


def test_the_earliest_of_several_windows_opens_first() -> None:
    """In whatever order they are written."""
    both = windows("Sat 10:00-12:00", "Mon..Fri 20:00-22:00")
    assert next_opening(both, at("2026-11-27T23:00"), None) == at("2026-11-28T10:00")
    assert next_opening(both, at("2026-11-28T12:00"), None) == at("2026-11-30T20:00")


def test_there_is_no_opening_while_one_is_open_or_where_there_is_none() -> None:
    """None stands for both: there is nothing to wait for."""
    assert next_opening(windows("08:00-09:00"), at("2026-11-23T08:00"), None) is None
    assert next_opening((), at("2026-11-23T08:00"), None) is None
