"""What the server makes of the use that clients say: bounded, and never falling."""

from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.exposure.reported import (
    UseBase,
    UseTotal,
    begin_base,
    heed_total,
    judge_total,
)
from asyncamanda.core.exposure.values import Exposure

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
H = 3600.0


def total(hours: float | None, at: datetime = NOON, gaps: int = 0) -> UseTotal:
    """A total of so many hours."""
    return UseTotal(at, None if hours is None else hours * H, gaps)


def base(hours: float | None, at: datetime = NOON, *, is_least: bool = False) -> UseBase:
    """A backup that began when the total was so many hours."""
    return UseBase(at, None if hours is None else hours * H, is_least)


@pytest.mark.parametrize(
    ("known", "before", "began_at", "was_here", "after"),
    [
        # a machine that is connected is awake
        (total(100), None, NOON + HOUR, True, base(101, NOON + HOUR)),
        (total(100), base(80, NOON - HOUR), NOON, True, base(100)),
        # it came again while its dump was made
        (total(100), None, NOON - HOUR / 2, False, base(99.5, NOON - HOUR / 2)),
        (total(100), None, NOON - 5 * HOUR, False, base(100, NOON - 5 * HOUR, is_least=True)),
        # nobody knows when it slept
        (total(100), None, NOON + HOUR, False, base(None, NOON + HOUR)),
        # it says nothing: an old agent, or one that cannot count
        (None, None, NOON, True, base(None)),
        (total(None), None, NOON, True, base(None)),
        # the backup is not news
        (total(100), base(80), NOON, True, None),
        (total(100), base(80), NOON - HOUR, True, None),
    ],
)
def test_a_base_is_what_the_total_was_when_the_backup_began(
    known: UseTotal | None,
    before: UseBase | None,
    began_at: datetime,
    was_here: bool,
    after: UseBase | None,
) -> None:
    """As far as that is known."""
    assert begin_base(known, before, began_at, was_here=was_here) == after


@pytest.mark.parametrize(
    ("known", "before", "said", "used", "is_least"),
    [
        (total(100), base(100), total(104, NOON + 24 * HOUR), 4, False),
        (total(100), base(100), total(100, NOON + 24 * HOUR), 0, False),  # in a drawer
        # more than there was time for: a lie, or a count that was put back
        (total(100), base(100), total(999, NOON + 2 * HOUR), 2, False),
        (total(100), base(90, NOON - 240 * HOUR), total(999, NOON + 2 * HOUR), 12, False),
        # less than before: a new machine, or its count was lost
        (total(100), base(90), total(0, NOON + 24 * HOUR), 10, True),
        # it could not count for a while
        (total(100), base(100), total(104, NOON + 24 * HOUR, gaps=1), 4, True),
        # the first report since the backup
        (None, base(None), total(104, NOON + 24 * HOUR), 0, True),
        (total(None), base(50), total(54, NOON + 24 * HOUR), 4, True),
        (total(100), base(100), total(None, NOON + HOUR), None, False),
        (None, None, total(100), None, False),
    ],
)
def test_an_exposure_is_what_was_said_within_bounds(
    known: UseTotal | None,
    before: UseBase | None,
    said: UseTotal,
    used: float | None,
    is_least: bool,
) -> None:
    """Never below what it was, nor above the time that has gone by."""
    exposure = judge_total(said, heed_total(known, before, said))
    span = None if used is None else used * HOUR
    assert exposure == Exposure(span, is_least, said.at)


def test_a_client_that_was_just_backed_up_is_not_exposed() -> None:
    """Its report is older than the beginning of its backup."""
    began = begin_base(total(100), None, NOON + HOUR, was_here=True)
    assert judge_total(total(100), began) == Exposure(timedelta(0), False, NOON + HOUR)
