"""The lab's network: a switch, and a link from it to each host, that can be disturbed."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.lab.errors import LabCommandError
from asyncamanda.lab.namespaces import Holder, piped

_GATEWAY = 254  # the hosts have a route out, and nobody is there
_WIRE = Path(__file__).with_name("wire.py")
_ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def host_address(number: int) -> str:
    """The address of the host with this number, 1 to 250."""
    return f"10.77.0.{number}"


def _mac(number: int) -> str:
    return f"02:00:0a:4d:00:{number:02x}"


@dataclass(slots=True)
class Link:
    """What lies between the switch and one host."""

    number: int
    is_cut: bool = False
    bits_per_second: int = 0
    wire: "subprocess.Popen[str] | None" = None

    @property
    def port(self) -> str:
        """The link's end at the switch; the other end is the host's eth0."""
        return f"port{self.number}"


def plan_attach(link: Link, host_pid: int) -> list[str]:
    """The `ip` commands, for the switch's namespace, that lay a new link to a host."""
    return [
        f"link add {link.port} type veth"
        f" peer name eth0 address {_mac(link.number)} netns {host_pid}",
        f"link set {link.port} master hub up",
    ]


def plan_host_network(link: Link, numbers: Iterable[int]) -> list[str]:
    """The `ip` commands, for the host's namespace, that put it on the network.

    The neighbours are fixed: where ARP goes unanswered, a cut would be an error at the
    host (no route) and not the silence that it is to be.
    """
    commands = [
        "link set lo up",
        f"addr add {host_address(link.number)}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {host_address(_GATEWAY)}",
    ]
    commands += (
        f"neigh replace {host_address(other)} lladdr {_mac(other)} dev eth0 nud permanent"
        for other in (*numbers, _GATEWAY)
        if other != link.number
    )
    return commands


def plan_shaping(device: str, bits_per_second: int) -> list[str]:
    """The argv that limits what leaves by `device`, or (0) lifts the limit."""
    if not bits_per_second:
        return ["tc", "qdisc", "del", "dev", device, "root"]
    burst = max(8_000, bits_per_second // 800)  # bytes: 10 ms worth, and whole frames
    shape = ["tbf", "rate", f"{bits_per_second}bit", "burst", str(burst), "latency", "300ms"]
    return ["tc", "qdisc", "replace", "dev", device, "root", *shape]


class Switch:
    """A network namespace with a bridge; `links` are by host number."""

    def __init__(self) -> None:
        """Start it; `wait_ready` must follow."""
        self._holder = Holder("switch")
        self.links: dict[int, Link] = {}

    def wait_ready(self) -> None:
        """Return when the switch can be plugged into."""
        self._holder.wait_ready()
        self._ip(
            self._holder.pid,
            "link set lo up",
            "link add hub type bridge",
            "link set hub up",
        )

    def attach(self, pids: Mapping[int, int]) -> None:
        """Lay links to hosts: by number, the PID of the host's PID 1."""
        for number in pids:
            self.links.setdefault(number, Link(number))
        plans = (plan_attach(self.links[number], pid) for number, pid in pids.items())
        self._ip(self._holder.pid, *(command for plan in plans for command in plan))
        for number, pid in pids.items():
            self._ip(pid, *plan_host_network(self.links[number], self.links))

    def detach(self, number: int) -> None:
        """Pull a link out, so that its host cannot say goodbye to anybody."""
        link = self.links[number]
        self._ip(self._holder.pid, f"link del {link.port}")
        self._straighten(link)
        self.links[number] = Link(number)

    def cut(self, number: int) -> None:
        """Make the link a black hole; both ends stay up and notice nothing."""
        link = self.links[number]
        link.is_cut = True
        self._ip(self._holder.pid, f"link set {link.port} nomaster")

    def delay(self, number: int, seconds: float) -> None:
        """Add latency in each direction.

        The port moves to a bridge of its own, which a wire (wire.py) joins to the hub.
        """
        link = self.links[number]
        self._straighten(link)
        near, far, bridge = f"near{number}", f"far{number}", f"hub{number}"
        argv = [sys.executable, "-I", "-S", "-B", str(_WIRE), str(seconds), near, far]
        streams = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        link.wire = self._holder.start(argv, _ENVIRON, streams)
        if piped(link.wire.stdout).readline() != "ready\n":
            output = link.wire.communicate()
            raise LabCommandError("switch", argv, link.wire.returncode, output)
        self._ip(
            self._holder.pid,
            f"link add {bridge} type bridge",
            f"link set {bridge} up",
            f"link set {near} master hub up",
            f"link set {far} master {bridge} up",
            f"link set {link.port} " + ("nomaster" if link.is_cut else f"master {bridge}"),
        )

    def slow(self, number: int, host_pid: int, bits_per_second: int) -> None:
        """Limit the rate in each direction; 0 lifts the limit."""
        link = self.links[number]
        if bits_per_second or link.bits_per_second:
            self._run(self._holder.pid, plan_shaping(link.port, bits_per_second))
            if host_pid:
                self._run(host_pid, plan_shaping("eth0", bits_per_second))
        link.bits_per_second = bits_per_second

    def heal(self, number: int, host_pid: int) -> None:
        """Undo cut, delay and slow. TCP connections that have waited go on."""
        link = self.links[number]
        self.slow(number, host_pid, 0)
        link.is_cut = False
        self._straighten(link)
        self._ip(self._holder.pid, f"link set {link.port} master hub")

    def _straighten(self, link: Link) -> None:
        if link.wire is None:
            return
        self._ip(self._holder.pid, f"link del hub{link.number}")
        link.wire.kill()
        link.wire.communicate()
        link.wire = None

    def _ip(self, pid: int, *commands: str) -> None:
        self._run(pid, ["ip", "-batch", "-"], "\n".join(commands))

    def _run(self, pid: int, argv: list[str], stdin: str = "") -> None:
        # from outside of the PID namespaces, in which the hosts' PIDs mean something
        done = subprocess.run(
            ["nsenter", f"--net=/proc/{pid}/ns/net", "--", *argv],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=_ENVIRON,
        )
        if done.returncode != 0:
            message = f"{argv} {stdin}".split()
            raise LabCommandError("switch", message, done.returncode, (done.stdout, done.stderr))

    def close(self) -> None:
        """End the switch, and with it every link."""
        self._holder.close()
