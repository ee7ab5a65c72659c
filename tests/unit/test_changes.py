"""Which changes of clients are told, how often, and when all at once."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.fleets import DAY, HOUR, NOON, make_client, make_fleet

from asyncamanda.core.fleet.changes import (
    EXPOSED,
    LONGEST_WAIT,
    WELL,
    Fold,
    ToldState,
    decide_fold,
    find_changes,
    plan_telling,
    wait_after,
)
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView

MINUTE = timedelta(minutes=1)


def view(
    state: ClientState, name: str = "laptop", *, alarm: str = "", is_exposed: bool = False
) -> ClientView:
    """A client in that state; it was backed up before NOON."""
    made = make_client(0, name, NOON)
    standing = replace(made.standing, state=state, alarm=alarm, is_exposed=is_exposed)
    return replace(made, standing=standing)


PROTECTED, AWAY = view(ClientState.PROTECTED), view(ClientState.AWAY)
FAILING = view(ClientState.FAILING, alarm="3 runs failed")
OUT_LONG = view(ClientState.AWAY, is_exposed=True)
IS_FAILING = ToldState("failing", NOON - DAY)


def fleet(*views: ClientView) -> FleetView:
    """A fleet of these."""
    return FleetView(NOON, views)


@pytest.mark.parametrize(
    ("now", "told", "news"),
    [
        (PROTECTED, None, None),
        (AWAY, None, None),  # absence is no alarm
        (FAILING, None, "failing"),
        (FAILING, IS_FAILING, None),
        (OUT_LONG, None, EXPOSED),
        (OUT_LONG, IS_FAILING, EXPOSED),
        (view(ClientState.FAILING, alarm="x", is_exposed=True), IS_FAILING, None),
        (view(ClientState.NEVER, alarm="no backup for 3d"), None, "never"),
        (view(ClientState.NEVER), None, None),  # it is new
        (PROTECTED, IS_FAILING, WELL),
        (PROTECTED, ToldState(WELL, NOON - DAY), None),
        (view(ClientState.RUNNING), IS_FAILING, None),  # it tries again, and nobody knows yet
        (view(ClientState.UNKNOWN), IS_FAILING, None),
        (view(ClientState.UNKNOWN), ToldState("failing", NOON - 2 * DAY), None),
    ],
)
def test_alarms_and_their_ends_are_told_once(
    now: ClientView, told: ToldState | None, news: str | None
) -> None:
    """Each change of state; nothing of what is no alarm."""
    before = {"laptop": told} if told else {}
    found = [each.told.state for each in find_changes([now], before, NOON)]
    assert found == ([] if news is None else [news])


def test_a_backup_made_since_ends_an_alarm_whatever_it_waits_for_now() -> None:
    """Between two looks a client may be backed up, and be due again."""
    good = [disk for disk in AWAY.facts.disks if disk.confirmed]
    away = replace(AWAY, facts=replace(AWAY.facts, disks=tuple(good)))
    begun_at = good[0].confirmed and good[0].confirmed.dumped_at
    assert begun_at
    for told_at, news in ((begun_at - MINUTE, [WELL]), (begun_at + MINUTE, [])):
        told = {"laptop": ToldState("failing", told_at)}
        assert [each.told.state for each in find_changes([away], told, NOON)] == news
    told = {"laptop": ToldState("failing", begun_at - MINUTE)}
    assert find_changes([AWAY], told, NOON) == ()  # one of its disks has none


@pytest.mark.parametrize(
    ("changed", "last_hour", "last_hours", "fold"),
    [
        (0, 0, 0, Fold.EACH),
        (1, 0, 0, Fold.EACH),
        (3, 0, 0, Fold.EACH),
        (4, 0, 0, Fold.FOLDED),
        (200, 0, 0, Fold.FOLDED),
        (1, 2, 2, Fold.EACH),
        (1, 3, 3, Fold.FOLDED),
        (1, 4, 4, Fold.WAIT),
        (200, 4, 4, Fold.WAIT),
        (1, 0, 12, Fold.EACH),
        (4, 0, 12, Fold.FOLDED),
        (1, 0, 13, Fold.WAIT),
        (200, 0, 200, Fold.WAIT),
    ],
)
def test_an_office_that_changes_is_one_message(
    changed: int, last_hour: int, last_hours: int, fold: Fold
) -> None:
    """A function of how many changed now, and of how many were told in the last hours."""
    assert decide_fold(changed, last_hour, last_hours) is fold


def test_a_new_ledger_tells_what_stands_in_one_message() -> None:
    """Two alarms already; one is a message in any case."""
    other = view(ClientState.FAILING, "tower", alarm="x")
    (message,) = plan_telling(fleet(FAILING, other), {}).messages
    assert [each.view.facts.client for each in message] == ["laptop", "tower"]
    assert len(plan_telling(fleet(FAILING, other), {"third": IS_FAILING}).messages) == 2
    assert plan_telling(fleet(PROTECTED, AWAY), {}).messages == ()


def test_of_two_hundred_one_message_is_told() -> None:
    """And no other within six hours, when all are well again."""
    many = fleet(*(view(ClientState.AWAY, f"pc{n:03}", is_exposed=True) for n in range(200)))
    (message,) = plan_telling(many, {}).messages
    assert len(message) == 200
    told = {each.view.facts.client: each.told for each in message}
    well = [view(ClientState.PROTECTED, f"pc{n:03}") for n in range(200)]
    for after, messages in ((MINUTE, 0), (HOUR, 0), (6 * HOUR - MINUTE, 0), (6 * HOUR, 1)):
        assert len(plan_telling(FleetView(NOON + after, tuple(well)), told).messages) == messages


def test_who_flaps_is_told_ever_more_rarely() -> None:
    """It changes at each hour's look: eight messages in two days, and then one a day."""
    told: dict[str, ToldState] = {}
    at = []
    for hour in range(24 * 10):
        now = FAILING if hour % 2 == 0 else PROTECTED
        for change in find_changes([now], told, NOON + hour * HOUR):
            told["laptop"] = change.told
            at.append(hour)
    assert at[:6] == [0, 1, 2, 5, 10, 19]
    assert len([hour for hour in at if hour < 48]) <= 8
    assert all(later - hour >= 24 for hour, later in pairwise(at[8:]))


