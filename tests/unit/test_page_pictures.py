"""The pictures of the fleet's page: strips, calendars and curves, and what they show in words."""

from datetime import date, timedelta

import pytest

from asyncamanda.core.fleet.facts import DayMark, Exposure, FleetDay
from asyncamanda.report.html.curves import HEIGHT, WIDTH, draw_exposure, draw_share, round_share
from asyncamanda.report.html.strips import draw_strip, lay_calendar, spell_days
from asyncamanda.report.html.words import (
    show_exposure,
    show_name,
    show_span,
    show_use,
    without_ages,
)

HOUR = timedelta(hours=1)
FIRST = date(2026, 11, 1)
HALF = HEIGHT / 2


def days(*shares: int | None) -> tuple[FleetDay, ...]:
    """Return a day for each share of 100 clients, None for a day without clients."""
    return tuple(
        FleetDay(FIRST + timedelta(days=place), 0 if share is None else 100, share or 0)
        for place, share in enumerate(shares)
    )


def test_a_strip_is_a_line_for_each_run_of_equal_days() -> None:
    """By the kind of day, at the height of its kind; unknown days are nothing."""
    marks = (DayMark.UNKNOWN, *[DayMark.BACKED_UP] * 3, DayMark.AWAY, DayMark.BACKED_UP)
    strip = draw_strip(spell_days(marks))
    assert strip.width == 6
    assert strip.paths == (("b", "M1 7.5h3M5 7.5h1"), ("a", "M4 11h1"))
    assert strip.words == "last 6 days: 4 backed up, 1 away, 1 not known"


def test_a_strip_of_nothing_is_nothing() -> None:
    """Nor are there days to be counted."""
    strip = draw_strip("")
    assert (strip.paths, strip.words) == ((), "no days are known")


def test_a_calendar_has_whole_weeks_and_only_the_days_that_are_known() -> None:
    """The 30th of November 2026 is a Monday."""
    weeks = lay_calendar("--bfd", date(2026, 11, 30))
    assert [len(week) for week in weeks] == [7, 7]
    assert [day.css for day in weeks[0]] == ["", "", "", "", "", "b", "f"]
    assert [day.css for day in weeks[1]] == ["d", "", "", "", "", "", ""]
    assert (weeks[1][0].day, weeks[1][0].words) == (date(2026, 11, 30), "deferred")
    assert lay_calendar("---", date(2026, 11, 30)) == ()


def test_the_share_is_drawn_above_the_ten_below_its_lowest() -> None:
    """With that at its side; the words say the last share, and the lowest."""
    curve = draw_share(days(100, 85, 90))
    assert curve
    assert curve.marks == ((HEIGHT, "80 %"), (HALF, "90 %"), (0, "100 %"))
    assert curve.lines[0].path == f"M0.0 0.0L{WIDTH / 2:.1f} 82.5L{WIDTH:.1f} {HALF}"
    assert curve.words == "90 % of all clients now, 85 % at the lowest, on 2026-11-02"


def test_a_day_that_is_not_known_interrupts_the_line() -> None:
    """A day without clients is not a day on which none was protected."""
    curve = draw_share(days(100, None, 100, 100))
    assert curve
    assert curve.lines[0].path.count("M") == 2
    assert "h1" in curve.lines[0].path  # a day alone can be seen
    assert "100 % at the lowest" in curve.words


def test_without_two_days_there_is_no_curve() -> None:
    """A line needs two points."""
    assert draw_share(days(99)) is None
    assert draw_share(days(None, None)) is None
    assert draw_exposure(days(99, 98)) is None
    assert draw_exposure(()) is None


def test_the_exposures_are_two_lines_below_a_round_number_of_hours() -> None:
    """What is not known of the last day is said to be unknown."""
    known = FleetDay(FIRST, 9, 9, HOUR, 5 * HOUR)
    curve = draw_exposure((known, FleetDay(FIRST + timedelta(days=1), 9, 9, 2 * HOUR, None)))
    assert curve
    assert [line.css for line in curve.lines] == ["most", "half"]
    assert curve.marks[2] == (0, "6h")
    assert "at most 2h of use without a backup, 95 % at most unknown" in curve.words


@pytest.mark.parametrize(
    ("share", "shown"), [(100, "100 %"), (99.96, "99.9 %"), (98.6, "99 %"), (0.2, "0 %")]
)
def test_what_is_less_than_all_is_not_called_all(share: float, shown: str) -> None:
    """One of two thousand is still one."""
    assert round_share(share) == shown


@pytest.mark.parametrize(
    ("exposure", "shown"),
    [
        (Exposure(None), "unknown"),
        (Exposure(timedelta(minutes=59, seconds=1)), "under 1h"),
        (Exposure(timedelta(minutes=59), is_least=True), "at least some minutes"),
        (Exposure(timedelta(hours=3, minutes=50)), "3h"),
        (Exposure(timedelta(hours=30)), "1d 6h"),
        (Exposure(timedelta(hours=3), is_least=True), "at least 3h"),
        (Exposure(timedelta(0), is_least=True), "unknown"),
    ],
)
def test_an_exposure_is_told_by_the_hour(exposure: Exposure, shown: str) -> None:
    """So that not each page is another one each minute; at least nothing is not known."""
    assert show_exposure(exposure) == shown


def test_a_span_that_is_not_known_is_not_zero() -> None:
    """As everywhere."""
    assert show_use(None) == "unknown"
    assert show_span(timedelta(minutes=30)) == "30m"


@pytest.mark.parametrize(
    ("text", "rough"),
    [
        ("began 3h 5m ago", "began 3h ago"),
        ("(2d 3h ago), 12m 5s, 40s", "(2d ago), m, m"),
        ("12h 59s; 7d allowed", "12h; 7d allowed"),
        ("M1 7.5h3M5 7.5h1", "M1 7.5h3M5 7.5h1"),
    ],
)
def test_ages_count_by_their_largest_unit(text: str, rough: str) -> None:
    """Where it is asked whether a page is another one."""
    assert without_ages(text) == rough


def test_all_of_a_name_can_be_seen_and_written() -> None:
    """Bytes that are not UTF-8, what turns a line round, and a name without end."""
    assert show_name("a\udcff\u202eb\x1b[1m") == r"a\udcff\u202eb\x1b[1m"
    assert len(show_name("x" * 10_000)) == 200
    show_name("\ud800").encode()
