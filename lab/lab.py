"""Build a lab: the switch, the server and its clients, and the keys between them."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from lab.amanda import AmandaServer, Client
from lab.errors import LabCommandError, LabUnavailableError
from lab.host import Host
from lab.namespaces import Holder
from lab.network import Plug, Switch
from lab.router import INNER, OUTER, Router
from lab.sshd import plan_settings

DOMAIN = "example.com"
PASSWORD = "lab-backup"  # noqa: S105 (of an account that exists in the lab only)
_PASSWORD_HASH = "$5$lab$gd81UwIDNd3RYCUwYJGLQgsBQWsDn8aLPL38fsaQuCD"  # noqa: S105 (PASSWORD, by crypt(3))

_PROGRAMS = {  # by path, the Debian package
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ip": "iproute2",
    "tc": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "/usr/sbin/sshd": "openssh-server",
    "/usr/sbin/amdump": "amanda-server",
    "/usr/lib/amanda/amandad": "amanda-client",
    # which amdump needs, and Debian's package does not depend on
    "/usr/share/perl5/Encode/Locale.pm": "libencode-locale-perl",
}
_HIDDEN = ("/home", "/opt", "/root", "/srv", "/tmp")  # noqa: S108 (holder.py: EMPTY)
_SEARCHED = "/usr/sbin:/usr/bin:/sbin:/bin"

_SSHD_CONFIG = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
UseDNS no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 500
LogLevel VERBOSE
PrintMotd no
PidFile none
Subsystem sftp internal-sftp
"""

_MAKE_KEYS = """\
rm -f /etc/ssh/ssh_host_* &&
ssh-keygen -q -t ed25519 -N '' -C "$1" -f /etc/ssh/ssh_host_ed25519_key &&
ssh-keygen -q -t ed25519 -N '' -C "backup@$1" -f "$2"/.ssh/id_ed25519 &&
chown backup:backup "$2"/.ssh/id_ed25519 "$2"/.ssh/id_ed25519.pub
"""


class Root(NamedTuple):
    """Another root for hosts to show, and a virtual environment for the Python in it."""

    path: Path
    prefix: Path | None = None


def require_programs(programs: Mapping[str, str] = _PROGRAMS, root: Path | None = None) -> None:
    """Raise LabUnavailableError naming all that is missing here, and how to get it.

    `programs`: names or absolute paths, and the Debian package of each. `root`: where to look
    for them, if not on this machine.
    """
    if os.geteuid() != 0:
        raise LabUnavailableError(
            "lab-root", "the lab makes namespaces and mounts: only root may", "run it with sudo"
        )
    above = str(root) if root else ""
    searched = ":".join(above + place for place in _SEARCHED.split(":"))
    missing = [
        (program, package)
        for program, package in programs.items()
        if not (
            Path(above + program).exists()
            if program[0] == "/"
            else shutil.which(program, path=searched)
        )
    ]
    if missing:
        names = ", ".join(program for program, _ in missing)
        packages = " ".join(sorted({package for _, package in missing}))
        where = f" in {root}" if root else ""
        raise LabUnavailableError(
            "lab-programs", f"missing{where}: {names}", f"apt-get install {packages}"
        )


