"""One mux request of Amanda's: an ssh that found the relay's socket, and waits for its client.

It is spoken with as OpenSSH's master would (core/protocol/mux.py), until it is handed to the
process that carries it (server/gate/attach.py), or ended.
"""

import asyncio
import os
import re
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from asyncamanda.core.amanda.packets import Conversation
from asyncamanda.core.protocol import mux
from asyncamanda.core.values.printable import printable
from asyncamanda.server.background.tasks import write_log
from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.ipc_server import peer_of
from asyncamanda.server.gate.refusal import REFUSE_EVERY, REFUSED_WITHIN, Refusal
from asyncamanda.server.gate.session import ClientSession

# what Amanda runs: amanda-facts, "The network"; tests/e2e/test_relay.py sees the real one do so
AMANDAD = re.compile(r"(?:/[\w./+-]*/)?amandad -auth=ssh(?: amdump)?")
SESSION = 1  # each request's number: it has a socket of its own
READ_BYTES = 4096
LONGEST_WORDS = 512  # bytes: what a pipe that has room takes at once (PIPE_BUF is more)


class MuxRequest:
    """One ssh. `token` was given to the client on `session`, at `asked_at`, to open a stream."""

    def __init__(
        self,
        ssh: socket.socket,
        client: str,
        called_at: datetime,
        *,
        on_ready: Callable[["MuxRequest"], None],
        on_gone: Callable[["MuxRequest"], None],
    ) -> None:
        self.client = client
        self.called_at = called_at
        self.is_ready = False
        self.token: str | None = None
        self.session: ClientSession | None = None
        self.asked_at: datetime | None = None
        self.tries = 0
        self.is_noted = False  # that it waits
        self.is_of_a_dump = False
        self._ssh = ssh
        self._on_ready, self._on_gone = on_ready, on_gone
        self._decoder = mux.MuxDecoder()
        self._descriptors: list[int] = []
        self._session: mux.Packet | None = None  # the request for one
        self._refusal: Refusal | None = None  # how it ends
        self._loop = asyncio.get_running_loop()
        ssh.setblocking(False)
        self._loop.add_reader(ssh, self._hear)
        self._say(mux.hello())

    @property
    def caller(self) -> int:
        """The process of the ssh."""
        return peer_of(self._ssh)[0]

    def ask(self, token: str, session: ClientSession, now: datetime) -> None:
        """Note that the client is asked for a stream."""
        self.token, self.session, self.asked_at = token, session, now

    def forget_token(self) -> None:
        """Wait for another stream."""
        self.token = self.session = self.asked_at = None

    # -- what the ssh says

    def _hear(self) -> None:
        """Hear what the ssh says; its end is the request's end."""
        try:
            received, descriptors, _, _ = socket.recv_fds(self._ssh, READ_BYTES, mux.DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            received, descriptors = b"", []
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._descriptors += descriptors
        try:
            packets = self._decoder.feed(received)
        except ValueError as error:
            write_log(f"{self.client}: a request that is not ssh's: {error}")
            received, packets = b"", []
        is_well = received and all(self._obey(packet) for packet in packets)
        if not is_well or len(self._descriptors) > mux.DESCRIPTORS:
            self._go()
        elif self._session and self._decoder.is_complete and not self.is_ready:
            self._begin(self._session)

    def _obey(self, packet: mux.Packet) -> bool:
        """Answer a packet, and return whether the request may go on."""
        request = packet.request
        match packet.kind:
            case mux.HELLO:
                return request == mux.VERSION
            case mux.ALIVE_CHECK:
                self._say(mux.alive(request, os.getpid()))
                return True
            case mux.NEW_SESSION if self._session is None and not self.is_ready:
                self._session = packet
                return True
            case _:
                self._say(mux.failure(request, "only sessions are made here"))
        return False

    def _begin(self, session: mux.Packet) -> None:
        """Be ready, now that all is said, if it is one of Amanda's."""
        if len(self._descriptors) != mux.DESCRIPTORS:
            self._go()
        elif session.command is None or not AMANDAD.fullmatch(session.command):
            reason = "nothing is run here but Amanda's amandad"
            self._say(mux.permission_denied(session.request, reason))
            self._go()
        else:
            self.is_ready = True
            self._on_ready(self)

    def _go(self) -> None:
        is_ending = self._refusal is not None
        self.close()
        if not is_ending:
            self._on_gone(self)

    # -- its ends

    def hand_over(self, carrier: socket.socket) -> bool:
        """Give all that it has to who carries it; return whether that worked. It is closed then."""
        self._open()
        passed = [*self._descriptors, self._ssh.fileno()]
        try:
            socket.send_fds(carrier, [ipc.pack("go", str(SESSION))], passed)
        except OSError:  # its process is gone
            return False
        self.close()
        return True

    def _open(self) -> None:
        """Say, once, that the session has begun."""
        if self._session:
            self._say(mux.session_opened(self._session.request, SESSION))
        self._session = None

    def end(self, status: int, reason: str, patience: float | None = None) -> None:
        """End as a command that says `reason` and fails, as soon as Amanda waits for nothing.

        What it asks later than `patience` seconds from now, REFUSED_WITHIN unless given, is not
        heard any more.
        """
        write_log(f"{self.client}: Amanda's request failed: {reason}")
        if not self.is_ready:
            self.close()
            return
        self._open()
        _write_if_room(self._descriptors[2], f"asyncamanda: {printable(reason)}\n")
        from_amanda, to_amanda, _ = self._descriptors
        self._refusal = Refusal(Conversation(), from_amanda, to_amanda, reason)
        patience = REFUSED_WITHIN if patience is None else patience
        self._refuse(status, self._loop.time() + patience)

    def _refuse(self, status: int, give_up_at: float) -> None:
        """Refuse what Amanda asks, and end when it has gone, or does not."""
        if self._refusal is None:
            return  # its ssh has gone
        self._refusal.turn(0)
        if self._refusal.is_over or self._loop.time() >= give_up_at:
            self._say(mux.exit_message(SESSION, status))
            self.close()
        else:
            self._loop.call_later(REFUSE_EVERY, self._refuse, status, give_up_at)

    def close(self) -> None:
        """Close everything."""
        self._refusal = None
        self._loop.remove_reader(self._ssh)
        self._ssh.close()
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _say(self, packet: bytes) -> None:
        with suppress(OSError):  # it has gone, which shows when it is read
            self._ssh.send(packet)


def _write_if_room(descriptor: int, words: str) -> None:
    """Write to what others write to as well, so that its mode is not to be changed."""
    poller = select.poll()  # select() knows no descriptor above 1023
    poller.register(descriptor, select.POLLOUT)
    with suppress(OSError):
        if poller.poll(0):
            os.write(descriptor, words.encode("utf-8", "replace")[:LONGEST_WORDS])
