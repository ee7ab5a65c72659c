"""The way to the gate for an ordinary user: by the broker on this machine, over its socket.

What comes goes into two pipes, as from an ssh: frame by frame, and by splice, so that files do not
come through Python.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

from asyncamanda.client.restore.transfer import SessionEnd, Transfer
from asyncamanda.core.restore.frames import (
    BROKEN,
    HEADER_BYTES,
    SOCKET_PATH,
    FrameKind,
    parse_header,
)
from asyncamanda.errors import LaterError, RefusedError

RECONNECT_FOR = timedelta(minutes=2)
CONNECTED_WITHIN = 10.0  # seconds
LEFT_WITHIN = 5.0  # seconds for the thread, whose pipes are closed
NO_BROKER = (
    "`asyncamanda schedule install`, as root, lets users do it where systemd runs; else, "
    "as root: asyncamanda restore"
)


class LocalLine:
    """A line by the broker; each request has a connection of its own."""

    host = "the server"
    reconnect_for = RECONNECT_FOR

    def __init__(self, path: str = SOCKET_PATH) -> None:
        self._path = path

    def begin(self, request: bytes) -> Transfer:
        """Send a request, a line. Raises LaterError, and RefusedError if there is no broker."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECTED_WITHIN)
            connection.connect(self._path)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)  # it may refuse, and say so, before it has read all
            connection.settimeout(None)
            return _LocalTransfer(connection)
        except (FileNotFoundError, ConnectionRefusedError, PermissionError) as error:
            connection.close()
            raise _no_broker() from error
        except OSError as error:
            connection.close()
            raise LaterError(
                "broker-busy", f"the broker on this machine does not answer: {error}", "try again"
            ) from error

    def prepare(self) -> None:
        """Do nothing: a connection that asks nothing would cost a turn."""


@contextlib.contextmanager
def open_broker(path: str = SOCKET_PATH) -> Iterator[LocalLine]:
    """Yield a line by the broker on this machine. Raises RefusedError if there is none."""
    if not os.path.exists(path):  # noqa: PTH110
        raise _no_broker()
    yield LocalLine(path)


class _LocalTransfer:
    """One connection to the broker, and the thread that sorts what comes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._end: SessionEnd | None = None
        self._noticed, self._notice = os.pipe()
        self.output, output = os.pipe()
        self.answers, answers = os.pipe()
        self._is_closed = False
        self._thread = threading.Thread(target=self._sort, args=(output, answers), daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        return self._noticed

    def end(self) -> SessionEnd | None:
        return self._end

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        for descriptor in (self.output, self.answers):
            os.close(descriptor)
        self._thread.join(LEFT_WITHIN)
        self._connection.close()
        os.close(self._noticed)

    def _sort(self, output: int, answers: int) -> None:
        pipes = {FrameKind.OUTPUT: output, FrameKind.ANSWERS: answers}
        status, words = None, "the broker on this machine has ended"
        try:
            status = self._pass_on(pipes)
        except (OSError, ValueError) as error:
            words = str(error)
        finally:
            for pipe in pipes.values():
                os.close(pipe)
            self._end = SessionEnd(status, "" if status is not None else words)
            os.close(self._notice)  # its reader turns readable

    def _pass_on(self, pipes: dict[FrameKind, int]) -> int | None:
        """Return the exit status that the last frame has, None if the connection broke."""
        while True:
            header = self._receive(HEADER_BYTES)
            kind, size = parse_header(header)
            if kind is FrameKind.END:
                (status,) = self._receive(size)
                return None if status == BROKEN else status
            _splice(self._connection.fileno(), pipes[kind], size)

    def _receive(self, size: int) -> bytes:
        """Return exactly so many bytes. Raises OSError if the connection ends before."""
        received = b""
        while len(received) < size:
            piece = self._connection.recv(size - len(received))
            if not piece:
                raise ConnectionResetError("the broker on this machine has ended")
            received += piece
        return received


def _splice(source: int, sink: int, size: int) -> None:
    """Move exactly `size` bytes from a socket into a pipe. Raises OSError."""
    while size:
        moved = os.splice(source, sink, size)
        if not moved:
            raise ConnectionResetError("the broker on this machine has ended")
        size -= moved


def _no_broker() -> RefusedError:
    return RefusedError(
        "no-broker",
        "the backups of this machine are root's, and nothing here gives users their files",
        NO_BROKER,
    )
