"""Is this a good moment? Each condition, and how it is ignored."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from asyncamanda.core.conditions.judge import (
    MAINS_ONLY,
    Condition,
    ConditionFinding,
    Conditions,
    Deferred,
    Go,
    Moment,
    decide_moment,
    decide_pause,
    explain_deferred,
    relaxes_at,
    survey_conditions,
)
from asyncamanda.core.conditions.surroundings import LinkKind, Network, Surroundings
from asyncamanda.core.conditions.windows import parse_window

NOW = datetime(2026, 11, 23, 19, 15, tzinfo=UTC)  # a Monday, 20:15 in Berlin
BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
RECENT = NOW - DAY

HOME = Network("Home", LinkKind.WIFI, "home-5g")
PHONE = Network("wlan0", LinkKind.WIFI, "My Phone")
DOCK = Network("enp0s31f6", LinkKind.ETHERNET)
TUNNEL = Network("office", LinkKind.VPN)
NOTHING_SET = Conditions(battery_from=None, is_metered_allowed=True)
OFFICE_HOURS = replace(NOTHING_SET, windows=(parse_window("Mon..Fri 08:00-19:00"),))
ALL = Conditions(
    battery_from=50.0,
    networks=("office",),
    windows=OFFICE_HOURS.windows,
    max_load=2.0,
)
WORST = Surroundings(
    is_on_battery=True, battery=34.0, is_metered=True, networks=(PHONE,), load=3.25
)


LAST_CHARGE = Surroundings(is_on_battery=True, battery=5.0, is_metered=False)


def decide(
    surroundings: Surroundings,
    conditions: Conditions,
    since: datetime = RECENT,
    now: datetime = NOW,
) -> Moment:
    """Decide in Berlin."""
    return decide_moment(surroundings, conditions, since, now, BERLIN)


def named(findings: tuple[ConditionFinding, ...]) -> list[str]:
    """Return the names of the conditions that found something."""
    return [finding.condition.value for finding in findings]


BATTERY = replace(NOTHING_SET, battery_from=50.0)
MAINS = replace(NOTHING_SET, battery_from=MAINS_ONLY)
UNMETERED = replace(NOTHING_SET, is_metered_allowed=False)
LOADED = replace(NOTHING_SET, max_load=2.0)
OFFICE = replace(NOTHING_SET, networks=("off*", "HOME-?g"))
NO_PHONE = replace(NOTHING_SET, not_networks=("*phone", "wwan"))
BRACKETS = replace(NOTHING_SET, networks=("cafe [5 ghz]", "[guests]*", "floor [12]"))
COMPOSED = replace(NOTHING_SET, networks=("b\u00fcro",))
DECOMPOSED = replace(NOTHING_SET, networks=("bu\u0308ro",))
BOTH = replace(NOTHING_SET, networks=("*",), not_networks=("vpn",))


def on_battery(charge: float | None) -> Surroundings:
    """Return what is seen on battery, with nothing else known."""
    return Surroundings(is_on_battery=True, battery=charge)


@pytest.mark.parametrize(
    ("conditions", "surroundings", "verdict"),
    [
        (NOTHING_SET, WORST, "go"),
        (BATTERY, Surroundings(is_on_battery=False, battery=1.0), "go"),
        (BATTERY, on_battery(50.0), "go"),
        (BATTERY, on_battery(49.9), "deferred"),
        (BATTERY, on_battery(None), "unknown"),
        (BATTERY, Surroundings(battery=10.0), "unknown"),
        (MAINS, on_battery(100.0), "deferred"),
        (MAINS, on_battery(104.0), "deferred"),
        (MAINS, on_battery(None), "deferred"),
        (MAINS, Surroundings(is_on_battery=False), "go"),
        (MAINS, Surroundings(), "unknown"),
        (UNMETERED, Surroundings(is_metered=True), "deferred"),
        (UNMETERED, Surroundings(is_metered=False), "go"),
        (UNMETERED, Surroundings(), "unknown"),
        (LOADED, Surroundings(load=2.0), "go"),
        (LOADED, Surroundings(load=2.01), "deferred"),
        (LOADED, Surroundings(), "unknown"),
        (OFFICE, Surroundings(networks=(TUNNEL,)), "go"),
        (OFFICE, Surroundings(networks=(PHONE, HOME)), "go"),
        (OFFICE, Surroundings(networks=(PHONE, DOCK)), "deferred"),
        (OFFICE, Surroundings(networks=()), "go"),
        (OFFICE, Surroundings(), "unknown"),
        (NO_PHONE, Surroundings(networks=(HOME,)), "go"),
        (NO_PHONE, Surroundings(networks=(HOME, PHONE)), "deferred"),
        (NO_PHONE, Surroundings(networks=(Network("lte", LinkKind.WWAN),)), "deferred"),
        (NO_PHONE, Surroundings(networks=()), "go"),
        (NO_PHONE, Surroundings(), "unknown"),
        (BRACKETS, Surroundings(networks=(Network("Cafe [5 GHz]", LinkKind.WIFI),)), "go"),
        (BRACKETS, Surroundings(networks=(Network("[guests] upstairs", LinkKind.WIFI),)), "go"),
        (BRACKETS, Surroundings(networks=(Network("floor 2", LinkKind.WIFI),)), "go"),
        (BRACKETS, Surroundings(networks=(Network("floor 3", LinkKind.WIFI),)), "deferred"),
        (COMPOSED, Surroundings(networks=(Network("Bu\u0308ro", LinkKind.WIFI),)), "go"),
        (DECOMPOSED, Surroundings(networks=(Network("wlan0", LinkKind.WIFI, "B\u00fcro"),)), "go"),
        (BOTH, Surroundings(networks=(DOCK,)), "go"),
        (BOTH, Surroundings(networks=(DOCK, TUNNEL)), "deferred"),
        (OFFICE_HOURS, Surroundings(), "deferred"),
        (replace(OFFICE_HOURS, windows=(parse_window("20:00-21:00"),)), WORST, "go"),
    ],
)
def test_each_condition_holds_back_what_it_should(
    conditions: Conditions, surroundings: Surroundings, verdict: str
) -> None:
    """What is unknown does so only where that is asked for."""
    lenient = decide(surroundings, replace(conditions, is_unknown_allowed=True))
    strict = decide(surroundings, replace(conditions, is_unknown_allowed=False))
    assert isinstance(lenient, Deferred) is (verdict == "deferred")
    assert isinstance(strict, Deferred) is (verdict != "go")


def test_nothing_is_known_and_nothing_asked_for() -> None:
    """A machine that tells nothing backs up, by what is set where nothing was set."""
    assert decide(Surroundings(), Conditions()) == Go()


def test_conditions_give_in_one_after_another() -> None:
    """From `relax_after` to twice that: first the load, last what costs money."""
    since = NOW - 3 * DAY
    times = [relaxes_at(condition, ALL, since) for condition in Condition]
    assert times == [NOW + quarter * 18 * HOUR for quarter in range(5)]


@pytest.mark.parametrize(
    ("age", "reasons"),
    [
        (0 * DAY, ["max_load", "windows", "on_battery", "networks", "metered"]),
        (3 * DAY - timedelta.resolution, [each.value for each in Condition]),
        (3 * DAY, ["windows", "on_battery", "networks", "metered"]),
        (3.75 * DAY, ["on_battery", "networks", "metered"]),
        (4.5 * DAY, ["networks", "metered"]),
        (5.25 * DAY, ["metered"]),
        (6 * DAY, []),
        (400 * DAY, []),
    ],
)
def test_the_staler_the_backup_the_less_holds_it_back(age: timedelta, reasons: list[str]) -> None:
    """And what was ignored is told, whatever the verdict."""
    now = NOW.replace(hour=3) + 7 * DAY  # closed, whichever day `since` makes it
    moment = decide(WORST, ALL, now - age, now)
    if isinstance(moment, Deferred):
        assert named(moment.reasons) == reasons
    else:
        assert reasons == []
    findings = survey_conditions(WORST, ALL, now - age, now, BERLIN)
    assert [each.condition.value for each in findings if not each.is_relaxed] == reasons
    assert all(each.holds for each in findings)


def test_what_never_gives_in_is_not_outwaited() -> None:
    """With `relax_after` unset, ten years do not help, nor does a wrong clock."""
    never = replace(ALL, relax_after=None)
    for since in (NOW - 3650 * DAY, NOW + 3650 * DAY):
        moment = decide(WORST, never, since)
        assert isinstance(moment, Deferred)
        assert len(moment.reasons) == 5
        assert moment.until is None


@pytest.mark.parametrize(
    ("ahead", "is_go"), [(HOUR / 12, False), (HOUR / 12 + timedelta.resolution, True), (HOUR, True)]
)
def test_a_backup_in_the_future_is_no_evidence(ahead: timedelta, is_go: bool) -> None:
    """A clock that was set back must not make an old backup a fresh one."""
    assert isinstance(decide(WORST, ALL, NOW + ahead), Go) is is_go
    assert (decide_pause(WORST, ALL, NOW + ahead, NOW) is None) is is_go


def test_a_backup_at_the_end_of_time_is_no_evidence_either() -> None:
    """Whatever the server's clock made of it."""
    assert isinstance(decide(WORST, ALL, datetime.max.replace(tzinfo=UTC)), Go)


