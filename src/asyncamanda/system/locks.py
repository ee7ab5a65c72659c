"""One at a time: a lock that dies with its process and says who holds it."""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

LOOKS, LOOK_SECONDS = 10, 0.02
PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, and since when; None where that cannot be read."""

    pid: int | None
    since: datetime | None


class Held(Exception):  # noqa: N818 - an expected outcome, not an error
    """Somebody else holds the lock."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(f"held by {holder}")
        self.holder = holder


@contextlib.contextmanager
def hold_lock(path: Path, now: datetime) -> Iterator[None]:
    """Hold the lock on `path`, with this process and `now` written in it.

    The lock is flock's: the kernel ends it with the process, and a child does not inherit it. The
    file is its user's alone (0600): whoever can open it can hold the lock, forever.

    Raises Held if somebody else has it, and OSError if `path` cannot be opened or written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, PRIVATE)
    try:
        _close_to_others(descriptor)
        _lock(descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {now.isoformat(timespec='seconds')}\n".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _close_to_others(descriptor: int) -> None:
    """Fix the mode of a lock that an older version, or a loose umask, has left open."""
    status = os.fstat(descriptor)
    if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != PRIVATE:
        os.fchmod(descriptor, PRIVATE)


def _lock(descriptor: int) -> None:
    """Take the lock, or raise Held. read_holder() has it for a moment, too."""
    for _ in range(LOOKS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_SECONDS)
        else:
            return
    raise Held(_parse_holder(os.pread(descriptor, 200, 0)))


def read_holder(path: Path) -> Holder | None:
    """Return who holds the lock on `path` now, or None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    text = read_if_locked(descriptor, 200)
    return None if text is None else _parse_holder(text)


def read_if_locked(descriptor: int, most: int) -> bytes | None:
    """Return up to `most` bytes of a file that a process has locked, None if none has; close it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, most, 0)
    finally:
        os.close(descriptor)
    return None


def _parse_holder(text: bytes) -> Holder:
    try:
        pid, since = text.decode("ascii").split()
        return Holder(int(pid), datetime.fromisoformat(since))
    except ValueError:
        return Holder(None, None)
