"""Dates as people write them."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from asyncamanda.core.restore.when import When, parse_when

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 28, 16, 24, 9, tzinfo=BERLIN)
END = timedelta(days=1, microseconds=-1)


def utc(text: str) -> datetime:
    """Return a time of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("latest", None),
        (" Latest ", None),
        ("now", None),
        ("today", utc("2026-11-27 23:00") + END),
        ("yesterday", utc("2026-11-26 23:00") + END),
        ("Yesterday 8:05", utc("2026-11-27 07:05")),
        ("14:00", utc("2026-11-28 13:00")),
        ("3 days ago", utc("2026-11-25 15:24:09")),
        ("a day ago", utc("2026-11-27 15:24:09")),
        ("an hour  ago", utc("2026-11-28 14:24:09")),
        ("2 hours ago", utc("2026-11-28 13:24:09")),
        ("1 week ago", utc("2026-11-21 15:24:09")),
        ("90 minutes ago", utc("2026-11-28 13:54:09")),
        ("2026-11-20", utc("2026-11-19 23:00") + END),
        ("2026-07-01", utc("2026-06-30 22:00") + END),
        ("2026-11-20 14:00", utc("2026-11-20 13:00")),
        ("2026-11-20T14:00:30", utc("2026-11-20 13:00:30")),
        ("2026-11-20 14:00Z", utc("2026-11-20 14:00")),
        ("2026-11-20T14:00:30.5+05:30", utc("2026-11-20 08:30:30.5")),
        ("2026-11-20 14:00 -0800", utc("2026-11-20 22:00")),
    ],
)
def test_a_date_is_the_time_before_which_the_dump_was(text: str, before: datetime | None) -> None:
    """A day to its end, in the zone of who asks; summer time is that of the day itself."""
    assert parse_when(text, NOW) == When(before)


def test_a_time_that_comes_twice_is_the_later_one() -> None:
    """Where summer time ends; one that never comes, where it begins, is as late as it may be."""
    assert parse_when("2026-10-25 02:30", NOW).before == utc("2026-10-25 01:30")
    assert parse_when("2026-03-29 02:30", NOW).before == utc("2026-03-29 01:30")


def test_a_run_is_meant_exactly() -> None:
    """Its 14 digits are Amanda's, and no time of this machine's."""
    assert parse_when("20261128162409", NOW) == When(run="20261128162409")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a date"),
        ("tomorrow", "not a date"),
        ("last tuesday", "allowed: latest, today"),
        ("3 days", "not a date"),
        ("-3 days ago", "not a date"),
        ("3 months ago", "not a date"),
        ("20261128", "not a date"),
        ("20261328000000", "not a date"),
        ("28.11.2026", "not a date"),
        ("\x1b[2J", r"'\x1b[2J'"),
        ("x" * 10_000, "not a date"),
        ("2026-02-30", "there is no day 2026-02-30"),
        ("2026-02-30 10:00", "there is no day"),
        ("2026-11-20 25:00", "there is no time 25:00"),
        ("24:61", "there is no time"),
        ("2026-11-20T14:00+99:00", "there is no time"),
        ("2026-11-29", "is in the future"),
        ("2026-11-28 16:25", "is in the future"),
        ("17:00", "is in the future"),
        ("2027-01-01T00:00Z", "is in the future"),
        ("999999 weeks ago", "not in the calendar"),
        ("0001-01-01T00:00+10:00", "not in the calendar"),
    ],
)
def test_what_is_no_date_says_so(text: str, words: str) -> None:
    """With what would be one."""
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_when(text, NOW)
