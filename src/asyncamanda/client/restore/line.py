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
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from asyncamanda.client.restore.holder import BEGIN, GOODBYE, hold_connection
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import LaterError, parse_error
from asyncamanda.system.endings import KILLED_WITHIN, reap
from asyncamanda.system.interrupts import STOPPING, StopRequest

LARGEST_NOTE = 1 << 16  # bytes
TICK = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a session ended: its command's exit status, None where the connection broke; why."""

    status: int | None
    words: str = ""


class Transfer(Protocol):
    """One request, and what comes back: `output` and `answers` are to be read to their ends."""

    @property
    def output(self) -> int: ...

    @property
    def answers(self) -> int: ...

    def fileno(self) -> int:
        """Return what turns readable when the session has ended."""

    def end(self) -> SessionEnd | None:
        """Return how the session ended; None if it goes on, or that is not known yet."""

    def close(self) -> None:
        """Close the two descriptors; what still sends notices."""


class Line(Protocol):
    """A way to a gate: `host` is the server, in words."""

    @property
    def host(self) -> str: ...

    @property
    def reconnect_for(self) -> timedelta: ...

    def begin(self, request: bytes) -> Transfer:
        """Send a request, a line; the one before has to be closed. Raises LaterError."""


class _OwnTransfer:
    """A session of the connection that the child holds."""

    def __init__(self, control: socket.socket, output: int, answers: int) -> None:
        self.output = output
        self.answers = answers
        self._control = control
        self._end: SessionEnd | None = None

    def fileno(self) -> int:
        return self._control.fileno()

    def end(self) -> SessionEnd | None:
        if self._end is None:
            note = _hear(self._control)
            if note is None:
                self._end = SessionEnd(None, "the connection's process has ended")
            elif note:
                status = note.get("status")
                words = str(note.get("words", ""))
                self._end = SessionEnd(status if isinstance(status, int) else None, words)
        return self._end

    def close(self) -> None:
        for descriptor in (self.output, self.answers):
            os.close(descriptor)


class OwnLine:
    """A connection to the gate with this machine's own key; made by open_own_line()."""

    def __init__(self, control: socket.socket, host: str, reconnect_for: timedelta) -> None:
        self.host = host
        self.reconnect_for = reconnect_for
        self._control = control

    def begin(self, request: bytes) -> Transfer:
        """Send a request over a session of its own."""
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            question = os.memfd_create("request")
            theirs.callback(os.close, question)
            os.write(question, request)
            os.lseek(question, 0, os.SEEK_SET)
            output, output_end = os.pipe()
            ours.callback(os.close, output)
            theirs.callback(os.close, output_end)
            answers, answers_end = os.pipe()
            ours.callback(os.close, answers)
            theirs.callback(os.close, answers_end)
            try:
                socket.send_fds(self._control, [BEGIN], [question, output_end, answers_end])
            except OSError as error:
                raise _lost(self.host) from error
            ours.pop_all()
        return _OwnTransfer(self._control, output, answers)


@contextlib.contextmanager
def open_own_line(named: str | None, stop: StopRequest) -> Iterator[OwnLine]:
    """Connect as the configuration says, and yield the line, closed with the block.

    `named` is the configuration file, None for the usual one. Raises what plan_configured() raises,
    and the error of each way in which a connection fails; LaterError if a signal says `stop`.
    """
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.setblocking(False)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        child = os.fork()
        if child == 0:
            control.close()
            hold_connection(theirs, named, blocked)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()
    try:
        greeting = _await_note(control, stop)
        span = timedelta(seconds=float(str(greeting["reconnect_for"])))
        yield OwnLine(control, str(greeting["host"]), span)
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
