"""One request to whoever answers it, what comes back, and what was made ready for the next one."""

import contextlib
import os
import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a session ended: its command's exit status, None where the connection broke; why."""

    status: int | None
    words: str = ""


class Transfer(Protocol):
    """One request, and what comes back: `output` and `answers` are to be read to their ends."""

    @property
    def output(self) -> int: ...

    @property
    def answers(self) -> int: ...

    def fileno(self) -> int:
        """Return what turns readable when the session has ended."""

    def end(self) -> SessionEnd | None:
        """Return how the session ended; None if it goes on, or that is not known yet."""

    def close(self) -> None:
        """Close the two descriptors; what still sends notices."""


class Question:
    """What a program reads its request from: `reader` is a file that has it, or a pipe that will.

    Who opens a session with it closes `reader`.
    """

    def __init__(self, request: bytes | None = None) -> None:
        """Make one; without a request it is sent later by send()."""
        self._writer: int | None = None
        if request is None:
            self.reader, self._writer = os.pipe()
            return
        self.reader = os.memfd_create("request")
        os.write(self.reader, request)
        os.lseek(self.reader, 0, os.SEEK_SET)

    def send(self, request: bytes) -> bool:
        """Send it by the pipe; return whether that could be done without waiting for its reader."""
        assert self._writer is not None
        if len(request) > select.PIPE_BUF:
            return False
        try:
            os.write(self._writer, request)
        except BrokenPipeError:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Let nothing more come."""
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None


class SpareSession:
    """A session that `open_session` begins before its request is known, since that takes a while.

    It closes the question's `reader`, whatever happens.
    """

    def __init__(self, open_session: Callable[[Question], Transfer]) -> None:
        self._open = open_session
        self._spare: tuple[Question, Transfer] | None = None

    def prepare(self) -> None:
        """Begin it, unless there is one. Raises what `open_session` raises."""
        if self._spare is None:
            question = Question()
            with contextlib.ExitStack() as undo:
                undo.callback(question.close)
                self._spare = question, self._open(question)
                undo.pop_all()

    def take(self, request: bytes) -> Transfer | None:
        """Return it, now with this request; None if there is none, or none that can be used."""
        if self._spare is None:
            return None
        question, transfer = self._spare
        if transfer.end() is None and question.send(request):
            self._spare = None
            return transfer
        self.close()
        return None

    def close(self) -> None:
        """End it, if it was not taken."""
        if self._spare:
            (question, transfer), self._spare = self._spare, None
            question.close()
            transfer.close()
