"""amandad as a service of inetd's: amanda-common's postinst on Debian adds it (update-inetd)."""

from collections.abc import Iterable

from asyncamanda.core.doctor.findings import Check, Health, well

SWITCH_OFF = ("update-inetd", "--disable", "amanda")
PORT = 10080  # `amanda` in /etc/services
NEEDLESS = "the gate does not need it: Amanda reaches this machine by the client's own connection"


def find_services(lines: Iterable[str]) -> list[int]:
    """Return the numbers of the lines of inetd.conf that start amandad (inetd.conf(5))."""
    found = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if len(words) > 5 and any(word.rpartition("/")[2] == "amandad" for word in words[5:]):
            found.append(number)
    return found


def judge_inetd(path: str, lines: Iterable[str]) -> Check:
    """Return whether inetd offers amandad to the network; `lines` are those of the file `path`."""
    numbers = find_services(lines)
    if not numbers:
        return well("inetd", "it does not offer amandad to the network")
    found = f"{path}:{numbers[0]} offers amandad to the network, on port {PORT}"
    fix = f"as root, unless another Amanda server uses it: {' '.join(SWITCH_OFF)}"
    return Check("inetd", Health.WARNING, found, NEEDLESS, fix)
