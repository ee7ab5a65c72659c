"""When the server is told that a due backup waits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.agent.deferral import DeferralTold, decide_telling
from asyncamanda.core.conditions.judge import (
    Condition,
    ConditionFinding,
    Conditions,
    Deferred,
    may_talk,
)
from asyncamanda.core.conditions.surroundings import LinkKind, Network, Surroundings
from asyncamanda.core.model import Attempt, Memory, Outcome

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SINCE = NOW - 8 * HOUR
MEMORY = Memory(NOW, attempts=(Attempt(SINCE, NOW - MINUTE, Outcome.DEFERRED),), ticket="7-0a")
TOLD = DeferralTold(NOW - 2 * HOUR, SINCE, "on_battery", is_heard=True)
DOCK = Network("dock", LinkKind.ETHERNET)
HOTEL = Network("Hotel", LinkKind.WIFI)


def defer(*conditions: Condition, found: str = "battery at 34 %") -> Deferred:
    """Return a moment that is not good by these conditions."""
    reasons = [ConditionFinding(each, found, "", True, None, False) for each in conditions]
    return Deferred(tuple(reasons), None, is_by_clock=False)


BATTERY = defer(Condition.BATTERY)
BOTH = defer(Condition.LOAD, Condition.BATTERY)


@pytest.mark.parametrize(
    ("told", "deferred", "is_told"),
    [
        (None, BATTERY, True),
        (TOLD, BATTERY, False),
        (TOLD, defer(Condition.BATTERY, found="battery at 33 %"), False),
        (TOLD, BOTH, True),
        (replace(TOLD, at=NOW - 59 * MINUTE), BOTH, False),
        (replace(TOLD, at=NOW - 6 * HOUR), BATTERY, True),
        (replace(TOLD, at=NOW - 6 * HOUR + MINUTE), BATTERY, False),
        (replace(TOLD, is_heard=False), BATTERY, True),
        (replace(TOLD, is_heard=False, at=NOW - 59 * MINUTE), BATTERY, False),
        (replace(TOLD, since=SINCE - HOUR), BATTERY, True),
        (replace(TOLD, since=SINCE - HOUR, at=NOW - MINUTE), BATTERY, False),
        (replace(TOLD, at=NOW + 400 * 24 * HOUR), BATTERY, True),  # the clock was set back
    ],
)
def test_a_deferral_is_told_once_and_then_now_and_then(
    told: DeferralTold | None, deferred: Deferred, is_told: bool
) -> None:
    """Sooner if the reason is another, or if nobody heard of it; never at each start."""
    telling = decide_telling(told, MEMORY, deferred, NOW)
    assert (telling is not None) is is_told
    if telling:
        assert (telling.at, telling.since, telling.is_heard) == (NOW, SINCE, False)


@pytest.mark.parametrize(
    "memory",
    [
        Memory(NOW, ticket="7-0a"),
        replace(MEMORY, ticket=""),
        replace(MEMORY, attempts=(Attempt(SINCE, NOW, Outcome.UNREACHABLE),)),
    ],
)
def test_what_is_not_remembered_as_put_off_is_not_told(memory: Memory) -> None:
    """Nor by a machine that the server does not know."""
    assert decide_telling(None, memory, BATTERY, NOW) is None


def test_a_deferral_that_began_later_than_now_began_now() -> None:
    """The clock was set back, and no report says less than nothing."""
    telling = decide_telling(None, MEMORY, BATTERY, SINCE - HOUR)
    assert telling is not None
    assert telling.since == SINCE - HOUR


@pytest.mark.parametrize(
    ("surroundings", "may", "strictly"),
    [
        (Surroundings(is_on_battery=True, battery=20, is_metered=False, networks=(DOCK,)), 1, 1),
        (Surroundings(is_on_battery=True, battery=4, is_metered=False, networks=(DOCK,)), 0, 0),
        (Surroundings(is_metered=True, networks=(DOCK,)), 0, 0),
        (Surroundings(is_metered=False, networks=()), 0, 0),
        (Surroundings(is_metered=False, networks=(HOTEL,)), 0, 0),
        (Surroundings(is_metered=False, networks=(DOCK,), load=9.0), 1, 1),
        (Surroundings(networks=(DOCK,)), 1, 0),
        (Surroundings(is_metered=False), 1, 0),
    ],
)
def test_the_server_is_told_only_where_a_network_is_right(
    surroundings: Surroundings, may: int, strictly: int
) -> None:
    """Whatever the backup's age has relaxed; what is unknown counts as it does for a backup."""
    lenient = Conditions(networks=("dock",), max_load=2.0)
    assert may_talk(surroundings, lenient) is bool(may)
    strict = replace(lenient, is_unknown_allowed=False)
    assert may_talk(surroundings, strict) is bool(strictly)
