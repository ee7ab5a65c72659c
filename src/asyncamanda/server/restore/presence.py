"""The end of a session, noticed by who serves it, whatever that one is doing.

sshd leaves a forced command running whose connection is gone: it only closes its own end of the
command's stdout. A thread watches that end, whether the client is still allowed what it gets, and
whether it takes anything; the process's main thread is then interrupted, and ends in good order.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from select import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, poll
from types import FrameType

LATER = 75  # errors.Exit
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
GONE = "the connection ended"
_BROKEN = POLLERR | POLLHUP | POLLNVAL


class SessionOver(BaseException):  # no Exception, so that nothing on the way takes it for its own
    """The session has ended, or has to; the text says why."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched.

    `out` and `errors` are the descriptors to the client, and `count_sent` tells how many bytes went
    there by now. `find_objection` returns why the client may not go on, "" if it may. The session
    ends where nothing at all is taken for `stall` of what waits in either, and `end_within` is how
    long the main thread has for its end.
    """

    out: int
    count_sent: Callable[[], int]
    find_objection: Callable[[], str]
    stall: timedelta = timedelta(minutes=10)
    look_every: timedelta = timedelta(seconds=2)
    end_within: timedelta = timedelta(seconds=20)
    errors: int = 2


@contextmanager
def watch_session(watch: Watch) -> Iterator[None]:
    """Raise SessionOver in the block, which has to be the main thread's, when the session is over.

    So does a signal to stop. Where the block does not end then, as in a read from a disk that is
    dead, the process does. After the block such signals are ignored: what is left is to write down
    how it ended, and sshd's end, which sends one, often comes just then.
    """
    watcher = _Watcher(watch)
    for number in STOPPING:
        signal.signal(number, watcher.interrupt)
    watcher.start()
    try:
        yield
    finally:
        watcher.stop()
        _ignore_signals()


class _Watcher(threading.Thread):
    def __init__(self, watch: Watch) -> None:
        super().__init__(name="presence", daemon=True)
        self._watch = watch
        self._reader, self._writer = os.pipe()
        self._why = ""

    def interrupt(self, number: int, _: FrameType | None) -> None:
        """End the block, once."""
        _ignore_signals()
        self._why = self._why or f"stopped by {signal.Signals(number).name}"
        raise SessionOver(self._why)

    def stop(self) -> None:
        """End the thread: the block has ended."""
        os.close(self._writer)
        self.join()
        os.close(self._reader)

    def run(self) -> None:
        """Watch until the block ends; interrupt it if the session does first."""
        watch = self._watch
        waiting = poll()
        waiting.register(self._reader, POLLIN)
        waiting.register(watch.out, 0)
        moved_at, sent = time.monotonic(), -1
        while not self._why:
            events = dict(waiting.poll(watch.look_every.total_seconds() * 1000))
            if self._reader in events:
                return
            is_waiting = _is_full(watch.out) or _is_full(watch.errors)
            if sent != watch.count_sent() or not is_waiting:
                moved_at, sent = time.monotonic(), watch.count_sent()
            if events.get(watch.out, 0) & _BROKEN:
                self._why = GONE
            elif time.monotonic() - moved_at > watch.stall.total_seconds():
                self._why = "the client takes nothing any more"
            else:
                self._why = self._why or watch.find_objection()
        os.kill(os.getpid(), signal.SIGTERM)
        self._await_end()

    def _await_end(self) -> None:
        """End the process if the block does not end in time."""
        waiting = poll()
        waiting.register(self._reader, POLLIN)
        if not waiting.poll(self._watch.end_within.total_seconds() * 1000):
            os._exit(LATER)


def _ignore_signals() -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _is_full(descriptor: int) -> bool:
    """Return whether nothing more can be written just now."""
    looking = poll()
    looking.register(descriptor, POLLOUT)
    return not looking.poll(0)