def test_after_two_calm_days_a_change_is_told_at_once_again() -> None:
    """How often it changed before no longer matters."""
    told = {"laptop": ToldState(WELL, NOON - 2 * DAY, 9)}
    (change,) = find_changes([FAILING], told, NOON)
    assert change.told == ToldState("failing", NOON, 1)
    assert find_changes([FAILING], told, NOON - DAY - MINUTE) == ()


@pytest.mark.parametrize(
    ("times", "wait"),
    [(0, 0), (1, 0), (2, 1), (3, 2), (6, 16), (7, 24), (10**6, 24)],
)
def test_the_wait_grows_to_a_day(times: int, wait: int) -> None:
    """In hours."""
    assert wait_after(times) == wait * HOUR <= LONGEST_WAIT


def test_a_clock_that_was_set_back_silences_nobody() -> None:
    """What was told in the future is taken as told long ago."""
    told = {"laptop": ToldState("failing", NOON + 300 * DAY, 9)}
    (change,) = find_changes([PROTECTED], told, NOON)
    assert change.told == ToldState(WELL, NOON, 1)


def test_who_is_lost_or_retired_is_forgotten_silently() -> None:
    """It is not backed up again; and who could not be looked at is not forgotten."""
    told = {"laptop": IS_FAILING, "gone": IS_FAILING}
    for state in (ClientState.LOST, ClientState.RETIRED):
        telling = plan_telling(fleet(view(state)), told)
        assert (telling.messages, telling.forgotten) == ((), ("laptop", "gone"))
    half = replace(fleet(), faults=("daily: amanda.conf cannot be read",))
    assert plan_telling(half, told).forgotten == ()


def test_a_fleet_with_each_state_is_told_by_its_alarms() -> None:
    """As the sample fleets have them."""
    (message,) = plan_telling(make_fleet(60), {}).messages
    states = {each.told.state for each in message}
    assert states == {"failing", "never", EXPOSED}
    assert {each.view.standing.state for each in message}.isdisjoint(
        {ClientState.LOST, ClientState.RETIRED}
    )