def test_a_machine_that_slept_finds_everything_given_in() -> None:
    """The hours of a suspend count as any others."""
    since = NOW - 2 * DAY
    assert isinstance(decide(WORST, ALL, since, NOW), Deferred)
    assert isinstance(decide(WORST, ALL, since, NOW + 5 * DAY), Go)


@pytest.mark.parametrize(
    ("conditions", "since", "until"),
    [
        # the window opens before it is ignored
        (OFFICE_HOURS, NOW - DAY, "2026-11-24T07:00"),
        # it is ignored before the window opens
        (OFFICE_HOURS, NOW - 3.75 * DAY + HOUR, "2026-11-23T20:15"),
        (replace(OFFICE_HOURS, relax_after=None), NOW - DAY, "2026-11-24T07:00"),
        # power is ignored after four days and a half
        (replace(OFFICE_HOURS, battery_from=50.0), NOW - 4 * DAY, "2026-11-24T07:15"),
        # the window opens tomorrow, power is ignored the day after
        (replace(OFFICE_HOURS, battery_from=50.0), NOW - 3 * DAY, "2026-11-25T07:15"),
        (replace(BATTERY, relax_after=DAY), NOW - HOUR, "2026-11-25T06:15"),
        (replace(BATTERY, relax_after=None), NOW - HOUR, None),
        (replace(OFFICE_HOURS, battery_from=50.0, relax_after=None), NOW - HOUR, None),
    ],
)
def test_a_deferral_says_until_when_by_the_clock_alone(
    conditions: Conditions, since: datetime, until: str | None
) -> None:
    """The last of its reasons counts; None if only the surroundings can end it."""
    moment = decide(WORST, conditions, since)
    assert isinstance(moment, Deferred)
    expected = None if until is None else datetime.fromisoformat(until).replace(tzinfo=UTC)
    assert moment.until == expected
    assert moment.is_by_clock is (conditions.battery_from is None)


