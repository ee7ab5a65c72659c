"""What the answers of UPower, of NetworkManager and of the kernel mean."""

from collections.abc import Mapping

import pytest

from asyncamanda.core.conditions.inhibit import INHIBIT_ACTIONS, format_what
from asyncamanda.core.conditions.links import has_default_route, parse_link
from asyncamanda.core.conditions.networkmanager import (
    ActiveConnection,
    Connectivity,
    is_unmanaged,
    parse_connection,
    parse_metered,
    parse_path,
    parse_paths,
    parse_reach,
    parse_ssid,
)
from asyncamanda.core.conditions.power import (
    Power,
    interpret_supplies,
    parse_display_device,
    parse_on_battery,
)
from asyncamanda.core.conditions.surroundings import LinkKind, Network

Attributes = Mapping[str, str]
ON, OFF = {"type": "Mains", "online": "1"}, {"type": "Mains", "online": "0"}
CHARGER = {"type": "USB", "online": "1"}
MOUSE = {"type": "Battery", "scope": "Device", "status": "Discharging", "capacity": "5"}
WIRED = {"operstate": "up", "type": "1", "flags": "0x1003", "uevent": "INTERFACE=x\nIFINDEX=2"}
REJECTING = f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200       lo\n"
HEADER = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


def battery(status: str, capacity: object = 50, **more: object) -> dict[str, str]:
    """Return a battery's attributes."""
    values = {"type": "Battery", "present": "1", "status": status, "capacity": capacity, **more}
    return {name: str(value) for name, value in values.items()}


def wired(device: str = "", **changed: str) -> dict[str, str]:
    """Return a link's attributes, of the DEVTYPE `device`."""
    return {**WIRED, "uevent": f"DEVTYPE={device}\nINTERFACE=x" if device else "", **changed}


# -- power


@pytest.mark.parametrize(
    ("properties", "is_on_battery"),
    [
        ({"OnBattery": True}, True),
        ({"OnBattery": False, "LidIsClosed": True}, False),
        ({}, None),
        ({"OnBattery": "yes"}, None),
        ({"OnBattery": 1}, None),
    ],
)
def test_upower_says_whether_it_is_the_battery(
    properties: dict[str, object], is_on_battery: bool | None
) -> None:
    """A boolean, or nobody knows."""
    assert parse_on_battery(properties) is is_on_battery


@pytest.mark.parametrize(
    ("properties", "level"),
    [
        ({"IsPresent": True, "Percentage": 42.5}, 42.5),
        ({"IsPresent": True, "Percentage": 0.0}, 0),
        ({"IsPresent": True, "Percentage": 100}, 100),
        ({"IsPresent": False, "Percentage": 42.5}, None),
        ({"Percentage": 42.5}, None),
        ({"IsPresent": True}, None),
        ({"IsPresent": True, "Percentage": "42"}, None),
        ({"IsPresent": True, "Percentage": True}, None),
        ({"IsPresent": True, "Percentage": -1.0}, None),
        ({"IsPresent": True, "Percentage": 101.0}, None),
        ({"IsPresent": True, "Percentage": float("nan")}, None),
    ],
)
def test_upower_says_how_full_it_is(properties: dict[str, object], level: float | None) -> None:
    """In percent, if there is a battery at all."""
    assert parse_display_device(properties) == level


@pytest.mark.parametrize(
    ("supplies", "power"),
    [
        ([], Power(False, None)),
        ([ON], Power(False, None)),
        ([MOUSE], Power(False, None)),
        ([ON, battery("Charging", 80)], Power(False, 80)),
        ([ON, battery("Not charging", 80)], Power(False, 80)),
        ([ON, battery("Discharging", 80)], Power(False, 80)),  # to keep it fit
        ([OFF, battery("Discharging", 80), MOUSE], Power(True, 80)),
        ([OFF, battery("Unknown", 80)], Power(True, 80)),
        ([OFF, battery("Full", 100)], Power(True, 100)),  # unplugged a moment ago
        ([OFF, ON, battery("Charging")], Power(False, 50)),
        ([CHARGER, battery("Charging")], Power(False, 50)),
        ([OFF, CHARGER, battery("Charging")], Power(False, 50)),
        ([CHARGER, battery("Discharging")], Power(True, 50)),  # it feeds a telephone
        ([battery("Discharging")], Power(True, 50)),
        ([battery("Full", 99)], Power(False, 99)),
        ([battery("Unknown")], Power(None, 50)),
        ([battery("Discharging", present=0)], Power(False, None)),
        ([battery("Discharging", capacity="many")], Power(True, None)),
        ([battery("Discharging", 250)], Power(True, None)),
        ([{}], Power(False, None)),
    ],
)
def test_the_kernel_says_what_it_runs_on(supplies: list[Attributes], power: Power) -> None:
    """Mains that are there go first; what is unclear stays so."""
    assert interpret_supplies(supplies) == power


