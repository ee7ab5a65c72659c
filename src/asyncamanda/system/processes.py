"""Processes as /proc shows them: which are alive, in which session, and what it was started as.

proc(5): in /proc/PID/stat the fields after the name are state, parent, group, session, ...; the
20th of them is the start time in ticks since boot.
"""

import os
import signal
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is not a zombie: its session's leader is the process `session`.

    `started` is when it began, in ticks since this boot: with it a number is never mistaken for
    that of another process.
    """

    pid: int
    parent: int
    session: int
    name: str
    started: int = 0


def read_process(pid: int) -> Process | None:
    """Return the process `pid`; None if there is none, or only its exit status is left."""
    try:
        text = (PROC / str(pid) / "stat").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    head, _, rest = text.rpartition(")")
    state, parent, _, session, *more = rest.split()
    if state in "ZX":
        return None
    return Process(pid, int(parent), int(session), head.partition("(")[2], int(more[15]))


@dataclass(frozen=True, slots=True)
class Description:
    """What a process was started as, and its state letter, as proc(5) has it."""

    argv: tuple[str, ...]
    state: str


def describe_process(pid: int) -> Description | None:
    """Return what is to be seen of the process `pid`; None if there is none."""
    try:
        text = (PROC / str(pid) / "stat").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    return Description(tuple(read_argv(pid)), text.rpartition(")")[2].split()[0])


def iterate_processes() -> Iterator[Process]:
    """Yield every process that is to be seen and is not a zombie."""
    for name in os.listdir(PROC):  # noqa: PTH208 - pathlib takes thrice as long, many times a run
        if name.isdigit() and (process := read_process(int(name))):
            yield process


def read_argv(pid: int) -> list[str]:
    """Return what the process `pid` was started as; nothing if it is gone or shows nothing."""
    with suppress(OSError):
        line = (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0")
        return [os.fsdecode(word) for word in line.split(b"\0")] if line else []
    return []


def has_session(leader: int, started: int | None) -> bool:
    """Return whether any process of the session that `leader` led is alive, itself or another.

    A number is not given to a new process while it names a session (credentials(7)); afterwards it
    may be, and then its session is another: its leader has not `started` then.
    """
    own = [process for process in iterate_processes() if process.session == leader]
    return bool(own) and all(process.started == started for process in own if process.pid == leader)


def read_moved(pid: int) -> int:
    """Return how many bytes the process `pid` has read and written; 0 where that is not shown.

    By whatever way: proc(5), /proc/PID/io, rchar and wchar.
    """
    moved = 0
    with suppress(OSError, ValueError):
        for line in (PROC / str(pid) / "io").read_text("ascii").splitlines():
            if line.startswith(("rchar: ", "wchar: ")):
                moved += int(line.split()[1])
    return moved


def list_open_files(pid: int) -> list[str]:
    """Return the paths of the files that a process has open; none where nothing is shown."""
    found: list[str] = []
    with suppress(OSError):
        folder = PROC / str(pid) / "fd"
        for name in os.listdir(folder):  # noqa: PTH208 - as above
            with suppress(OSError):
                found.append(os.readlink(folder / name))  # noqa: PTH115 - any text
    return found


def signal_process(process: Process, number: int) -> bool:
    """Send a signal to that very process; return whether it is there and may be sent one.

    Not to another one that has been given its number meanwhile: the descriptor is of one process,
    and what is read while it is open is that one's.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        known = read_process(process.pid)
        if known is None or (known.session, known.started) != (process.session, process.started):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def find_ancestor(pid: int, names: Collection[str], uid: int) -> int | None:
    """Return the nearest process above `pid` of one of those names and that user, or None."""
    process = read_process(pid)
    while process and process.parent > 1:
        process = read_process(process.parent)
        if process and process.name in names and _owner(process.pid) == uid:
            return process.pid
    return None


def _owner(pid: int) -> int | None:
    try:
        return (PROC / str(pid)).stat().st_uid
    except OSError:
        return None


def began_at(process: Process) -> float:
    """Return when a process began, a Unix time; as exact as the kernel's ticks are."""
    for line in (PROC / "stat").read_text("ascii").splitlines():
        if line.startswith("btime "):
            return int(line.split()[1]) + process.started / os.sysconf("SC_CLK_TCK")
    return 0.0


def read_boot_id() -> str:
    """Return what names this boot of the machine; process ids mean nothing in another."""
    return (PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
