"""Is this a good moment for a backup? Values in; Go, or Deferred with its reasons, out.

The longer the last confirmed backup is ago, the less may prevent the next one: the conditions are
ignored one after another.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import Enum

from asyncamanda.core.conditions.findings import (
    UNKNOWN,
    Reading,
    look_at_battery,
    look_at_load,
    look_at_metered,
    look_at_networks,
)
from asyncamanda.core.conditions.surroundings import Surroundings
from asyncamanda.core.conditions.windows import (
    Window,
    format_wall,
    format_window,
    is_open,
    next_opening,
)

MAINS_ONLY = 101.0  # a charge that no battery has
CRITICAL = 5.0  # percent; UPower's PercentageCritical, soon after which it sends a machine to sleep
FUTURE_AFTER = timedelta(minutes=5)


class Condition(Enum):
    """What can prevent a backup, in the order in which they are ignored."""

    LOAD = "max_load"
    WINDOWS = "windows"
    BATTERY = "on_battery"
    NETWORKS = "networks"
    METERED = "metered"


class Pause(Enum):
    """What happens to a run when the moment is no longer good."""

    FINISH = "finish"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a good moment is.

    `battery_from` is the charge, in percent, from which a backup may run on battery: None is any,
    MAINS_ONLY is none. One of `networks` has to be up, and none of `not_networks` may be; patterns
    of a name, an SSID or a kind. `relax_after` None: no condition is ever ignored.
    """

    battery_from: float | None = 30.0
    is_metered_allowed: bool = False
    networks: tuple[str, ...] = ()
    not_networks: tuple[str, ...] = ()
    windows: tuple[Window, ...] = ()
    max_load: float | None = None
    is_unknown_allowed: bool = True
    relax_after: timedelta | None = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class ConditionFinding:
    """What one condition found and wanted, in words.

    `holds`: it is a hindrance, unless `is_relaxed`: it is ignored. `relaxes_at` None: never.
    `is_critical`: the last of the battery, whatever is configured.
    """

    condition: Condition
    found: str
    wanted: str
    holds: bool
    relaxes_at: datetime | None
    is_relaxed: bool
    is_critical: bool = False


@dataclass(frozen=True, slots=True)
class Go:
    """A good moment, or good enough: conditions that are not met are ignored by now."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now. By time alone it is not over before `until`: None if time alone never ends it.

    `is_by_clock`: only time windows prevent it.
    """

    reasons: tuple[ConditionFinding, ...]
    until: datetime | None
    is_by_clock: bool

    @property
    def is_critical(self) -> bool:
        """Whether the battery is all but empty: then no run goes on, whatever `pause` says."""
        return any(reason.is_critical for reason in self.reasons)


Moment = Go | Deferred


def relaxes_at(condition: Condition, conditions: Conditions, since: datetime) -> datetime | None:
    """Return when the condition is ignored, if nothing is confirmed after `since`; None: never.

    The first does so after `relax_after`, the last after twice that.
    """
    if conditions.relax_after is None:
        return None
    order = tuple(Condition)
    last = len(order) - 1
    return since + conditions.relax_after * (last + order.index(condition)) / last


def decide_moment(
    surroundings: Surroundings,
    conditions: Conditions,
    since: datetime,
    now: datetime,
    zone: tzinfo | None,
) -> Moment:
    """Return whether to start now. `since` is when the last confirmed backup was made.

    Where there was none, it is when the first attempt was. A `since` in the future shows that the
    clock is wrong: what may be ignored is ignored.
    """
    findings = survey_conditions(surroundings, conditions, since, now, zone)
    opening = next_opening(conditions.windows, now, zone)
    return _judge(findings, opening)


def decide_pause(
    surroundings: Surroundings, conditions: Conditions, since: datetime, now: datetime
) -> Deferred | None:
    """Return why a run should not go on: power or network; None if it may go on."""
    lasting = (Condition.BATTERY, Condition.NETWORKS, Condition.METERED)
    findings = _survey_surroundings(surroundings, conditions, since, now)
    moment = _judge((each for each in findings if each.condition in lasting), None)
    return moment if isinstance(moment, Deferred) else None


def may_talk(surroundings: Surroundings, conditions: Conditions) -> bool:
    """Return whether a few words to the server do no harm here, whatever prevents a backup.

    Never without a network, on one that is paid for or not allowed, however old the last backup is,
    or on the last of the battery.
    """
    if surroundings.networks == () or is_critical(surroundings):
        return False
    return not any(
        not conditions.is_unknown_allowed if reading.holds is None else reading.holds
        for condition, reading in _look_around(surroundings, conditions)
        if condition in {Condition.NETWORKS, Condition.METERED}
    )