@pytest.mark.parametrize(
    ("sizes", "level"),
    [
        (({"energy_full": 30}, {"energy_full": 10}), 35),
        (({"charge_full": 30}, {"charge_full": 10}), 35),
        (({"energy_full": 30}, {"charge_full": 10}), 30),
        (({"energy_full": 30}, {"energy_full": 0}), 30),
        (({}, {}), 30),
    ],
)
def test_two_batteries_are_weighed(
    sizes: tuple[dict[str, object], dict[str, object]], level: float
) -> None:
    """By what they hold when full, if that can be compared; else they count the same."""
    first, second = sizes
    supplies = [battery("Discharging", 40, **first), battery("Unknown", 20, **second)]
    assert interpret_supplies(supplies) == Power(True, level)


# -- NetworkManager


@pytest.mark.parametrize(
    ("value", "is_metered"),
    [(0, None), (1, True), (2, False), (3, True), (4, False), (5, None), ("1", None), (True, None)],
)
def test_guesses_about_the_cost_count(value: object, is_metered: bool | None) -> None:
    """As NetworkManager's own, yes and no; what it does not know is unknown."""
    assert parse_metered({"Metered": value}) is is_metered
    assert parse_metered({}) is None


@pytest.mark.parametrize(
    ("state", "reach"),
    [
        (0, Connectivity.UNKNOWN),
        (10, Connectivity.WAITING),
        (20, Connectivity.WAITING),
        (40, Connectivity.WAITING),
        (50, Connectivity.LOCAL),
        (60, Connectivity.CONNECTED),
        (70, Connectivity.CONNECTED),
        ("70", Connectivity.UNKNOWN),
        (True, Connectivity.UNKNOWN),
        (None, Connectivity.UNKNOWN),
    ],
)
def test_a_network_is_there_from_a_local_one_on(state: object, reach: Connectivity) -> None:
    """The server may be in the same room."""
    assert parse_reach({"State": state}) is reach


@pytest.mark.parametrize(
    ("sort", "kind"),
    [
        ("802-11-wireless", LinkKind.WIFI),
        ("802-3-ethernet", LinkKind.ETHERNET),
        ("gsm", LinkKind.WWAN),
        ("cdma", LinkKind.WWAN),
        ("bluetooth", LinkKind.WWAN),
        ("vpn", LinkKind.VPN),
        ("wireguard", LinkKind.VPN),
        ("tun", LinkKind.VPN),
        ("infiniband", LinkKind.OTHER),
        ("something-new", LinkKind.OTHER),
    ],
)
def test_a_connection_has_a_kind(sort: str, kind: LinkKind) -> None:
    """By NetworkManager's type of it."""
    properties = {"Id": "Office", "Type": sort, "State": 2, "Devices": ["/d/1", "/"]}
    assert parse_connection(properties) == ActiveConnection(Network("Office", kind), ("/d/1",))


@pytest.mark.parametrize(
    "changed",
    [
        {"State": 1},  # activating
        {"State": 3},  # deactivating
        {"State": None},
        {"Type": "bridge"},
        {"Type": "loopback"},
        {"Type": "dummy"},
        {"Type": "veth"},
        {"Type": "tun", "Master": "/a/1"},
        {"Type": "tun", "Id": "vnet0"},  # of a virtual machine that is routed
        {"Type": "tun", "Controller": "/a/1", "Master": "/"},
        {"Type": None},
        {"Id": 7},
    ],
)
def test_what_is_no_network_is_left_out(changed: dict[str, object]) -> None:
    """Not up, the host's own for its guests, or not to be read."""
    properties = {"Id": "x", "Type": "802-3-ethernet", "State": 2, "Devices": [], "Master": "/"}
    assert parse_connection(properties)
    assert parse_connection({**properties, **changed}) is None


def test_a_plugin_of_any_type_is_a_vpn() -> None:
    """The flag says it."""
    properties = {"Id": "x", "Type": "l2tp", "State": 2, "Vpn": True, "Devices": None}
    assert parse_connection(properties) == ActiveConnection(Network("x", LinkKind.VPN), ())


def test_a_wire_in_a_bridge_is_a_network() -> None:
    """On a host of virtual machines there is no other."""
    properties = {"Id": "x", "Type": "802-3-ethernet", "State": 2, "Controller": "/a/1"}
    assert parse_connection(properties)


@pytest.mark.parametrize(
    ("ssid", "text"),
    [
        (b"Home", "Home"),
        ("Café".encode(), "Café"),
        (b"Caf\xe9", "Caf\\xe9"),
        (b"", None),
        (b"\0\0\0", None),
        ("Home", None),
        (None, None),
    ],
)
def test_an_ssid_is_bytes(ssid: object, text: str | None) -> None:
    """Of any sort; none of them may break what shows it."""
    assert parse_ssid({"Ssid": ssid}) == text


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        (["/a", "/", "/b"], ("/a", "/b")),
        ([], ()),
        ("/a", None),
        ([1], None),
        (None, None),
    ],
)
def test_object_paths_are_read(value: object, paths: tuple[str, ...] | None) -> None:
    """`/` is no object."""
    assert parse_paths(value) == paths
    assert parse_path("/") is parse_path("") is parse_path(7) is None
    assert parse_path("/a") == "/a"


