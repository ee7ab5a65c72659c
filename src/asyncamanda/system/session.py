"""A command at the server, with bytes in and out; what it prints to stderr is kept apart."""

import contextlib
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Collection

from asyncamanda.core.values.printable import printable
from asyncamanda.system.interrupts import StopRequest

PATIENCE = 1.0  # seconds for an ssh that was told to end, before it is killed
KEPT_LINE = 400  # characters
KEPT_SAID = 4000  # bytes


class Session:
    """One command over a master connection; made by Connection.talk()."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stop: StopRequest,
        is_broken: Callable[[], bool],
        last_words: Callable[[], str],
    ) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self._process = process
        self._stop = stop
        self._is_broken = is_broken
        self._last_words = last_words
        self._input = process.stdin
        self._output = process.stdout.fileno()
        self._errors: int | None = process.stderr.fileno()
        self._said = b""
        os.set_blocking(self._input.fileno(), False)
        os.set_blocking(self._errors, False)

    def send(self, piece: bytes) -> None:
        """Send a piece of at most PIPE_BUF (4096) bytes, whole; drop it if nobody takes it.

        Whether the other side lives shows in what it answers.
        """
        try:
            os.write(self._input.fileno(), piece)
        except OSError:  # it has ended; or its pipe is full, after thousands of pieces
            return

    def receive(self, seconds: float, others: Collection[int] = ()) -> bytes | None:
        """Return what the command printed; b"" at its end, None if nothing came in time.

        A signal to stop does not wait: then it is None at once, and so it is as soon as one of the
        `others`, descriptors, can be read.
        """
        give_up_at = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            selector.register(self._stop, selectors.EVENT_READ)
            if self._errors is not None:
                selector.register(self._errors, selectors.EVENT_READ)
            for descriptor in others:
                selector.register(descriptor, selectors.EVENT_READ)
            while not self._stop.signal:
                left = give_up_at - time.monotonic()
                ready = {key.fd for key, _ in selector.select(max(left, 0))}
                if self._output in ready:
                    return os.read(self._output, 1 << 16)
                if self._errors in ready and not self._hear_errors():
                    selector.unregister(self._errors)
                    self._errors = None
                if left <= 0 or not ready.isdisjoint(others):
                    return None
        return None

    def finish(self) -> int | None:
        """End the command's input; return its exit status, None if the connection is gone.

        A command that does not end within a second counts as killed.
        """
        self._input.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        while self._errors is not None and self._hear_errors():
            pass
        status = self._process.poll()
        if status == 255 and self._is_broken():
            return None
        return 255 if status is None or status < 0 else status

    def said(self) -> tuple[str, ...]:
        """Return the lines that the command, or ssh, printed to stderr; the last ones of many."""
        lines = [clean_line(line) for line in self._said.splitlines()] or [self._last_words()]
        return tuple(line for line in lines if line)

    def _hear_errors(self) -> bool:
        """Keep what stderr has, and return whether there was something."""
        assert self._errors is not None
        try:
            piece = os.read(self._errors, 1 << 16)
        except BlockingIOError:
            return False
        self._said = (self._said + piece)[-KEPT_SAID:]
        return bool(piece)


def clean_line(line: bytes) -> str:
    """Return `line` for a terminal or a log: printable, and its end alone if it is long."""
    return printable(line[-KEPT_LINE:].decode("utf-8", "replace").rstrip())
