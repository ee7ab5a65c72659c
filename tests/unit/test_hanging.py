"""A start that does not end is an excuse for a while, and is reported in the end."""

from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.agent.hanging import EXCUSED_FOR, is_excuse, tells_at

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("since", "excuse"),
    [
        (NOW, True),
        (NOW - 23 * HOUR, True),
        (NOW - DAY, False),
        (NOW - 30 * DAY, False),
        (NOW + MINUTE, True),  # a clock that was corrected
        (NOW + HOUR, False),  # one that was wrong by years would excuse for years
        (None, False),
    ],
)
def test_a_start_that_runs_is_an_excuse_for_a_day(since: datetime | None, excuse: bool) -> None:
    """However it came to hang."""
    assert is_excuse(since, NOW) is excuse


def test_a_backup_that_gets_stale_while_a_start_waits_is_told_of_at_once() -> None:
    """It had its time before."""
    assert tells_at(NOW + 5 * DAY, NOW) == NOW + 5 * DAY


def test_one_that_was_stale_before_gives_the_start_its_time() -> None:
    """Nobody is alarmed after each holiday."""
    assert tells_at(NOW - 20 * DAY, NOW) == NOW + EXCUSED_FOR
    assert tells_at(NOW, NOW) == NOW + EXCUSED_FOR
