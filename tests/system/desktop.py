"""A laptop's desktop: a real system bus, and on it UPower, NetworkManager and logind to command.

The three are python-dbusmock's. Where programs are started is up to the caller: here, or in a
host of the lab, whose `start` fits and whose `path("/")` is the root.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.wrappers import unwrap_msg
from tests.system.watching import until

from asyncamanda.core.conditions.surroundings import LinkKind
from lab.patience import at_most

SOCKET = "system_bus_socket"
STANDARD_FOLDER = "/run/dbus"  # where every program looks for the system bus
SERVICES = {
    "networkmanager": "org.freedesktop.NetworkManager",
    "upower": "org.freedesktop.UPower",
    "logind": "org.freedesktop.login1",
}
CONFIG = """\
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    {denied}
  </policy>
</busconfig>
"""
NO_INHIBIT = '<deny send_interface="org.freedesktop.login1.Manager" send_member="Inhibit"/>'

OLD_INHIBIT = """\
if args[3] not in ("block", "delay"):
    name = "org.freedesktop.DBus.Error.InvalidArgs"
    raise dbus.exceptions.DBusException("Invalid mode specification block-weak", name=name)
import os
ret = dbus.types.UnixFd(os.pipe()[1])
"""

MOCK = "org.freedesktop.DBus.Mock"
NM, NM_PATH = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager"
UPOWER, UPOWER_PATH = "org.freedesktop.UPower", "/org/freedesktop/UPower"
DISPLAY_DEVICE = f"{UPOWER_PATH}/devices/DisplayDevice"
LOGIND, LOGIND_PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
TYPES = {
    LinkKind.ETHERNET: "802-3-ethernet",
    LinkKind.WIFI: "802-11-wireless",
    LinkKind.WWAN: "gsm",
    LinkKind.VPN: "wireguard",
    LinkKind.OTHER: "vlan",
}
METERED_UNKNOWN, METERED_YES, METERED_NO, METERED_GUESS_YES, METERED_GUESS_NO = range(5)
CONNECTED, DISCONNECTED, CONNECTING = 70, 20, 40

Values = Mapping[str, tuple[str, Any]]  # D-Bus properties: name -> (signature, value)


class Start(Protocol):
    """Starts a program and returns at once, as Host.start does."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> subprocess.Popen[str]:
        """Return the running program."""


