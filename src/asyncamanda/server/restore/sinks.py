"""Where a stream goes out: to a descriptor, in large pieces, or by the kernel alone."""

import errno
import fcntl
import os
import select
from collections.abc import Callable
from contextlib import suppress
from typing import Concatenate, ParamSpec

_WIDE = 1 << 20  # bytes, as much as a user's pipe may hold
_ENOUGH = 1 << 18  # bytes that are gathered before they are written
_CANNOT = {errno.EINVAL, errno.ENOSYS}

P = ParamSpec("P")


class Sink:
    """Bytes to a descriptor that somebody reads, who may be slow: it is waited for.

    `hear` is given how many bytes have gone out, each time that some have. Each method raises
    OSError, such as BrokenPipeError when nobody reads there any more.
    """

    def __init__(self, descriptor: int, hear: Callable[[int], None] | None = None) -> None:
        self.descriptor = descriptor
        self.written = 0
        self._hear = hear
        self._gathered = bytearray()
        self._can_send = True
        with suppress(OSError):  # a pipe alone can be widened; then its reader is woken less often
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _WIDE)

    def write(self, piece: bytes | memoryview) -> None:
        """Let these bytes go out, sooner or later."""
        self._gathered += piece
        if len(self._gathered) >= _ENOUGH:
            self.flush()

    def flush(self) -> None:
        """Let all go out that was written."""
        left = memoryview(self._gathered)
        try:
            while left:
                left = left[self._move(os.write, left) :]
        finally:
            self._gathered = bytearray()

    def send(self, move: Callable[[int, int, int], int], offset: int, count: int) -> int | None:
        """Let `move` bring bytes to the descriptor, and return how many; None if it cannot do that.

        It is given the descriptor, from where on, and how many at most.
        """
        if not self._can_send:
            return None
        self.flush()
        try:
            return self._move(move, offset, count)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            self._can_send = False
            return None

    def _move(
        self, move: Callable[Concatenate[int, P], int], *what: P.args, **how: P.kwargs
    ) -> int:
        while True:
            try:
                moved = move(self.descriptor, *what, **how)
            except BlockingIOError:
                waiting = select.poll()
                waiting.register(self.descriptor, select.POLLOUT)
                waiting.poll()
            else:
                self.written += moved
                if self._hear:
                    self._hear(moved)
                return moved