def test_a_device_is_unmanaged_if_that_is_said() -> None:
    """And not where nothing is said."""
    assert is_unmanaged({"Managed": False})
    assert not is_unmanaged({"Managed": True})
    assert not is_unmanaged({})


# -- the kernel's networks


@pytest.mark.parametrize(
    ("name", "attributes", "entries", "kind"),
    [
        ("enp3s0", wired(), {"device"}, LinkKind.ETHERNET),
        ("eth0", wired(), set(), LinkKind.ETHERNET),  # in a container
        ("enp3s0", wired(), {"device", "brport", "master"}, LinkKind.ETHERNET),
        ("wlan0", wired(), {"device", "phy80211"}, LinkKind.WIFI),
        ("wlan0", wired(), {"device", "wireless"}, LinkKind.WIFI),
        ("wlan0", wired("wlan"), {"device"}, LinkKind.WIFI),
        ("wwan0", wired("wwan", type="65534", operstate="unknown"), {"device"}, LinkKind.WWAN),
        ("bnep0", wired("bluetooth"), set(), LinkKind.WWAN),
        ("wg0", wired("wireguard", type="65534", operstate="unknown"), set(), LinkKind.VPN),
        ("tun0", wired(type="65534", operstate="unknown"), {"tun_flags"}, LinkKind.VPN),
        ("tap0", wired(), {"tun_flags"}, LinkKind.VPN),
        ("ppp0", wired("ppp", type="512", operstate="unknown"), set(), LinkKind.OTHER),
        ("bond0", wired("bond"), set(), LinkKind.OTHER),
    ],
)
def test_a_link_that_is_up_is_a_network(
    name: str, attributes: Attributes, entries: set[str], kind: LinkKind
) -> None:
    """Of the kind that its folder shows."""
    assert parse_link(name, attributes, entries) == Network(name, kind)


@pytest.mark.parametrize(
    ("name", "attributes", "entries"),
    [
        ("lo", wired(type="772", operstate="unknown"), set()),
        ("enp3s0", wired(operstate="down"), {"device"}),
        ("enp3s0", wired(operstate="dormant"), {"device"}),
        ("wg0", wired("wireguard", operstate="unknown", flags="0x90"), set()),
        ("wg0", wired("wireguard", operstate="unknown", flags="?"), set()),
        ("br0", wired("bridge"), {"bridge"}),
        ("docker0", wired(), set()),
        ("veth12ab", wired(), set()),
        ("dummy0", wired(operstate="unknown"), set()),
        ("renamed", wired(operstate="unknown"), set()),  # a dummy
        ("vxlan.calico", wired("vxlan"), set()),
        ("mytap", wired(), {"tun_flags", "brport", "master"}),
        ("broken", {}, set()),
    ],
)
def test_other_links_are_none(name: str, attributes: Attributes, entries: set[str]) -> None:
    """Down, loopback, or the host's own for its guests."""
    assert parse_link(name, attributes, entries) is None


@pytest.mark.parametrize(
    ("route", "ipv6_route", "has_route"),
    [
        ("", "", False),
        (HEADER, REJECTING, False),
        (f"{HEADER}eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", "", True),
        (f"{HEADER}eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n", "", False),
        (f"{HEADER}eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", "", False),
        (f"{HEADER}*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n", "", False),
        (f"{HEADER}eth0\t00000000\t010200C0\t????\t0\t0\t0\t00000000\t0\t0\t0\n", "", False),
        (HEADER, REJECTING.replace("00200200       lo", "00000003     eth0"), True),
        (HEADER, REJECTING.replace(" 00 ", " 40 ", 1).replace("00200200", "00000001"), False),
        ("rubbish", "rubbish", False),
    ],
)
def test_a_default_route_is_a_way_out(route: str, ipv6_route: str, has_route: bool) -> None:
    """By either protocol; the kernel's own that rejects is none."""
    assert has_default_route(route, ipv6_route) is has_route


# -- staying awake


def test_the_lid_is_held_off_only_if_wanted() -> None:
    """Sleep always is; idling never is, so that the screen goes dark and locks."""
    assert format_what(with_lid=False) == "sleep"
    assert format_what(with_lid=True) == "sleep:handle-lid-switch"


def test_each_thing_held_off_has_its_action() -> None:
    """A rule that lacks one would refuse them all."""
    for one in format_what(with_lid=True).split(":"):
        assert any(action.endswith(f"-{one}") for action in INHIBIT_ACTIONS), one
