"""A local program joined to a command at the server: each reads what the other writes.

The bytes go through pipes between the two processes, and never through this one.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncamanda.system.session import clean_line

KEPT_SAID = 2000  # bytes of what either printed to stderr


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How a stream ended: the local program's exit status, as a shell has it, and last words.

    None: the command at the server ended first, or there was none.
    """

    status: int | None
    said: str


class Stream:
    """A local program and an ssh, joined; see join()."""

    def __init__(self, program: subprocess.Popen[bytes], session: subprocess.Popen[bytes]) -> None:
        self._program = program
        self._session = session
        self._watched = [os.pidfd_open(process.pid) for process in (program, session)]

    def descriptors(self) -> list[int]:
        """Return what can be waited for: each turns readable when one of the two has ended."""
        return list(self._watched)

    def end(self) -> StreamEnd | None:
        """Return how the stream ended, as soon as either side has; None if it goes on."""
        status = self._program.poll()
        if status is not None:
            return StreamEnd(_as_shell(status), _last_line(self._program))
        if self._session.poll() is not None:
            return StreamEnd(None, _last_line(self._session))
        return None

    @property
    def is_gone(self) -> bool:
        """Whether both sides have ended, and nothing is left to wait for."""
        return self._program.poll() is not None and self._session.poll() is not None

    def hang_up(self) -> None:
        """End the command at the server, so that the program's input ends."""
        self._session.terminate()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to both sides."""
        for process in (self._session, self._program):
            with contextlib.suppress(PermissionError):
                process.send_signal(number)

    def close(self) -> None:
        """Let go of both; they have ended."""
        for descriptor in self._watched:
            os.close(descriptor)
        self._watched = []
        for process in (self._program, self._session):
            process.wait()
            if process.stderr:
                process.stderr.close()


def join(argv: Sequence[str], environ: Mapping[str, str], session: Sequence[str]) -> Stream:
    """Start the program `argv` and the ssh `session`, joined. Raises OSError, and then none runs.

    Each leads a session of its own, so that no signal from a terminal reaches it.
    """
    to_server, from_program = os.pipe()
    to_program, from_server = os.pipe()
    try:
        program = subprocess.Popen(
            argv,
            stdin=to_program,
            stdout=from_program,
            stderr=subprocess.PIPE,
            env=environ,
            cwd="/",
            start_new_session=True,
        )
        try:
            ssh = subprocess.Popen(
                session,
                stdin=to_server,
                stdout=from_server,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError:
            program.kill()
            program.wait()
            raise
    finally:
        for descriptor in (to_server, from_program, to_program, from_server):
            os.close(descriptor)
    for process in (program, ssh):
        assert process.stderr
        os.set_blocking(process.stderr.fileno(), False)
    return Stream(program, ssh)


def _as_shell(status: int) -> int:
    return status if status >= 0 else 128 - status


def _last_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr
    try:
        said = os.read(process.stderr.fileno(), 1 << 16)[-KEPT_SAID:]
    except BlockingIOError:
        return ""
    lines = [clean_line(line) for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""
