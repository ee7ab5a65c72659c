"""Ending the programs that asyncamanda started: within a known time; else they are named.

KILL does not end what waits in the kernel for a disk or a file system that does not answer (state
D): whoever waited for such a program would hang with it.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Collection, Iterator

from asyncamanda.core.agent.hanging import explain_state
from asyncamanda.errors import LaterError
from asyncamanda.system.processes import (
    Process,
    describe_process,
    iterate_processes,
    read_process,
)

PATIENCE = 1.0  # seconds for a program that was told to end, before it is killed
KILLED_WITHIN = 10.0  # seconds; a start ends at most four of them, one after another
STUCK_AFTER, STUCK_LOOKS = 3.0, 20  # seconds, and looks in them
CANNOT_BE_ENDED = "cannot-be-ended"
LONGEST_COMMAND = 100  # characters
REAP_POLL = 0.02  # seconds


@contextlib.contextmanager
def ending(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """Yield `process`, ended with the block. Raises LaterError if it cannot be ended."""
    try:
        yield process
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Let `process` end, or kill it. Raises LaterError, which names it, if that does not end it."""
    if process.poll() is not None:
        return
    process.terminate()
    if is_ended(process, PATIENCE):
        return
    process.kill()
    if not is_ended(process, KILLED_WITHIN):
        raise cannot_end(process.pid)


def is_ended(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Return whether `process` ends within so many seconds."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.poll() is not None


def reap(pid: int, seconds: float) -> int | None:
    """Return the exit status of the child `pid`, None if it does not end within so many seconds."""
    give_up_at = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= give_up_at:
            return None
        time.sleep(REAP_POLL)


def list_session(leader: int) -> list[Process]:
    """Return the living processes of the session that a program led, but for the program itself."""
    return [one for one in iterate_processes() if one.session == leader and one.pid != leader]


def find_stuck(left: Collection[Process]) -> int | None:
    """Return one of these processes that waits in the kernel all the time, None if none does.

    A process that works with a disk waits now and then, but not at every check.
    """
    give_up_at = time.monotonic() + STUCK_AFTER
    while left := [process for process in left if _is_waiting(process)]:
        if time.monotonic() > give_up_at:
            return left[0].pid
        time.sleep(STUCK_AFTER / STUCK_LOOKS)
    return None


def _is_waiting(process: Process) -> bool:
    """Return whether that very process is in state D."""
    known, seen = read_process(process.pid), describe_process(process.pid)
    return bool(known and known.started == process.started and seen and seen.state == "D")


def cannot_end(pid: int, how: str = "was killed and does not end") -> LaterError:
    """Return the error for a process that goes on though it was killed, or `how` it does."""
    seen = describe_process(pid)
    command = " ".join(seen.argv)[:LONGEST_COMMAND] if seen else ""
    state = explain_state(seen.state) if seen else ""
    return LaterError(
        CANNOT_BE_ENDED,
        f"pid {pid}{f' ({command})' if command else ''} {how}{state}",
        f"`cat /proc/{pid}/stack` as root shows where it waits; remove a dead mount with "
        "`umount -f -l`, or reboot. The next start tries again",
    )
