"""Bytes from one descriptor to another by splice(2): they never come into this process.

One of the two has to be a pipe. Nothing here blocks. What is heard on the way is copied, until
nobody needs it any more. It is imported by each stream's process, so it imports next to nothing.
"""

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from select import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT
from stat import S_ISFIFO

PIECE = 1 << 20  # bytes that are asked for at a time; a pipe gives what it has
COPIED = 4096  # bytes, where splice cannot: what a writable pipe takes at least (PIPE_BUF)
MUCH = 1 << 20  # bytes after which a flow's pipes are widened
WIDE = 1 << 19  # bytes, eight times a pipe's usual; what a user's pipes take is limited (pipe(7))

_CANNOT = {errno.EINVAL, errno.ENOSYS}
_LATER = {errno.EAGAIN, errno.EINTR}
_GONE = POLLERR | POLLHUP | POLLNVAL


class Flow:
    """Bytes in one direction, from `source` to `sink`, until either is at its end.

    `is_over` then, and the flow has closed neither: its maker passes the end on. `hear` is given
    each piece that comes, and returns what of it goes on, until it is None.
    """

    __slots__ = (
        "_is_copied",
        "_is_wide",
        "_unwritten",
        "hear",
        "is_blocked",
        "is_over",
        "moved",
        "sink",
        "source",
    )

    def __init__(
        self, source: int, sink: int, hear: Callable[[bytes], bytes] | None = None
    ) -> None:
        self.source = source
        self.sink = sink
        self.hear = hear
        self.is_over = False
        self.moved = 0  # bytes so far
        self.is_blocked = False  # there is something, and the sink does not take it
        self._is_copied = False
        self._is_wide: bool | None = None  # None: it was not tried
        self._unwritten = memoryview(b"")
        for descriptor in (source, sink):
            if not S_ISFIFO(os.fstat(descriptor).st_mode):  # splice's flag is for pipes alone
                os.set_blocking(descriptor, False)

    def wanted(self) -> list[tuple[int, int]]:
        """Return what to poll for: (descriptor, events). An error of the sink always counts."""
        if self.is_over:
            return []
        if self.is_blocked:
            return [(self.sink, POLLOUT)]
        return [(self.source, POLLIN), (self.sink, 0)]

    def take(self, descriptor: int, events: int) -> None:
        """Move what can be moved, after poll said so of one of wanted()."""
        if self.is_over:
            return
        if descriptor == self.sink and events & _GONE:  # nobody reads there any more: poll(2)
            self.is_over = True
        elif descriptor == self.source or (descriptor == self.sink and events & POLLOUT):
            self._move()

    def is_worth_a_nap(self, before: int) -> bool:
        """Return whether more is soon there to be moved at once; `before`: `moved`, a turn ago.

        What comes in small pieces, each with a wakeup, is gathered in a wide pipe meanwhile, and
        its writer does not wait.
        """
        return bool(self._is_wide) and 0 < self.moved - before < WIDE // 2

    def insert(self, piece: bytes) -> None:
        """Let a piece go out before all that is still to come."""
        if piece:
            self._unwritten = memoryview(bytes(self._unwritten) + piece)
            self.is_blocked = True

    def take_back(self) -> bytes:
        """Return what has come and not gone out, which is not the flow's any more."""
        kept, self._unwritten = bytes(self._unwritten), memoryview(b"")
        return kept

    def _move(self) -> None:
        try:
            if self._is_copied or self.hear or self._unwritten:
                self._copy()
            else:
                self._splice()
        except OSError as error:
            self._bear(error)

    def _bear(self, error: OSError) -> None:
        if error.errno in _LATER:
            # the sink is full, or the source empty: what was not waited for is waited for now
            is_copying = self._is_copied or self.hear or self._unwritten
            self.is_blocked = bool(self._unwritten) if is_copying else not self.is_blocked
        elif error.errno in _CANNOT and not self._is_copied:
            self._is_copied, self.is_blocked = True, False
        else:
            self.is_over = True

    def _splice(self) -> None:
        flags = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
        count = os.splice(self.source, self.sink, PIECE, flags=flags)
        self.is_blocked = False
        self.is_over = count == 0
        self.moved += count
        if self._is_wide is None and self.moved > MUCH:
            self._is_wide = _widen(self.source) and _widen(self.sink)

    def _copy(self) -> None:
        """Read a piece, or write of what was read, as far as poll reports the sink ready."""
        if self._unwritten:
            self._unwritten = self._unwritten[os.write(self.sink, self._unwritten[:COPIED]) :]
        else:
            piece = os.read(self.source, COPIED)
            self.moved += len(piece)
            self.is_over = not piece
            self._unwritten = memoryview(self.hear(piece) if self.hear else piece)
        self.is_blocked = bool(self._unwritten)


def _widen(pipe: int) -> bool:
    """Let a pipe hold more, and return whether it does."""
    with suppress(OSError):
        return fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, WIDE) >= WIDE
    return False
