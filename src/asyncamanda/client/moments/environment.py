"""The machine's surroundings: asked of UPower and NetworkManager, else of the kernel.

Asking starts nothing, takes two seconds at most, and whatever cannot be known is None.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from asyncamanda.core.conditions.links import LINK_ATTRIBUTES, has_default_route, parse_link
from asyncamanda.core.conditions.networkmanager import (
    ActiveConnection,
    Connectivity,
    is_tunnelled,
    is_unmanaged,
    parse_connection,
    parse_metered,
    parse_path,
    parse_paths,
    parse_reach,
    parse_ssid,
    sum_up_cost,
)
from asyncamanda.core.conditions.power import (
    SUPPLY_ATTRIBUTES,
    Power,
    interpret_supplies,
    parse_display_device,
    parse_on_battery,
)
from asyncamanda.core.conditions.surroundings import LinkKind, Network, Surroundings
from asyncamanda.system import clock
from asyncamanda.system.bus import Bus, BusRefused, Unavailable, open_system_bus

_UPOWER, _UPOWER_PATH = "org.freedesktop.UPower", "/org/freedesktop/UPower"
_NM, _NM_PATH = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager"
_AWAIT_EVERY = 0.25  # seconds


@dataclass(frozen=True, slots=True)
class Kernel:
    """Where the kernel shows what it knows."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")


def look_at_surroundings(kernel: Kernel | None = None) -> Surroundings:
    """Return the machine's surroundings now; None for what cannot be known."""
    kernel = kernel or Kernel()
    with ExitStack() as stack:
        bus = None
        with suppress(Unavailable):
            bus = stack.enter_context(open_system_bus())
        power = _look_at_power(bus, kernel)
        is_metered, networks = _look_at_networks(bus, kernel)
    load = None
    with suppress(OSError):
        load = os.getloadavg()[0]
    return Surroundings(power.is_on_battery, power.battery, is_metered, networks, load)


def await_network(seconds: float, kernel: Kernel | None = None) -> bool:
    """Return True as soon as there is a network, False if there is none within `seconds`.

    NetworkManager decides; where it does not run, or knows nothing, a default route.
    """
    give_up_at = clock.now() + timedelta(seconds=seconds)
    while not _has_network(kernel or Kernel()):
        left = (give_up_at - clock.now()).total_seconds()
        if not 0 < left <= seconds:  # more: the clock was set back
            return False
        time.sleep(min(_AWAIT_EVERY, left))
    return True


def _has_network(kernel: Kernel) -> bool:
    with suppress(Unavailable), open_system_bus() as bus:
        reach = parse_reach(bus.properties(_NM, _NM_PATH, _NM))
        if reach is Connectivity.LOCAL:
            return bool(_look_at_networks(bus, kernel)[1])
        if reach is not Connectivity.UNKNOWN:
            return reach is Connectivity.CONNECTED
    net = kernel.proc / "net"
    return has_default_route(_read(net / "route") or "", _read(net / "ipv6_route") or "")


# -- power


def _look_at_power(bus: Bus | None, kernel: Kernel) -> Power:
    is_on_battery = None
    if bus is not None:
        with suppress(Unavailable):
            is_on_battery = parse_on_battery(bus.properties(_UPOWER, _UPOWER_PATH, _UPOWER))
        with suppress(Unavailable):
            if is_on_battery is not None:
                display = f"{_UPOWER_PATH}/devices/DisplayDevice"
                shown = bus.properties(_UPOWER, display, f"{_UPOWER}.Device")
                has_battery = shown.get("IsPresent") is not False
                return Power(is_on_battery and has_battery, parse_display_device(shown))
    found = _read_supplies(kernel)
    return found if is_on_battery is None else replace(found, is_on_battery=is_on_battery)


def _read_supplies(kernel: Kernel) -> Power:
    try:
        folders = list((kernel.sys / "class/power_supply").iterdir())
    except FileNotFoundError:  # a kernel without any supplies: a virtual machine's
        return interpret_supplies([]) if (kernel.sys / "class").is_dir() else Power()
    except OSError:
        return Power()
    return interpret_supplies([_read_all(folder, SUPPLY_ATTRIBUTES) for folder in folders])


