"""What a machine finds itself in, asked of a real bus, and of buses that are none."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.system import desktop as desktop_module
from tests.system.desktop import Desktop
from tests.system.watching import count_descriptors, until

from asyncamanda.client.moments.environment import Kernel, await_network, look_at_surroundings
from asyncamanda.core.conditions.surroundings import LinkKind, Network, Surroundings
from asyncamanda.system import bus as bus_module
from asyncamanda.system.bus import LOOK_SECONDS, BusRefused, Unavailable, open_system_bus
from lab.patience import at_most

NM, NM_PATH = desktop_module.NM, desktop_module.NM_PATH
UPOWER, UPOWER_PATH = desktop_module.UPOWER, desktop_module.UPOWER_PATH
ROUTE = "Iface\tDestination\n"
DEFAULT_ROUTE = f"{ROUTE}eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
QUICK = 0.5  # seconds


@pytest.fixture(scope="module")
def shared_desktop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """Yield the bus and its services, started once."""
    with Desktop(str(tmp_path_factory.mktemp("bus"))) as desktop:
        yield desktop


@pytest.fixture
def desktop(shared_desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> Desktop:
    """Yield a desktop on mains and without a network, whose bus is this process's."""
    shared_desktop.plug_in()
    shared_desktop.disconnect()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", shared_desktop.address)
    return shared_desktop


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """Yield a kernel of a laptop on battery, at 17 percent, wired, and without a route."""
    kernel = Kernel(tmp_path / "sys", tmp_path / "proc")
    write(kernel.sys / "class/power_supply/AC", type="Mains", online="0")
    battery = kernel.sys / "class/power_supply/BAT0"
    write(battery, type="Battery", present="1", status="Discharging", capacity="17")
    write(kernel.sys / "class/net/enp3s0", operstate="up", type="1", flags="0x1003", uevent="")
    write(kernel.sys / "class/net/lo", operstate="unknown", type="772", flags="0x9", uevent="")
    (kernel.sys / "class/net/bonding_masters").touch()
    write(kernel.proc / "net", route=ROUTE, ipv6_route="")
    return kernel


KERNELS_NETWORKS = (Network("enp3s0", LinkKind.ETHERNET),)


def write(folder: Path, **files: str) -> None:
    """Write a folder of /sys."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


def assessment(kernel: Kernel, within: float = QUICK) -> Surroundings:
    """Return what is found, in time and with no descriptor left behind; load apart."""
    before, begun = count_descriptors(), time.monotonic()
    found = look_at_surroundings(kernel)
    assert time.monotonic() - begun < at_most(within)
    assert count_descriptors() <= before
    assert found.load is not None
    assert found.load >= 0
    return found


def power(found: Surroundings) -> tuple[bool | None, float | None]:
    """Return the part that is about power."""
    return found.is_on_battery, found.battery


# -- power, by UPower


def test_mains_and_battery_are_told_apart(desktop: Desktop, kernel: Kernel) -> None:
    """With the level, as it changes; the kernel's answer does not count."""
    assert power(assessment(kernel)) == (False, 100)
    desktop.unplug(42.5)
    assert power(assessment(kernel)) == (True, 42.5)
    desktop.plug_in(43)
    assert power(assessment(kernel)) == (False, 43)
    desktop.plug_in(None)
    assert power(assessment(kernel)) == (False, None)


def test_without_upower_the_kernel_is_asked(desktop: Desktop, kernel: Kernel) -> None:
    """And NetworkManager's answers are there anyway."""
    desktop.connect("Office")
    desktop.stop_services("upower")
    try:
        found = assessment(kernel)
    finally:
        desktop.start_services("upower")
    assert power(found) == (True, 17)
    assert found.networks == (Network("Office", LinkKind.ETHERNET),)


def test_an_upower_that_hangs_takes_a_second_and_no_more(desktop: Desktop, kernel: Kernel) -> None:
    """The rest is known."""
    desktop.connect("Office", metered=desktop_module.METERED_NO)
    with desktop.hanging("upower"):
        found = assessment(kernel, within=1.5)
    assert power(found) == (True, 17)
    assert found.is_metered is False
    assert found.networks == (Network("Office", LinkKind.ETHERNET),)


