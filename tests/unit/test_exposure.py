"""Hours of use: suspend, reboots, steps of the clock, another system, and what nobody knows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from asyncamanda.core.exposure.days import add_use, sort_days
from asyncamanda.core.exposure.record import (
    KEPT_MARKS,
    Sighting,
    UseRecord,
    begin_use,
    count_use,
    expose,
    note_dumps,
)
from asyncamanda.core.exposure.values import Exposure

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
H = 3600.0
TODAY = NOON.date()
BEGUN = begin_use(Sighting("one", NOON, 10 * H), TODAY)


def seen(boot: str, hours: float, awake: float) -> Sighting:
    """What the clocks show so many hours after noon."""
    return Sighting(boot, NOON + hours * HOUR, awake * H)


@pytest.mark.parametrize(
    ("what", "sightings", "is_whole", "hours", "days"),
    [
        ("awake", [seen("one", 4, 14)], True, 4, [None]),
        ("asleep", [seen("one", 4, 10)], True, 0, [None]),
        ("suspend for some of it", [seen("one", 4, 11)], True, 1, [None]),
        ("awake over midnight", [seen("one", 20, 30)], True, 20, [None, 8]),
        ("asleep over midnight: when is not known", [seen("one", 20, 20)], True, 10, [None, None]),
        (
            "asleep over midnight, and the journal has the evening's last line",
            [seen("one", 11.75, 21.75), seen("one", 21, 22.75)],
            True,
            12.75,
            [None, 0.75],
        ),
        ("a drawer", [seen("one", 1, 11), seen("one", 73, 11)], True, 1, [None, 0, 0, 0]),
        (
            "reboot, seen whole",
            [seen("one", 2, 12), seen("two", 3, 0), seen("two", 5, 2)],
            True,
            4,
            [None],
        ),
        (
            "another system for two days: its time is no use",
            [seen("one", 2, 12), seen("two", 50, 0), seen("two", 51, 1)],
            True,
            3,
            [None, 0, 1],
        ),
        ("no journal", [seen("two", 24, 0), seen("two", 26, 2)], False, 2, [None, None]),
        ("no journal for days", [seen("two", 72, 0), seen("two", 74, 2)], False, 2, [None] * 4),
        ("a step forward", [seen("one", 74, 12)], True, 2, [None] * 4),
        ("a step back", [seen("one", -5, 12)], True, 2, [None]),
        ("a step back over midnight", [seen("one", -30, 12)], True, 2, [2]),
    ],
)
def test_the_monotonic_clock_says_how_much_and_the_wall_clock_on_which_day(
    what: str,
    sightings: Sequence[Sighting],
    is_whole: bool,
    hours: float,
    days: Sequence[float | None],
) -> None:
    """`days` are those from the first of December on, but for a clock that was set back."""
    record = count_use(BEGUN, sightings, UTC, is_whole=is_whole)
    assert record.used == hours * H, what
    assert record.gaps == (not is_whole)
    assert record.last == sightings[-1]
    first = TODAY if sightings[-1].at >= NOON - 12 * HOUR else sightings[-1].at.date()
    found = [record.days[day] for day in sorted(record.days)]
    assert min(record.days) == first
    assert found == [None if day is None else day * H for day in days], what


def test_a_record_begins_with_nothing_that_is_known() -> None:
    """The day on which it begins is not known, and the next one is."""
    assert UseRecord(0.0, 0, BEGUN.last, {TODAY: None}, BEGUN.marks) == BEGUN


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 10, 26), 24)]
)
def test_a_day_is_as_long_as_it_is_where_the_machine_is(day: date, hours: int) -> None:
    """In spring 23 hours, and in autumn 25."""
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(day.year, day.month, day.day, tzinfo=berlin).astimezone(UTC) - 5 * HOUR
    use = add_use({}, before, before + 40 * HOUR, 40 * H, berlin)
    assert use[day] == hours * H


def test_ninety_days_are_kept() -> None:
    """And no more, however long nothing was counted."""
    record = BEGUN
    for number in range(1, 200):
        record = count_use(record, [seen("one", 24 * number, 10 + number)], UTC, is_whole=True)
    assert len(record.days) == 90
    assert max(record.days) == (NOON + 199 * DAY).date()
    late = count_use(record, [seen("one", 24 * 9999, 300)], UTC, is_whole=True)
    assert len(late.days) == 90
    assert late.used == 290 * H


def backed_up(record: UseRecord, hours: float) -> Exposure:
    """The exposure after a backup that began so many hours after noon."""
    at = NOON + hours * HOUR
    return expose(note_dumps(record, [at]), at)


def test_exposure_is_the_use_since_the_backup_began() -> None:
    """A start counts before and after it, and is awake in between."""
    record = count_use(BEGUN, [seen("one", 1, 11), seen("one", 2, 12)], UTC, is_whole=True)
    assert backed_up(record, 1.25) == Exposure(0.75 * HOUR, False, NOON + 2 * HOUR)
    record = note_dumps(record, [NOON + 1.25 * HOUR])
    later = count_use(record, [seen("one", 30, 16)], UTC, is_whole=True)
    assert expose(later, NOON + 1.25 * HOUR).used == 4.75 * HOUR
    asleep = count_use(later, [seen("one", 300, 16)], UTC, is_whole=True)
    assert expose(asleep, NOON + 1.25 * HOUR).used == 4.75 * HOUR


@pytest.mark.parametrize(
    ("hours", "used"),
    [
        (-5, 12),  # before it was counted
        (4, 10),  # a run of the server's own: it was awake for 2 of 10 hours
    ],
)
def test_where_it_is_not_known_what_was_used_before_it_is_used_at_least(
    hours: float, used: float
) -> None:
    """And no hour too much is counted."""
    sightings = [seen("one", 10, 12), seen("one", 20, 22)]
    record = count_use(BEGUN, sightings, UTC, is_whole=True)
    assert backed_up(record, hours) == Exposure(used * HOUR, True, NOON + 20 * HOUR)


def test_a_gap_after_the_backup_makes_it_at_least_and_one_before_it_does_not() -> None:
    """What was before the backup is saved."""
    record = note_dumps(count_use(BEGUN, [seen("one", 1, 11)], UTC, is_whole=True), [NOON])
    after = count_use(record, [seen("two", 24, 0), seen("two", 26, 2)], UTC, is_whole=False)
    assert expose(after, NOON) == Exposure(3 * HOUR, True, NOON + 26 * HOUR)
    assert backed_up(after, 25.5) == Exposure(0.5 * HOUR, False, NOON + 26 * HOUR)


def test_without_a_record_or_a_backup_it_is_not_known_or_at_least() -> None:
    """Unknown is never zero."""
    assert expose(None, NOON) == Exposure(None)
    record = count_use(BEGUN, [seen("one", 3, 13)], UTC, is_whole=True)
    assert expose(record, None) == Exposure(3 * HOUR, True, NOON + 3 * HOUR)
    assert expose(replace(record, marks=()), NOON) == Exposure(None, as_of=NOON + 3 * HOUR)


def test_many_counts_in_a_row_leave_few_marks() -> None:
    """A start that is put off comes every quarter of an hour."""
    record = BEGUN
    for number in range(1, 5000):
        now = Sighting("one", NOON + number * HOUR / 60, 10 * H + number * 60)
        record = count_use(record, [now], UTC, is_whole=True)
    assert len(record.marks) <= KEPT_MARKS
    assert backed_up(record, 82).used == timedelta(minutes=4999) - 82 * HOUR


def test_days_with_use_are_told_from_unknown_ones() -> None:
    """A day that is not there is unknown; ten minutes make one of use."""
    days = [TODAY - n * DAY for n in range(4)]
    use = {days[0]: 600.0, days[1]: 599.0, days[2]: None}
    assert sort_days(use, days) == ([days[0]], [days[2], days[3]])
