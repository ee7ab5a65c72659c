"""Files that must survive a crash, and files that others are writing."""

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from asyncamanda.errors import BadDataError, LaterError, NotYoursError
from asyncamanda.system.clock import now
from asyncamanda.system.interrupts import StopRequest

BLOCK = 1 << 15  # characters; one odd line slows its block only
LOCK_POLL = 0.05  # seconds


def write_whole(
    path: Path, text: str, mode: int = 0o644, owner: tuple[int, int] | None = None
) -> None:
    """Replace `path` by a file that holds `text`: after a crash it is the old one or the new one.

    `owner`: uid and gid, where it is to be another's. Raises OSError; then `path` is as it was and
    nothing is left beside it.
    """
    fresh = path.with_name(f".{path.name}.new")  # one name, so that a kill leaves one at most
    try:
        with _open_new(fresh) as file:
            if owner:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    sync_folder(path.parent)


def _open_new(path: Path) -> TextIO:
    """Open a new file for writing, its user's alone, in the place of whatever was there.

    The folder may be another user's, so no link that lies there is followed. Raises OSError.
    """
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape")


def make_private(folder: Path) -> None:
    """Let nobody but its owner into `folder`, if that is this user. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != 0o700:
            os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make what was renamed or made in `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class LockedText:
    """A file open under a shared lock: when it was last written, and its text in blocks."""

    written_at: datetime
    file: TextIO

    def blocks(self) -> Iterator[str]:
        """Yield the text in pieces that end with a line; the last may lack its end."""
        while block := self.file.read(BLOCK):
            yield block if block.endswith("\n") else block + self.file.readline()


@contextlib.contextmanager
def open_shared(
    path: Path, lock_within: timedelta, stop: StopRequest | None = None
) -> Iterator[LockedText]:
    """Open `path` for reading under the shared POSIX lock that Amanda's writers respect.

    Amanda rewrites amandates in place under fcntl's exclusive lock (amflock-posix.c).
    Raises BadDataError if there is no such file, NotYoursError if it may not be read, and
    LaterError if a writer still holds it after `lock_within`, or a signal says `stop`.
    """
    try:
        file = path.open(encoding="utf-8", errors="surrogateescape", newline="\n")
    except FileNotFoundError as error:
        raise BadDataError(
            "amandates-missing",
            f"{path} does not exist",
            "is amanda-client installed? Amanda keeps the file where `amandates` in "
            "/etc/amanda/amanda-client.conf says, else in /var/lib/amanda/amandates",
        ) from error
    except PermissionError as error:
        raise NotYoursError(
            "amandates-unreadable",
            f"{path} may not be read by uid {os.geteuid()}",
            "run as root, as the Amanda user (backup), or as a member of its group",
        ) from error
    except OSError as error:
        raise BadDataError(
            "amandates-unreadable", f"{path} cannot be read: {error.strerror}", "is it a file?"
        ) from error
    with file:
        _lock_shared(file, path, lock_within, stop)
        status = os.fstat(file.fileno())
        yield LockedText(datetime.fromtimestamp(status.st_mtime, UTC), file)


def _lock_shared(
    file: TextIO, path: Path, lock_within: timedelta, stop: StopRequest | None
) -> None:
    give_up_at = now() + lock_within
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EAGAIN}:
                return  # a file system without locks: then nobody else locks there either
            if stop and stop.signal:
                raise LaterError(
                    "stopped",
                    f"stopped by {stop.signal.name} while {path} was locked",
                    "the next start looks again",
                ) from error
            if now() >= give_up_at:
                raise LaterError(
                    "amandates-locked",
                    f"{path} is locked by another program for "
                    f"{lock_within.total_seconds():g} seconds",
                    "a dump may just be writing it; if this stays so, `fuser -v` names who",
                ) from error
            time.sleep(LOCK_POLL)
        else:
            return
