"""Files for ordinary users of this machine: the one that has the key asks for them, and judges.

systemd starts a process for each connection, as the Amanda user. It hears one request, asks the
gate for more than was asked for, namely with whose all is, and hands over what that user could have
read then. The user's own process writes the files.
"""

import contextlib
import os
import select
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from asyncamanda.client.restore.claims import Claimant
from asyncamanda.client.restore.limits import take_turn
from asyncamanda.client.restore.line import Line
from asyncamanda.client.restore.peer import describe_asker, find_account, read_peer
from asyncamanda.client.restore.replies import BrokerReply, make_reply
from asyncamanda.client.restore.standing import ask_age, may_reach
from asyncamanda.client.restore.transfer import SessionEnd, Transfer
from asyncamanda.client.restore.voice import PeerLeft, Voice
from asyncamanda.core.restore.answer import AnswerDecoder, OtherLine
from asyncamanda.core.restore.request import encode_request, gives_back
from asyncamanda.errors import AsyncamandaError, LaterError, kind_by_exit
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest

PIECE = 1 << 18  # bytes
TICK = 1.0  # seconds

Reach = Callable[[], AbstractContextManager[Line]]


class _LineBroke(Exception):  # noqa: N818 - an expected outcome, not an error
    """The connection to the gate broke; the peer may ask again."""


def serve(
    connection: socket.socket, find_state: Callable[[], Path], reach: Reach, stop: StopRequest
) -> None:
    """Answer the one request that comes over `connection`, and end.

    `find_state` returns the folder of the agent's memory; `reach` gives a line to the gate.
    Whatever they or others raise is said to the peer, and not raised here.
    """
    voice = Voice(connection)
    try:
        _answer(connection, voice, find_state(), reach, stop)
    except PeerLeft:
        return
    except _LineBroke as broke:
        with contextlib.suppress(PeerLeft):
            voice.break_off(str(broke))
    except AsyncamandaError as error:
        with contextlib.suppress(PeerLeft):
            voice.fail(error)


def _answer(
    connection: socket.socket, voice: Voice, state: Path, reach: Reach, stop: StopRequest
) -> None:
    peer = read_peer(connection)
    account = find_account(peer)
    with take_turn(state, account.pw_uid) as turn:
        request = voice.hear_request()
        if gives_back(request):
            turn.count_restore(read_clock())
        asker, owner = describe_asker(peer, account)
        claimant = Claimant(
            asker,
            owner,
            ask_age(state, account, read_clock()),
            lambda device: may_reach(device, asker),
            read_clock,
        )
        reply = make_reply(request, claimant, voice)
        with reach() as line:
            while question := reply.plan_request():
                transfer = line.begin(encode_request(question))
                try:
                    _Round(transfer, reply, voice, stop).run()
                finally:
                    transfer.close()
                reply.end_round()
        reply.finish()
        voice.end(0)


class _Round:
    """One request to the gate, and its answers, to their end or to the peer's."""

    def __init__(
        self, transfer: Transfer, reply: BrokerReply, voice: Voice, stop: StopRequest
    ) -> None:
        self._transfer = transfer
        self._reply = reply
        self._voice = voice
        self._stop = stop
        self._decoder = AnswerDecoder()
        self._last_words = ""
        self._open = {transfer.answers, transfer.output}
        self._buffer = memoryview(bytearray(PIECE))
        self._end: SessionEnd | None = None

    def run(self) -> None:
        """Return when all has been answered. Raises PeerLeft and AsyncamandaError."""
        while self._open or self._end is None:
            self._wait()
        self._decide()

    def _wait(self) -> None:
        """Wait for whatever comes first, and deal with it."""
        watched: list[int] = [self._voice.fileno(), self._stop.fileno(), *self._readable()]
        if self._end is None:
            watched.append(self._transfer.fileno())
        ready = set(select.select(watched, [], [], TICK)[0])
        if self._stop.signal:
            raise LaterError("stopped", "the broker was stopped", "try again")
        if self._voice.fileno() in ready:  # it has said all that there was to say
            raise PeerLeft
        if self._transfer.answers in ready & self._open:
            self._hear()
        if self._transfer.output in ready & self._open:
            self._take()
        if self._end is None:
            self._end = self._transfer.end()

    def _readable(self) -> set[int]:
        """Return what is to be read now: the output once it can be judged, or never will be."""
        if self._reply.is_ready or self._transfer.answers not in self._open:
            return self._open
        return self._open - {self._transfer.output}

    def _hear(self) -> None:
        piece = os.read(self._transfer.answers, PIECE)
        if not piece:
            self._open.discard(self._transfer.answers)
        for answer in self._decoder.feed(piece) if piece else self._decoder.end():
            if isinstance(answer, OtherLine):
                self._last_words = answer.words
            else:
                self._reply.hear(answer)

    def _take(self) -> None:
        size = os.readv(self._transfer.output, [self._buffer])
        if size:
            self._reply.take(self._buffer[:size])
        else:
            self._open.discard(self._transfer.output)

    def _decide(self) -> None:
        """Raise an error if the session did not end well, and the gate itself has not said so."""
        assert self._end is not None
        status, words = self._end.status, self._last_words or self._end.words
        if status == 0 or self._reply.is_done:
            return
        if status is None:
            raise _LineBroke(words)
        kind = kind_by_exit(status, LaterError)
        raise kind(
            "gate-refused",
            words or f"the gate ended with exit status {status}",
            "`asyncamanda doctor`, as root, says what is wrong",
        )
