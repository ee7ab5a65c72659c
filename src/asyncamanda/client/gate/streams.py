"""Amanda's streams, at the client: each is a local amandad joined to an ssh session of its own.

What runs is fixed here, and nothing that the server says is part of it. A stream ends as it would
with sshd: amandad reads the end of its input, and what it has started finishes or meets a closed
pipe.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.client.start.sealing import is_sealing
from asyncamanda.core.protocol.authority import ATTACH
from asyncamanda.core.protocol.messages import Shut
from asyncamanda.errors import LaterError, NotStoredError
from asyncamanda.system.endings import cannot_end, find_stuck
from asyncamanda.system.processes import Process
from asyncamanda.system.ssh import Connection
from asyncamanda.system.stream import Stream, StreamEnd
from asyncamanda.system.throttle import Throttle

# where Debian, Red Hat and Amanda's own packages have it
AMANDADS = tuple(
    Path(folder, "amandad")
    for folder in ("/usr/lib/amanda", "/usr/libexec/amanda", "/usr/lib64/amanda")
)
# amandad accepts to speak through its own input, as with sshd, only with this, and uses it for
# nothing but a name (amanda-facts, "The network")
ENVIRON = {
    "SSH_CONNECTION": "127.0.0.1 1 127.0.0.1 22",
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C",
}
# where dumps are encrypted here: only requests reach amandad that let it encrypt them
GUARD = (sys.executable, "-I", "-m", "asyncamanda.system.guarded")
MOST = 16  # at a time; the server asks for fewer
PATIENCE = 5.0  # seconds for an amandad whose input has ended
LONGEST_REASON = 200  # characters: each may take twelve bytes of a line, which has 4096
BELOW = "was begun by amandad, and does not end"
NOT_FOUND, NOT_TAKEN = 127, 255  # exit statuses: the shell's, and ssh's


@dataclass(slots=True)
class _Joined:
    stream: Stream
    ended_at: float | None = None  # by the monotonic clock


class Streams:
    """All streams of one connection. `amandad` is its path, None to look for it.

    What they send together is no more than `throttle` lets go, if there is one.
    """

    def __init__(
        self, connection: Connection, amandad: Path | None, throttle: Throttle | None = None
    ) -> None:
        self._throttle = throttle
        self._connection = connection
        self._amandad = amandad
        self._guard = GUARD if is_sealing() else ()
        self._joined: dict[str, _Joined] = {}
        self._left: list[Process] = []  # what amandads that have ended had started

    def open(self, token: str) -> Shut | None:
        """Begin the stream that the server asks for; return what to tell it if that fails."""
        if token in self._joined:
            return None
        if len(self._joined) >= MOST:
            return Shut(token, NOT_TAKEN, "too many streams at once")
        candidates = (self._amandad,) if self._amandad else AMANDADS
        amandad = next((path for path in candidates if os.access(path, os.F_OK)), None)
        if amandad is None:
            places = " or ".join(map(str, candidates))
            return Shut(token, NOT_FOUND, f"there is no {places} here: is amanda-client installed?")
        argv = [*self._guard, str(amandad), "-auth=ssh", "amdump"]
        try:
            stream = self._connection.join(argv, ENVIRON, ATTACH + token, self._throttle)
        except OSError as error:
            return Shut(token, NOT_FOUND, f"{amandad} cannot be started: {error.strerror}")
        self._joined[token] = _Joined(stream)
        return None

    def descriptors(self) -> list[int]:
        """Return what turns readable when tend() has something to do."""
        open_ones = (joined for joined in self._joined.values() if joined.ended_at is None)
        return [number for joined in open_ones for number in joined.stream.descriptors()]

    def tend(self, tell: Callable[[Shut], None]) -> None:
        """Look after all streams, and `tell` the server of those that have ended."""
        now = time.monotonic()
        for token, joined in list(self._joined.items()):
            end = joined.stream.end()
            if end is None:
                continue
            if joined.ended_at is None:
                joined.ended_at = now
                tell(_explain(token, end))
            if joined.stream.is_gone:
                self._left += joined.stream.list_left()
                joined.stream.close()
                del self._joined[token]
            elif end.status is None and now - joined.ended_at > PATIENCE:
                is_stubborn = now - joined.ended_at > 2 * PATIENCE
                joined.stream.stop(signal.SIGKILL if is_stubborn else signal.SIGTERM)

    def close(self) -> None:
        """End all streams; return when they are gone.

        Raises LaterError, which names it, if an amandad goes on though it was killed, or if
        something that it had started, as tar, waits for what does not answer.
        """
        for joined in self._joined.values():
            joined.stream.hang_up()
        give_up_at = time.monotonic() + PATIENCE
        for number in (signal.SIGTERM, signal.SIGKILL):
            while not self._are_gone() and time.monotonic() < give_up_at:
                time.sleep(0.01)
            if self._are_gone():
                break
            for joined in self._joined.values():
                joined.stream.stop(number)
            give_up_at = time.monotonic() + PATIENCE
        streams, left = [joined.stream for joined in self._joined.values()], self._left
        left += [process for stream in streams for process in stream.list_left()]
        stuck = [stream.close() for stream in streams]
        self._joined, self._left = {}, []
        for pid in stuck:
            if pid:
                raise cannot_end(pid)
        if pid := find_stuck(left):
            raise cannot_end(pid, BELOW)

    def _are_gone(self) -> bool:
        return all(joined.stream.is_gone for joined in self._joined.values())


@contextmanager
def ending(streams: Streams, warn: Callable[[str], None]) -> Iterator[Streams]:
    """Yield `streams`, closed with the block. What cannot be ended takes no verdict's place.

    Raises what Streams.close() raises.
    """
    try:
        yield streams
    except NotStoredError:
        try:
            streams.close()
        except LaterError as stuck:
            warn(f"warning: {stuck.message}")
        raise
    except BaseException:
        streams.close()
        raise
    streams.close()


def _explain(token: str, end: StreamEnd) -> Shut:
    if end.status is None:
        said = end.said or "the server ended the session"
        return Shut(token, NOT_TAKEN, said[:LONGEST_REASON], end.is_refused)
    return Shut(token, min(end.status, 255), end.said[:LONGEST_REASON])
