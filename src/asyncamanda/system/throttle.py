"""Bytes from one pipe to another no faster than is allowed, by a thread of their own.

Used only while there is a limit, or may be one: else they do not come through this process.
"""

import os
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic

from asyncamanda.core.conditions.rate import RateAllowance, spend

PIECE = 1 << 14  # bytes at a time: a fraction of a second's, at any limit
ENDED_WITHIN = 1.0  # seconds
LONGEST_WAIT = 0.5  # seconds: then the limit is looked at again


class Throttle:
    """The limit that all streams share; `rate` is in bytes a second, None for none."""

    def __init__(self) -> None:
        self.rate: int | None = None
        self._allowance = RateAllowance(0.0, monotonic())
        self._lock = Lock()

    def pass_on(self, count: int, stop: Event) -> None:
        """Return when `count` bytes may go out, or when it is to `stop`."""
        with self._lock:
            wait = 0.0
            if self.rate:
                self._allowance, wait = spend(self._allowance, self.rate, count, monotonic())
        until = monotonic() + wait
        while self.rate and (left := until - monotonic()) > 0:
            if stop.wait(min(left, LONGEST_WAIT)):
                return


class ThrottledPipe:
    """Carries what comes out of `source` into `sink`, which are its own, to the end of either."""

    def __init__(self, source: int, sink: int, throttle: Throttle) -> None:
        self._ends = source, sink
        self._throttle = throttle
        self._stop = Event()
        self._thread = Thread(target=self._carry, daemon=True)

    def start(self) -> None:
        """Begin. Raises RuntimeError if there can be no thread; then both ends stay open."""
        self._thread.start()

    def close(self) -> None:
        """Wait no more for a turn, and return when both ends are closed.

        Whoever writes or reads at the other ends has gone before: else that is not waited for.
        """
        self._stop.set()
        self._thread.join(ENDED_WITHIN)

    def _carry(self) -> None:
        source, sink = self._ends
        try:
            with suppress(OSError):  # whoever reads has gone
                while piece := os.read(source, PIECE):
                    self._throttle.pass_on(len(piece), self._stop)
                    rest = memoryview(piece)
                    while rest:
                        rest = rest[os.write(sink, rest) :]
        finally:
            os.close(source)
            os.close(sink)
