"""What the broker says to the process that asks, over its socket, for as long as that listens."""

import os
import socket
import time
from collections.abc import Iterable, Iterator

from asyncamanda.core.restore.answer import RestoreAnswer, RestoreFailed, encode_answer
from asyncamanda.core.restore.frames import (
    BROKEN,
    LARGEST_FRAME,
    FrameKind,
    render_end,
    render_header,
)
from asyncamanda.core.restore.request import LARGEST_REQUEST, RestoreRequest, parse_request
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError, ProtocolError

ASKED_WITHIN = 5.0  # seconds for the request
HEARD_WITHIN = 600.0  # seconds in which a peer that listens takes something
MOST_PIECES = 256  # of one frame, of the 1024 that the kernel takes at once (IOV_MAX)


class PeerLeft(Exception):  # noqa: N818 - an expected outcome, not an error
    """The process that asked has gone, or does not listen."""


class Voice:
    """Frames to the peer; every method raises PeerLeft."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.settimeout(HEARD_WITHIN)

    def fileno(self) -> int:
        """Return what turns readable when the peer has gone."""
        return self._connection.fileno()

    def hear_request(self) -> RestoreRequest:
        """Return what the peer asks for. Raises ProtocolError if that is nothing, or too late."""
        line = bytearray()
        give_up_at = time.monotonic() + ASKED_WITHIN
        while not line.endswith(b"\n"):
            self._connection.settimeout(max(give_up_at - time.monotonic(), 0.001))
            try:
                piece = self._connection.recv(LARGEST_REQUEST + 2 - len(line))
            except TimeoutError:
                raise _misunderstood("nothing was asked for in time") from None
            except OSError as error:
                raise PeerLeft from error
            if not piece:
                raise PeerLeft
            line += piece
            if len(line) > LARGEST_REQUEST + 1:
                raise _misunderstood("the request is too long")
        self._connection.settimeout(HEARD_WITHIN)
        try:
            return parse_request(bytes(line))
        except ValueError as error:
            raise _misunderstood(f"the request is none: {error}") from error

    def listen(self) -> None:
        """Raise PeerLeft, now that there is something to be read: there is nothing more to say."""
        raise PeerLeft

    def answer(self, answer: RestoreAnswer) -> None:
        """Say something about what is handed over."""
        self.say(encode_answer(answer))

    def say(self, line: bytes) -> None:
        """Say a line."""
        self._send(FrameKind.ANSWERS, [memoryview(line)])

    def hand_over(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Hand over bytes, before any of their buffers is used again."""
        for some in _group(pieces):
            self._send(FrameKind.OUTPUT, some)

    def end(self, status: int) -> None:
        """Say how it ended: the last word."""
        self._send_all([memoryview(render_end(status))])

    def fail(self, error: AsyncamandaError) -> None:
        """Say why there is nothing, or no more, and end."""
        status = int(error.exit)
        self.answer(RestoreFailed(status, error.reference, error.message, error.hint))
        self.end(status)

    def break_off(self, words: str) -> None:
        """End as a connection that breaks: whoever asks may ask again."""
        self.say(f"{printable(words)}\n".encode())
        self.end(BROKEN)

    def _send(self, kind: FrameKind, pieces: list[memoryview]) -> None:
        size = sum(len(piece) for piece in pieces)
        self._send_all([memoryview(render_header(kind, size)), *pieces])

    def _send_all(self, pieces: list[memoryview]) -> None:
        try:
            while pieces:
                sent = self._connection.sendmsg(pieces)
                while pieces and sent >= len(pieces[0]):
                    sent -= len(pieces.pop(0))
                if pieces:
                    pieces[0] = pieces[0][sent:]
        except OSError as error:  # TimeoutError among them
            raise PeerLeft from error


def _group(pieces: Iterable[bytes | memoryview]) -> Iterator[list[memoryview]]:
    """Yield pieces together, as many as a frame has."""
    group: list[memoryview] = []
    size = 0
    for whole in pieces:
        rest = memoryview(whole)
        while rest:
            part, rest = rest[: LARGEST_FRAME - size], rest[LARGEST_FRAME - size :]
            group.append(part)
            size += len(part)
            if size == LARGEST_FRAME or len(group) == MOST_PIECES:
                yield group
                group, size = [], 0
    if group:
        yield group


def _misunderstood(why: str) -> ProtocolError:
    return ProtocolError("not-understood", why, "`asyncamanda restore` knows how to ask")


def adopt_stdin() -> socket.socket:
    """Return the socket that systemd has made stdin of; what is started from here has it not.

    Raises OSError if stdin is no socket.
    """
    connection = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return connection
