"""What a run says while it goes on: live on a terminal, plain lines elsewhere."""

import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol, TextIO

from asyncamanda.core.interval import format_interval
from asyncamanda.report.text import printable


class _Spinner(Protocol):
    def update(self, status: str) -> None: ...


class Narrator:
    """Writes the diary to stderr; each line names the client and the run.

    Where nobody watches (cron), only what belongs in every diary is written, so that a mail
    means something.
    """

    def __init__(self, client: str, run: str, *, is_talkative: bool) -> None:
        self._head = f"{client} {run}"
        self._is_talkative = is_talkative
        self._spinner: _Spinner | None = None

    def note(self, text: str) -> None:
        """Write a line that matters only to somebody who watches."""
        if self._spinner:
            self._spinner.update(text)
        elif self._is_talkative:
            self.tell(text)

    def tell(self, text: str) -> None:
        """Write a line that belongs in every diary."""
        write_line(sys.stderr, f"{self._head}: {printable(text)}")

    def show_run(self, started_at: datetime, now: datetime, noted: int) -> None:
        """Show, on a terminal, for how long the command has run, and how many disks are noted."""
        if self._spinner:
            elapsed = format_interval(now - started_at)
            disks = (
                f" · {noted} disk{'s' if noted != 1 else ''} noted in amandates" if noted else ""
            )
            self._spinner.update(f"the command runs at the server · {elapsed}{disks}")

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Show a line that lives, until the end of the block, if stderr is a terminal."""
        if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield
            return
        from rich.console import Console  # noqa: PLC0415 - only where it is shown
        from rich.markup import escape  # noqa: PLC0415
        from rich.status import Status  # noqa: PLC0415

        console = Console(stderr=True, highlight=False, emoji=False)
        status = Status("looking", console=console, spinner_style="default")

        class Escaping:
            def update(self, text: str) -> None:
                status.update(escape(text))

        with status:
            self._spinner = Escaping()
            try:
                yield
            finally:
                self._spinner = None


def write_line(stream: TextIO, line: str) -> None:
    """Write `line`, if anybody can still be told: what is done does not depend on that."""
    try:
        print(line, file=stream, flush=True)
    except OSError:
        silence(stream)


def silence(stream: TextIO) -> None:
    """Let what is still to be written to `stream` go nowhere, without a complaint at the end."""
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
