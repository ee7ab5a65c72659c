"""Files that must survive a crash, and files that others are writing."""

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, count
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
    folder = open_folder(path.parent)
    try:
        replace_in(folder, path.name, text, mode, owner)
    finally:
        os.close(folder)


def replace_in(
    folder: int, name: str, text: str, mode: int, owner: tuple[int, int] | None = None
) -> None:
    """Do what write_whole() does for the file `name` in the open `folder`. No link is followed."""
    replace_in_parts(folder, name, [text.encode("utf-8", "surrogateescape")], mode, owner)


def replace_in_parts(
    folder: int,
    name: str,
    parts: Iterable[bytes],
    mode: int,
    owner: tuple[int, int] | None = None,
) -> None:
    """Do what replace_in() does, of `parts` that are written as they come.

    Raises OSError, and what `parts` raises.
    """
    fresh = f".{name}.new"  # one name, so that a kill leaves one at most
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(fresh, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            file.writelines(parts)
            file.flush()
            os.fsync(descriptor)
        os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(fresh, dir_fd=folder)
        raise
    os.fsync(folder)


def replace_quickly(folder: int, name: str, content: bytes, mode: int) -> None:
    """Do what replace_in() does, but sync nothing: after a crash the file may be cut off.

    For many files that can be made again. Raises OSError.
    """
    fresh = f".{name}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(fresh, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
        os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(fresh, dir_fd=folder)
        raise


def open_folder(path: Path, *, make: bool = False) -> int:
    """Return a descriptor of the folder; with `make`, folders that are missing are made (0755).

    For root no link is followed on the way but root's own: whoever owns a folder may put one there,
    so that what root writes would be written elsewhere. Raises OSError.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    if os.geteuid() != 0:
        if make:
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
        return os.open(path, flags)
    here = os.open("/", flags)
    for name in path.absolute().parts[1:]:
        try:
            there = _open_within(here, name, flags, make=make)
        finally:
            os.close(here)
        here = there
    return here


def _open_within(folder: int, name: str, flags: int, *, make: bool) -> int:
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=folder)
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not (stat.S_ISLNK(status.st_mode) and status.st_uid == 0):
        flags |= os.O_NOFOLLOW
    return os.open(name, flags, dir_fd=folder)


def make_private(folder: Path) -> None:
    """Let nobody but its owner into `folder`, if that is this user. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != 0o700:
            os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def read_regular(path: Path, at_most: int) -> bytes:
    """Return the first `at_most` bytes of a file. No link is followed, and nothing waited for.

    Raises OSError, also if it is not a regular file: a pipe of that name would never end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    with os.fdopen(descriptor, "rb") as file:
        return file.read(at_most)


def find_free(path: Path) -> Path:
    """Return the first of `path`, `path-2`, `path-3` ... that is not there, not even as a link."""
    names = chain([path], (path.with_name(f"{path.name}-{number}") for number in count(2)))
    return next(name for name in names if not os.path.lexists(name))


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
                    "the next start checks again",
                ) from error
            if now() >= give_up_at:
                raise LaterError(
                    "amandates-locked",
                    f"{path} is locked by another program for "
                    f"{lock_within.total_seconds():g} seconds",
                    "a dump may be writing it right now; if this stays so, `fuser -v` names who",
                ) from error
            time.sleep(LOCK_POLL)
        else:
            return
