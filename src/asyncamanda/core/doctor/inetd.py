"""amandad as a service of inetd's, xinetd's or systemd's, which the gate does not need.

amanda-common's postinst on Debian adds it to inetd (update-inetd); other packages of Amanda's bring
a file for xinetd, or socket units.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from asyncamanda.core.doctor.findings import Check, Health, well

SWITCH_OFF = ("update-inetd", "--disable", "amanda")
PORT = 10080  # `amanda` in /etc/services
NEEDLESS = "the gate does not need it: Amanda reaches this machine by the client's own connection"
UNIT = re.compile(r"k?amanda[\w-]*\.socket")

_SERVICE = re.compile(r"\s*service\s+(\S+)")
_ATTRIBUTE = re.compile(r"\s*(\w+)\s*=\s*(.*?)\s*$")
_DISABLE = re.compile(r"\s*disable\s*=")


@dataclass(frozen=True, slots=True)
class NetworkOffer:
    """Who offers amandad to the network, where that is said, and what switches it off, in words."""

    program: str
    place: str
    switch_off: str


@dataclass(frozen=True, slots=True)
class XinetdService:
    """A service of xinetd's: the indices of its first line and of the one that closes it."""

    name: str
    first: int
    last: int


def find_services(lines: Iterable[str]) -> list[int]:
    """Return the numbers of the lines of inetd.conf that start amandad (inetd.conf(5))."""
    found = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if len(words) > 5 and any(word.rpartition("/")[2] == "amandad" for word in words[5:]):
            found.append(number)
    return found


def find_xinetd_services(lines: Sequence[str]) -> Iterator[XinetdService]:
    """Yield the services of a file of xinetd's that start amandad (xinetd.conf(5))."""
    name, first, said = "", 0, dict[str, str]()
    for index, line in enumerate(lines):
        if line.lstrip().startswith("#"):
            continue
        if found := _SERVICE.match(line):
            name, first, said = found[1], index, {}
        elif line.strip() == "}" and name:
            programs = f"{said.get('server', '')} {said.get('server_args', '')}".split()
            starts = any(word.rpartition("/")[2] == "amandad" for word in programs)
            if starts and said.get("disable", "no") != "yes":
                yield XinetdService(name, first, index)
            name = ""
        elif found := _ATTRIBUTE.match(line):
            said[found[1]] = found[2]


def disable_xinetd_services(text: str) -> str:
    """Return the text of a file of xinetd's with `disable = yes` for what starts amandad."""
    lines = text.splitlines(keepends=True)
    for service in reversed([*find_xinetd_services(lines)]):
        block = [line for line in lines[service.first : service.last] if not _DISABLE.match(line)]
        lines[service.first : service.last] = [*block, "\tdisable = yes\n"]
    return "".join(lines)


def judge_inetd(offers: Sequence[NetworkOffer]) -> Check:
    """Return whether something offers amandad to the network."""
    if not offers:
        return well("inetd", "nothing offers amandad to the network")
    first = offers[0]
    found = f"{first.place}: {first.program} offers amandad to the network, on port {PORT}"
    if more := [offer.place for offer in offers[1:]]:
        found += f"; also {', '.join(more)}"
    fix = f"as root, unless another Amanda server uses it: {first.switch_off}"
    return Check("inetd", Health.WARNING, found, NEEDLESS, fix)
