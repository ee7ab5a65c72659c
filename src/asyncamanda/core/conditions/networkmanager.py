"""What NetworkManager's properties mean (its D-Bus API: nm-dbus-types, nm-dbus-interface)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from asyncamanda.core.conditions.links import INSIDE_NAMES
from asyncamanda.core.conditions.surroundings import LinkKind, Network

_KINDS = {
    "802-11-wireless": LinkKind.WIFI,
    "802-3-ethernet": LinkKind.ETHERNET,
    "bluetooth": LinkKind.WWAN,  # a telephone's connection, shared
    "cdma": LinkKind.WWAN,
    "gsm": LinkKind.WWAN,
    "tun": LinkKind.VPN,
    "vpn": LinkKind.VPN,
    "wireguard": LinkKind.VPN,
}
_INSIDE = frozenset(  # the host's own, for its containers and virtual machines
    {
        "bridge",
        "dummy",
        "loopback",
        "macvlan",
        "ovs-bridge",
        "ovs-interface",
        "ovs-port",
        "veth",
        "vrf",
        "vxlan",
    }
)
_ACTIVATED = 2  # NMActiveConnectionState
_METERED = {1: True, 2: False, 3: True, 4: False}  # NMMetered: yes, no, guess-yes, guess-no
_NO_OBJECT = "/"
_LOCAL = 50  # NMState: one that leads nowhere else, or a container's bridge; more is connected


class Connectivity(Enum):
    """How far NetworkManager has come. Local: what it has may be the machine's own alone."""

    CONNECTED = "connected"
    LOCAL = "local"
    WAITING = "waiting"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ActiveConnection:
    """A connection that is up, and the object paths of the devices that it uses."""

    network: Network
    devices: tuple[str, ...]


def parse_reach(properties: Mapping[str, object]) -> Connectivity:
    """Return whether there is a network, by NMState."""
    state = properties.get("State")
    if not isinstance(state, int) or isinstance(state, bool) or state <= 0:
        return Connectivity.UNKNOWN
    if state == _LOCAL:
        return Connectivity.LOCAL
    return Connectivity.CONNECTED if state > _LOCAL else Connectivity.WAITING


def parse_metered(properties: Mapping[str, object]) -> bool | None:
    """Return whether the traffic is paid for, guesses included; None if that is not known.

    Of NetworkManager itself, which speaks of its primary connection, or of a device.
    """
    value = properties.get("Metered")
    return _METERED.get(value) if isinstance(value, int) and value is not True else None


def parse_paths(value: object) -> tuple[str, ...] | None:
    """Return the object paths of an array of them, `/` left out; None if it is no such array."""
    if not isinstance(value, list) or not all(isinstance(path, str) for path in value):
        return None
    return tuple(path for path in value if path != _NO_OBJECT)


def parse_path(value: object) -> str | None:
    """Return an object's path; None if there is no object."""
    return value if isinstance(value, str) and value not in {"", _NO_OBJECT} else None


def parse_connection(properties: Mapping[str, object]) -> ActiveConnection | None:
    """Return an active connection; None if it is not up yet, or the host's own, or unreadable."""
    name, sort = properties.get("Id"), properties.get("Type")
    if not isinstance(name, str) or not isinstance(sort, str):
        return None
    if properties.get("State") != _ACTIVATED or sort in _INSIDE:
        return None
    # Controller since 1.44, Master before: a tap in a bridge is a virtual machine's
    above = properties.get("Controller", properties.get("Master"))
    if sort == "tun" and (parse_path(above) is not None or name.startswith(INSIDE_NAMES)):
        return None
    kind = LinkKind.VPN if properties.get("Vpn") is True else _KINDS.get(sort, LinkKind.OTHER)
    return ActiveConnection(Network(name, kind), parse_paths(properties.get("Devices")) or ())


def parse_ssid(properties: Mapping[str, object]) -> str | None:
    r"""Return an access point's SSID; None if it is hidden.

    It is bytes, most often UTF-8; a byte that is not stands as `\xe9`, to be shown and written.
    """
    value = properties.get("Ssid")
    if not isinstance(value, bytes) or not value.strip(b"\0"):
        return None
    return value.decode("utf-8", "backslashreplace")


def is_unmanaged(properties: Mapping[str, object]) -> bool:
    """Return whether NetworkManager says that it does not manage a device."""
    return properties.get("Managed") is False


def is_tunnelled(
    primary: str | None, connections: Mapping[str, ActiveConnection], *, is_sure: bool
) -> bool:
    """Return whether the traffic of the default route goes through a VPN.

    `primary` is the path of the connection that has that route; where it is not said, or is none of
    the `connections`, any VPN counts, unless what it costs `is_sure`.
    """
    if primary is not None and primary in connections:
        return connections[primary].network.kind is LinkKind.VPN
    return not is_sure and any(c.network.kind is LinkKind.VPN for c in connections.values())


def sum_up_cost(answers: Sequence[bool | None]) -> bool | None:
    """Return whether one of the links is paid for; None if that is not known."""
    return True if True in answers else None if None in answers or not answers else False
