"""Asking the gate, over a line that is opened when it is needed, and again when it broke."""

import contextlib
import select
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from asyncamanda.client.gate.gatefaults import KILLED, explain_closed
from asyncamanda.client.gate.session import Closed
from asyncamanda.client.restore.exchange import Exchange, ExchangeEnd, Interrupted
from asyncamanda.client.restore.line import Line
from asyncamanda.core.agent.reconnect import Break, plan_reconnect
from asyncamanda.core.restore.answer import DiskAnswer, QueuedRestore, RestoreAnswer
from asyncamanda.core.restore.request import DisksRequest, RestoreRequest, encode_request
from asyncamanda.core.ssh.argv import Target
from asyncamanda.errors import (
    AsyncamandaError,
    LaterError,
    ProtocolError,
    RefusedError,
    UsageError,
    kind_by_exit,
)
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest

LONGEST_NAP = 1.0  # seconds: then the wall clock is read again
_DENIED = "may not run"  # what an older gate says of a command that it does not know


class Gateway:
    """The gate, for one start, over lines that `open_line` yields.

    `tell` gets words about waiting and trying again.
    """

    def __init__(
        self,
        open_line: Callable[[], AbstractContextManager[Line]],
        stop: StopRequest,
        tell: Callable[[str], None],
    ) -> None:
        self.stop = stop
        self._open_line = open_line
        self._tell = tell
        self._standing = contextlib.ExitStack()
        self._line: Line | None = None
        self.reconnect_for = timedelta(minutes=2)  # until the configuration is known

    def close(self) -> None:
        """Close the line."""
        self._line = None
        self._standing.close()

    @property
    def host(self) -> str:
        """The server, in words."""
        return self._line.host if self._line else "the server"

    def ask(
        self,
        request: RestoreRequest,
        on_answer: Callable[[RestoreAnswer], None],
        on_tick: Callable[[], None] = lambda: None,
    ) -> Exchange:
        """Send a request, and return its exchange, to be closed before the next one.

        Raises what opening a line raises, and UsageError if the request is too long.
        """
        try:
            text = encode_request(request)
        except ValueError as error:
            raise UsageError(
                "too-long", f"this cannot be asked for: {error}", "name fewer files, or a folder"
            ) from error
        if self._line is None:
            self._line = self._standing.enter_context(self._open_line())
            self.reconnect_for = self._line.reconnect_for
        return Exchange(self._line.begin(text), self.stop, on_answer, on_tick)

    def ask_disks(self, *, asks_on: bool = False) -> list[DiskAnswer]:
        """Return the disks of this client of which the server has something, or had.

        `asks_on`: another request will follow, for which the server makes ready meanwhile. Raises
        what ask() and explain_end() raise.
        """
        disks: list[DiskAnswer] = []

        def take(answer: RestoreAnswer) -> None:
            if isinstance(answer, DiskAnswer):
                disks.append(answer)
            self.note(answer)

        exchange = self.ask(DisksRequest(), take)
        with contextlib.closing(exchange):
            if asks_on:
                self.prepare()
            end = exchange.conclude()
        if end.done is None or end.failed:
            raise self.explain_end(end)
        return disks

    def prepare(self) -> None:
        """Let the server make ready for another request, if there is a line."""
        if self._line:
            self._line.prepare()

    def note(self, answer: RestoreAnswer) -> None:
        """Show a place in the queue; all else is passed over."""
        if isinstance(answer, QueuedRestore):
            self._tell(f"waiting for other restores on the server: place {answer.place}")

    def explain_stop(self, hint: str = "nothing was changed") -> LaterError:
        """Return the error for a start that a signal has ended."""
        signal = self.stop.signal
        return LaterError("stopped", f"stopped by {signal.name if signal else 'a signal'}", hint)

    def explain_end(self, end: ExchangeEnd) -> AsyncamandaError:
        """Return the error for an exchange that did not end well."""
        if failed := end.failed:
            kind = kind_by_exit(failed.exit, ProtocolError)
            return kind(failed.reference, failed.message, failed.hint)
        words = end.session.words or "the server's program has ended"
        if end.session.status is None:
            return LaterError(
                "connection-lost", f"the connection to {self.host} broke ({words})", "try again"
            )
        if any(_DENIED in line for line in end.words):
            return RefusedError(
                "server-too-old",
                f"the asyncamanda at {self.host} gives no files back ({end.words[0]})",
                "it is older than this one: its administrator can upgrade it",
            )
        if end.session.status == 0:
            return ProtocolError(
                "bad-answer",
                f"{self.host} did not say how it ended",
                "is the server's asyncamanda of another version?",
            )
        return explain_closed(Closed(words, end.session.status, end.words), Target(self.host))


class Reconnection:
    """Since when there is no connection, and when the next one is tried."""

    def __init__(self, gateway: Gateway, tell: Callable[[str], None]) -> None:
        self._gateway = gateway
        self._tell = tell
        self._break: Break | None = None

    @staticmethod
    def is_cut(end: ExchangeEnd) -> bool:
        """Whether it is worth another try: the connection broke, or the server's program did."""
        if end.done or end.failed:
            return False
        return end.session.status is None or end.session.status >= KILLED

    def wait(self, error: AsyncamandaError, stood: timedelta) -> None:
        """Wait for the time of the next try; raise `error` once it is too late for one.

        `stood` is for how long something came over the connection before. Raises Interrupted.
        """
        self._gateway.close()
        now = read_clock()
        self._break, next_at = plan_reconnect(self._break, self._gateway.reconnect_for, now, stood)
        if next_at is None:
            raise error
        self._tell(f"{error.message}; trying again")
        self._nap(now, next_at)

    def _nap(self, now: datetime, until: datetime) -> None:
        stop = self._gateway.stop
        while now <= (at := read_clock()) < until:  # a clock that is set back ends it as well
            select.select([stop.fileno()], [], [], min((until - at).total_seconds(), LONGEST_NAP))
            if stop.signal:
                raise Interrupted
