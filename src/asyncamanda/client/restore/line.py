"""The way to the gate for who wants files back: a line, and one transfer after another on it.

The gate answers with two streams of bytes: what was asked for on its stdout, and what it says of
that on its stderr. Both are descriptors here, so that files go from ssh to the disk and not through
this process. root never runs ssh: a process of the Amanda user's holds the connection.
"""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import NoReturn, Protocol

from asyncamanda.client.restore.holder import BEGIN, BESIDE, GOODBYE, hold_connection
from asyncamanda.client.restore.transfer import Question, SessionEnd, SpareSession, Transfer
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import LaterError, parse_error
from asyncamanda.system.endings import KILLED_WITHIN, reap
from asyncamanda.system.interrupts import STOPPING, StopRequest

LARGEST_NOTE = 1 << 16  # bytes
Hold = Callable[[socket.socket, str | None, Iterable[int]], NoReturn]
TICK = 0.5  # seconds


class Line(Protocol):
    """A way to a gate: `host` is the server, in words."""

    @property
    def host(self) -> str: ...

    @property
    def reconnect_for(self) -> timedelta: ...

    def begin(self, request: bytes) -> Transfer:
        """Send a request, a line; the one before has to be closed. Raises LaterError."""

    def prepare(self) -> None:
        """Let the server make ready for another request, while this one is answered."""


class _Notes:
    """What the child says of the ends of its sessions."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self._ends: dict[int, SessionEnd] = {}
        self._is_over = False

    def find(self, session: int) -> SessionEnd | None:
        """Return how this one ended; None if it goes on."""
        while not self._is_over and (note := _hear(self.control)) != {}:
            if note is None:
                self._is_over = True
                break
            number, status, words = (note.get(key) for key in ("session", "status", "words"))
            if isinstance(number, int):
                known = status if isinstance(status, int) else None
                self._ends[number] = SessionEnd(known, str(words))
        if self._is_over:
            gone = SessionEnd(None, "the connection's process has ended")
            return self._ends.get(session, gone)
        return self._ends.get(session)


class _OwnTransfer:
    """A session of the connection that the child holds."""

    def __init__(self, notes: _Notes, session: int, output: int, answers: int) -> None:
        self.output = output
        self.answers = answers
        self._notes = notes
        self._session = session

    def fileno(self) -> int:
        return self._notes.control.fileno()

    def end(self) -> SessionEnd | None:
        return self._notes.find(self._session)

    def close(self) -> None:
        for descriptor in (self.output, self.answers):
            os.close(descriptor)


class OwnLine:
    """A connection to the gate with this machine's own key; made by open_own_line()."""

    def __init__(self, control: socket.socket, host: str, reconnect_for: timedelta) -> None:
        self.host = host
        self.reconnect_for = reconnect_for
        self._notes = _Notes(control)
        self._count = 0
        self._spare = SpareSession(partial(self._open, BESIDE))

    def begin(self, request: bytes) -> Transfer:
        """Send a request over a session of its own."""
        return self._spare.take(request) or self._open(BEGIN, Question(request))

    def prepare(self) -> None:
        """Open a session beside the one that there is, for the next request."""
        self._spare.prepare()

    def close(self) -> None:
        """Close what was prepared for a request that did not come."""
        self._spare.close()

    def _open(self, how: bytes, question: Question) -> _OwnTransfer:
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            theirs.callback(os.close, question.reader)
            output, output_end = os.pipe()
            ours.callback(os.close, output)
            theirs.callback(os.close, output_end)
            answers, answers_end = os.pipe()
            ours.callback(os.close, answers)
            theirs.callback(os.close, answers_end)
            control = self._notes.control
            try:
                socket.send_fds(control, [how], [question.reader, output_end, answers_end])
            except OSError as error:
                raise _lost(self.host) from error
            ours.pop_all()
        self._count += 1
        return _OwnTransfer(self._notes, self._count - 1, output, answers)


@contextlib.contextmanager
def open_own_line(
    named: str | None, stop: StopRequest, hold: Hold = hold_connection
) -> Iterator[OwnLine]:
    """Connect as the configuration says, and yield the line, closed with the block.

    `named` is the configuration file, None for the usual one; `hold` is what the child does that
    holds the other end. Raises what plan_configured() raises, and the error of each way in which a
    connection fails; LaterError if a signal says `stop`.
    """
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.setblocking(False)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        child = os.fork()
        if child == 0:
            control.close()
            hold(theirs, named, blocked)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()
    try:
        greeting = _await_note(control, stop)
        span = timedelta(seconds=float(str(greeting["reconnect_for"])))
        with contextlib.closing(OwnLine(control, str(greeting["host"]), span)) as line:
            yield line
    finally:
        with contextlib.suppress(OSError):
            control.send(GOODBYE)
        control.close()
        _end_child(child)


def _await_note(control: socket.socket, stop: StopRequest) -> dict[str, object]:
    """Return the first thing that the child says. Raises its error, or LaterError."""
    while True:
        select.select([control.fileno(), stop.fileno()], [], [], TICK)
        if stop.signal:
            raise LaterError(
                "stopped", f"stopped by {stop.signal.name}", "nothing was changed; try again"
            )
        note = _hear(control)
        if note is None:
            raise _lost("the server")
        if "exit" in note:
            raise parse_error(note)
        if note:
            return note


def _hear(control: socket.socket) -> dict[str, object] | None:
    """Return what the child said; {} if that was nothing, None if it has ended."""
    try:
        text = control.recv(LARGEST_NOTE)
    except BlockingIOError:
        return {}
    except OSError:
        return None
    if not text:
        return None
    note = parse_json(text)
    assert isinstance(note, dict)
    return note


def _end_child(child: int) -> None:
    os.kill(child, signal.SIGTERM)  # it may still wait for ssh to connect
    if reap(child, KILLED_WITHIN / 2) is None:
        os.kill(child, signal.SIGKILL)
        reap(child, KILLED_WITHIN)


def _lost(host: str) -> LaterError:
    return LaterError(
        "connection-lost", f"the connection to {host} was lost", "try again, or later"
    )
