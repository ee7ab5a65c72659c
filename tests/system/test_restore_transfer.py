"""What is made ready for a request that is not known yet."""

import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncamanda.client.restore.transfer import Question, SessionEnd, SpareSession


class Session:
    """A session of no program: the test has the reader of its question."""

    def __init__(self, reader: int) -> None:
        self.reader = os.dup(reader)
        self.ended: SessionEnd | None = None
        self.is_closed = False
        self.output = self.answers = -1

    def fileno(self) -> int:
        """Return nothing that is of use."""
        return -1

    def end(self) -> SessionEnd | None:
        """Return how it ended."""
        return self.ended

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


class Program:
    """What opens sessions."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.error: OSError | None = None

    def open(self, question: Question) -> Session:
        """Open one."""
        try:
            if self.error:
                raise self.error
            self.sessions.append(Session(question.reader))
        finally:
            os.close(question.reader)
        return self.sessions[-1]


@pytest.fixture
def program() -> Iterator[Program]:
    """Yield one."""
    opened = Program()
    yield opened
    for session in opened.sessions:
        os.close(session.reader)


@pytest.fixture
def spare(program: Program) -> Iterator[SpareSession]:
    """Yield a place for a spare session, which is closed at the end."""
    made = SpareSession(program.open)
    yield made
    made.close()


def read_all(session: Session) -> bytes:
    """Return what was asked, to its end."""
    read = b""
    while piece := os.read(session.reader, 1000):
        read += piece
    return read


def test_the_next_request_goes_to_what_was_made_ready(
    program: Program, spare: SpareSession
) -> None:
    """Once; and who makes ready twice has one session."""
    spare.prepare()
    spare.prepare()
    (session,) = program.sessions
    assert spare.take(b"request\n") is session
    assert read_all(session) == b"request\n"
    assert spare.take(b"another\n") is None
    assert not session.is_closed


def test_without_a_session_nothing_is_taken(spare: SpareSession) -> None:
    """Then the line opens one."""
    assert spare.take(b"request\n") is None


@pytest.mark.parametrize("why", ["it has ended", "nobody reads", "the request is long"])
def test_what_cannot_be_used_is_closed(why: str, program: Program, spare: SpareSession) -> None:
    """A server may let a client have one session at a time; and a write must not wait."""
    spare.prepare()
    (session,) = program.sessions
    request = b"request\n"
    match why:
        case "it has ended":
            session.ended = SessionEnd(255, "no more sessions")
        case "nobody reads":
            os.close(session.reader)
            session.reader = os.open(os.devnull, os.O_RDONLY)
        case _:
            request = bytes(select.PIPE_BUF) + b"\n"
    assert spare.take(request) is None
    assert session.is_closed
    assert read_all(session) == b""


def test_what_was_not_used_is_closed_with_the_line(program: Program, spare: SpareSession) -> None:
    """Its program reads an end, and no request."""
    spare.prepare()
    spare.close()
    (session,) = program.sessions
    assert session.is_closed
    assert read_all(session) == b""


def test_what_cannot_be_opened_leaves_nothing(program: Program, spare: SpareSession) -> None:
    """And the next one may be."""
    program.error = OSError("lost")
    before = {*Path("/proc/self/fd").iterdir()}
    with pytest.raises(OSError, match="lost"):
        spare.prepare()
    assert {*Path("/proc/self/fd").iterdir()} == before
    program.error = None
    spare.prepare()
    assert spare.take(b"request\n") is program.sessions[0]
