"""Ending the programs that we started: within a known time, or by name.

KILL does not end what waits in the kernel for a disk or a file system that does not answer (state
D): whoever waited for such a program would hang with it.
"""

import contextlib
import subprocess
from collections.abc import Iterator

from asyncamanda.core.hanging import explain_state
from asyncamanda.errors import LaterError
from asyncamanda.system.processes import describe_process

PATIENCE = 1.0  # seconds for a program that was told to end, before it is killed
KILLED_WITHIN = 10.0  # seconds; a start ends at most four of them, one after another
CANNOT_BE_ENDED = "cannot-be-ended"
LONGEST_COMMAND = 100  # characters


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


def cannot_end(pid: int) -> LaterError:
    """Return the error for a process that goes on though it was killed."""
    seen = describe_process(pid)
    command = " ".join(seen.argv)[:LONGEST_COMMAND] if seen else ""
    state = explain_state(seen.state) if seen else ""
    return LaterError(
        CANNOT_BE_ENDED,
        f"pid {pid}{f' ({command})' if command else ''} was killed and does not end{state}",
        f"`cat /proc/{pid}/stack` as root shows where it waits; a dead mount goes with `umount -f "
        "-l`, or a reboot. The next start tries again",
    )
