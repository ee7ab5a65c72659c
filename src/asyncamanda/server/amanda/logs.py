"""Amanda's logs and traces as they lie on the disk: the one way in which they are read.

They are bytes, decoded without a look at line breaks: Amanda's is `\\n` alone, and what clients
write may hold all the others.

Amanda moves logs away when their volumes are gone, to `oldlog` below logdir, and with a `dumpcycle`
of 0 the run's own log at its end; what it still has to say then begins a new file of the old name.
Both together are the log.
"""

import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from asyncamanda.core.amanda.timestamps import is_stamp
from asyncamanda.system.clock import list_local_stamp

OLD = "oldlog"
HEAD_BYTES = 4096

_LOG_NAME = re.compile(r"log\.([0-9]{14})\.([0-9]{1,9})")


def list_logs(logdir: Path) -> list[str]:
    """Return the names of all runs' logs, oldest first. Raises OSError if `logdir` cannot be read.

    A name whose time is none is no log; `log`, the newest one's other name, is none either.
    """
    return sort_names(list_names(logdir))


def list_names(logdir: Path) -> frozenset[str]:
    """Return all names in `logdir` and its `oldlog`. Raises OSError.

    There may be tens of thousands: each is looked at by who needs it (sort_names()).
    """
    # first: a log that is moved meanwhile is seen in its new place
    names = os.listdir(logdir)  # noqa: PTH208 - a Path of each takes longer than all else
    with suppress(FileNotFoundError, NotADirectoryError):
        names += os.listdir(logdir / OLD)  # noqa: PTH208 - as above
    return frozenset(names)


def has_log_name(name: str) -> bool:
    """Return whether a file may be a log, by its name; its time may be none."""
    return _LOG_NAME.fullmatch(name) is not None


def sort_names(names: Iterable[str]) -> list[str]:
    """Return those of the names that are logs', the oldest first."""
    return sorted((name for name in names if _is_log(name)), key=_age)


def _is_log(name: str) -> bool:
    return has_log_name(name) and is_stamp(stamp_of(name))


def _age(name: str) -> tuple[str, int]:
    return stamp_of(name), int(name.rpartition(".")[2])


def stamp_of(name: str) -> str:
    """Return the timestamp in a log's name."""
    return name.split(".")[1]


def size_log(logdir: Path, name: str) -> tuple[int, float]:
    """Return a log's size in bytes and when it was last written, a Unix time.

    Raises FileNotFoundError if there is none, and OSError if it cannot be looked at.
    """
    sizes, times = [], []
    for path in _places(logdir, name):
        with suppress(FileNotFoundError, NotADirectoryError):
            status = path.stat()
            sizes.append(status.st_size)
            times.append(status.st_mtime)
    if not sizes:
        raise FileNotFoundError(name)
    return sum(sizes), max(times)


def read_log(logdir: Path, name: str) -> str:
    """Return a log's text, wherever its pieces are. Raises OSError if it cannot be read."""
    pieces = []
    for path in _places(logdir, name):
        with suppress(FileNotFoundError, NotADirectoryError):
            pieces.append(read_text(path))
    if not pieces:
        raise FileNotFoundError(name)
    return "".join(pieces)


def _places(logdir: Path, name: str) -> tuple[Path, Path]:
    """Return where a log may be; what was moved away is the beginning."""
    return logdir / OLD / name, logdir / name


def read_text(path: Path) -> str:
    """Return the text of a file of Amanda's. Raises OSError."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def read_head(path: Path) -> str:
    """Return the beginning of such a file; nothing if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def read_trace(logdir: Path, timestamp: str) -> str:
    """Return the text of a run's trace; nothing if there is none (any more)."""
    try:
        return read_text(logdir / f"amdump.{timestamp}")
    except OSError:
        return ""


def list_present(logdir: Path, beside: Collection[str] = frozenset()) -> frozenset[str]:
    """Return the names of the runs' logs in `logdir` but those `beside`; none if unreadable."""
    try:
        names = list_names(logdir)
    except OSError:
        return frozenset()
    return frozenset(name for name in names.difference(beside) if _is_log(name))


def read_first_line(logdir: Path, name: str) -> str:
    """Return a log's first line with its end; nothing if it cannot be read."""
    for path in (logdir / OLD / name, logdir / name):
        if head := read_head(path):
            return head.partition("\n")[0] + "\n"
    return ""


def is_older(name: str, begun_at: datetime) -> bool:
    """Return whether a log is of a run that began before that, by the time in its name.

    Such a run is not the one that began then, whatever numbers their processes have: those come
    round. In the hour that comes twice it is taken for the later one.
    """
    begun = begun_at.replace(microsecond=0)  # as exact as a name is
    return max(list_local_stamp(stamp_of(name))) < begun
