"""A local program joined to a command at the server: each reads what the other writes.

The bytes go through pipes between the program and the master connection, and never through this
process, unless there is a limit for what goes to the server.
"""

import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncamanda.system.endings import is_ended, list_session
from asyncamanda.system.muxsession import MuxSession, open_session
from asyncamanda.system.processes import Process
from asyncamanda.system.session import clean_line
from asyncamanda.system.throttle import Throttle, ThrottledPipe

KILLED_WITHIN = 1.0  # seconds; a program that waits for a dead disk is not waited for
KEPT_SAID = 2000  # bytes of what either printed to stderr
READ_BYTES = 1 << 16  # what a pipe holds


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How a stream ended: the local program's exit status, as a shell has it, and what it said.

    None: the command at the server ended first, or (`is_refused`) there was no session for it.
    """

    status: int | None
    said: str
    is_refused: bool = False


class _Said:
    """What comes out of a pipe: only its beginning is kept."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._kept = b""

    def hear(self) -> None:
        """Take what has come."""
        with contextlib.suppress(BlockingIOError):
            self._kept = (self._kept + os.read(self.number, READ_BYTES))[:KEPT_SAID]

    def first_line(self) -> str:
        """Return the first line that is not blank, "" if there is none.

        After what went wrong amandad prints how its functions had called each other.
        """
        lines = [clean_line(line) for line in self._kept.splitlines() if line.strip()]
        return lines[0] if lines else ""


class Stream:
    """A local program and a session, joined; see join()."""

    def __init__(
        self,
        program: subprocess.Popen[bytes],
        session: MuxSession,
        says: tuple[int, int],
        slowed: ThrottledPipe | None,
    ) -> None:
        program_says, said = says
        self._slowed = slowed
        self._program = program
        self._session = session
        self._program_says = _Said(program_says)
        self._session_says = _Said(said)
        self._program_ends = os.pidfd_open(program.pid)

    def descriptors(self) -> list[int]:
        """Return what turns readable when one of the two ends."""
        is_open = self._session.status is None
        program = [] if self._program.poll() is not None else [self._program_ends]
        return [*program, self._session.fileno()] if is_open else program

    def end(self) -> StreamEnd | None:
        """Return how the stream ended, as soon as either side has; None if it goes on."""
        is_over, status = self._session.hear(), self._program.poll()
        for said in (self._program_says, self._session_says):
            said.hear()  # else a program that prints much would wait
        if status is not None and not self._session.is_refused:  # else it has read an end at once
            return StreamEnd(_as_shell(status), self._program_says.first_line())
        if is_over:
            words = self._session.reason or self._session_says.first_line()
            return StreamEnd(None, words, self._session.is_refused)
        return None

    @property
    def is_gone(self) -> bool:
        """Whether both sides have ended, and nothing is left to wait for."""
        return self._program.poll() is not None and self._session.status is not None

    def hang_up(self) -> None:
        """End the session, and with it the program's input."""
        self._session.close()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the program a signal."""
        with contextlib.suppress(PermissionError):
            self._program.send_signal(number)

    def list_left(self) -> list[Process]:
        """Return what the program has started and is still there."""
        return list_session(self._program.pid)

    def close(self) -> int | None:
        """Release both; return the program's number if it goes on though it was killed."""
        self._session.close()
        is_over = is_ended(self._program, KILLED_WITHIN)
        for number in (self._program_ends, self._program_says.number, self._session_says.number):
            os.close(number)
        if self._slowed:
            self._slowed.close()
        return None if is_over else self._program.pid


def join(
    argv: Sequence[str],
    environ: Mapping[str, str],
    master: str,
    command: str,
    throttle: Throttle | None = None,
) -> Stream:
    """Start the program `argv`, joined to `command` by the connection whose master is at a path.

    What it prints goes out no faster than a `throttle` lets it. Raises OSError, and then nothing
    runs. The program leads a session of its own, so that no signal
    from a terminal reaches it.
    """
    ends: list[int] = []  # of the two sides; this process closes its own when they are started
    slowed: ThrottledPipe | None = None
    stream: Stream | None = None
    try:
        to_server, from_program = pair = os.pipe()
        ends += pair
        to_program, from_server = pair = os.pipe()
        ends += pair
        if throttle:
            to_server, slowed = _throttle(throttle, to_server, ends)
        with contextlib.ExitStack() as undo:
            says, said_by_program = os.pipe()
            undo.callback(os.close, says)
            ends.append(said_by_program)
            hears, said_by_session = os.pipe()
            undo.callback(os.close, hears)
            ends.append(said_by_session)
            program = subprocess.Popen(
                argv,
                stdin=to_program,
                stdout=from_program,
                stderr=said_by_program,
                env=environ,
                cwd="/",
                start_new_session=True,
            )
            undo.callback(_end, program)
            session = open_session(master, command, (to_server, from_server, said_by_session))
            undo.callback(session.close)
            for descriptor in (says, hears):
                os.set_blocking(descriptor, False)
            stream = Stream(program, session, (says, hears), slowed)
            undo.pop_all()
    finally:
        for descriptor in ends:
            os.close(descriptor)
        if slowed and not stream:
            slowed.close()
    return stream


def _throttle(throttle: Throttle, source: int, ends: list[int]) -> tuple[int, ThrottledPipe]:
    """Return the end of another pipe, which gets what comes out of `source` by and by.

    Of `ends`, what this process has to close, `source` is none any more.
    """
    slowed, sink = os.pipe()
    ends.append(slowed)
    pipe = ThrottledPipe(source, sink, throttle)
    try:
        pipe.start()
    except RuntimeError as error:
        os.close(sink)
        raise OSError(errno.EAGAIN, "no further thread") from error
    ends.remove(source)
    return slowed, pipe


def _end(program: subprocess.Popen[bytes]) -> None:
    program.kill()
    is_ended(program, KILLED_WITHIN)


def _as_shell(status: int) -> int:
    return status if status >= 0 else 128 - status
