"""When to try again, and what cuts the wait short."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.agent.retry import fingerprint, plan_retry, retry_at, spread_offset
from asyncamanda.core.conditions.surroundings import LinkKind, Network, Surroundings

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
HOME = Network("Home", LinkKind.WIFI, "home-5g")
DOCK = Network("enp0s31f6", LinkKind.ETHERNET)
HERE = Surroundings(
    is_on_battery=False, battery=80.0, is_metered=False, networks=(HOME, DOCK), load=0.5
)


@pytest.mark.parametrize(
    ("tries", "chance", "wait"),
    [
        (0, 1.0, 5 * MINUTE),
        (0, 0.5, 2.5 * MINUTE),
        (0, 0.0, 0 * MINUTE),
        (1, 1.0, 10 * MINUTE),
        (3, 1.0, 40 * MINUTE),
        (3, 0.25, 10 * MINUTE),
        (4, 1.0, HOUR),
        (10**9, 1.0, HOUR),
        (-1, 1.0, 5 * MINUTE),
    ],
)
def test_the_wait_doubles_up_to_its_limit(tries: int, chance: float, wait: timedelta) -> None:
    """And chance says how much of it a client waits."""
    assert plan_retry(tries, HOUR, chance) == wait


@pytest.mark.parametrize(
    ("ahead", "is_awaited"),
    [
        (-1 * MINUTE, False),
        (0 * MINUTE, False),
        (timedelta.resolution, True),
        (HOUR, True),
        (HOUR + 5 * MINUTE, True),
        (HOUR + 5 * MINUTE + timedelta.resolution, False),
        (timedelta(days=4_000), False),
    ],
)
def test_a_wait_ends_at_its_time_or_where_it_cannot_have_been_planned(
    ahead: timedelta, is_awaited: bool
) -> None:
    """A clock that was set back does not make it last for years."""
    assert retry_at(NOW + ahead, NOW, HOUR) == (NOW + ahead if is_awaited else None)


def test_nothing_planned_is_nothing_to_wait_for() -> None:
    """As after a success."""
    assert retry_at(None, NOW, HOUR) is None


def test_a_clients_offset_never_changes() -> None:
    """Not with Python's seed nor its version: the figures are those of the hash."""
    assert spread_offset("laptop7", HOUR) == timedelta(seconds=2919, microseconds=437426)
    assert spread_offset("", timedelta(0)) == timedelta(0)
    assert spread_offset("caf\udce9", HOUR) < HOUR


def test_the_fingerprint_tells_power_and_networks() -> None:
    """In whatever order the networks are listed."""
    expected = (
        "power=mains metered=no networks="
        "[('Home', 'wifi', 'home-5g'), ('enp0s31f6', 'ethernet', '')]"
    )
    assert fingerprint(HERE) == expected
    assert fingerprint(replace(HERE, networks=(DOCK, HOME))) == expected
    assert fingerprint(Surroundings()) == "power=? metered=? networks=?"


@pytest.mark.parametrize(
    ("other", "is_another"),
    [
        (replace(HERE, battery=20.0), False),
        (replace(HERE, load=9.0), False),
        (replace(HERE, is_on_battery=True), True),
        (replace(HERE, is_on_battery=None), True),
        (replace(HERE, is_metered=True), True),
        (replace(HERE, is_metered=None), True),
        (replace(HERE, networks=(HOME,)), True),
        (replace(HERE, networks=()), True),
        (replace(HERE, networks=None), True),
        (replace(HERE, networks=(replace(HOME, ssid="guest"), DOCK)), True),
        (replace(HERE, networks=(replace(HOME, kind=LinkKind.WWAN), DOCK)), True),
    ],
)
def test_the_fingerprint_differs_where_a_wait_should_end(
    other: Surroundings, is_another: bool
) -> None:
    """What changes all the time does not count."""
    assert (fingerprint(other) != fingerprint(HERE)) is is_another
