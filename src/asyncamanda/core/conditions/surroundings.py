"""A machine's surroundings, as far as they can be known: None stands for unknown."""

from dataclasses import dataclass
from enum import Enum


class LinkKind(Enum):
    """What sort of link a network is."""

    ETHERNET = "ethernet"
    WIFI = "wifi"
    WWAN = "wwan"
    VPN = "vpn"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Network:
    """A connection that is up: its name (NetworkManager's, else its device's), and its SSID."""

    name: str
    kind: LinkKind
    ssid: str | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Power, networks and load in one moment.

    `battery` is the charge in percent, of all batteries together; `networks` are those that are up,
    without loopback and the host's own bridges; `load` is the load average of one minute.
    """

    is_on_battery: bool | None = None
    battery: float | None = None
    is_metered: bool | None = None
    networks: tuple[Network, ...] | None = None
    load: float | None = None
