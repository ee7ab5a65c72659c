"""The process that holds the connection of those who want files back."""

import json
import os
import queue
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import pytest

from asyncamanda.client.restore import holder
from asyncamanda.core.protocol import mux
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.muxsession import MuxSession
from asyncamanda.system.ssh import Connection
from lab.patience import at_most


class Open:
    """A connection whose sessions are real ones, to a master that is this test: `masters`."""

    def __init__(self) -> None:
        self.masters: queue.Queue[socket.socket] = queue.Queue()
        self.may_begin = threading.Event()
        self.may_begin.set()

    def transfer(self, _: str, __: tuple[int, int, int]) -> MuxSession:
        """Begin a session."""
        ours, master = socket.socketpair()
        ours.setblocking(False)
        self.masters.put(master)
        assert self.may_begin.wait(at_most(20))
        return MuxSession(ours)

    def is_broken(self) -> bool:
        """Return whether it is the connection that broke."""
        return True

    def last_words(self) -> str:
        """Return why."""
        return "it broke"


@pytest.fixture
def connection() -> Open:
    """Return a connection."""
    return Open()


@pytest.fixture
def control(connection: Open) -> Iterator[socket.socket]:
    """Yield the other end of what a holder serves."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stop = StopRequest()
    holding = threading.Thread(
        target=holder.serve_sessions,
        args=(theirs, cast("Connection", connection), stop),
        daemon=True,
    )
    holding.start()
    yield ours
    ours.close()
    holding.join(at_most(10))
    assert not holding.is_alive()
    theirs.close()
    stop.close()


def begin(control: socket.socket, connection: Open, how: bytes) -> socket.socket:
    """Begin another session, and return the master's end of it."""
    reader, writer = os.pipe()
    socket.send_fds(control, [how], [reader, writer, writer])
    os.close(reader)
    os.close(writer)
    return connection.masters.get(timeout=at_most(20))


@pytest.fixture
def master(control: socket.socket, connection: Open) -> Iterator[socket.socket]:
    """Yield the master's end of a session that has begun."""
    with begin(control, connection, holder.BEGIN) as master:
        yield master


def hear(control: socket.socket) -> object:
    """Return what the holder says of the session."""
    control.settimeout(at_most(20))
    return json.loads(control.recv(1000))


def test_the_end_of_a_session_is_heard_though_it_said_something_before(
    control: socket.socket, master: socket.socket
) -> None:
    """And nobody asks for another session meanwhile: socket.recv_fds() heeds no MSG_DONTWAIT."""
    master.send(mux.hello() + mux.session_opened(1, 1))
    master.send(mux.exit_message(1, 75))
    master.close()
    assert hear(control) == {"session": 0, "status": 75, "words": ""}


def test_a_session_is_left_only_when_the_master_has_let_it_go(
    control: socket.socket, master: socket.socket
) -> None:
    """It says that the command has ended before the last of its words has come."""
    master.send(mux.hello() + mux.session_opened(1, 1) + mux.exit_message(1, 0))
    control.settimeout(2 * holder.LISTENING)
    with pytest.raises(TimeoutError):
        control.recv(1000)
    master.setblocking(False)
    with suppress(BlockingIOError):  # what it was asked; b"" would be that it was left
        assert master.recv(1000)
    master.close()
    assert hear(control) == {"session": 0, "status": 0, "words": ""}


def test_a_master_that_goes_without_a_word_is_a_connection_that_broke(
    control: socket.socket, master: socket.socket
) -> None:
    """There is no exit status then."""
    master.send(mux.hello() + mux.session_opened(1, 1))
    master.close()
    assert hear(control) == {"session": 0, "status": None, "words": "it broke"}


def test_a_session_that_is_refused_ends_at_once(
    control: socket.socket, master: socket.socket
) -> None:
    """Though the master stays."""
    master.send(mux.hello() + mux.failure(1, "no more sessions"))
    assert hear(control) == {"session": 0, "status": None, "words": "it broke"}


def test_a_session_beside_another_ends_by_its_number(
    control: socket.socket, connection: Open, master: socket.socket
) -> None:
    """Whichever ends first."""
    with begin(control, connection, holder.BESIDE) as second:
        second.send(mux.hello() + mux.session_opened(1, 1) + mux.exit_message(1, 3))
        second.close()
        assert hear(control) == {"session": 1, "status": 3, "words": ""}
        master.send(mux.hello() + mux.session_opened(1, 1) + mux.exit_message(1, 0))
        master.close()
        assert hear(control) == {"session": 0, "status": 0, "words": ""}


def test_a_session_that_is_begun_anew_ends_all_others(
    control: socket.socket, connection: Open, master: socket.socket
) -> None:
    """Nobody waits for those any more."""
    with (
        begin(control, connection, holder.BESIDE) as second,
        begin(control, connection, holder.BEGIN) as third,
    ):
        for left in (master, second):
            left.settimeout(at_most(20))
            while left.recv(1000):  # what it was asked, and then that it was left
                pass
        third.send(mux.hello() + mux.session_opened(1, 1) + mux.exit_message(1, 0))
        third.close()
        assert hear(control) == {"session": 2, "status": 0, "words": ""}


def test_who_began_it_may_be_gone_when_a_session_ends(
    control: socket.socket, connection: Open
) -> None:
    """Then it ends, without a traceback: nobody hears the end of that session."""
    connection.may_begin.clear()
    with begin(control, connection, holder.BEGIN) as master:
        master.send(mux.hello() + mux.session_opened(1, 1) + mux.exit_message(1, 0))
    control.close()
    connection.may_begin.set()


def test_who_began_it_may_go_before_it_reads_how_a_session_ended(
    control: socket.socket, master: socket.socket
) -> None:
    """That is an end, too, and no error."""
    master.send(mux.hello() + mux.session_opened(1, 1) + mux.exit_message(1, 0))
    master.close()
    assert select.select([control], [], [], at_most(20))[0]
    control.close()
