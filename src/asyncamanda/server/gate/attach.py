"""One of Amanda's calls, joined to its client: a session of the client's own connection.

The gate becomes this when the client asks to attach. The dispatcher gives it the descriptors
of Amanda's ssh and the multiplexing connection to that (core/protocol/mux.py), whose end is the
session's end. From then on it moves bytes, and outlives the dispatcher. What it must never do is
stay when the client is gone: Amanda would wait forever (amanda-facts, "dtimeout does not save
you"). So a dispatcher, this or the next one, has to vouch for the client again and again.

Until a dump's data begins to come it also knows what Amanda waits for an answer to
(core/amanda/packets.py), and refuses that before it ends.
"""

import os
import socket
import sys
import time
from contextlib import suppress
from select import POLLIN, poll

from asyncamanda.core.amanda.packets import Conversation
from asyncamanda.core.protocol import mux
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.values.printable import printable
from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.refusal import REFUSE_EVERY, REFUSED_WITHIN, Refusal
from asyncamanda.server.gate.stuck_dispatcher import UNWATCHED_SECONDS
from asyncamanda.system.splice import Flow

LATER, REFUSED = 75, 77  # errors.Exit, as in gate.py
NO_STATUS = 255  # as ssh ends where there is none
STATUS_SECONDS = 5.0  # from the stream's end
LAST_BYTES_SECONDS = 30.0  # from the status to a next byte, which may be on a slow way
LOOK_EVERY = 0.5  # seconds
NAP_SECONDS = 0.002  # a wide pipe takes about as long to fill
WAIT_SECONDS = 60.0  # for the dispatcher's answer: it may be busy
CLIENT_IN, CLIENT_OUT, CLIENT_ERRORS = 0, 1, 2


def attach(identity: Identity, token: str) -> int:
    """Carry one stream to its end; return the exit code.

    That is amandad's own status, so that the agent's ssh and Amanda's end with it. Raises OSError
    if the state folder cannot be used.
    """
    overseer = ipc.call_dispatcher()
    if overseer is None:
        return say("the dispatcher that asked for this is gone", LATER)
    overseer.settimeout(WAIT_SECONDS)
    try:
        overseer.send(ipc.pack("attach", *identity, token))
        packet, descriptors, _, _ = socket.recv_fds(overseer, ipc.LARGEST, 4)
    except OSError as error:
        return say(f"the dispatcher does not answer: {error}", LATER)
    match ipc.unpack(packet):
        case ["go", session] if len(descriptors) == 4:
            overseer.setblocking(False)  # what it does from now on holds up no data
            stream = _Stream(identity, token, overseer, list(descriptors), int(session))
            return stream.carry()
        case ["no", reason]:
            return say(reason, REFUSED)
        case _:
            return say("the dispatcher that asked for this is gone", LATER)


