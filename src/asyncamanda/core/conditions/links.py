"""What the kernel says about networks: /sys/class/net, and the routes in /proc/net."""

from collections.abc import Collection, Mapping

from asyncamanda.core.conditions.surroundings import LinkKind, Network

LINK_ATTRIBUTES = ("operstate", "type", "flags", "uevent")

_ETHERNET, _LOOPBACK = "1", "772"  # ARPHRD_ETHER, ARPHRD_LOOPBACK
_IFF_UP = 0x1
_RTF_UP, _RTF_REJECT = 0x1, 0x200
_KINDS = {
    "bluetooth": LinkKind.WWAN,
    "wireguard": LinkKind.VPN,
    "wlan": LinkKind.WIFI,
    "wwan": LinkKind.WWAN,
}
_INSIDE = frozenset({"bridge", "macvlan", "vrf", "vxlan"})
# the kernel does not mark either as one; a renamed one, as in a container, is its network
INSIDE_NAMES = ("docker", "dummy", "ifb", "lxc", "veth", "virbr", "vnet")


def parse_link(
    name: str, attributes: Mapping[str, str], entries: Collection[str]
) -> Network | None:
    """Return the network that a folder of /sys/class/net stands for; None if it is not one.

    `attributes` are the contents of those files that could be read, `entries` all its names.
    """
    sort = attributes.get("type")
    device = _parse_uevent(attributes.get("uevent", "")).get("DEVTYPE", "")
    is_tunnel = "tun_flags" in entries or device == "wireguard"
    if not _is_up(attributes, is_quiet=is_tunnel or sort != _ETHERNET):
        return None
    if sort == _LOOPBACK or device in _INSIDE or "bridge" in entries:
        return None
    if name.startswith(INSIDE_NAMES) or (is_tunnel and "master" in entries):
        return None
    return Network(name, _find_kind(sort, device, entries))


def _is_up(attributes: Mapping[str, str], *, is_quiet: bool) -> bool:
    """Return whether a link works; one without a signal of its own stays `unknown` (RFC 2863)."""
    state = attributes.get("operstate")
    if state == "unknown" and is_quiet:
        try:
            return bool(int(attributes.get("flags", ""), 16) & _IFF_UP)
        except ValueError:
            return False
    return state == "up"


def _find_kind(sort: str | None, device: str, entries: Collection[str]) -> LinkKind:
    if "wireless" in entries or "phy80211" in entries:
        return LinkKind.WIFI
    if "tun_flags" in entries:
        return LinkKind.VPN
    if device:
        return _KINDS.get(device, LinkKind.OTHER)
    return LinkKind.ETHERNET if sort == _ETHERNET else LinkKind.OTHER


def _parse_uevent(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines())
    return {key: value for key, _, value in pairs}


def has_default_route(route: str, ipv6_route: str) -> bool:
    """Return whether /proc/net/route or /proc/net/ipv6_route has a way out."""
    rows = (line.split() for line in route.splitlines()[1:])
    if any(len(row) >= 8 and row[1] == row[7] == "00000000" and _has_flags(row[3]) for row in rows):
        return True
    rows = (line.split() for line in ipv6_route.splitlines())
    return any(
        len(row) >= 10 and row[:2] == ["0" * 32, "00"] and _has_flags(row[8]) and row[9] != "lo"
        for row in rows
    )


def _has_flags(text: str) -> bool:
    try:
        flags = int(text, 16)
    except ValueError:
        return False
    # without IPv6 to the outside, the kernel has a default route that rejects
    return bool(flags & _RTF_UP) and not flags & _RTF_REJECT
