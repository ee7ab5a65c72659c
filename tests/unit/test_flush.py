"""When what the holding disk holds goes to a volume, and how long that waits for others."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from asyncamanda.core.dispatch.flush import (
    FlushHistory,
    FlushKind,
    FlushPolicy,
    FlushStep,
    Holding,
    decide_flush,
    is_flush_due,
    last_time_of_day,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 12, tzinfo=BERLIN)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
THRESHOLD = FlushPolicy(FlushKind.THRESHOLD, threshold=0.7)
DAILY = FlushPolicy(FlushKind.DAILY, at=time(3, 30))
OFF = FlushPolicy(FlushKind.OFF)
NEVER = FlushHistory()
ASKED = FlushHistory(is_asked=True)


def held(share: float, oldest_at: datetime | None = NOW - 2 * DAY) -> Holding:
    """Return a holding disk that is so full."""
    return Holding(int(share * 1000), 1000, oldest_at if share else None)


@pytest.mark.parametrize("policy", [THRESHOLD, DAILY, OFF])
def test_nothing_is_flushed_where_nothing_is_held(policy: FlushPolicy) -> None:
    """Not even when somebody asks."""
    assert not is_flush_due(held(0), NEVER, policy, NOW)
    assert not is_flush_due(held(0), ASKED, policy, NOW)


@pytest.mark.parametrize("policy", [THRESHOLD, DAILY, OFF])
def test_a_flush_that_somebody_asks_for_is_due(policy: FlushPolicy) -> None:
    """Whatever the policy, and though the last one failed a moment ago."""
    failed = FlushHistory(NOW - MINUTE, has_failed=True, is_asked=True)
    little = held(0.001, NOW - MINUTE)
    assert is_flush_due(little, ASKED, policy, NOW)
    assert is_flush_due(little, failed, policy, NOW)


def test_off_is_off() -> None:
    """However full the holding disk is."""
    assert not is_flush_due(held(1), NEVER, OFF, NOW)


@pytest.mark.parametrize(
    ("share", "is_due"), [(0.01, False), (0.699, False), (0.7, True), (2, True)]
)
def test_a_share_of_the_holding_disk(share: float, is_due: bool) -> None:
    """From the threshold on, for as long as it holds that much."""
    assert is_flush_due(held(share), NEVER, THRESHOLD, NOW) is is_due
    just_made = FlushHistory(NOW - MINUTE)
    assert is_flush_due(held(share), just_made, THRESHOLD, NOW) is is_due


@pytest.mark.parametrize(
    ("hours", "oldest", "last", "is_due"),
    [
        ((3, 29), NOW - 10 * HOUR, None, False),  # made after yesterday's time
        ((3, 30), NOW - 10 * HOUR, None, True),
        ((23, 0), NOW - 10 * HOUR, None, True),  # the server was off at the time
        ((23, 0), NOW - 8 * HOUR, None, False),
        ((23, 0), NOW - 10 * HOUR, NOW - 8 * HOUR, False),  # tried since
        ((23, 0), NOW - 10 * HOUR, NOW - 9 * HOUR, True),  # ... before today's time
        ((3, 29), NOW - 2 * DAY, None, True),  # yesterday's time has passed as well
        ((3, 29), NOW - 2 * DAY, NOW - DAY, False),
        ((3, 30), NOW - 2 * DAY, NOW - DAY, True),
        ((12, 0), None, None, True),  # whose age nobody knows
    ],
)
def test_a_time_of_day(
    hours: tuple[int, int], oldest: datetime | None, last: datetime | None, is_due: bool
) -> None:
    """What was made before the last such moment is due, until a flush was tried after it."""
    now = NOW.replace(hour=hours[0], minute=hours[1])
    assert is_flush_due(held(0.1, oldest), FlushHistory(last), DAILY, now) is is_due


@pytest.mark.parametrize(
    "changes_at", [datetime(2026, 3, 29, tzinfo=BERLIN), datetime(2026, 10, 25, tzinfo=BERLIN)]
)
@pytest.mark.parametrize("at", [time(0, 10), time(3, 30), time(23, 50)])
def test_one_flush_a_day_when_the_clocks_change(changes_at: datetime, at: time) -> None:
    """By the clock on the wall, while a dump is made every ten minutes."""
    policy = FlushPolicy(FlushKind.DAILY, at=at)
    now = (changes_at - DAY).astimezone(UTC)
    history, oldest_at = FlushHistory(now), now
    flushed: list[datetime] = []
    while now < (changes_at + 3 * DAY).astimezone(UTC):
        if is_flush_due(held(0.1, oldest_at), history, policy, now.astimezone(BERLIN)):
            flushed.append(now.astimezone(BERLIN))
            history, oldest_at = FlushHistory(now), now
        now += 10 * MINUTE
    assert {moment.time() for moment in flushed} == {at}
    days = [moment.date() for moment in flushed]
    assert days == [changes_at.date() + n * DAY for n in range(-1, 3)]


@pytest.mark.parametrize("policy", [THRESHOLD, DAILY])
def test_after_one_that_failed_the_next_waits(policy: FlushPolicy) -> None:
    """For `retry_after`; then it is due again, also on the same day."""
    for ago, is_due in ((MINUTE, False), (59 * MINUTE, False), (HOUR, True), (5 * HOUR, True)):
        failed = FlushHistory(NOW - ago, has_failed=True)
        assert is_flush_due(held(0.9), failed, policy, NOW) is is_due


@pytest.mark.parametrize("policy", [THRESHOLD, DAILY])
def test_a_failure_in_the_future_keeps_nothing_waiting(policy: FlushPolicy) -> None:
    """The clock was set back, and nobody knows how long ago it was."""
    failed = FlushHistory(NOW + 400 * DAY, has_failed=True)
    assert is_flush_due(held(0.9), failed, policy, NOW)


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        (NOW.replace(hour=3, minute=30), NOW.replace(hour=3, minute=30)),
        (NOW.replace(hour=3, minute=29), NOW.replace(hour=3, minute=30) - DAY),
        (NOW.replace(minute=5, second=7, microsecond=9), NOW.replace(hour=3, minute=30)),
    ],
)
def test_the_last_time_that_the_clock_showed_it(now: datetime, moment: datetime) -> None:
    """Today if that is over, else yesterday; to the second."""
    assert last_time_of_day(time(3, 30), now) == moment


# -- once it is due

POLICY = FlushPolicy(patience=15 * MINUTE, hold_back=10 * MINUTE)
DUE = FlushHistory(due_since=NOW)
DUE_ASKED = FlushHistory(due_since=NOW, is_asked=True)
NOTHING, WAIT, HOLD_BACK, GO = FlushStep


def decide(history: FlushHistory, after: timedelta, *, is_idle: bool, is_wanted: bool) -> FlushStep:
    """Return the step, so long after it has become due."""
    return decide_flush(history, POLICY, NOW + after, is_idle=is_idle, is_wanted=is_wanted)


@pytest.mark.parametrize("is_wanted", [True, False])
@pytest.mark.parametrize("is_idle", [True, False])
def test_nothing_is_done_while_none_is_due(is_idle: bool, is_wanted: bool) -> None:
    """Whatever else goes on."""
    assert decide(NEVER, HOUR, is_idle=is_idle, is_wanted=is_wanted) is NOTHING


@pytest.mark.parametrize("minutes", [0, 1, 14, 15, 24, 25, 600])
@pytest.mark.parametrize("history", [DUE, DUE_ASKED])
def test_it_goes_in_the_first_gap(history: FlushHistory, minutes: int) -> None:
    """Where nothing runs and nobody waits, at once."""
    assert decide(history, minutes * MINUTE, is_idle=True, is_wanted=False) is GO


def test_under_steady_load_it_holds_runs_back_and_lets_them_go_by_turns() -> None:
    """Patient first; then nobody starts for a while; and so on, for a day if need be."""
    wrong = [
        n
        for n in range(24 * 60)
        if decide(DUE, n * MINUTE, is_idle=False, is_wanted=True)
        is not (WAIT if n % 25 < 15 else HOLD_BACK)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("minutes", "step"), [(0, WAIT), (14, WAIT), (15, GO), (24, GO), (25, WAIT), (40, GO)]
)
def test_who_waits_goes_first_while_it_is_patient(minutes: int, step: FlushStep) -> None:
    """In its turn it goes as soon as nothing runs, whoever waits."""
    assert decide(DUE, minutes * MINUTE, is_idle=True, is_wanted=True) is step


@pytest.mark.parametrize(
    ("minutes", "step"),
    [(0, HOLD_BACK), (9, HOLD_BACK), (10, WAIT), (24, WAIT), (25, HOLD_BACK), (35, WAIT)],
)
def test_one_asked_for_by_hand_begins_with_its_turn(minutes: int, step: FlushStep) -> None:
    """New runs are delayed at once, but not for as long as one client's dump may take."""
    after = minutes * MINUTE
    assert decide(DUE_ASKED, after, is_idle=False, is_wanted=True) is step
    assert decide(DUE_ASKED, after, is_idle=False, is_wanted=False) is step
    assert decide(DUE_ASKED, after, is_idle=True, is_wanted=False) is GO


def test_a_clock_set_back_begins_the_patience_anew() -> None:
    """What is due since the future is due since now."""
    for back in (-MINUTE, -7 * MINUTE, -400 * DAY):
        assert decide(DUE, back, is_idle=False, is_wanted=True) is WAIT
        assert decide(DUE_ASKED, back, is_idle=False, is_wanted=True) is HOLD_BACK
