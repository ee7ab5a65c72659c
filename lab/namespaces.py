"""Processes in namespaces of their own, that nothing outlives.

A host is one process: PID 1 of its own PID namespace (see holder.py). It ends when its
standard input does, which the kernel sees to even when the lab's process is killed, and
with it the kernel kills every process in that namespace; then nothing holds its mounts
and its network any more, and they vanish too. No file outside says that they existed.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from lab.errors import LabError
from lab.patience import at_most

_CLONE_NEWPID = 0x20000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_HOLDER = Path(__file__).with_name("holder.py")
_CLOSE_SECONDS = 30


def _checked(result: int, doing: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise LabError(
            "lab-namespace",
            f"cannot {doing}: {os.strerror(number)}",
            "the lab needs a real root (CAP_SYS_ADMIN), not a user namespace's",
        )


@contextmanager
def _children_enter(pidfd: int | None) -> Iterator[None]:
    """Let children that this thread forks be born in the PID namespace of `pidfd`.

    None: in a new one, whose PID 1 the first child is. The child is an ordinary child of
    this process for all that: its PID (as seen from here) is the program's own, and
    signals reach it directly. With `nsenter --pid` there would be a process in between.
    """
    own = os.open("/proc/thread-self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if pidfd is None:
            _checked(_LIBC.unshare(_CLONE_NEWPID), "make a PID namespace")
        else:
            _checked(_LIBC.setns(pidfd, _CLONE_NEWPID), "enter a host (is it closed?)")
        try:
            yield
        finally:
            _checked(_LIBC.setns(own, _CLONE_NEWPID), "come back from a host")
    finally:
        os.close(own)


def piped(stream: IO[str] | None) -> IO[str]:
    """Return a Popen's stream that was asked to be a pipe, and therefore is one."""
    if stream is None:
        raise LabError("lab-stream", "a stream that should be a pipe is none", "report this bug")
    return stream


def _pipes(program: "subprocess.Popen[str]") -> list[IO[str]]:
    streams = (program.stdin, program.stdout, program.stderr)
    return [stream for stream in streams if stream is not None]


def _is_finished(program: "subprocess.Popen[str]") -> bool:
    is_closed = all(stream.closed for stream in _pipes(program))
    return is_closed and program.poll() is not None


class Program(subprocess.Popen[str]):
    """One whose limits are stretched where the machine is busy (see patience.py)."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, or raise TimeoutExpired."""
        return super().wait(_stretched(timeout))

    def communicate(
        self,
        input: str | None = None,  # noqa: A002 (as Popen calls it)
        timeout: float | None = None,
    ) -> tuple[str, str]:
        """Return what it wrote, or raise TimeoutExpired."""
        return super().communicate(input, _stretched(timeout))


def _stretched(timeout: float | None) -> float | None:
    return None if timeout is None else at_most(timeout)


class Holder:
    """The PID 1 of one host; the host lives as long as it does."""

    def __init__(self, *arguments: str) -> None:
        """Start it; `wait_ready` must follow. `arguments` are those of holder.py."""
        with _children_enter(None):
            # the first program to run in a new PID namespace is its PID 1
            self._process = Program(
                [sys.executable, "-I", "-S", "-B", str(_HOLDER), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd="/",
                start_new_session=True,  # a Ctrl-C in the terminal is for the lab to handle
            )
        self.pid = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)
        self._programs: list[subprocess.Popen[str]] = []

    def wait_ready(self) -> None:
        """Return when the host's mounts and its empty network are there."""
        self._expect("ready")

    def kill_all(self) -> None:
        """Kill all processes but PID 1 at once, and forget the network with all sockets."""
        stdin = piped(self._process.stdin)
        stdin.write("kill\n")
        stdin.flush()
        self._expect("killed")

    def _expect(self, word: str) -> None:
        # the holder has a time limit of its own (an alarm), so that this read ends
        line = piped(self._process.stdout).readline().strip()
        if line != word:
            raise LabError(
                "lab-holder",
                f"a host did not come up: {line} {piped(self._process.stderr).read()}",
                "the lab needs a real root (CAP_SYS_ADMIN) and a kernel with overlayfs",
            )

    def start(
        self, argv: Sequence[str], environ: Mapping[str, str], streams: Mapping[str, int | None]
    ) -> subprocess.Popen[str]:
        """Start a program in all of the host's namespaces; its PID there is not this one."""
        enter = ["nsenter", "--target", str(self.pid)]
        enter += ["--mount", "--uts", "--ipc", "--net", "--root", "--wd", "--"]
        self._programs = [program for program in self._programs if not _is_finished(program)]
        with _children_enter(self._pidfd):
            program = Program(
                [*enter, *argv],
                env=dict(environ),
                encoding="utf-8",
                errors="surrogateescape",
                start_new_session=True,  # no terminal: ssh would ask for passwords on it
                stdin=streams["stdin"],
                stdout=streams["stdout"],
                stderr=streams["stderr"],
            )
        self._programs.append(program)
        return program

    def close(self) -> None:
        """End the host with all that runs on it; return when it is gone."""
        process = self._process
        piped(process.stdin).close()
        for program in self._programs:
            # PID 1 cannot end before these, whose parent we are, have been waited for
            program.wait(_CLOSE_SECONDS)
            for stream in _pipes(program):
                with suppress(OSError):  # what was written and never read
                    stream.close()
        process.wait(_CLOSE_SECONDS)
        piped(process.stdout).close()
        piped(process.stderr).close()
        os.close(self._pidfd)
