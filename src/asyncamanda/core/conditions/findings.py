"""What there is, what is wanted, and whether that prevents a backup."""

import unicodedata
from dataclasses import dataclass
from fnmatch import fnmatchcase

from asyncamanda.core.conditions.surroundings import Network
from asyncamanda.core.values.printable import printable

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found and wanted, in words; `holds`: it is a hindrance, None if that is unknown."""

    found: str
    wanted: str
    holds: bool | None


def look_at_load(load: float | None, most: float) -> Reading:
    """Return how the load compares with the most that is allowed."""
    wanted = f"up to {most:g}"
    if load is None:
        return Reading(UNKNOWN, wanted, None)
    return Reading(f"{load:.2f}", wanted, load > most)


def look_at_battery(is_on_battery: bool | None, charge: float | None, least: float) -> Reading:
    """Return how power compares with the least charge that is allowed: above 100, none is."""
    is_mains_only = least > 100
    wanted = "on mains only" if is_mains_only else f"from {least:g} %"
    if is_on_battery is None:
        return Reading(UNKNOWN, wanted, None)
    if not is_on_battery:
        return Reading("mains", wanted, False)
    if charge is None:
        return Reading("battery at an unknown charge", wanted, is_mains_only or None)
    # rounded down, lest it reads "at 30 % (allowed from 30 %)"
    return Reading(f"battery at {int(charge)} %", wanted, is_mains_only or charge < least)


def look_at_networks(
    networks: tuple[Network, ...] | None, allowed: tuple[str, ...], refused: tuple[str, ...]
) -> Reading:
    """Return how the networks compare with patterns of a name, an SSID or a kind."""
    wanted = printable(" or ".join(allowed) or "any")
    if refused:
        wanted += f", but not {printable(' or '.join(refused))}"
    if networks is None:
        return Reading(UNKNOWN, wanted, None)
    if not networks:
        # the connection will fail of itself, and say why
        return Reading("none", wanted, False)
    found = printable(" and ".join(map(_describe, networks)))
    is_allowed = not allowed or is_any_like(networks, allowed)
    return Reading(found, wanted, not is_allowed or is_any_like(networks, refused))


def _describe(network: Network) -> str:
    """Return name and kind, and the SSID if that is not the name."""
    has_other = network.ssid is not None and network.ssid != network.name
    kind = f"{network.kind.value} {network.ssid}" if has_other else network.kind.value
    return f"{network.name} ({kind})"


def is_any_like(networks: tuple[Network, ...], patterns: tuple[str, ...]) -> bool:
    names = [
        _fold(name)
        for network in networks
        for name in (network.name, network.kind.value, network.ssid)
        if name is not None
    ]
    return any(_is_like(name, _fold(pattern)) for name in names for pattern in patterns)


def _is_like(name: str, pattern: str) -> bool:
    """Return whether a name is like a pattern, or has its brackets in the same places."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, pattern.replace("[", "[[]"))


def _fold(text: str) -> str:
    """Return a text so that what looks alike is alike, however its accents are encoded."""
    return unicodedata.normalize("NFC", text).casefold()


def look_at_metered(is_metered: bool | None) -> Reading:
    """Return whether traffic costs money."""
    found = {None: UNKNOWN, True: "metered", False: "not metered"}[is_metered]
    return Reading(found, "not metered", is_metered)
