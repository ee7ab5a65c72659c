"""Signals to stop: noticed where the program waits, so that nothing is cut in half."""

import contextlib
import signal
import socket
from collections.abc import Iterator
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopRequest:
    """Whether a signal asked the program to stop; readable by a selector from then on."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._reader.fileno()

    def close(self) -> None:
        """Close the descriptors."""
        self._reader.close()
        self._writer.close()

    def ask(self) -> None:
        """Ask the program to stop, as a signal from outside would."""
        self.note(signal.SIGTERM, None)

    def note(self, number: int, _: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        with contextlib.suppress(OSError):
            self._writer.send(b"!")


@contextlib.contextmanager
def catch_stop() -> Iterator[StopRequest]:
    """Note TERM, INT and HUP instead of dying of them, until the end of the block."""
    request = StopRequest()
    before = {number: signal.signal(number, request.note) for number in STOPPING}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        request.close()
