"""The lab's network: a switch, and a link from it to each host, that can be disturbed."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lab.errors import LabCommandError
from lab.namespaces import Holder, piped

GATEWAY = 254  # the hosts have a route out; nobody is there, or the router (router.py)
_SPARE = range(250, 0, -1)  # what hosts move to; at first they have their numbers, from 1
_WIRE = Path(__file__).with_name("wire.py")
_ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def mac_of(address: str) -> str:
    """The MAC of whoever has this IPv4 address; so everybody knows it without asking."""
    return "02:00:" + ":".join(f"{int(byte):02x}" for byte in address.split("."))


class Plug(NamedTuple):
    """Where a link ends that is not at the switch: a device of the namespace of PID `pid`."""

    pid: int
    device: str = "eth0"


@dataclass(slots=True)
class Link:
    """What lies between the switch and one host. Without a plug it is pulled out."""

    number: int
    address: str
    plug: Plug | None = None
    is_cut: bool = False
    bits_per_second: int = 0
    wire: "subprocess.Popen[str] | None" = None

    @property
    def port(self) -> str:
        """The link's end at the switch."""
        return f"port{self.number}"


def plan_attach(link: Link, plug: Plug) -> list[str]:
    """The `ip` commands, for the switch's namespace, that lay a new link to a host."""
    return [
        f"link add {link.port} type veth peer name {plug.device} netns {plug.pid}",
        f"link set {link.port} master hub up",
    ]


def plan_host_network(address: str, device: str, gateway: str, known: Iterable[str]) -> list[str]:
    """The `ip` commands, for the host's namespace, that put it on the network."""
    return [
        "link set lo up",
        f"link set {device} address {mac_of(address)}",  # which forgets all neighbours
        f"addr add {address}/24 dev {device}",
        f"link set {device} up",
        *([f"route add default via {gateway}"] if address != gateway else []),
        *(plan_neighbour(other, device) for other in known if other != address),
    ]


def plan_neighbour(address: str, device: str) -> str:
    """The `ip` command that lets a host know another for good.

    Where ARP goes unanswered, a cut would be an error at the host (no route) and not the
    silence that it is to be.
    """
    return f"neigh replace {address} lladdr {mac_of(address)} dev {device} nud permanent"


def plan_shaping(device: str, bits_per_second: int) -> list[str]:
    """The argv that limits what leaves by `device`, or (0) lifts the limit."""
    if not bits_per_second:
        return ["tc", "qdisc", "del", "dev", device, "root"]
    burst = max(8_000, bits_per_second // 800)  # bytes: 10 ms worth, and whole frames
    shape = ["tbf", "rate", f"{bits_per_second}bit", "burst", str(burst), "latency", "300ms"]
    return ["tc", "qdisc", "replace", "dev", device, "root", *shape]


def run_in(pid: int, argv: list[str], stdin: str = "") -> None:
    """Run a program in the network namespace of `pid`. Raises LabCommandError."""
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
        raise LabCommandError("network", message, done.returncode, (done.stdout, done.stderr))


def _run_ip(pid: int, *commands: str) -> None:
    run_in(pid, ["ip", "-batch", "-"], "\n".join(commands))


class Switch:
    """A network namespace with a bridge; `links` are by host number."""

    def __init__(self, prefix: str) -> None:
        """Start it; `wait_ready` must follow. `prefix`: three bytes of the network's addresses."""
        self._holder = Holder("switch")
        self._prefix = prefix
        self._gateway = f"{prefix}.{GATEWAY}"
        self._known = {self._gateway: None}  # every address there ever was, in order
        self.links: dict[int, Link] = {}

    def wait_ready(self) -> None:
        """Return when the switch can be plugged into."""
        self._holder.wait_ready()
        _run_ip(
            self._holder.pid,
            "link set lo up",
            "link add hub type bridge",
            "link set hub up",
        )

    def attach(self, plugs: Mapping[int, Plug]) -> None:
        """Lay links to hosts, by number."""
        for number in plugs:
            link = self.links.setdefault(number, Link(number, f"{self._prefix}.{number}"))
            self._known[link.address] = None
        plans = (plan_attach(self.links[number], plug) for number, plug in plugs.items())
        _run_ip(self._holder.pid, *(command for plan in plans for command in plan))
        for number, plug in plugs.items():
            link = self.links[number]
            link.plug = plug
            _run_ip(plug.pid, *self._plan_host_network(link.address, plug.device))

    def readdress(self, number: int) -> None:
        """Give a host another address, which nobody has had.

        Its MAC changes with it, so that what still comes for the old address is swallowed.
        """
        link, old = self.links[number], self.links[number].address
        addresses = (f"{self._prefix}.{spare}" for spare in _SPARE)
        link.address = next(address for address in addresses if address not in self._known)
        self._known[link.address] = None
        for other in self.links.values():
            if other.plug is not None and other is not link:
                _run_ip(other.plug.pid, plan_neighbour(link.address, other.plug.device))
        if link.plug is not None:  # else it comes back with the new one
            pid, device = link.plug
            plan = self._plan_host_network(link.address, device)
            _run_ip(pid, f"addr del {old}/24 dev {device}", *plan)

    def _plan_host_network(self, address: str, device: str) -> list[str]:
        return plan_host_network(address, device, self._gateway, self._known)

    def detach(self, number: int) -> None:
        """Pull a link out, so that its host cannot say goodbye to anybody."""
        link = self.links[number]
        _run_ip(self._holder.pid, f"link del {link.port}")
        self._straighten(link)
        self.links[number] = Link(number, link.address)

    def cut(self, number: int) -> None:
        """Make the link a black hole; both ends stay up and notice nothing."""
        link = self.links[number]
        link.is_cut = True
        _run_ip(self._holder.pid, f"link set {link.port} nomaster")

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
        _run_ip(
            self._holder.pid,
            f"link add {bridge} type bridge",
            f"link set {bridge} up",
            f"link set {near} master hub up",
            f"link set {far} master {bridge} up",
            f"link set {link.port} " + ("nomaster" if link.is_cut else f"master {bridge}"),
        )

    def slow(self, number: int, bits_per_second: int) -> None:
        """Limit the rate in each direction; 0 lifts the limit."""
        link = self.links[number]
        if bits_per_second or link.bits_per_second:
            run_in(self._holder.pid, plan_shaping(link.port, bits_per_second))
            if link.plug is not None:
                run_in(link.plug.pid, plan_shaping(link.plug.device, bits_per_second))
        link.bits_per_second = bits_per_second

    def heal(self, number: int) -> None:
        """Undo cut, delay and slow. TCP connections that have waited go on."""
        link = self.links[number]
        self.slow(number, 0)
        link.is_cut = False
        self._straighten(link)
        _run_ip(self._holder.pid, f"link set {link.port} master hub")

    def _straighten(self, link: Link) -> None:
        if link.wire is None:
            return
        _run_ip(self._holder.pid, f"link del hub{link.number}")
        link.wire.kill()
        link.wire.communicate()
        link.wire = None

    def close(self) -> None:
        """End the switch, and with it every link."""
        self._holder.close()
