"""A bound on all that is asked of a database server, for what its own bounds and TCP's do not see.

A server that is stopped, or hangs, keeps its connections: its kernel goes on answering. So whoever
waits for it waits forever, in a call that nothing here ends, unless the connection is cut.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SLACK_SECONDS = 0.5  # drivers and we do not count alike

_here = threading.local()  # the deadline that this thread has


class Deadline:
    """Cuts the connections that were made under it, once its time is over."""

    def __init__(self) -> None:
        self.is_over = False
        self._begun_at = time.monotonic()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []

    def take(self, descriptor: int) -> None:
        """Take on a connection, by a descriptor of our own: its number may be another's soon."""
        with self._lock:
            self._sockets.append(socket.socket(fileno=os.dup(descriptor)))

    def was_silent(self, connect_seconds: float) -> bool:
        """Return whether what failed under it is for want of an answer, connecting included."""
        is_late = time.monotonic() - self._begun_at >= connect_seconds - SLACK_SECONDS
        return self.is_over or (is_late and not self._sockets)

    def cut(self) -> None:
        """End the time."""
        with self._lock:
            self.is_over = True
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()


@contextmanager
def deadline(seconds: float) -> Iterator[Deadline]:
    """Bound what this thread asks for of a server until the end of the block."""
    bound = Deadline()
    timer = threading.Timer(seconds, bound.cut)
    timer.daemon = True
    timer.start()
    _here.deadline = bound
    try:
        yield bound
    finally:
        _here.deadline = None
        timer.cancel()
        bound.close()


def bind(descriptor: int) -> None:
    """Let a connection that was just made end with this thread's deadline, if it has one."""
    bound: Deadline | None = getattr(_here, "deadline", None)
    if bound:
        bound.take(descriptor)
