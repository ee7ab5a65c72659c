"""How often a client may ask."""

from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.dispatch.rate_limit import Allowance, Bucket, fill, take

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
FOUR = Allowance(per=2 * MINUTE, burst=4)


def test_a_burst_is_granted_at_once_and_no_more() -> None:
    """Who asks for the first time may ask that often."""
    bucket, waits = fill(FOUR, NOW), []
    for _ in range(6):
        bucket, wait = take(bucket, FOUR, NOW)
        waits.append(wait)
    assert waits == [None, None, None, None, 2 * MINUTE + TICK, 2 * MINUTE + TICK]


def test_one_more_is_granted_as_its_time_has_passed() -> None:
    """And to have asked too early costs nothing."""
    empty = Bucket(0.0, NOW)
    early, wait = take(empty, FOUR, NOW + MINUTE)
    assert wait == MINUTE + TICK
    assert take(early, FOUR, NOW + 2 * MINUTE) == (Bucket(0.0, NOW + 2 * MINUTE), None)


@pytest.mark.parametrize("pause", [8 * MINUTE, timedelta(days=400)])
def test_what_was_not_used_adds_up_to_a_burst(pause: timedelta) -> None:
    """And to no more than that."""
    assert take(Bucket(0.0, NOW), FOUR, NOW + pause) == (Bucket(3.0, NOW + pause), None)


def test_a_clock_set_back_locks_nobody_out() -> None:
    """The wait counts from its new time, and what was left stays."""
    back = NOW - timedelta(days=400)
    bucket, wait = take(Bucket(0.5, NOW), FOUR, back)
    assert (bucket, wait) == (Bucket(0.5, back), MINUTE + TICK)
    assert take(bucket, FOUR, back + MINUTE) == (Bucket(0.0, back + MINUTE), None)
    assert take(Bucket(1.0, NOW), FOUR, back) == (Bucket(0.0, back), None)