def test_the_day_on_which_clocks_go_forward_has_its_own_opening() -> None:
    """A window that starts in the hour that is left out opens right after it."""
    night = replace(NOTHING_SET, windows=(parse_window("02:30-05:00"),))
    now = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    moment = decide(Surroundings(), night, now - DAY, now)
    assert isinstance(moment, Deferred)
    assert moment.until == now + HOUR / 2
    assert decide(Surroundings(), night, now - DAY, moment.until) == Go()


def test_a_run_is_paused_by_power_and_network_alone() -> None:
    """Neither a window that closes nor the load that it makes itself ends it."""
    pause = decide_pause(WORST, ALL, RECENT, NOW)
    assert pause is not None
    assert named(pause.reasons) == ["on_battery", "networks", "metered"]
    assert not pause.is_by_clock
    calm = replace(WORST, is_on_battery=False, is_metered=False, networks=(TUNNEL,))
    assert decide_pause(calm, ALL, RECENT, NOW) is None
    assert decide_pause(calm, NOTHING_SET, RECENT, NOW) is None


def test_a_run_is_not_paused_by_what_has_given_in() -> None:
    """Else it would start and stop forever."""
    assert decide_pause(WORST, ALL, NOW - 6 * DAY, NOW) is None
    pause = decide_pause(WORST, ALL, NOW - 4.5 * DAY, NOW)
    assert pause is not None
    assert named(pause.reasons) == ["networks", "metered"]


