"""Who offers amandad to the network on this machine: inetd, xinetd, or a socket of systemd's."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from asyncamanda.client.start.probing import read_lines
from asyncamanda.core.doctor.inetd import (
    SWITCH_OFF,
    UNIT,
    NetworkOffer,
    find_services,
    find_xinetd_services,
)

INETD = Path("/etc/inetd.conf")
XINETD, XINETD_FOLDER = Path("/etc/xinetd.conf"), Path("/etc/xinetd.d")
_PROGRAMS = "/usr/local/sbin:/usr/sbin:/sbin"
_WANTED = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"))  # systemctl enable


def find_network_offers() -> Iterator[NetworkOffer]:
    """Yield each offer; of inetd the first line."""
    for number in find_services(read_lines(INETD))[:1]:
        yield NetworkOffer("inetd", f"{INETD}:{number}", " ".join(SWITCH_OFF))
    for path in find_xinetd_files():
        for service in find_xinetd_services([*read_lines(path)]):
            place = f"{path}:{service.first + 1}"
            yield NetworkOffer("xinetd", place, "asyncamanda doctor --fix")
    for unit in find_sockets():
        yield NetworkOffer("systemd", unit, f"systemctl disable --now {unit}")


def find_xinetd_files() -> list[Path]:
    """Return what xinetd reads, if it is installed; names with a dot or a ~ it passes over.

    Debian's amanda-common has its file for xinetd, switched on, whether there is one or not.
    """
    if not shutil.which("xinetd", path=_PROGRAMS):
        return []
    more = sorted(XINETD_FOLDER.iterdir()) if XINETD_FOLDER.is_dir() else []
    found = [XINETD, *(path for path in more if "." not in path.name and path.name[-1] != "~")]
    return [path for path in found if path.is_file()]


def find_sockets() -> list[str]:
    """Return the socket units of Amanda's that are switched on."""
    links = (path for top in _WANTED for path in top.glob("*.wants/*.socket"))
    return sorted({path.name for path in links if UNIT.fullmatch(path.name)})