# -- networks


def _look_at_networks(
    bus: Bus | None, kernel: Kernel
) -> tuple[bool | None, tuple[Network, ...] | None]:
    """Return whether the traffic is paid for, and the networks that are up."""
    is_metered = None
    if bus is not None:
        with suppress(Unavailable):
            properties = bus.properties(_NM, _NM_PATH, _NM)
            is_metered = parse_metered(properties)
            paths = parse_paths(properties.get("ActiveConnections"))
            if paths:
                connections = dict(_ask_for_connections(bus, paths))
                is_metered = _ask_below(bus, properties, connections, is_metered)
                return is_metered, tuple(_name_networks(bus, connections))
            if paths is not None:
                # on Debian NetworkManager does not manage ifupdown's links
                return is_metered, _read_networks(kernel, lambda name: _is_unmanaged(bus, name))
    return is_metered, _read_networks(kernel)


def _ask_for_connections(
    bus: Bus, paths: tuple[str, ...]
) -> Iterator[tuple[str, ActiveConnection]]:
    for path in paths:
        with suppress(BusRefused):  # it has just ended
            connection = parse_connection(bus.properties(_NM, path, f"{_NM}.Connection.Active"))
            if connection is not None:
                yield path, connection


def _name_networks(bus: Bus, connections: Mapping[str, ActiveConnection]) -> Iterator[Network]:
    for connection in connections.values():
        yield replace(connection.network, ssid=_ask_for_ssid(bus, connection))


def _ask_below(
    bus: Bus,
    properties: Mapping[str, object],
    connections: Mapping[str, ActiveConnection],
    is_metered: bool | None,
) -> bool | None:
    """Return whether the traffic is paid for, that of a VPN by the links that may be below it.

    What NetworkManager says of the whole machine is its word on the VPN.
    """
    primary = parse_path(properties.get("PrimaryConnection"))
    if is_metered or not is_tunnelled(primary, connections, is_sure=is_metered is not None):
        return is_metered
    links = [c for c in connections.values() if c.network.kind is not LinkKind.VPN]
    devices = [device for link in links for device in link.devices]
    found = sum_up_cost([_ask_cost(bus, device) for device in devices])
    return is_metered if found is None else found


def _ask_cost(bus: Bus, device: str) -> bool | None:
    with suppress(Unavailable):
        return parse_metered(bus.properties(_NM, device, f"{_NM}.Device"))
    return None


def _ask_for_ssid(bus: Bus, connection: ActiveConnection) -> str | None:
    if connection.network.kind is not LinkKind.WIFI:
        return None
    with suppress(Unavailable):
        for device in connection.devices:
            wireless = bus.properties(_NM, device, f"{_NM}.Device.Wireless")
            if point := parse_path(wireless.get("ActiveAccessPoint")):
                return parse_ssid(bus.properties(_NM, point, f"{_NM}.AccessPoint"))
    return None


def _is_unmanaged(bus: Bus, name: str) -> bool:
    try:
        answer = bus.call(_NM, _NM_PATH, _NM, "GetDeviceByIpIface", "s", (name,))
        path = parse_path(answer[0]) if answer else None
        return path is not None and is_unmanaged(bus.properties(_NM, path, f"{_NM}.Device"))
    except Unavailable:
        return False


def _read_networks(
    kernel: Kernel, is_wanted: Callable[[str], bool] = lambda _: True
) -> tuple[Network, ...] | None:
    """Return the networks among the kernel's links; None if they are not to be seen."""
    found = []
    try:
        for folder in sorted((kernel.sys / "class/net").iterdir()):
            if not folder.is_dir():  # bonding_masters
                continue
            entries = {entry.name for entry in folder.iterdir()}
            network = parse_link(folder.name, _read_all(folder, LINK_ATTRIBUTES), entries)
            if network is not None and is_wanted(folder.name):
                found.append(network)
    except OSError:
        return None
    return tuple(found)


# -- files


def _read_all(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    texts = ((name, _read(folder / name)) for name in names)
    return {name: text for name, text in texts if text is not None}


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return None