def test_only_what_is_set_is_surveyed() -> None:
    """With what was found and wanted, hindrance or not."""
    assert survey_conditions(WORST, NOTHING_SET, RECENT, NOW, BERLIN) == ()
    at_home = Surroundings(False, 100.0, None, (HOME, DOCK), 0.5)
    conditions = replace(ALL, not_networks=("vpn", "*phone*"))
    found = [
        (each.condition.value, each.found, each.wanted, each.holds)
        for each in survey_conditions(at_home, conditions, RECENT, NOW, BERLIN)
    ]
    assert found == [
        ("max_load", "0.50", "up to 2", False),
        ("windows", "Mon 20:15", "Mon..Fri 08:00-19:00", True),
        ("on_battery", "mains", "from 50 %", False),
        (
            "networks",
            "Home (wifi home-5g) and enp0s31f6 (ethernet)",
            "office, but not vpn or *phone*",
            True,
        ),
        ("metered", "unknown", "not metered", False),
    ]


@pytest.mark.parametrize(
    ("surroundings", "conditions", "sentence"),
    [
        (
            WORST,
            replace(BATTERY, is_metered_allowed=False),
            "deferred, because it runs on battery at 34 % (allowed from 50 %) "
            "and the network is metered",
        ),
        (
            on_battery(29.9),
            Conditions(),
            "deferred, because it runs on battery at 29 % (allowed from 30 %)",
        ),
        (WORST, MAINS, "deferred, because it runs on battery at 34 % (allowed on mains only)"),
        (WORST, LOADED, "deferred, because the load is 3.25 (allowed up to 2)"),
        (
            WORST,
            OFFICE_HOURS,
            "deferred, because it is Mon 20:15 (allowed Mon..Fri 08:00-19:00)",
        ),
        (
            WORST,
            OFFICE,
            "deferred, because the network is wlan0 (wifi My Phone) (allowed off* or HOME-?g)",
        ),
        (
            Surroundings(networks=(Network("evil\x1b[2J\nx", LinkKind.OTHER),)),
            OFFICE,
            "deferred, because the network is evil\\x1b[2J\\x0ax (other) (allowed off* or HOME-?g)",
        ),
        (
            Surroundings(),
            replace(BATTERY, is_metered_allowed=False, is_unknown_allowed=False, max_load=2.0),
            "deferred, because the load is unknown (allowed up to 2) and it is unknown whether "
            "it runs on battery (allowed from 50 %) and it is unknown whether the network is "
            "metered",
        ),
        (
            Surroundings(),
            replace(NO_PHONE, is_unknown_allowed=False),
            "deferred, because it is unknown which networks are up "
            "(allowed any, but not *phone or wwan)",
        ),
        (
            on_battery(None),
            replace(BATTERY, is_unknown_allowed=False),
            "deferred, because it runs on battery at an unknown charge (allowed from 50 %)",
        ),
    ],
)
def test_a_deferral_is_explained_in_a_sentence(
    surroundings: Surroundings, conditions: Conditions, sentence: str
) -> None:
    """With what was found and what is allowed; what a network calls itself does no harm."""
    moment = decide(surroundings, conditions)
    assert isinstance(moment, Deferred)
    assert explain_deferred(moment) == sentence


# -- the last of the battery


@pytest.mark.parametrize("wanted", [NOTHING_SET, Conditions(), ALL])
@pytest.mark.parametrize("age", [HOUR, 30 * DAY])
def test_the_last_of_the_battery_is_never_spent(wanted: Conditions, age: timedelta) -> None:
    """Whatever is allowed, and however old the last backup is: nothing starts, nothing goes on."""
    moment = decide(LAST_CHARGE, wanted, NOW - age)
    pause = decide_pause(LAST_CHARGE, wanted, NOW - age, NOW)
    assert isinstance(moment, Deferred)
    assert pause
    assert pause.is_critical
    assert "it runs on battery at 5 % (critically low: allowed above 5 %)" in explain_deferred(
        pause
    )


@pytest.mark.parametrize(
    "found",
    [
        replace(LAST_CHARGE, battery=5.1),
        replace(LAST_CHARGE, is_on_battery=False),
        replace(LAST_CHARGE, is_on_battery=None),
        replace(LAST_CHARGE, battery=None),
    ],
)
def test_only_a_known_low_charge_on_battery_is_critical(found: Surroundings) -> None:
    """A little more of it, mains, or what nobody knows is a matter of the settings."""
    assert decide_pause(found, NOTHING_SET, RECENT, NOW) is None


def test_a_low_charge_that_is_merely_not_wanted_is_not_critical() -> None:
    """So `pause` decides what happens to a run."""
    pause = decide_pause(WORST, ALL, RECENT, NOW)
    assert pause
    assert not pause.is_critical
