"""The last words to Amanda on a connection: what it waits for is refused before its ssh ends.

Amanda 3.5.4's planner, dumper and amcheck may die of an end that comes with a request open
(amanda-facts, "Debian 13"; tests/e2e/test_relay_lost.py has the real ones ask). So its side is
read until it has closed that, and all that it asks is refused.

Each stream's process imports this, so it imports next to nothing.
"""

import os
from select import POLLIN, POLLOUT, poll

from asyncamanda.core.amanda.packets import Conversation
from asyncamanda.core.values.printable import printable

REFUSED_WITHIN = 3.0  # seconds; less than the dispatcher leaves to a stream that it stops
REFUSE_EVERY = 0.1  # seconds
READ_BYTES = 1 << 16
AT_ONCE = 4096  # bytes: what a pipe that has room takes without blocking (PIPE_BUF)


class Refusal:
    """What Amanda asks through the pipe `source` is refused, for `reason`, through `sink`.

    `unwritten` is what Amanda is to read before it. `is_over` says that Amanda is gone, or that
    there is nothing to refuse on this connection.
    """

    def __init__(
        self, talk: Conversation, source: int, sink: int, reason: str, unwritten: bytes = b""
    ) -> None:
        self.is_over = talk.is_over
        self._talk = talk
        self._source, self._sink = source, sink
        self._reason = printable(reason)
        self._unwritten = unwritten
        self._poll = poll()

    def turn(self, seconds: float) -> None:
        """Hear and say what there is, and wait for that no longer than `seconds`."""
        self._poll.register(self._source, POLLIN)
        self._poll.register(self._sink, POLLOUT if self._unwritten else 0)
        try:
            for descriptor, events in self._poll.poll(seconds * 1000):
                if descriptor == self._source:
                    self._hear()
                elif not events & POLLOUT:  # nobody reads there any more
                    self.is_over = True
            self._unwritten += self._talk.refuse(self._reason)
            self._say_if_room()
        except OSError:
            self.is_over = True

    def _hear(self) -> None:
        received = os.read(self._source, READ_BYTES)
        self._talk.hear_amanda(received)
        self.is_over = not received or self._talk.is_over

    def _say_if_room(self) -> None:
        room = poll()
        room.register(self._sink, POLLOUT)
        if self._unwritten and any(events & POLLOUT for _, events in room.poll(0)):
            written = os.write(self._sink, self._unwritten[:AT_ONCE])
            self._unwritten = self._unwritten[written:]
