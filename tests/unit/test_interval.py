"""Spans of time as people write them."""

from datetime import timedelta

import pytest

from asyncamanda.core.values.interval import (
    LONGEST,
    format_age,
    format_interval,
    format_rough,
    parse_interval,
)

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("24", 24 * HOUR),
        ("1.5", 1.5 * HOUR),
        ("0.5", 0.5 * HOUR),
        ("024", 24 * HOUR),
        (" 24\n", 24 * HOUR),
        ("36h", 36 * HOUR),
        ("36 H", 36 * HOUR),
        ("1d12h", 36 * HOUR),
        ("1d 12h", 36 * HOUR),
        ("1 day, 12 hours", 36 * HOUR),
        ("12h1d", 36 * HOUR),
        ("1 day", 24 * HOUR),
        ("2 days", 48 * HOUR),
        ("2 weeks", timedelta(weeks=2)),
        ("1w", timedelta(weeks=1)),
        ("90 min", 1.5 * HOUR),
        ("90m", 1.5 * HOUR),
        ("45 seconds", timedelta(seconds=45)),
        ("0.000001s", timedelta(microseconds=1)),
        ("0d 1h", HOUR),
        ("P1DT12H", 36 * HOUR),
        ("p1dt12h", 36 * HOUR),
        ("P2W", timedelta(weeks=2)),
        ("PT90M", 1.5 * HOUR),
        ("P1DT1H1M1S", timedelta(days=1, seconds=3661)),
        ("PT0.5H", 0.5 * HOUR),
        ("3650 days", LONGEST),
    ],
)
def test_a_span_is_read_in_each_of_its_forms(text: str, span: timedelta) -> None:
    """A bare number is hours; else numbers with units, or ISO 8601."""
    assert parse_interval(text) == span


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0", "not above zero"),
        ("0h", "not above zero"),
        ("P0D", "not above zero"),
        ("0.0", "not above zero"),
        ("-24", "not above zero"),
        ("-1 day", "not above zero"),
        ("-P1D", "not above zero"),
        ("--1", "not a span"),
        (f"{'-' * 2000}1", "not a span"),
        ("", "not a span"),
        ("   ", "not a span"),
        ("-", "not a span"),
        ("daily", "not a span"),
        ("10 years", "not a span"),
        ("1 fortnight", "not a span"),
        ("1d1d", "not a span"),
        ("1 day 1d", "not a span"),
        ("h", "not a span"),
        ("1d12", "not a span"),
        ("1d -12h", "not a span"),
        ("P", "not a span"),
        ("PT", "not a span"),
        ("P1DT", "not a span"),
        ("P1Y", "not a span"),
        ("P1M", "not a span"),
        ("1e3", "not a span"),
        ("nan", "not a span"),
        ("inf", "not a span"),
        ("٢٤", "not a span"),
        ("24; rm -rf /", "not a span"),
        ("3651 days", "longer than ten years"),
        ("999999999999", "longer than ten years"),
        ("999999999999w", "longer than ten years"),
    ],
)
def test_what_is_no_span_is_refused_with_its_fault(text: str, fault: str) -> None:
    """Zero, negative, endless and nonsense are each refused in their own words."""
    with pytest.raises(ValueError, match=fault):
        parse_interval(text)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (36 * HOUR, "1d 12h"),
        (timedelta(weeks=2), "14d"),
        (timedelta(seconds=61), "1m 1s"),
        (timedelta(days=3, seconds=5), "3d 5s"),
        (timedelta(milliseconds=400), "0s"),
        (timedelta(0), "0s"),
    ],
)
def test_a_span_is_written_to_the_second(span: timedelta, text: str) -> None:
    """Every unit that is not zero stands with its number."""
    assert format_interval(span) == text


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=3, hours=4, minutes=5), "3d 4h"),
        (timedelta(minutes=12, seconds=5), "12m 5s"),
        (timedelta(seconds=1), "1s"),
        (timedelta(minutes=-2), "0s"),
    ],
)
def test_an_age_has_its_two_largest_units(span: timedelta, text: str) -> None:
    """Nobody wants the seconds of three days, nor an age below zero."""
    assert format_age(span) == text


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=-1), "less than a minute"),
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(seconds=60), "1 minute"),
        (timedelta(seconds=3599), "59 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=2, minutes=59), "2 hours"),
        (timedelta(hours=47, minutes=59), "47 hours"),
        (timedelta(hours=48), "2 days"),
        (timedelta(days=400), "400 days"),
    ],
)
def test_a_rough_span_is_one_number(span: timedelta, text: str) -> None:
    """As people say it, rounded down."""
    assert format_rough(span) == text
