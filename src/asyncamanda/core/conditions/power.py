"""What UPower, or else the kernel, says about power."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

SUPPLY_ATTRIBUTES = (
    "type",
    "scope",
    "online",
    "present",
    "status",
    "capacity",
    "energy_full",
    "charge_full",
)

_BATTERIES = frozenset({"Battery", "UPS"})
_FULL_MEASURES = ("energy_full", "charge_full")


@dataclass(frozen=True, slots=True)
class Power:
    """Whether the machine is on battery, and the charge in percent of all batteries together."""

    is_on_battery: bool | None = None
    battery: float | None = None


def parse_on_battery(properties: Mapping[str, object]) -> bool | None:
    """Return what org.freedesktop.UPower says; None if it says nothing."""
    value = properties.get("OnBattery")
    return value if isinstance(value, bool) else None


def parse_display_device(properties: Mapping[str, object]) -> float | None:
    """Return the charge that UPower would show, in percent; None if there is no battery."""
    level = properties.get("Percentage")
    if properties.get("IsPresent") is not True or isinstance(level, bool):
        return None
    return _in_range(float(level)) if isinstance(level, int | float) else None


def interpret_supplies(supplies: Collection[Mapping[str, str]]) -> Power:
    """Return what all of /sys/class/power_supply means: a mapping of attributes for each.

    A mouse's battery (scope Device) is not the machine's. A machine without a battery is on
    mains, whatever its supplies say.
    """
    own = [supply for supply in supplies if supply.get("scope") != "Device"]
    batteries = [
        supply
        for supply in own
        if supply.get("type") in _BATTERIES and supply.get("present") != "0"
    ]
    sources = [supply for supply in own if supply.get("type") not in _BATTERIES]
    return Power(_decide_on_battery(batteries, sources), _weigh(batteries))


def _decide_on_battery(
    batteries: list[Mapping[str, str]], sources: list[Mapping[str, str]]
) -> bool | None:
    mains = {source.get("online") for source in sources if source.get("type") == "Mains"}
    others = {source.get("online") for source in sources if source.get("type") != "Mains"}
    states = {battery.get("status") for battery in batteries}
    if not batteries or "1" in mains:
        return False
    # a USB port of type C is "online" too where it feeds a telephone, so it comes second
    if "Discharging" in states:
        return True
    if "1" in others:
        return False
    if "0" in mains:
        return True
    return False if states & {"Charging", "Full", "Not charging"} else None


def _weigh(batteries: list[Mapping[str, str]]) -> float | None:
    levels = [(battery, _number(battery.get("capacity"))) for battery in batteries]
    known = [(battery, level) for battery, level in levels if level is not None]
    if not known:
        return None
    weights = [1.0] * len(known)
    for measure in _FULL_MEASURES:
        sizes = [_number(battery.get(measure)) or 0.0 for battery, _ in known]
        if all(size > 0 for size in sizes):
            weights = sizes
            break
    total = sum(weight * level for weight, (_, level) in zip(weights, known, strict=True))
    return _in_range(total / sum(weights))


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdecimal() else None


def _in_range(level: float) -> float | None:
    return level if 0 <= level <= 100 else None
