"""Which processes are sshd's ends of connections, by what they are.

What they call themselves differs: `sshd: USER@notty` until OpenSSH 9.7, `sshd-session: USER@notty`
since 9.8, where programs of their own serve a connection (seen with 9.2 and 10.0). A test that
looks for a name finds nothing with the other, and nothing is just what it may be waiting for.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROGRAMS = frozenset({"sshd", "sshd-session", "sshd-auth"})


def sshd_connections(proc: Path) -> dict[int, int]:
    """Return each process that sshd has for a connection, with its user's number.

    `proc` is where /proc is found. The process that listens is none: no sshd has started it.
    """
    sshd = {pid: (parent, uid) for pid, parent, uid in _iterate_sshd(proc)}
    listeners = {pid for pid, (parent, _) in sshd.items() if parent not in sshd}
    return {pid: uid for pid, (_, uid) in sshd.items() if pid not in listeners}


def _iterate_sshd(proc: Path) -> Iterator[tuple[int, int, int]]:
    for entry in proc.iterdir():
        with suppress(OSError):  # it has just ended
            if entry.name.isdigit() and (entry / "exe").readlink().name in _PROGRAMS:
                parent = (entry / "stat").read_text("utf-8").rpartition(")")[2].split()[1]
                yield int(entry.name), int(parent), entry.stat().st_uid
