"""A pipe that is read in order: what comes is looked at, or moved into a file by the kernel.

splice(2) moves a file's contents from the pipe without a way through this process. Where a file
system does not take it, they are copied.
"""

import errno
import fcntl
import os
import select
from collections.abc import Callable
from contextlib import suppress

READ_BYTES = 1 << 16
MOVED_BYTES = 1 << 20  # that are asked for at a time; a pipe gives what it has
WIDE = 1 << 20  # bytes that the pipe is to hold; what a user's pipes take is limited (pipe(7))

_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class StreamCut(Exception):  # noqa: N818 - an expected outcome, not an error
    """The stream ended before its end."""


class PipeSource:
    """The reading end of a pipe, which becomes this object's own to read, but not to close.

    `wait` returns when the pipe may be readable, and may do something else meanwhile; `on_moved` is
    called whenever something has come. What either raises ends the reading. `position` is how many
    bytes have come out so far.
    """

    def __init__(
        self,
        descriptor: int,
        wait: Callable[[], None] | None = None,
        on_moved: Callable[[], None] = lambda: None,
    ) -> None:
        self.position = 0
        self._on_moved = on_moved
        self._descriptor = descriptor
        self._wait = wait or self._poll
        self._cannot_splice = False
        self._nowhere = -1
        os.set_blocking(descriptor, False)
        with suppress(OSError):  # it is a matter of speed alone
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, WIDE)

    def close(self) -> None:
        """Release what this object opened itself."""
        if self._nowhere >= 0:
            os.close(self._nowhere)
            self._nowhere = -1

    def read(self, most: int = READ_BYTES) -> bytes:
        """Return the next bytes, at most so many; b"" at the pipe's end."""
        while True:
            try:
                piece = os.read(self._descriptor, most)
            except BlockingIOError:
                self._wait()
            else:
                self.position += len(piece)
                self._on_moved()
                return piece

    def move(self, sink: int, count: int) -> None:
        """Move exactly `count` bytes to the file `sink`, at its offset.

        Raises StreamCut if the pipe ends before, and the sink's OSError; `position` says then how
        far it came.
        """
        left = count
        while left:
            try:
                moved = self._copy(sink, left) if self._cannot_splice else self._splice(sink, left)
            except BlockingIOError:
                self._wait()
                continue
            if not moved:
                raise StreamCut
            self.position += moved
            left -= moved
            self._on_moved()

    def skip(self, count: int) -> None:
        """Let `count` bytes go nowhere. Raises StreamCut if the pipe ends before."""
        if count and self._nowhere < 0:
            self._nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self.move(self._nowhere, count)

    def _splice(self, sink: int, most: int) -> int:
        flags = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
        try:
            return os.splice(self._descriptor, sink, min(most, MOVED_BYTES), flags=flags)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            self._cannot_splice = True
            return self._copy(sink, most)

    def _copy(self, sink: int, most: int) -> int:
        piece = memoryview(os.read(self._descriptor, min(most, READ_BYTES)))
        left = piece
        try:
            while left:
                left = left[os.write(sink, left) :]
        except OSError:
            self.position += len(piece)  # it has come out of the pipe, wherever it went
            raise
        return len(piece)

    def _poll(self) -> None:
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        poller.poll()
