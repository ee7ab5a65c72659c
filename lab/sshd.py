"""What differs from one sshd to the next: its settings, and its processes.

What these call themselves differs: `sshd: USER@notty` until OpenSSH 9.7, `sshd-session: USER@notty`
since 9.8, where programs of their own serve a connection (seen with 9.2 and 10.0). A test that
looks for a name finds nothing with the other, and nothing is just what it may be waiting for.
"""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROGRAMS = frozenset({"sshd", "sshd-session", "sshd-auth"})


def plan_settings(program: str = "/usr/sbin/sshd") -> str:
    """Return the lines of sshd_config that this machine's sshd needs besides.

    Since 9.8 it shuts out an address from which logins fail for some seconds, and a laptop of the
    lab has one address for all that a test lets fail (seen with 10.0). A test of that turns it on.
    """
    line = "PerSourcePenalties no"
    argv = [program, "-G", "-f", "/dev/null", "-o", line.replace(" ", "=")]
    knows = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return f"{line}\n" if knows.returncode == 0 else ""


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
