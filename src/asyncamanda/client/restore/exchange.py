"""One request to the gate, its answers heard while what it sends is read.

Both have to be read all the time: a server that waits for one of them to be taken sends neither.
"""

import os
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from asyncamanda.client.restore.transfer import SessionEnd, Transfer
from asyncamanda.core.restore.answer import (
    AnswerDecoder,
    OtherLine,
    RestoreAnswer,
    RestoreDone,
    RestoreFailed,
)
from asyncamanda.errors import ProtocolError
from asyncamanda.system.incoming import PipeSource
from asyncamanda.system.interrupts import StopRequest

TICK_MS = 500
READ_BYTES = 1 << 16
KEPT_WORDS = 3  # lines that are no answers: sshd's, or a login message
MOST_BEYOND = 1 << 20  # bytes of output that nobody reads, before the server is cut off
MOST_ANSWERS = 2_000_000  # each file of a disk may be missing
ENDS_WITHIN = 10.0  # seconds, for a session whose server has said its last word


@dataclass(frozen=True, slots=True)
class ExchangeEnd:
    """How an exchange ended: what the server said last, if it did, and the session's end."""

    done: RestoreDone | None
    failed: RestoreFailed | None
    session: SessionEnd
    words: tuple[str, ...] = ()

    @property
    def is_cut(self) -> bool:
        """Whether the connection is what ended it."""
        return self.done is None and self.failed is None and self.session.status is None


class Interrupted(Exception):  # noqa: N818 - an expected outcome, not an error
    """A signal asked this process to stop."""


class Exchange:
    """A transfer that is being read. `source` is its output.

    `on_answer` gets what the server says, its last word aside; `on_tick` is called at least twice a
    second. Whatever reads raises Interrupted as soon as a signal says so.
    """

    def __init__(
        self,
        transfer: Transfer,
        stop: StopRequest,
        on_answer: Callable[[RestoreAnswer], None],
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._transfer = transfer
        self._stop = stop
        self._on_answer = on_answer
        self._on_tick = on_tick
        self._decoder = AnswerDecoder()
        self._is_hearing = True  # whether `answers` has not ended
        self._done: RestoreDone | None = None
        self._failed: RestoreFailed | None = None
        self._words: list[str] = []
        self._answers = 0
        self._last_word_at: float | None = None
        os.set_blocking(transfer.answers, False)
        self.source = PipeSource(transfer.output, self._await_output, self._look_up)

    def close(self) -> None:
        """Close what is read, so that the server notices."""
        self.source.close()
        self._transfer.close()

    def await_answer(self) -> bool:
        """Return as soon as the server has said something; whether it may say more than that."""
        while self._is_hearing and not (self._done or self._failed):
            if self._wait([self._transfer.answers]) and self._hear():
                break
        return self._is_hearing and not (self._done or self._failed)

    def records(self) -> Iterator[bytes]:
        """Yield the output in pieces, to its end."""
        while piece := self.source.read():
            yield piece

    def conclude(self) -> ExchangeEnd:
        """Return how it ended, when it has; what still comes is not read."""
        beyond = 0
        is_output_over = False
        while True:
            watched = [self._transfer.fileno()]
            watched += [self._transfer.answers] if self._is_hearing else []
            watched += [] if is_output_over else [self._transfer.output]
            self._wait(watched)
            self._hear()
            if not is_output_over:
                read = self._pass_over()
                is_output_over, beyond = read == 0, beyond + (read or 0)
            end = self._transfer.end()
            if end and (not self._is_hearing or end.status is None) and not self._hear():
                return self._conclude(end)
            if self._is_overdue():
                return self._conclude(SessionEnd(None, "the server's program does not end"))
            if beyond > MOST_BEYOND:
                raise ProtocolError(
                    "bad-answer", "the server sends more than it should", "is it your server?"
                )

    def _is_overdue(self) -> bool:
        at = self._last_word_at
        return at is not None and time.monotonic() - at > ENDS_WITHIN

    def _conclude(self, end: SessionEnd) -> ExchangeEnd:
        for answer in self._decoder.end():
            self._take(answer)
        return ExchangeEnd(self._done, self._failed, end, tuple(self._words))

    def _pass_over(self) -> int | None:
        """Read what nobody wants; 0 at its end, None if there is nothing now."""
        try:
            return len(os.read(self._transfer.output, READ_BYTES))
        except BlockingIOError:
            return None

    def _await_output(self) -> None:
        watched = [self._transfer.output]
        while True:
            ready = self._wait([*watched, *([self._transfer.answers] if self._is_hearing else [])])
            self._hear()
            if self._transfer.output in ready:
                return

    def _wait(self, descriptors: list[int]) -> set[int]:
        """Return which of them can be read, or have ended; none after half a second."""
        poller = select.poll()
        for descriptor in (*descriptors, self._stop.fileno()):
            poller.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poller.poll(TICK_MS)}
        self._look_up()
        return ready

    def _look_up(self) -> None:
        if self._stop.signal:
            raise Interrupted
        self._on_tick()

    def _hear(self) -> bool:
        """Take what the server has said; return whether that was something."""
        heard = False
        while self._is_hearing:
            try:
                piece = os.read(self._transfer.answers, READ_BYTES)
            except BlockingIOError:
                return heard
            self._is_hearing = bool(piece)
            for answer in self._decoder.feed(piece):
                heard = True
                self._take(answer)
        return heard

    def _take(self, answer: RestoreAnswer | OtherLine) -> None:
        self._answers += 1
        if self._answers > MOST_ANSWERS:
            raise ProtocolError("bad-answer", "the server says too much", "is it your server?")
        if isinstance(answer, RestoreDone | RestoreFailed):
            self._last_word_at = time.monotonic()
        match answer:
            case OtherLine():
                self._words = [*self._words, answer.words][-KEPT_WORDS:]
            case RestoreDone():
                self._done = answer
            case RestoreFailed():
                self._failed = answer
            case _:
                self._on_answer(answer)