class _Stream:
    """Both directions of one call, and who watches over them."""

    def __init__(
        self,
        identity: Identity,
        token: str,
        overseer: socket.socket,
        descriptors: list[int],
        session: int,
    ) -> None:
        from_amanda, to_amanda, errors, call = descriptors
        os.close(errors)  # amandad has nothing to say there
        self._identity, self._token = identity, token
        self._overseer: socket.socket | None = overseer
        self._call = socket.socket(fileno=call)
        self._session = session
        self._talk = Conversation()
        self._out = Flow(from_amanda, CLIENT_OUT, self._hear_amanda)
        self._in = Flow(CLIENT_IN, to_amanda, self._hear_client)
        self._open = {from_amanda, CLIENT_OUT, CLIENT_IN, to_amanda}
        self._poll = poll()
        self._polled: dict[int, int] = {}
        self._status: int | None = None
        self._is_cut = False
        self._is_unasked = False  # Amanda's ssh is gone
        self._why = f"{identity.client} vanished: its connection has ended"
        self._moved: object = None
        self._reported = 0
        now = time.monotonic()
        self._called_at = self._moved_at = self._reported_at = self._turned_at = now
        self._unwatched = 0.0

    def carry(self) -> int:
        """Move all bytes; return the exit status when there is nothing more to move."""
        self._call.setblocking(False)
        while not self._is_over():
            before = self._in.moved
            self._turn()
            if self._in.is_worth_a_nap(before):
                time.sleep(NAP_SECONDS)
        if not self._talk.is_over and not self._is_unasked:
            self._refuse()
        status = NO_STATUS if self._status is None else self._status
        with suppress(OSError):  # Amanda's ssh is gone
            self._call.send(mux.exit_message(self._session, status))
        return status

    # -- what Amanda waits for, until a dump's data begins to come

    def _hear_amanda(self, piece: bytes) -> bytes:
        self._talk.hear_amanda(piece)
        self._in.insert(self._look_for_data())
        return piece

    def _hear_client(self, piece: bytes) -> bytes:
        given = self._talk.hear_client(piece)
        if self._talk.fault:
            self._cut(f"{self._identity.client}: {self._talk.fault}")
        return given + self._look_for_data()

    def _look_for_data(self) -> bytes:
        """Hear no more if data begins to come; return what was kept until then."""
        if self._talk.is_over:
            self._out.hear = self._in.hear = None
        return self._talk.rest() if self._talk.is_over else b""

    def _refuse(self) -> None:
        """Refuse what is open, and what Amanda asks until it has read that."""
        held = self._in.take_back()
        refusal = Refusal(self._talk, self._out.source, self._in.sink, self._why, held)
        give_up_at = time.monotonic() + REFUSED_WITHIN
        while not (refusal.is_over or self._is_unasked) and time.monotonic() < give_up_at:
            refusal.turn(REFUSE_EVERY)
            self._hear_call()

    # -- what moves

    def _turn(self) -> None:
        """Wait for something to happen, and do it."""
        wanted = dict(self._out.wanted() + self._in.wanted())
        wanted[self._call.fileno()] = POLLIN
        if self._overseer:
            wanted[self._overseer.fileno()] = POLLIN
        for descriptor in self._polled.keys() - wanted.keys():
            self._poll.unregister(descriptor)
        for descriptor, events in wanted.items() - self._polled.items():
            self._poll.register(descriptor, events)
        self._polled = wanted
        for descriptor, events in self._poll.poll(LOOK_EVERY * 1000):
            if descriptor == self._call.fileno():
                self._hear_call()
            elif self._overseer and descriptor == self._overseer.fileno():
                self._hear_overseer(self._overseer)
            else:
                self._out.take(descriptor, events)
                self._in.take(descriptor, events)
        for flow in (self._out, self._in):
            if flow.is_over:
                self._close(flow.sink)
                self._close(flow.source)
        if self._overseer:
            self._report_life(self._overseer)
        else:
            self._find_overseer()

    def _report_life(self, overseer: socket.socket) -> None:
        """Say that the client lives, if bytes of its have come: its own words may be behind them.

        All of a connection's sessions share its one queue, which a slow link holds for long.
        """
        now = time.monotonic()
        if self._in.moved == self._reported or now - self._reported_at < LOOK_EVERY:
            return
        self._reported, self._reported_at = self._in.moved, now
        with suppress(OSError):  # it is gone, which shows when it is read
            overseer.send(ipc.pack("alive"))

    def _is_over(self) -> bool:
        """Return whether there is nothing more to do, or to wait for."""
        now, moved = time.monotonic(), (self._in.moved, self._in.is_over, self._status)
        if self._moved != moved or self._in.is_blocked:  # Amanda may wait for a volume
            self._moved, self._moved_at = moved, now
        if self._is_cut or (self._in.is_over and self._status is not None):
            return True
        if self._in.is_over or self._status is not None:
            patience = STATUS_SECONDS if self._in.is_over else LAST_BYTES_SECONDS
            return now - self._moved_at > patience
        # a pause of the whole machine's is nobody's fault
        self._unwatched += min(now - self._turned_at, 2 * LOOK_EVERY)
        self._turned_at = now
        if self._unwatched > UNWATCHED_SECONDS:
            self._cut("the dispatcher is gone, and it is not known whether the client is connected")
        return self._is_cut

    def _cut(self, why: str) -> None:
        self._is_cut, self._why = True, why

    def _close(self, descriptor: int) -> None:
        """Pass an end on.

        sshd delays the end of a command's output until its stderr has ended as well
        ("ibuf_empty delayed efd" in OpenSSH's channels.c).
        """
        is_amandas = descriptor not in {CLIENT_IN, CLIENT_OUT}
        if descriptor not in self._open or (is_amandas and not self._talk.is_over):
            return  # what is open is refused there, before the end
        self._open.remove(descriptor)
        if is_amandas:
            os.close(descriptor)
            return
        nothing = os.open(os.devnull, os.O_RDWR)  # so that their numbers are nobody else's
        for standard in (CLIENT_OUT, CLIENT_ERRORS) if descriptor else (CLIENT_IN,):
            os.dup2(nothing, standard)
        os.close(nothing)

    def _hear_call(self) -> None:
        """Notice that Amanda's ssh has gone; it has nothing to say."""
        try:
            is_there = bool(self._call.recv(ipc.LARGEST))
        except BlockingIOError:
            return
        except OSError:
            is_there = False
        self._is_unasked |= not is_there
        self._is_cut |= not is_there

    def _hear_overseer(self, overseer: socket.socket) -> None:
        try:
            words = ipc.unpack(overseer.recv(ipc.LARGEST))
        except OSError:
            words = [""]
        match words:
            case ["well"]:
                self._unwatched = 0.0
            case ["stop", why]:
                self._cut(why)
            case ["status", status, why]:
                self._status, self._why = int(status), why
            case _:
                overseer.close()
                self._overseer = None

    def _find_overseer(self) -> None:
        """Go to the dispatcher that follows one that is gone; a gate of the client starts it."""
        now = time.monotonic()
        if now - self._called_at < LOOK_EVERY:
            return
        self._called_at = now
        with suppress(PermissionError):
            overseer = ipc.call_dispatcher(is_patient=False)
            if overseer is None:
                return
            try:
                overseer.send(ipc.pack("attached", *self._identity, self._token))
            except OSError:
                overseer.close()
            else:
                self._overseer = overseer


def say(reason: str, code: int) -> int:
    """Tell whoever is at the other end, on stderr; return the exit `code`."""
    print(f"asyncamanda gate: {printable(reason)}", file=sys.stderr)  # noqa: T201 - as in gate.py
    return code