def start_here(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> subprocess.Popen[str]:
    """Start a program on this machine."""
    whole = {**os.environ, **(environ or {})}
    return subprocess.Popen(argv, env=whole, stdin=stdin, stdout=stdout, stderr=stderr, text=True)


class Desktop:
    """The bus in `folder` and its services, from `with` on; on mains and without a network."""

    def __init__(self, folder: str, start: Start = start_here, root: Path = Path("/")) -> None:
        """Take where the bus's socket is to be, as the started programs see it below `root`."""
        self.address = f"unix:path={folder}/{SOCKET}"
        self._folder = folder
        self._seen = root / folder.lstrip("/")
        self._start = start
        self._programs: dict[str, subprocess.Popen[str]] = {}
        self._connected: list[str] = []
        self._objects: list[str] = []  # that NetworkManager has for them
        self._made = 0
        self._control: DBusConnection

    def __enter__(self) -> Self:
        self._seen.mkdir(parents=True, exist_ok=True)
        (self._seen / SOCKET).unlink(missing_ok=True)
        self._configure()
        config = f"--config-file={self._folder}/bus.conf"
        argv = ["dbus-daemon", config, "--nofork", "--nopidfile", "--nosyslog", "--print-address"]
        try:
            bus = self._programs["bus"] = self._start(
                argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert bus.stdout
            assert bus.stdout.readline().startswith("unix:")
            self._control = open_dbus_connection(f"unix:path={self._seen / SOCKET}")
            self.start_services(*SERVICES)
        except BaseException:
            self._end(*self._programs)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._end(*self._programs)

    # -- the services

    def start_services(self, *names: str) -> None:
        """Start services by their template's names; return when they are as new."""
        for name in names:
            self._start_mock(name, "--template", name)
        for name in names:
            until(partial(self._is_ready, name), f"{name} is on the bus")
        if "networkmanager" in names:
            self._connected.clear()
            self._objects.clear()
            extra = {"Metered": ("u", METERED_UNKNOWN), "PrimaryConnection": ("o", "/")}
            self.mock(NM, NM_PATH, "AddProperties", "sa{sv}", (NM, extra))
            self.disconnect()
        if "upower" in names:
            self.plug_in()

    def stop_services(self, *names: str) -> None:
        """End services, so that the bus knows nobody of their name."""
        self._end(*names)
        for name in names:
            until(partial(self._is_gone, name), f"{name} has left the bus")

    @contextmanager
    def hanging(self, name: str) -> Iterator[None]:
        """Let a service, or the `bus`, be there and not answer."""
        self._programs[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._programs[name].send_signal(signal.SIGCONT)

    @contextmanager
    def denying_inhibitors(self) -> Iterator[None]:
        """Let nobody take a lock of logind's."""
        self._configure(NO_INHIBIT)
        self._reload()
        try:
            yield
        finally:
            self._configure()
            self._reload()

    # -- power

    def plug_in(self, level: float | None = 100) -> None:
        """Be on mains, with the battery at `level` percent, or without one."""
        self._set_power(is_on_battery=False, level=level)

    def unplug(self, level: float | None) -> None:
        """Be on battery, at `level` percent, or at an unknown one."""
        self._set_power(is_on_battery=True, level=level)

    def _set_power(self, *, is_on_battery: bool, level: float | None) -> None:
        self.set_properties(UPOWER, UPOWER_PATH, UPOWER, {"OnBattery": ("b", is_on_battery)})
        shown = {"IsPresent": ("b", level is not None), "Percentage": ("d", float(level or 0))}
        self.set_properties(UPOWER, DISPLAY_DEVICE, f"{UPOWER}.Device", shown)

    # -- networks

    def connect(  # what a connection is
        self,
        name: str,
        kind: LinkKind = LinkKind.ETHERNET,
        *,
        ssid: bytes | None = None,
        metered: int | None = None,
        paid: int | None = None,
        **changed: tuple[str, Any],
    ) -> None:
        """Be connected, besides what is connected already.

        `metered` is NetworkManager's for the machine, `paid` for the connection's device;
        `changed` are properties of the active connection that are to differ.
        """
        self._made += 1
        path = f"{NM_PATH}/ActiveConnection/{self._made}"
        device = f"{NM_PATH}/Devices/{self._made}"
        if kind is LinkKind.WIFI:
            self._add_wireless(device, ssid)
            if paid is not None:
                extra = {"Metered": ("u", paid)}
                self.mock(NM, device, "AddProperties", "sa{sv}", (f"{NM}.Device", extra))
        elif paid is not None:
            self._add_object(device, "Device", {"Metered": ("u", paid)})
        properties = {
            "Id": ("s", name),
            "Type": ("s", TYPES[kind]),
            "State": ("u", 2),
            "Vpn": ("b", False),
            "Master": ("o", "/"),
            "Devices": ("ao", [device]),
            **changed,
        }
        self._add_object(path, "Connection.Active", properties)
        if metered is not None:
            self.set_metered(metered)
        self._connected.append(path)
        self._show_connections(CONNECTED)

    def disconnect(self) -> None:
        """Be without a network."""
        self._connected.clear()
        while self._objects:
            self.mock(NM, NM_PATH, "RemoveObject", "s", (self._objects.pop(),))
        self.set_metered(METERED_UNKNOWN)
        self.set_primary("/")
        self._show_connections(DISCONNECTED)

    def set_primary(self, path: str) -> None:
        """Let NetworkManager say which connection has the default route."""
        words = (NM, "PrimaryConnection", ("o", path))
        self.call(NM, NM_PATH, "org.freedesktop.DBus.Properties", "Set", "ssv", words)

    def set_metered(self, metered: int) -> None:
        """Let NetworkManager say whether the traffic is paid for (METERED_*)."""
        self.set_properties(NM, NM_PATH, NM, {"Metered": ("u", metered)})

    def set_state(self, state: int) -> None:
        """Let NetworkManager say how far it is (NMState)."""
        self.set_properties(NM, NM_PATH, NM, {"State": ("u", state)})

    def add_device(self, interface: str, *, is_managed: bool) -> None:
        """Let NetworkManager know a device, and whether it is its own."""
        self.mock(NM, NM_PATH, "AddEthernetDevice", "ssi", (interface, interface, 100))
        path = f"{NM_PATH}/Devices/{interface}"
        self.set_properties(NM, path, f"{NM}.Device", {"Managed": ("b", is_managed)})

    def _add_wireless(self, device: str, ssid: bytes | None) -> None:
        point = f"{NM_PATH}/AccessPoint/{self._made}"
        active = {"ActiveAccessPoint": ("o", point if ssid is not None else "/")}
        self._add_object(device, "Device.Wireless", active)
        if ssid is not None:
            self._add_object(point, "AccessPoint", {"Ssid": ("ay", ssid)})

    def _add_object(self, path: str, interface: str, values: Values) -> None:
        words: tuple[Any, ...] = (path, f"{NM}.{interface}", values, [])
        self.mock(NM, NM_PATH, "AddObject", "ssa{sv}a(ssss)", words)
        self._objects.append(path)

    def _show_connections(self, state: int) -> None:
        self.set_properties(NM, NM_PATH, NM, {"ActiveConnections": ("ao", self._connected)})
        self.set_state(state)

    # -- logind

    def inhibitors(self) -> list[tuple[str, str, str, str]]:
        """Return each lock that is held: what, who, why and mode."""
        found = self.call(LOGIND, LOGIND_PATH, f"{LOGIND}.Manager", "ListInhibitors")[0]
        return [(what, who, why, mode) for what, who, why, mode, *_ in found]

    def forget_weak_locks(self) -> None:
        """Let logind be as in systemd 252, which knows `block` and `delay` only."""
        self.stop_services("logind")
        self._start_mock("logind", LOGIND, LOGIND_PATH, f"{LOGIND}.Manager")
        until(partial(self._is_ready, "logind"), "logind is on the bus")
        words = (f"{LOGIND}.Manager", "Inhibit", "ssss", "h", OLD_INHIBIT)
        self.mock(LOGIND, LOGIND_PATH, "AddMethod", "sssss", words)

    def asked_locks(self) -> list[tuple[str, str]]:
        """Return what each call to Inhibit() wanted held off, and its mode."""
        (calls,) = self.mock(LOGIND, LOGIND_PATH, "GetMethodCalls", "s", ("Inhibit",))
        return [(words[0][1], words[3][1]) for _, words in calls]

    def answer_inhibit_without_lock(self) -> None:
        """Let logind answer with a number in place of a lock; it starts again as it was."""
        self.stop_services("logind")
        self._start_mock("logind", LOGIND, LOGIND_PATH, f"{LOGIND}.Manager")
        until(partial(self._is_ready, "logind"), "logind is on the bus")
        words = (f"{LOGIND}.Manager", "Inhibit", "ssss", "u", "ret = 7")
        self.mock(LOGIND, LOGIND_PATH, "AddMethod", "sssss", words)

    # -- everything else

    @property
    def active(self) -> list[str]:
        """Return the object path of each connection that is up."""
        return list(self._connected)

    def set_properties(self, service: str, path: str, interface: str, values: Values) -> None:
        """Change properties that a service's object has."""
        self.mock(service, path, "UpdateProperties", "sa{sv}", (interface, values))

    def mock(
        self, service: str, path: str, method: str, signature: str, words: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """Call a method by which a service is commanded."""
        return self.call(service, path, MOCK, method, signature, words)

    def call(
        self,
        service: str,
        path: str,
        interface: str,
        method: str,
        signature: str | None = None,
        words: tuple[Any, ...] = (),
    ) -> tuple[Any, ...]:
        """Call any method on the bus."""
        message = new_method_call(DBusAddress(path, service, interface), method, signature, words)
        answer = unwrap_msg(self._control.send_and_get_reply(message, timeout=at_most(10)))
        return tuple(answer)

    def _start_mock(self, name: str, *words: str) -> None:
        argv = ["/usr/bin/python3", "-m", "dbusmock", "--system", *words]
        environ = {"DBUS_SYSTEM_BUS_ADDRESS": self.address}
        # what it prints for each call would fill a pipe
        quiet = subprocess.DEVNULL
        self._programs[name] = self._start(
            argv, environ=environ, stdin=quiet, stdout=quiet, stderr=quiet
        )

    def _call_bus(self, method: str, signature: str | None, words: tuple[Any, ...]) -> Any:
        bus = "org.freedesktop.DBus"
        return self.call(bus, "/org/freedesktop/DBus", bus, method, signature, words)

    def _has_owner(self, name: str) -> bool:
        return bool(self._call_bus("NameHasOwner", "s", (SERVICES[name],))[0])

    def _is_gone(self, name: str) -> bool:
        return not self._has_owner(name)

    def _is_ready(self, name: str) -> bool:
        assert self._programs[name].poll() is None
        return self._has_owner(name)

    def _configure(self, denied: str = "") -> None:
        text = CONFIG.format(socket=f"{self._folder}/{SOCKET}", denied=denied)
        (self._seen / "bus.conf").write_text(text)

    def _reload(self) -> None:
        self._call_bus("ReloadConfig", None, ())

    def _end(self, *names: str) -> None:
        for name in names:
            program = self._programs.pop(name)
            program.kill()
            program.communicate()