class Lab:
    """An Amanda server and its clients, each a host of its own, until `close`.

    A context manager. `prefix`: a virtual environment with asyncamanda, which every host
    sees as /opt/asyncamanda (its scripts must have been made for that place). `disk_bytes`:
    the size of each host's disk, in memory as far as it is used. `nat`: the clients are
    behind a router, and the server neither reaches them nor knows them by name. `roots`: by
    name, the hosts that show the files of another root, such as another Debian's. It has to
    have the packages that the lab needs here; it is not written to.
    """

    server: AmandaServer
    clients: dict[str, Client]

    def __init__(  # noqa: PLR0913 (by keyword, most of them)
        self,
        prefix: Path | None = None,
        clients: Sequence[str] = ("laptop",),
        server: str = "amanda",
        disk_bytes: int = 1 << 30,
        *,
        nat: bool = False,
        roots: Mapping[str, Root] | None = None,
    ) -> None:
        """Build it all; return when every sshd listens. Raises LabError."""
        require_programs()
        roots = roots or {}
        for root in set(roots.values()):
            require_programs(root=root.path)
        with ExitStack() as undo:
            outer = undo.enter_context(closing(Switch(OUTER)))
            inner = undo.enter_context(closing(Switch(INNER))) if nat else outer
            router = undo.enter_context(closing(Router())) if nat else None
            holders = [
                undo.enter_context(closing(_start_holder(name, disk_bytes, prefix, roots)))
                for name in (server, *clients)
            ]
            for switch in {outer, inner}:
                switch.wait_ready()
            for holder in holders:
                holder.wait_ready()
            self.server = AmandaServer(server, 1, holders[0], outer, disk_bytes)
            self.clients = {
                name: Client(name, number, holder, inner, disk_bytes)
                for number, (name, holder) in enumerate(zip(clients, holders[1:], strict=True), 2)
            }
            plugs = {number: Plug(holder.pid) for number, holder in enumerate(holders, 1)}
            if router is None:
                outer.attach(plugs)
            else:
                router.wait_ready()
                outer.attach({1: plugs.pop(1), **router.outer_leg})
                inner.attach({**plugs, **router.inner_leg})
            self._furnish(is_hidden=nat)
            self._undo = undo.pop_all()

    @property
    def client(self) -> Client:
        """The first client."""
        return next(iter(self.clients.values()))

    @property
    def hosts(self) -> list[Host]:
        """The server, then the clients."""
        return [self.server, *self.clients.values()]

    def _furnish(self, *, is_hidden: bool) -> None:
        """Write all files; the server knows no clients that are hidden from it."""
        makers = []
        for host in self.hosts:
            seen = (self.server, host) if is_hidden else self.hosts
            known = [other for other in self.hosts if other in seen]
            _write_system_files(host, known)
            home = host.account("backup").home
            host.make_directory(f"{home}/.ssh", owner="backup", mode=0o700)
            makers.append(host.start(["sh", "-c", _MAKE_KEYS, "sh", host.name, home]))
        for host, maker in zip(self.hosts, makers, strict=True):
            output = maker.communicate()
            if maker.returncode != 0:
                raise LabCommandError(host.name, ["ssh-keygen"], maker.returncode, output)
        self.server.furnish()
        for client in self.clients.values():
            client.furnish()
            introduce(client, self.server)
            if not is_hidden:
                introduce(self.server, client)
        for host in self.hosts:
            host.start_sshd()

    def close(self) -> None:
        """End all hosts with all that runs on them; return when they are gone."""
        self._undo.close()

    def __enter__(self) -> Self:
        """Return the lab itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def introduce(guest: Host, owner: Host) -> None:
    """Let backup@`guest` log in as backup@`owner`, with the host key pinned."""
    home = owner.account("backup").home
    known = f"{home}/.ssh/known_hosts"
    guest.append(known, f"{owner.known_hosts_line}\n", owner="backup")
    owner.append(f"{home}/.ssh/authorized_keys", f"{guest.backup_key}\n", owner="backup")


def _write_system_files(host: Host, known: Sequence[Host]) -> None:
    names = "".join(f"{each.address} {each.name}.{DOMAIN} {each.name}\n" for each in known)
    host.write("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{names}")
    host.write("/etc/hostname", f"{host.name}\n")
    host.write("/etc/mailname", f"{host.name}.{DOMAIN}\n")
    host.write("/etc/resolv.conf", "")
    host.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
    host.write("/etc/ssh/sshd_config", _SSHD_CONFIG + plan_settings())
    host.write("/etc/inetd.conf", "")  # amanda-common adds amandad to it
    # Debian's user backup has neither a shell nor a password
    passwd = host.read("/etc/passwd")
    host.write("/etc/passwd", re.sub(r"^(backup:.*:)[^:]*$", r"\1/bin/bash", passwd, flags=re.M))
    shadow = host.read("/etc/shadow")
    line = re.sub(r"^backup:[^:]*", lambda _: f"backup:{_PASSWORD_HASH}", shadow, flags=re.M)
    host.write("/etc/shadow", line, mode=0o640)


def _start_holder(
    name: str, disk_bytes: int, prefix: Path | None, roots: Mapping[str, Root]
) -> Holder:
    """Start a host, with another root if it has one."""
    if name not in roots:
        return Holder(name, *_holder_arguments(disk_bytes, prefix))
    root = roots[name]
    return Holder(name, *_holder_arguments(disk_bytes, root.prefix), str(root.path.resolve()))


def _holder_arguments(disk_bytes: int, prefix: Path | None) -> list[str]:
    """Return what holder.py is told after the host's name."""
    if prefix is None:
        return [str(disk_bytes), "", ""]
    prefix = prefix.resolve()
    python = prefix / "bin" / "python"
    if not python.exists():
        raise LabUnavailableError(
            "lab-prefix", f"{prefix}: no virtual environment", "install asyncamanda there first"
        )
    # an interpreter in somebody's home would be hidden by the host's own /home
    base = python.resolve().parent.parent
    hidden = any(base.is_relative_to(place) for place in _HIDDEN)
    return [str(disk_bytes), str(prefix), str(base) if hidden else ""]
