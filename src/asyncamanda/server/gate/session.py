"""A client's session: the descriptors that its gate handed over, and the talk on them.

The session stands as long as the gate's connection, the client's end of the pipes and its
heartbeat do. What a client sends is limited in size before it is parsed, and in rate.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from asyncamanda.core.dispatch.rate_limit import Allowance, fill, take
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.protocol.fitting import encode_answer
from asyncamanda.core.protocol.heartbeat import Beat, beat, hear, start_pulse
from asyncamanda.core.protocol.messages import (
    Again,
    BadLine,
    ClientMessage,
    Ping,
    Pong,
    Refused,
    ServerMessage,
)
from asyncamanda.core.protocol.wire import client_decoder
from asyncamanda.errors import AsyncamandaError, ConfigurationError, Exit
from asyncamanda.server.background.tasks import write_log
from asyncamanda.server.gate.ipc import pack
from asyncamanda.system.clock import now as read_clock

READ_BYTES = 1 << 12
UNSENT_BYTES = 4 << 20  # a client that reads nothing is not waited for
SERVED = "served"  # how a session ends that had its last word
DRAIN_SECONDS = 5.0  # for the last words

OnMessage = Callable[["ClientSession", ClientMessage | BadLine], None]
OnEnd = Callable[["ClientSession", str], None]


class ClientSession:
    """One session. `is_greeted` says that Hello was answered, `is_watching` that it wants Progress.

    `served` is how often its client had been served when it was last told how it stands, and
    `told_disks` are those that it was shown then.
    `machine` is the lineage of the machine that it is of, `ticket` what that is given with the
    Welcome (core/protocol/tickets.py); a probe (`is_probe`) is given none, and `is_known` says that
    it came with the one that was given last. `is_relayed`: Amanda calls the client through it.
    `software` is what the client says that it runs.

    A session that another dispatcher had before (`is_resumed`) may begin in the middle of a word,
    so all is passed over until the client says Hello again.
    """

    def __init__(  # noqa: PLR0913 (by keyword only)
        self,
        identity: Identity,
        *,
        gate: socket.socket,
        descriptors: tuple[int, int],
        is_resumed: bool,
        heartbeat: timedelta,
        messages: Allowance,
        on_message: OnMessage,
        on_end: OnEnd,
    ) -> None:
        self.identity = identity
        self.is_resumed = is_resumed
        self.has_said_hello = False
        self.is_greeted = False
        self.is_watching = False
        self.is_probe = False
        self.is_known = False
        self.is_relayed = False
        self.software = ""
        self.machine: int | None = None
        self.ticket = ""
        self.served = 0
        self.told_disks: tuple[str, ...] = ()
        self.session_id: int | None = None
        self._gate = gate
        self._reader, self._writer = descriptors
        self._on_message, self._on_end = on_message, on_end
        self._messages = messages
        self.opened_at = now = read_clock()
        self._bucket = fill(messages, now)
        self._pulse = start_pulse(heartbeat, now)
        self._decoder = client_decoder()
        self._unsent = b""
        self._exit: int | None = None  # set: the session ends as soon as all is said
        self._is_ended = False
        self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        """Begin to listen. Raises OSError if the descriptors are none that can be waited for."""
        for descriptor in (self._reader, self._writer):
            os.set_blocking(descriptor, False)
        self._gate.setblocking(False)
        self._loop.add_reader(self._gate, self._hear_gate)
        self._loop.add_reader(self._reader, self._read)

    @property
    def client(self) -> str:
        """The client's name."""
        return self.identity.client

    @property
    def heard_at(self) -> datetime:
        """When the client last said something."""
        return self._pulse.heard_at

    @property
    def is_open(self) -> bool:
        """Whether anything can still be said."""
        return not self._is_ended and self._exit is None

    def send(self, message: ServerMessage) -> None:
        """Say `message`. If the client does not read, or has gone, the session ends.

        So it does with a refusal where `message` cannot be said within the client's bounds.
        """
        if not self.is_open:
            return
        said, refused = encode_answer(message)
        self._unsent += said
        self._write()
        if len(self._unsent) > UNSENT_BYTES:
            self.drop("it does not read", Exit.LATER)
        elif refused and self.is_open:
            write_log(f"{self.client}: {refused.message}")
            self._end_when_said(refused.exit)

    def finish(self, message: ServerMessage, code: int = Exit.OK) -> None:
        """Say `message`, the last word, and end the session when it is said."""
        self.send(message)
        if self.is_open:
            self._end_when_said(code)

    def _end_when_said(self, code: int) -> None:
        self._exit = code
        if self._unsent:
            self._loop.call_later(DRAIN_SECONDS, self.drop, "it does not read", code)
        else:
            self.drop(SERVED, code)

    def restart(self) -> None:
        """Let the client begin again: what it said last may have been cut."""
        self._unsent += b"\n"
        self.send(Again())

    def refuse(self, refused: Refused) -> None:
        """Say no, and end the session."""
        self.finish(refused, refused.exit)

    def ask(self) -> None:
        """Ask whether the client is there; `heard_at` moves when it answers."""
        self.send(Ping())

    def note_life(self, now: datetime) -> None:
        """Take the client for heard: another session of its connection brings its bytes.

        It is still asked once a beat, so that it hears of us.
        """
        asked_at = self._pulse.asked_at
        self._pulse = hear(self._pulse, now)
        if not asked_at <= now < asked_at + self._pulse.every:
            self._pulse = replace(self._pulse, asked_at=now)
            self.send(Ping())

    def beat(self, now: datetime) -> None:
        """Ask a client that has been silent whether it is there; end the session if it is gone."""
        self._pulse, step = beat(self._pulse, now)
        match step:
            case Beat.PING:
                self.send(Ping())
            case Beat.GONE:
                self.drop("silent", Exit.LATER)
            case Beat.QUIET:
                pass

    def drop(self, why: str, code: int) -> None:
        """End the session at once; the gate ends with `code`."""
        if self._is_ended:
            return
        self._is_ended = True
        for descriptor in (self._gate, self._reader):
            self._loop.remove_reader(descriptor)
        self._loop.remove_writer(self._writer)
        for descriptor in (self._reader, self._writer):
            os.close(descriptor)
        with suppress(OSError):
            self._gate.send(pack("exit", str(int(code))))
        self._gate.close()
        self._on_end(self, why)

    def _hear_gate(self) -> None:
        """Notice that the gate's process is gone: it has nothing to say."""
        try:
            if self._gate.recv(1):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.drop("its gate ended", Exit.LATER)

    def _read(self) -> None:
        try:
            received = os.read(self._reader, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self.drop("left", Exit.OK)
            return
        now = read_clock()
        self._pulse = hear(self._pulse, now)
        messages = self._decoder.feed(received)
        if not messages:  # what is no message is paid for, too
            self._pay(now)
        for message in messages:
            self._pay(now)
            if not self.is_open:
                return
            match message:
                case Ping():
                    self.send(Pong())
                case Pong():
                    pass
                case _:
                    self._on_message(self, message)

    def _pay(self, now: datetime) -> None:
        """Take from what the client may send, or refuse it if that is used up."""
        self._bucket, wait = take(self._bucket, self._messages, now)
        if wait is not None:
            self.refuse(TOO_FAST)

    def _write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._writer, self._unsent) :]
        except BlockingIOError:
            self._loop.add_writer(self._writer, self._write)
            return
        except OSError:
            self.drop("left", Exit.OK)
            return
        self._loop.remove_writer(self._writer)
        if self._exit is not None:
            self.drop(SERVED, self._exit)


_ADMINISTRATOR = "by the server's administrator, on the server, as root: asyncamanda server doctor"


def refusal_of(error: AsyncamandaError) -> Refused:
    """Return the error as a client is told it: whose it is to fix, if it is the server's own."""
    if isinstance(error, ConfigurationError):
        words = f"the server's own configuration is to be fixed there: {error.message}"
        return Refused(error.reference, words, _ADMINISTRATOR, int(error.exit))
    return Refused(error.reference, error.message, error.hint, int(error.exit))


TOO_FAST = Refused(
    "too-fast",
    "this client sends too many messages",
    "is another program using its key?",
    int(Exit.REFUSED),
)
