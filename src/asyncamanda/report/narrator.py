"""What a run says while it goes on: live on a terminal, plain lines elsewhere."""

import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol, TextIO

from asyncamanda.core.conditions.rate import format_rate
from asyncamanda.core.model import DleProgress
from asyncamanda.core.protocol.messages import Finished, Progress, Queued, Running
from asyncamanda.core.values.interval import format_interval
from asyncamanda.core.values.printable import printable, printable_lines
from asyncamanda.report.json import event_value, render_event
from asyncamanda.report.text import describe_queued, describe_running, describe_verdict


class _View(Protocol):
    def update(self, text: str) -> None: ...

    def show_dles(self, dles: tuple[DleProgress, ...]) -> None: ...

    def show_limit(self, text: str) -> None: ...


class Narrator:
    """Writes the log to stderr; each line names the client and the run.

    Without a terminal (cron), only what belongs in every log is written, so that a mail means
    something. `is_streaming`: what the gate's server says is written to stdout as well, each
    message as a line of JSON.
    """

    def __init__(
        self, client: str, run: str, *, is_talkative: bool, is_streaming: bool = False
    ) -> None:
        self._head = f"{client} {run}"
        self._is_talkative = is_talkative
        self._is_streaming = is_streaming
        self._view: _View | None = None
        self._told: object = None
        self._limit = ""

    @property
    def is_watching(self) -> bool:
        """Whether each step of a run is shown to somebody."""
        return self._view is not None or self._is_streaming

    def note(self, text: str) -> None:
        """Write a line that matters only on a terminal."""
        if self._view:
            self._view.update(text)
        elif self._is_talkative:
            self.tell(text)

    def tell(self, text: str) -> None:
        """Write a line that belongs in every log."""
        write_line(sys.stderr, f"{self._head}: {printable(text)}")

    def show_limit(self, rate: int | None) -> None:
        """Note how many bytes a second may be sent; a live view shows it all the while."""
        text = f"limited to {format_rate(rate)}" if rate else ""
        if text or self._limit:
            self.note(text or "no longer limited")
        self._limit = text
        if self._view:
            self._view.show_limit(text)

    def show_run(self, started_at: datetime, now: datetime, noted: int) -> None:
        """Show, on a terminal, for how long the command has run, and how many disks are noted."""
        if self._view:
            elapsed = format_interval(now - started_at)
            disks = (
                f" · {noted} disk{'s' if noted != 1 else ''} noted in amandates" if noted else ""
            )
            self._view.update(f"the command is running on the server · {elapsed}{disks}")

    def hear(self, message: Queued | Running | Progress | Finished) -> None:
        """Show what the gate's server says; without a live view, a line for each change."""
        if self._is_streaming and not isinstance(message, Finished):
            name = type(message).__name__.lower()
            write_line(sys.stdout, render_event(name, event_value(message)))
        match message:
            case Queued():
                self._say(describe_queued(message), (message.place, message.of, message.reason))
            case Running():
                self._say(describe_running(message), (message.run, message.clients))
            case Progress():
                if self._view:
                    self._view.show_dles(message.dles)
            case Finished():
                for verdict in message.verdicts:
                    self.note(describe_verdict(verdict))

    def _say(self, text: str, told: object) -> None:
        """Note `text`; where lines stay, only if what is `told` is news."""
        if self._view or told != self._told:
            self._told = told
            self.note(text)

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Show the live view, until the end of the block, if stderr is a terminal.

        Beside JSON there is none: what draws it also takes what is written to stdout.
        """
        if self._is_streaming or not can_draw():
            yield
            return
        from asyncamanda.report.live import open_view  # noqa: PLC0415 - rich, only where shown

        with open_view() as view:
            self._view = view
            view.show_limit(self._limit)
            try:
                yield
            finally:
                self._view = None


def can_draw() -> bool:
    """Return whether stderr is a terminal on which lines can be drawn again."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def write_line(stream: TextIO, line: str) -> None:
    """Write `line`, if that is still possible: what is done does not depend on it.

    It may have several lines; what else does not print is written out.
    """
    try:
        print(printable_lines(line), file=stream, flush=True)
    except OSError:
        silence(stream)


def silence(stream: TextIO) -> None:
    """Let what is still to be written to `stream` go nowhere, without an error at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def is_watched() -> bool:
    """Return whether somebody reads every line: a person at a terminal, or the journal."""
    if sys.stderr.isatty():
        return True
    with contextlib.suppress(OSError):
        status = os.fstat(2)
        # systemd.exec(5): a child may have inherited it, and write elsewhere
        return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    return False
