"""The dispatcher's log: where its lines go, by the standard library's logging.

A dispatcher that a gate started writes to a file, which is turned over while it runs, and to the
journal where there is one. One in the foreground writes to stderr, or to the journal alone if that
is where its stderr goes (systemd.exec(5), JOURNAL_STREAM).
"""

import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from asyncamanda.core.values.printable import printable_lines
from asyncamanda.core.values.repeated_lines import Folder
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.journal import SOCKET, JournalLine, Priority, write_journal

LOG = logging.getLogger("asyncamanda.server")
LARGEST_LOG = 1 << 20  # bytes; one old one is kept

_WORDS = {logging.WARNING: "warning: ", logging.ERROR: "error: "}
_PRIORITIES = {logging.WARNING: Priority.WARNING, logging.ERROR: Priority.ERROR}


class LogLine(logging.Formatter):
    """The time, a word for the level, and the text; only a trace has several lines, marked."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        text = printable_lines(record.getMessage())
        word = "" if text.startswith("|") else _WORDS.get(record.levelno, "")
        head = f"{read_clock():%Y-%m-%dT%H:%M:%SZ} {word}"
        return "\n".join(f"{head}{line}" for line in text.split("\n"))


class Stderr(logging.Handler):
    """Writes to what is stderr at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; the disk may be full, which is no reason to leave anything undone."""
        with suppress(OSError):
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201


class Quiet(RotatingFileHandler):
    """Writes to a file, and starts a new one when it is long."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Allow for a disk that is full."""


class File(Quiet):
    """The same; this process's stderr goes along."""

    def doRollover(self) -> None:  # noqa: N802 - logging's name
        """Begin a new file."""
        super().doRollover()
        if self.stream:
            os.dup2(self.stream.fileno(), sys.stderr.fileno())


class Journal(logging.Handler):
    """Writes to systemd's journal, and waits for nobody."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over a line."""
        priority = _PRIORITIES.get(record.levelno, Priority.INFO)
        write_journal(JournalLine(record.getMessage(), priority), patience=0)


class Folded(logging.Handler):
    """Hands lines on, but for those that say the same again and again."""

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        super().__init__()
        self._handlers = handlers
        self._folder = Folder()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on what is to be written."""
        self._hand_on(self._folder.take(record.levelno, record.getMessage(), read_clock()))

    def close(self) -> None:
        """Write how often the last lines came."""
        self._hand_on(self._folder.end(read_clock()))
        super().close()

    def _hand_on(self, lines: list[tuple[int, str]]) -> None:
        for level, text in lines:
            record = logging.LogRecord(LOG.name, level, "", 0, text, None, None)
            for handler in self._handlers:
                handler.handle(record)


def open_log(file: Path | None) -> None:
    """Write the log to `file` and to the journal; without one to stderr, or where that goes.

    SIGUSR1 adds where each thread of this process is.
    """
    kinds: list[logging.Handler] = []
    if file is None:
        kinds = [Journal() if _is_journal(sys.stderr.fileno()) else Stderr()]
    else:
        with suppress(OSError):  # no room, or no rights, which the gate is told by the lock
            kinds.append(File(file, maxBytes=LARGEST_LOG, backupCount=1, encoding="utf-8"))
        if SOCKET.exists():
            kinds.append(Journal())
    for kind in kinds:
        kind.setFormatter(LogLine())
    close_log()
    LOG.addHandler(Folded(kinds))
    faulthandler.register(signal.SIGUSR1, file=sys.stderr.fileno(), all_threads=True)


def open_own_log(file: Path, largest: int = LARGEST_LOG) -> None:
    """Write the log to `file` and to the journal, as a process whose stderr is for others.

    Several may write to the file at once; 0 for `largest`: another one starts a new one. What
    cannot be written there is only in the journal.
    """
    kinds: list[logging.Handler] = [Journal()] if SOCKET.exists() else []
    with suppress(OSError):
        kinds.append(Quiet(file, maxBytes=largest, backupCount=1, encoding="utf-8"))
    close_log()
    for kind in kinds:
        kind.setFormatter(LogLine())
        LOG.addHandler(kind)


def close_log() -> None:
    """Write what is still to be said, and end the log."""
    for handler in list(LOG.handlers):
        LOG.removeHandler(handler)
        handler.close()


def _is_journal(descriptor: int) -> bool:
    """Return whether what is written to a descriptor goes to the journal."""
    status = os.fstat(descriptor)
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _begin() -> None:
    handler = Stderr()
    handler.setFormatter(LogLine())
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


_begin()
