"""The streams that are joined, as the dispatcher sees them: each by the process that carries it.

The dispatcher holds nothing of a stream. It vouches for the client while that has a session on the
same connection, and ends the stream when it has none: a stream that nobody vouches for ends by
itself (attach.py), and one that does not end when it is told is killed.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncamanda.server.background.tasks import Rhythm, write_log
from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.stuck_dispatcher import VOUCH_SECONDS

VOUCH_EVERY = timedelta(seconds=VOUCH_SECONDS)
STOPPED_WITHIN = timedelta(seconds=5)

Place = tuple[str, int | None]  # a client, and its connection: sshd's process, if that is known


@dataclass(slots=True, eq=False)
class _OpenStream:
    place: Place
    token: str
    talk: socket.socket
    process: int | None  # a pidfd
    stopped_at: datetime | None = None


class OpenStreams:
    """All streams. `on_life` is told where bytes of a client come from."""

    def __init__(self, on_life: Callable[[Place], None]) -> None:
        self._on_life = on_life
        self._streams: list[_OpenStream] = []
        self._rhythm = Rhythm()
        self._loop = asyncio.get_running_loop()

    def __bool__(self) -> bool:
        return bool(self._streams)

    def add(self, place: Place, token: str, talk: socket.socket, pid: int) -> None:
        """Watch over a stream that is joined, carried by the process `pid`."""
        talk.setblocking(False)
        process = None
        with suppress(OSError):
            process = os.pidfd_open(pid)
        stream = _OpenStream(place, token, talk, process)
        self._streams.append(stream)
        self._loop.add_reader(talk, self._hear, stream)
        _say(stream, "well")

    def count(self, place: Place) -> int:
        """Return how many sessions of that connection are streams."""
        return sum(stream.place == place for stream in self._streams)

    def has_client(self, client: str) -> bool:
        """Return whether any stream is that client's."""
        return any(stream.place[0] == client for stream in self._streams)

    def tell_status(self, client: str, token: str, status: int, why: str) -> bool:
        """Tell a stream how its amandad ended; return whether there is that stream."""
        for stream in self._streams:
            if (stream.place[0], stream.token) == (client, token):
                _say(stream, "status", str(status), why)
                return True
        return False

    def stop(self, is_meant: Callable[[Place], bool], why: str, now: datetime) -> None:
        """Let streams end at once, so that Amanda sees an end, and hears `why` if it waits."""
        for stream in self._streams:
            if is_meant(stream.place) and stream.stopped_at is None:
                stream.stopped_at = now
                _say(stream, "stop", why)

    def beat(self, places: Collection[Place], now: datetime) -> None:
        """Vouch for the clients that are at `places`, and kill what was stopped and stays."""
        is_time = self._rhythm.is_due("vouch", VOUCH_EVERY, now)
        for stream in self._streams:
            if stream.stopped_at is None:
                if is_time and stream.place in places:
                    _say(stream, "well")
            elif now - stream.stopped_at > STOPPED_WITHIN and stream.process is not None:
                write_log(f"{stream.place[0]}: a stream does not end, and is killed")
                with suppress(OSError):
                    signal.pidfd_send_signal(stream.process, signal.SIGKILL)
                stream.stopped_at = now

    def _hear(self, stream: _OpenStream) -> None:
        """Hear that bytes come from a stream's client, or notice that the stream has ended."""
        try:
            is_alive = bool(stream.talk.recv(ipc.LARGEST))
        except BlockingIOError:
            return
        except OSError:
            is_alive = False
        if is_alive:
            self._on_life(stream.place)
            return
        self._loop.remove_reader(stream.talk)
        stream.talk.close()
        if stream.process is not None:
            os.close(stream.process)
        self._streams.remove(stream)


def _say(stream: _OpenStream, *words: str) -> None:
    with suppress(OSError):  # it is gone, or hangs
        stream.talk.send(ipc.pack(*words))
