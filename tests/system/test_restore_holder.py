"""The process that holds the connection of those who want files back."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from asyncamanda.client.restore import holder
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.ssh import Connection
from lab.patience import at_most


class Opened:
    """A session of which is heard first that it was opened, and then that it has ended."""

    status, reason, is_refused = 75, "", False

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        theirs.send(b"oe")
        theirs.close()

    def fileno(self) -> int:
        """Return what is readable as long as there is more to hear."""
        return self._ours.fileno()

    def hear(self) -> bool:
        """Hear one thing, and return whether that was the end."""
        return self._ours.recv(1) == b"e"

    def close(self) -> None:
        """Close it."""
        self._ours.close()


class Open:
    """A connection."""

    def transfer(self, _: str, __: tuple[int, int, int]) -> Opened:
        """Begin a session."""
        return Opened()


@pytest.fixture
def control() -> Iterator[socket.socket]:
    """Yield the other end of what a holder serves."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection = cast("Connection", Open())
    stop = StopRequest()
    holding = threading.Thread(
        target=holder.serve_sessions, args=(theirs, connection, stop), daemon=True
    )
    holding.start()
    yield ours
    ours.close()
    holding.join(at_most(10))
    assert not holding.is_alive()
    theirs.close()
    stop.close()


def test_the_end_of_a_session_is_heard_though_it_said_something_before(
    control: socket.socket,
) -> None:
    """And nobody asks for another session meanwhile: socket.recv_fds() heeds no MSG_DONTWAIT."""
    reader, writer = os.pipe()
    socket.send_fds(control, [holder.BEGIN], [reader, writer, writer])
    control.settimeout(at_most(20))
    assert json.loads(control.recv(1000)) == {"status": 75, "words": ""}
    os.close(reader)
    os.close(writer)
