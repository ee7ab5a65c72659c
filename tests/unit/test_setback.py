"""What fails and has to be done is tried later each time, and reported once."""

from datetime import UTC, datetime, timedelta

from asyncamanda.core.dispatch.setback import LONGEST, Setback, bear_failure

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_waits_double_up_to_a_minute() -> None:
    """However often it fails."""
    setback, waits = None, []
    for _ in range(40):
        setback, _ = bear_failure(setback, "no room", NOON)
        waits.append((setback.until - NOON).total_seconds())
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert {*waits[8:]} == {60}


def test_a_reason_is_news_once() -> None:
    """And again when it is another."""
    first, is_first_news = bear_failure(None, "no room", NOON)
    second, is_second_news = bear_failure(first, "no room", NOON)
    _, is_third_news = bear_failure(second, "no such program", NOON)
    assert (is_first_news, is_second_news, is_third_news) == (True, False, True)


def test_it_is_on_until_its_time() -> None:
    """A clock that was set back ends it as well."""
    setback = Setback(3, "no room", NOON + 4 * SECOND)
    assert setback.is_on(NOON)
    assert not setback.is_on(NOON + 4 * SECOND)
    assert not setback.is_on(NOON - LONGEST)


def test_it_tells_nothing_of_later_days() -> None:
    """Nobody may have wanted anything since."""
    setback = Setback(3, "no room", NOON + 4 * SECOND)
    assert setback.is_recent(NOON + 4 * SECOND)
    assert not setback.is_recent(NOON + 4 * SECOND + LONGEST)
