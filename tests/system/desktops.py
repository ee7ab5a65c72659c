"""People who are logged in on the laptop: real buses, and python-dbusmock's stand-ins on them."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.system.watching import until

if TYPE_CHECKING:
    from tests.system.conftest import Rig

SYSTEM_BUS = "/run/dbus/system_bus_socket"
LOGIND = "org.freedesktop.login1"
NOTIFICATIONS = "org.freedesktop.Notifications"
# Debian's own keeps a test's logind from taking its name
POLICY = f"""\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={SYSTEM_BUS}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*" eavesdrop="true"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"""


def notify_table(rig: Rig, **keys: object) -> None:
    """Add a `[notify]` table to the laptop's client.toml."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    rig.laptop.append(rig.config, "\n".join(["[notify]", *lines]) + "\n")


@dataclass
class Desktops:
    """Yield desktops and a logind on the laptop, and ends them."""

    rig: Rig
    _programs: list[subprocess.Popen[str]] = field(default_factory=list)

    def log_in(self, user: str, uid: int, capabilities: str | None = None) -> None:
        """Give `user`, with a number of their own, a session bus and a desktop on it."""
        host = self.rig.laptop
        if f"\n{user}:" not in host.read("/etc/passwd"):
            host.append("/etc/passwd", f"{user}:x:{uid}:{uid}::/home/{user}:/bin/sh\n")
        host.make_directory(f"/home/{user}", owner=user)
        place = f"/run/user/{uid}"
        host.make_directory(place, owner=user, mode=0o700)
        bus = f"unix:path={place}/bus"
        self._start(["dbus-daemon", "--session", "--nofork", f"--address={bus}"], user)
        until(lambda: host.path(f"{place}/bus").exists(), "the session bus listens")
        more = ["-p", json.dumps({"capabilities": capabilities})] if capabilities else []
        mock = ["/usr/bin/python3", "-m", "dbusmock", "--session", "-l", f"{place}/shown", *more]
        environ = {"DBUS_SESSION_BUS_ADDRESS": bus}
        self._start([*mock, "-t", "notification_daemon"], user, environ)
        ask = f"--bus={bus}"
        until(lambda: self._has_owner(ask, NOTIFICATIONS, user), "the desktop is there")

    def start_logind(self, sessions: dict[int, str]) -> None:
        """Give the laptop a logind that knows a session of each uid, with its class."""
        host = self.rig.laptop
        host.write("/etc/test-bus.conf", POLICY)
        host.make_directory("/run/dbus")
        self._start(["dbus-daemon", "--nofork", "--config-file=/etc/test-bus.conf"])
        until(lambda: host.path(SYSTEM_BUS).exists(), "the system bus listens")
        self._start(["/usr/bin/python3", "-m", "dbusmock", "--system", "-t", "logind"])
        until(lambda: self._has_owner("--system", LOGIND), "logind is there")
        for number, (uid, kind) in enumerate(sessions.items()):
            argv = ["dbus-send", "--system", "--print-reply", f"--dest={LOGIND}"]
            who = [f"string:c{number}", "string:seat0", f"uint32:{uid}", "string:x", "boolean:true"]
            mock = ["/org/freedesktop/login1", "org.freedesktop.DBus.Mock.AddSession"]
            host.run([*argv, *mock, *who])
            path = f"/org/freedesktop/login1/session/c{number}"
            change = ["org.freedesktop.DBus.Properties.Set", f"string:{LOGIND}.Session"]
            host.run([*argv, path, *change, "string:Class", f"variant:string:{kind}"])

    def shown(self, uid: int) -> list[str]:
        """Return what was shown on the desktop of `uid`, a line for each call."""
        log = self.rig.laptop.path(f"/run/user/{uid}/shown")
        return [line for line in log.read_text().splitlines() if " Notify " in line]

    def freeze(self) -> None:
        """Let the programs of those who are logged in are stuck."""
        for program in self._programs:
            program.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        """End all of them."""
        for program in reversed(self._programs):
            program.kill()
            program.communicate()
        for place in ("/run/user", "/run/dbus"):
            if self.rig.laptop.path(place).exists():
                self.rig.laptop.remove(place)

    def _start(
        self, argv: list[str], user: str = "root", environ: dict[str, str] | None = None
    ) -> None:
        quiet = subprocess.DEVNULL
        self._programs.append(
            self.rig.laptop.start(argv, user=user, environ=environ, stdout=quiet, stderr=quiet)
        )

    def _has_owner(self, bus: str, name: str, user: str = "root") -> bool:
        argv = ["dbus-send", bus, "--print-reply", "--dest=org.freedesktop.DBus", "/"]
        ask = ["org.freedesktop.DBus.NameHasOwner", f"string:{name}"]
        return "true" in self.rig.laptop.run([*argv, *ask], user=user, check=False).stdout


@contextmanager
def lend_desktops(rig: Rig) -> Iterator[Desktops]:
    """Yield them, and end them."""
    desktops = Desktops(rig)
    try:
        yield desktops
    finally:
        desktops.close()
