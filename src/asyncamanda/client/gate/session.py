"""The session with the gate: its messages, and whether the other side still answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncamanda.client.gate.streams import Streams
from asyncamanda.core.protocol.heartbeat import Beat, Pulse, beat, hear, start_pulse
from asyncamanda.core.protocol.messages import (
    Again,
    BadLine,
    Bye,
    ClientMessage,
    Finished,
    Hello,
    Later,
    Noted,
    Open,
    Ping,
    Pong,
    Progress,
    Queued,
    Refused,
    Running,
    Welcome,
)
from asyncamanda.core.protocol.wire import encode, server_decoder
from asyncamanda.core.values.interval import format_age
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.session import Session, clean_line
from asyncamanda.system.ssh import Stopped

TICK = 0.5  # seconds
LOOKS = 3  # in a beat, at least
SHORTEST_BEAT = timedelta(seconds=0.1)
KEPT_TEXT = 800  # bytes of a line that may be invalid


@dataclass(frozen=True, slots=True)
class Closed:
    """The session has ended: why, the gate's exit status, and what it printed to stderr.

    The status is None where the connection broke, or the other side fell silent.
    """

    words: str
    status: int | None = None
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Garbled:
    """The other side sent a line that is not one of the gate's messages."""

    text: str
    reason: str


Heard = (
    Welcome
    | Queued
    | Later
    | Running
    | Progress
    | Finished
    | Noted
    | Refused
    | Again
    | Garbled
    | Stopped
    | Closed
)


class GateSession:
    """One session with the gate, and the streams beside it."""

    def __init__(self, session: Session, streams: Streams, stop: StopRequest) -> None:
        self._session = session
        self._streams = streams
        self._stop = stop
        self._decoder = server_decoder()
        self._unfinished = b""
        self._greeted_at: datetime | None = None
        self._answer_within = timedelta(0)
        self._pulse: Pulse | None = None
        self._tick = TICK

    @property
    def is_greeting(self) -> bool:
        """Whether our Hello is still to be answered."""
        return self._greeted_at is not None

    def say(self, message: ClientMessage) -> None:
        """Send `message`."""
        self._session.send(encode(message))

    def greet(self, hello: Hello, within: timedelta) -> None:
        """Say Hello; the Welcome has to come `within` that.

        Neither a second Hello before it nor Pings prolong that time.
        """
        self.say(hello)
        self._answer_within = within
        self._greeted_at = self._greeted_at or read_clock()
        self._pulse = None

    def welcome(self, every: timedelta) -> None:
        """Note that the greeting is answered; from now on a silent server is asked so often."""
        self._greeted_at = None
        every = max(every, SHORTEST_BEAT)
        self._pulse = start_pulse(every, read_clock())
        self._tick = min(TICK, every.total_seconds() / LOOKS)

    def leave(self) -> None:
        """Say Bye, and give the gate a moment to hear it."""
        self.say(Bye())
        self._session.finish()

    def listen(self, on_tick: Callable[[], None]) -> Iterator[Heard]:
        """Yield what the other side says, its Pings answered, and last how the session ended.

        Streams begin and end meanwhile, as it asks for. `on_tick` is called several times a second.
        """
        while not self._stop.signal:
            if end := self._look(read_clock()):
                yield end
                return
            piece = self._session.receive(self._tick, self._streams.descriptors())
            on_tick()
            self._streams.tend(self.say)
            if piece == b"":
                yield self._close()
                return
            if piece:
                yield from self._read(piece)
        yield Stopped(self._stop.signal.name)

    def _look(self, now: datetime) -> Closed | None:
        """Check on the other side; return the session's end if it has been silent for too long."""
        if self._greeted_at:
            self._greeted_at = min(self._greeted_at, now)  # the clock may have been set back
            if now - self._greeted_at < self._answer_within:
                return None
            return Closed(f"the server did not answer within {format_age(self._answer_within)}")
        if self._pulse is None:
            return None
        self._pulse, sign = beat(self._pulse, now)
        if sign is Beat.PING:
            self.say(Ping())
        if sign is Beat.GONE:
            return Closed(f"nothing was received for {format_age(now - self._pulse.heard_at)}")
        return None

    def _read(self, piece: bytes) -> Iterator[Heard]:
        if self._pulse:
            self._pulse = hear(self._pulse, read_clock())
        for part in piece.splitlines(keepends=True):
            self._unfinished = (self._unfinished + part)[-KEPT_TEXT:]
            for message in self._decoder.feed(part):
                if isinstance(message, Ping | Pong | Open):
                    self._answer(message)
                elif isinstance(message, BadLine):
                    yield Garbled(clean_line(self._unfinished), message.reason)
                else:
                    yield message
            if part.endswith(b"\n"):
                self._unfinished = b""

    def _answer(self, message: Ping | Pong | Open) -> None:
        """Handle what concerns only this session."""
        if isinstance(message, Open):
            if failed := self._streams.open(message.token):
                self.say(failed)
        elif isinstance(message, Ping):
            self.say(Pong())

    def _close(self) -> Closed | Garbled:
        status = self._session.finish()
        if self.is_greeting and self._unfinished.strip():
            return Garbled(clean_line(self._unfinished), "cut off")
        words = "the connection broke" if status is None else f"the gate ended (status {status})"
        return Closed(words, status, self._session.said())
