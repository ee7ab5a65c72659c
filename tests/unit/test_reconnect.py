"""When a broken line is made again."""

from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.agent.reconnect import Break, plan_reconnect

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_the_pauses_grow_to_a_quarter_of_a_minute_and_end_with_the_patience() -> None:
    """A try comes at the very end, and none after it."""
    now, broken, pauses, patience = NOW, None, [], 50 * SECOND
    while True:
        broken, next_at = plan_reconnect(broken, patience, now)
        if next_at is None:
            break
        pauses.append((next_at - now).total_seconds())
        now = next_at
    assert pauses == [1, 2, 4, 8, 15, 15, 5]
    assert now == NOW + patience


@pytest.mark.parametrize(
    ("stood", "pause"), [(0 * SECOND, 8), (29 * SECOND, 8), (30 * SECOND, 1), (-SECOND, 8)]
)
def test_only_a_line_that_has_stood_for_a_while_makes_good_what_was_before(
    stood: timedelta, pause: int
) -> None:
    """Else a server that closes after each greeting would be called at once forever."""
    broken, next_at = plan_reconnect(Break(NOW - 7 * SECOND, 3), 60 * SECOND, NOW, stood)
    assert next_at == NOW + pause * SECOND
    assert broken == (Break(NOW, 1) if pause == 1 else Break(NOW - 7 * SECOND, 4))


@pytest.mark.parametrize("patience", [timedelta(0), -SECOND])
def test_who_has_no_patience_does_not_try(patience: timedelta) -> None:
    """`reconnect_for = 0` is a choice."""
    assert plan_reconnect(None, patience, NOW) == (Break(NOW), None)


def test_after_a_sleep_longer_than_the_patience_it_is_too_late() -> None:
    """The wall clock counts."""
    broken, next_at = plan_reconnect(None, 60 * SECOND, NOW)
    assert next_at == NOW + SECOND
    assert plan_reconnect(broken, 60 * SECOND, NOW + timedelta(hours=2)) == (broken, None)


def test_a_clock_set_back_neither_ends_the_tries_nor_makes_them_endless() -> None:
    """The patience begins again with it, the pauses do not."""
    back = NOW - timedelta(hours=1)
    broken, next_at = plan_reconnect(Break(NOW, 3), 60 * SECOND, back)
    assert (broken, next_at) == (Break(back, 4), back + 8 * SECOND)