def test_half_of_upower_is_made_up_for(desktop: Desktop, kernel: Kernel) -> None:
    """Whichever half it is."""
    desktop.set_properties(UPOWER, UPOWER_PATH, UPOWER, {"OnBattery": ("s", "perhaps")})
    assert power(assessment(kernel)) == (True, 17)
    desktop.stop_services("upower")
    desktop.start_services("upower")
    desktop.mock(UPOWER, UPOWER_PATH, "RemoveObject", "s", (desktop_module.DISPLAY_DEVICE,))
    try:
        assert power(assessment(kernel)) == (False, 17)
    finally:
        desktop.stop_services("upower")
        desktop.start_services("upower")


def test_without_any_supply_it_is_mains(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual machine's kernel has no folder of them at all."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/socket")
    shutil.rmtree(kernel.sys / "class/power_supply")
    assert power(assessment(kernel)) == (False, None)


def test_without_a_battery_it_is_mains(desktop: Desktop, kernel: Kernel) -> None:
    """Whatever UPower makes of a supply that says nothing."""
    desktop.unplug(None)
    assert power(assessment(kernel)) == (False, None)


# -- networks, by NetworkManager


@pytest.mark.parametrize(
    ("metered", "is_metered"),
    [
        (desktop_module.METERED_UNKNOWN, None),
        (desktop_module.METERED_YES, True),
        (desktop_module.METERED_NO, False),
        (desktop_module.METERED_GUESS_YES, True),
        (desktop_module.METERED_GUESS_NO, False),
    ],
)
def test_paid_traffic_is_known(
    desktop: Desktop, kernel: Kernel, metered: int, is_metered: bool | None
) -> None:
    """Also where NetworkManager only guesses."""
    desktop.connect("Telephone", metered=metered)
    assert assessment(kernel).is_metered is is_metered


@pytest.mark.parametrize("metered", [desktop_module.METERED_UNKNOWN, desktop_module.METERED_NO])
def test_a_paid_link_below_a_vpn_counts(desktop: Desktop, kernel: Kernel, metered: int) -> None:
    """NetworkManager speaks of the primary connection: a tunnel, of which nothing is known."""
    desktop.connect("Phone", LinkKind.WIFI, ssid=b"me", paid=desktop_module.METERED_GUESS_YES)
    desktop.connect("Office", LinkKind.VPN, metered=metered, paid=desktop_module.METERED_UNKNOWN)
    desktop.set_primary(desktop.active[1])
    assert assessment(kernel).is_metered is True


def test_a_paid_link_beside_the_one_that_is_used_does_not_count(
    desktop: Desktop, kernel: Kernel
) -> None:
    """The default route is the wire's, and what the tunnel sends goes there, too."""
    desktop.connect("Phone", LinkKind.WIFI, ssid=b"me", paid=desktop_module.METERED_YES)
    desktop.connect("Wire", metered=desktop_module.METERED_NO, paid=desktop_module.METERED_NO)
    desktop.connect("Office", LinkKind.VPN)
    desktop.set_primary(desktop.active[1])
    assert assessment(kernel).is_metered is False


def test_a_free_link_below_a_vpn_is_known_as_one(desktop: Desktop, kernel: Kernel) -> None:
    """Where NetworkManager has no word for the tunnel itself."""
    desktop.connect("Home", LinkKind.WIFI, ssid=b"me", paid=desktop_module.METERED_GUESS_NO)
    desktop.connect("Office", LinkKind.VPN, metered=desktop_module.METERED_UNKNOWN)
    desktop.set_primary(desktop.active[1])
    assert assessment(kernel).is_metered is False


@pytest.mark.parametrize("kind", [LinkKind.ETHERNET, LinkKind.WWAN, LinkKind.VPN, LinkKind.OTHER])
def test_a_connection_is_named_by_its_kind(
    desktop: Desktop, kernel: Kernel, kind: LinkKind
) -> None:
    """And by the name that its user gave it."""
    desktop.connect("Büro", kind)
    assert assessment(kernel).networks == (Network("Büro", kind),)


@pytest.mark.parametrize(
    ("ssid", "text"), [(b"eduroam", "eduroam"), (b"Caf\xe9", "Caf\\xe9"), (None, None)]
)
def test_wifi_has_an_ssid(
    desktop: Desktop, kernel: Kernel, ssid: bytes | None, text: str | None
) -> None:
    """In UTF-8 or not, or none."""
    desktop.connect("University", LinkKind.WIFI, ssid=ssid)
    assert assessment(kernel).networks == (Network("University", LinkKind.WIFI, text),)


def test_several_networks_are_all_told(desktop: Desktop, kernel: Kernel) -> None:
    """Without the host's own, and without one that is not up yet."""
    desktop.connect("Home", LinkKind.WIFI, ssid=b"home")
    desktop.connect("Office", LinkKind.VPN, Type=("s", "vpn"), Vpn=("b", True))
    desktop.connect("docker0", Type=("s", "bridge"))
    desktop.connect("Wired", State=("u", 1))
    assert assessment(kernel).networks == (
        Network("Home", LinkKind.WIFI, "home"),
        Network("Office", LinkKind.VPN),
    )


def test_no_network_is_none(desktop: Desktop, kernel: Kernel) -> None:
    """The kernel has a link that is up, of which NetworkManager knows nothing."""
    desktop.connect("Office")
    desktop.disconnect()
    assert assessment(kernel).networks == ()


def test_links_that_are_not_networkmanagers_count(desktop: Desktop, kernel: Kernel) -> None:
    """As ifupdown's on Debian, if NetworkManager has none itself."""
    desktop.add_device("enp3s0", is_managed=False)
    try:
        assert assessment(kernel).networks == KERNELS_NETWORKS
        desktop.set_properties(
            NM, f"{NM_PATH}/Devices/enp3s0", f"{NM}.Device", {"Managed": ("b", True)}
        )
        assert assessment(kernel).networks == ()
    finally:
        desktop.stop_services("networkmanager")
        desktop.start_services("networkmanager")


def test_a_connection_that_has_just_ended_is_passed_over(desktop: Desktop, kernel: Kernel) -> None:
    """The list named it still."""
    desktop.connect("Office")
    paths = [f"{NM_PATH}/ActiveConnection/gone", *desktop.active]
    desktop.set_properties(NM, NM_PATH, NM, {"ActiveConnections": ("ao", paths)})
    assert assessment(kernel).networks == (Network("Office", LinkKind.ETHERNET),)


def test_wifi_without_its_device_is_wifi(desktop: Desktop, kernel: Kernel) -> None:
    """Its SSID is unknown."""
    gone = ("ao", [f"{NM_PATH}/Devices/gone"])
    desktop.connect("Home", LinkKind.WIFI, ssid=b"home", Devices=gone)
    assert assessment(kernel).networks == (Network("Home", LinkKind.WIFI),)


@pytest.mark.parametrize("broken", [("s", "all"), ("u", 7), ("as", ["not a path"])])
def test_half_of_networkmanager_is_made_up_for(
    desktop: Desktop, kernel: Kernel, broken: tuple[str, Any]
) -> None:
    """What it says of the cost stands; its networks are the kernel's, if they are no paths."""
    desktop.set_metered(desktop_module.METERED_YES)
    desktop.set_properties(NM, NM_PATH, NM, {"ActiveConnections": broken})
    try:
        found = assessment(kernel)
    finally:
        desktop.stop_services("networkmanager")
        desktop.start_services("networkmanager")
    assert found.is_metered is True
    assert found.networks == KERNELS_NETWORKS


def test_without_networkmanager_the_kernel_is_asked(desktop: Desktop, kernel: Kernel) -> None:
    """Who pays is unknown then."""
    desktop.stop_services("networkmanager")
    try:
        found = assessment(kernel)
    finally:
        desktop.start_services("networkmanager")
    assert found.is_metered is None
    assert found.networks == KERNELS_NETWORKS
    assert power(found) == (False, 100)


def test_a_networkmanager_that_hangs_is_like_none(desktop: Desktop, kernel: Kernel) -> None:
    """After a second."""
    with desktop.hanging("networkmanager"):
        found = assessment(kernel, within=1.5)
    assert found.is_metered is None
    assert found.networks == KERNELS_NETWORKS
    assert power(found) == (False, 100)


def test_two_services_that_hang_take_two_seconds(desktop: Desktop, kernel: Kernel) -> None:
    """And no more."""
    with desktop.hanging("networkmanager"), desktop.hanging("upower"):
        found = assessment(kernel, within=LOOK_SECONDS + QUICK)
    assert power(found) == (True, 17)
    assert found.networks == KERNELS_NETWORKS


# -- no bus


def of_the_kernel(found: Surroundings) -> bool:
    """Return whether everything is from the kernel."""
    return (
        power(found) == (True, 17)
        and found.is_metered is None
        and found.networks == KERNELS_NETWORKS
    )


@pytest.mark.parametrize(
    "address",
    [
        "unix:path=/nonexistent/socket",
        "unix:path=/dev/null",
        "unix:path=" + "x" * 300,
        "tcp:host=127.0.0.1,port=1",
        "unix:",
        "rubbish",
    ],
)
def test_a_bus_that_is_not_there_is_no_trouble(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Whatever the address is worth."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    assert of_the_kernel(assessment(kernel))


def test_of_two_addresses_the_second_may_do(
    desktop: Desktop, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address may be a list."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path=/nonexistent;{desktop.address}")
    desktop.unplug(61)
    assert power(assessment(kernel)) == (True, 61)


def test_a_dead_bus_is_no_trouble(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket is left, and nobody listens."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/left")
    assert of_the_kernel(assessment(kernel))


def test_a_bus_that_stops_is_no_trouble(desktop: Desktop, kernel: Kernel) -> None:
    """The kernel takes the connection for it, and then nothing comes."""
    with desktop.hanging("bus"):
        found = assessment(kernel, within=1 + QUICK)
    assert of_the_kernel(found)


def refuse(line: socket.socket) -> None:
    """Let nobody in."""
    line.recv(1024)
    line.sendall(b"REJECTED EXTERNAL\r\n")


def hang_up(line: socket.socket) -> None:
    """Say nothing at all."""
    line.recv(1024)


def hang(line: socket.socket) -> None:
    """Take everything."""
    while line.recv(1024):
        pass


def drip(line: socket.socket) -> None:
    """Let a line begin, a byte at a time."""
    while True:
        line.sendall(b"O")
        time.sleep(0.05)


def let_in(line: socket.socket) -> None:
    """Answer up to BEGIN."""
    line.recv(1024)
    line.sendall(b"OK 0123456789abcdef\r\n")
    line.recv(1024)


def hang_after_begin(line: socket.socket) -> None:
    """Accept, and then take everything."""
    let_in(line)
    hang(line)


def hang_up_after_begin(line: socket.socket) -> None:
    """Accept, and then end."""
    let_in(line)


def babble(line: socket.socket) -> None:
    """Accept, and then send what is no message."""
    let_in(line)
    line.sendall(b"\xff" * 65536)
    hang(line)


def boast(line: socket.socket) -> None:
    """Accept, and then begin the largest of messages."""
    let_in(line)
    line.sendall(struct.pack("<cBBBIII", b"l", 2, 0, 1, 0x07000000, 1, 8))
    while True:
        line.sendall(b"\0" * 4096)


def flood(line: socket.socket) -> None:
    """Accept, and then send signals without an end."""
    let_in(line)
    # member (3) "S", in a header of 12 bytes; no body
    fields = struct.pack("<BB2sI", 3, 1, b"s\0", 1) + b"S\0"
    header = struct.pack("<cBBBIII", b"l", 4, 0, 1, 0, 1, len(fields)) + fields
    message = header + b"\0" * (-len(header) % 8)
    while True:
        line.sendall(message * 100)


@contextmanager
def serving(address: Path, behave: Callable[[socket.socket], None]) -> Iterator[None]:
    """Listen like a bus, and do one thing to each who comes."""
    lines: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                line, _ = listener.accept()
                lines.append(line)
                with line, suppress(OSError):
                    behave(line)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            for line in (listener, *lines):
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    "behave",
    [
        refuse,
        hang_up,
        hang,
        drip,
        hang_after_begin,
        hang_up_after_begin,
        babble,
        boast,
        flood,
    ],
)
def test_a_strange_bus_is_no_trouble(
    kernel: Kernel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    behave: Callable[[socket.socket], None],
) -> None:
    """It is waited for as long as for a call, when it is accepted again; all else is known."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
    monkeypatch.setattr(bus_module, "CALL_SECONDS", 0.3)
    with serving(tmp_path / "bus", behave):
        begun = time.monotonic()
        found = look_at_surroundings(kernel)
        assert time.monotonic() - begun < at_most(2 * 0.3 + QUICK)
    assert of_the_kernel(found)


@pytest.mark.parametrize(
    ("behave", "why"),
    [
        (hang_up, "hung up"),
        (hang_up_after_begin, "hung up|Broken pipe|reset"),
        (refuse, "not understood: .*REJECTED"),
        (boast, "no message"),  # else a hundred megabytes are kept before they are read
    ],
)
def test_what_will_never_answer_is_not_waited_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    behave: Callable[[socket.socket], None],
    why: str,
) -> None:
    """It is said at once what is wrong."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
    with (
        serving(tmp_path / "bus", behave),
        pytest.raises(Unavailable, match=why),
        open_system_bus(),
    ):
        pass


def test_nothing_at_all_is_known_and_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither bus nor kernel; the load is the system's."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/socket")
    found = assessment(Kernel(tmp_path / "none", tmp_path / "none"))
    assert found == Surroundings(load=found.load)


def test_a_load_that_is_not_told_is_unknown(
    kernel: Kernel, desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the rest is."""

    def fail() -> None:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", fail)
    desktop.unplug(30)
    found = look_at_surroundings(kernel)
    assert found.load is None
    assert power(found) == (True, 30)


# -- the bus itself


def test_a_service_that_does_not_run_is_not_started(desktop: Desktop) -> None:
    """The bus says that it knows nobody of that name."""
    del desktop
    with open_system_bus() as bus, pytest.raises(BusRefused) as caught:
        bus.properties("org.example.Nobody", "/org/example", "org.example")
    assert caught.value.name == "org.freedesktop.DBus.Error.NameHasNoOwner"


@pytest.mark.parametrize("path", ["", "relative", "/a//b"])
def test_a_path_that_is_none_is_unavailable(desktop: Desktop, path: str) -> None:
    """A service may have sent it."""
    del desktop
    with open_system_bus() as bus, pytest.raises(Unavailable):
        bus.properties(NM, path, NM)


def test_a_late_answer_is_not_taken_for_another(desktop: Desktop) -> None:
    """It comes while the next one is waited for."""
    with open_system_bus(5) as bus:
        with desktop.hanging("upower"), pytest.raises(Unavailable, match="in time"):
            bus.properties(UPOWER, UPOWER_PATH, UPOWER)
        assert "State" in bus.properties(NM, NM_PATH, NM)
        assert "OnBattery" in bus.properties(UPOWER, UPOWER_PATH, UPOWER)


def test_time_that_is_over_is_over(desktop: Desktop) -> None:
    """Nothing is asked after it."""
    del desktop
    with open_system_bus(1) as bus:
        time.sleep(1.1)
        with pytest.raises(Unavailable, match="in time"):
            bus.properties(NM, NM_PATH, NM)


# -- waiting for a network


def test_a_network_that_is_there_is_not_waited_for(desktop: Desktop, kernel: Kernel) -> None:
    """A local one is enough."""
    desktop.connect("Office")
    desktop.set_state(50)
    begun = time.monotonic()
    assert await_network(5, kernel)
    assert time.monotonic() - begun < at_most(QUICK)


def test_a_bridge_of_the_machines_own_is_no_network(desktop: Desktop, kernel: Kernel) -> None:
    """With a container's bridge NetworkManager says that there is a local network."""
    desktop.connect("docker0", Type=("s", "bridge"))
    desktop.connect("vnet0", Type=("s", "tun"))
    desktop.set_state(50)
    assert not await_network(0, kernel)


def test_a_network_that_comes_up_is_waited_for(desktop: Desktop, kernel: Kernel) -> None:
    """As after resume; a route from before counts for nothing."""
    write(kernel.proc / "net", route=DEFAULT_ROUTE)
    desktop.set_state(desktop_module.CONNECTING)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(await_network(60, kernel)))
    waiting.start()
    time.sleep(0.6)
    assert waiting.is_alive()
    desktop.set_state(desktop_module.CONNECTED)
    until(lambda: answers, "the wait ends")
    waiting.join()
    assert answers == [True]


def test_waiting_has_an_end(desktop: Desktop, kernel: Kernel) -> None:
    """Where no network comes."""
    desktop.set_state(desktop_module.DISCONNECTED)
    begun = time.monotonic()
    assert not await_network(0.6, kernel)
    assert 0.55 < time.monotonic() - begun < at_most(0.6 + QUICK)


@pytest.mark.parametrize("file", ["route", "ipv6_route"])
def test_without_networkmanager_a_route_will_do(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """By either protocol."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/socket")
    assert not await_network(0, kernel)
    zeros = "0" * 32
    six = f"{zeros} 00 {zeros} 00 {zeros} 00000400 00000001 00000000 00000003 eth0"
    write(kernel.proc / "net", **{file: DEFAULT_ROUTE if file == "route" else six})
    assert await_network(0, kernel)


def test_without_any_routes_there_is_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that shows none has none."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/socket")
    assert not await_network(0, Kernel(tmp_path, tmp_path))