def survey_conditions(
    surroundings: Surroundings,
    conditions: Conditions,
    since: datetime,
    now: datetime,
    zone: tzinfo | None,
) -> tuple[ConditionFinding, ...]:
    """Return what each condition that is set finds, in the order in which they are ignored."""
    findings = _survey_surroundings(surroundings, conditions, since, now)
    if conditions.windows:
        wanted = " or ".join(map(format_window, conditions.windows))
        is_hindrance = not is_open(conditions.windows, now, zone)
        assessment = Reading(format_wall(now, zone), wanted, is_hindrance)
        findings.append(_find(Condition.WINDOWS, assessment, conditions, since, now))
    order = tuple(Condition)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.condition)))


def explain_deferred(deferred: Deferred) -> str:
    """Return the reasons in one sentence: "deferred, because it runs on battery at 34 % ..."."""
    return "deferred, because " + " and ".join(map(_explain, deferred.reasons))


def _explain(finding: ConditionFinding) -> str:
    sentence = _UNKNOWN if finding.found == UNKNOWN else _HINDRANCE
    if finding.is_critical:
        return _CRITICAL.format(found=finding.found, wanted=finding.wanted)
    return sentence[finding.condition].format(found=finding.found, wanted=finding.wanted)


_HINDRANCE = {
    Condition.LOAD: "the load is {found} (allowed {wanted})",
    Condition.WINDOWS: "it is {found} (allowed {wanted})",
    Condition.BATTERY: "it runs on {found} (allowed {wanted})",
    Condition.NETWORKS: "the network is {found} (allowed {wanted})",
    Condition.METERED: "the network is {found}",
}
_CRITICAL = "it runs on {found} (critically low: allowed {wanted})"
_UNKNOWN = _HINDRANCE | {
    Condition.LOAD: "the load is unknown (allowed {wanted})",
    Condition.BATTERY: "it is unknown whether it runs on battery (allowed {wanted})",
    Condition.NETWORKS: "it is unknown which networks are up (allowed {wanted})",
    Condition.METERED: "it is unknown whether the network is metered",
}


def _judge(findings: Iterable[ConditionFinding], opening: datetime | None) -> Moment:
    reasons = tuple(each for each in findings if each.holds and not each.is_relaxed)
    if not reasons:
        return Go()
    ends = [_ends_at(reason, opening) for reason in reasons]
    known = [end for end in ends if end is not None]
    until = max(known) if len(known) == len(ends) else None
    return Deferred(reasons, until, all(each.condition is Condition.WINDOWS for each in reasons))


def _ends_at(reason: ConditionFinding, opening: datetime | None) -> datetime | None:
    times = [reason.relaxes_at]
    if reason.condition is Condition.WINDOWS:
        times.append(opening)
    return min((time for time in times if time is not None), default=None)


def _survey_surroundings(
    surroundings: Surroundings, conditions: Conditions, since: datetime, now: datetime
) -> list[ConditionFinding]:
    found = [
        _find(condition, assessment, conditions, since, now)
        for condition, assessment in _look_around(surroundings, conditions)
    ]
    if not is_critical(surroundings):
        return found
    others = (each for each in found if each.condition is not Condition.BATTERY)
    return [_find_critical(surroundings), *others]


def is_critical(surroundings: Surroundings) -> bool:
    """Return whether the machine is known to be on the last of its battery."""
    charge = surroundings.battery
    return surroundings.is_on_battery is True and charge is not None and charge <= CRITICAL


def _find_critical(surroundings: Surroundings) -> ConditionFinding:
    assessment = look_at_battery(True, surroundings.battery, CRITICAL)
    wanted = f"above {CRITICAL:g} %"
    return ConditionFinding(
        Condition.BATTERY, assessment.found, wanted, True, None, False, is_critical=True
    )


def _look_around(
    surroundings: Surroundings, conditions: Conditions
) -> Iterator[tuple[Condition, Reading]]:
    """Yield what each condition that is set, other than the windows, finds."""
    if conditions.max_load is not None:
        yield Condition.LOAD, look_at_load(surroundings.load, conditions.max_load)
    if conditions.battery_from is not None:
        is_on_battery, charge = surroundings.is_on_battery, surroundings.battery
        yield Condition.BATTERY, look_at_battery(is_on_battery, charge, conditions.battery_from)
    if conditions.networks or conditions.not_networks:
        allowed, refused = conditions.networks, conditions.not_networks
        yield Condition.NETWORKS, look_at_networks(surroundings.networks, allowed, refused)
    if not conditions.is_metered_allowed:
        yield Condition.METERED, look_at_metered(surroundings.is_metered)


def _find(
    condition: Condition,
    assessment: Reading,
    conditions: Conditions,
    since: datetime,
    now: datetime,
) -> ConditionFinding:
    holds = not conditions.is_unknown_allowed if assessment.holds is None else assessment.holds
    if since > now + FUTURE_AFTER:
        since = now - 2 * (conditions.relax_after or timedelta(0))
    at = relaxes_at(condition, conditions, since)
    return ConditionFinding(
        condition, assessment.found, assessment.wanted, holds, at, at is not None and at <= now
    )
