"""Restoring into a new folder, for this user alone, with its record beside it."""

import contextlib
import errno
import os
import stat
from pathlib import Path

from asyncamanda.client.restore.record import Record, make_record, open_record
from asyncamanda.client.restore.record_lines import Errand
from asyncamanda.errors import AsyncamandaError, BadDataError, LaterError, RefusedError, UsageError
from asyncamanda.system.files import open_folder

PRIVATE = 0o700
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
SUFFIX = ".asyncamanda-restore"
_INHERITED = ("system.posix_acl_access", "system.posix_acl_default")


class PrivateFolder:
    """A folder that is restored into, and its record; both are open.

    `path` is the folder's, and `placed_in` the open folder that it and the record are in.
    """

    def __init__(self, path: Path, placed_in: int, descriptor: int, record: Record) -> None:
        self.path = path
        self.descriptor = descriptor
        self.record = record
        self._placed_in = placed_in

    def free_bytes(self) -> int:
        """Return how much this user can write there."""
        seen = os.fstatvfs(self.descriptor)
        return seen.f_frsize * (seen.f_bfree if os.geteuid() == 0 else seen.f_bavail)

    def close(self) -> None:
        """Close all of it; what is there stays, and a later start can go on."""
        self.record.close()
        os.close(self.descriptor)
        os.close(self._placed_in)

    def abandon(self) -> None:
        """Remove the record, and the folder if nothing is in it."""
        self.record.remove()
        with contextlib.suppress(OSError):
            os.rmdir(self.path.name, dir_fd=self._placed_in)


def record_name(folder: str) -> str:
    """Return the name of the record beside a folder of this name."""
    return f".{folder}{SUFFIX}"


def find_records(place: Path) -> list[Path]:
    """Return the folders in `place` that a restore can go on in. Raises OSError."""
    names = [path.name for path in place.glob(f".*{SUFFIX}")]
    return sorted(place / name[1 : -len(SUFFIX)] for name in names)


def begin_folder(path: Path, errand: Errand) -> PrivateFolder:
    """Make the folder `path`, or take an empty one of this user's, with a record beside it.

    Raises UsageError if it is there and not empty or open to others, and RefusedError or LaterError
    if it cannot be made.
    """
    try:
        return begin_within(open_folder(path.parent), path, record_name(path.name), errand)
    except FileExistsError as error:
        raise UsageError(
            "target-exists",
            f"{path} is there already, and is not an empty folder of this user's alone",
            "name a folder that does not exist yet; --in-place puts files where they were, and "
            "--resume goes on with a restore that was cut",
        ) from error
    except OSError as error:
        raise cannot_make(path, error) from error


def begin_within(placed_in: int, path: Path, recorded_as: str, errand: Errand) -> PrivateFolder:
    """Make the folder `path` in the open one above it, with a record of that name beside it.

    `placed_in` is the new object's from now on. Raises FileExistsError and OSError.
    """
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, placed_in)
        descriptor = make_private_folder(placed_in, path.name)
        undo.callback(os.close, descriptor)
        record = make_record(placed_in, recorded_as, errand, descriptor)
        undo.pop_all()
    return PrivateFolder(path, placed_in, descriptor, record)


def resume_folder(path: Path) -> PrivateFolder:
    """Open the folder `path` and its record, to go on.

    Raises BadDataError if there is nothing to go on with, and what open_record() raises.
    """
    try:
        return resume_within(open_folder(path.parent), path, record_name(path.name))
    except OSError as error:
        raise no_record(path) from error


def resume_within(placed_in: int, path: Path, recorded_as: str) -> PrivateFolder:
    """Open the folder `path` in the open one above it, and the record of that name.

    `placed_in` is the new object's from now on. Raises OSError, and what open_record() raises.
    """
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, placed_in)
        descriptor = os.open(path.name, FOLDER, dir_fd=placed_in)
        undo.callback(os.close, descriptor)
        record = open_record(placed_in, recorded_as, descriptor)
        undo.pop_all()
    return PrivateFolder(path, placed_in, descriptor, record)


def make_private_folder(placed_in: int, name: str) -> int:
    """Return the new folder `name`, or an empty one of this user's alone, open.

    Nothing is inherited from the folder above: neither an access list nor its group. Raises
    FileExistsError if something else is there, and OSError.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, PRIVATE, dir_fd=placed_in)
    try:
        descriptor = os.open(name, FOLDER, dir_fd=placed_in)
    except NotADirectoryError as error:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from error
    status = os.fstat(descriptor)
    with os.scandir(descriptor) as entries:
        is_empty = next(entries, None) is None
    if status.st_uid != os.geteuid() or not is_empty or _is_open(status.st_mode):
        os.close(descriptor)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
    for attribute in _INHERITED:
        with contextlib.suppress(OSError):
            os.removexattr(descriptor, attribute)
    os.fchmod(descriptor, PRIVATE)
    return descriptor


def _is_open(mode: int) -> bool:
    return bool(mode & (stat.S_IWGRP | stat.S_IWOTH))


def no_record(path: Path) -> BadDataError:
    """Return the error for a folder that no restore can go on in."""
    return BadDataError(
        "no-record",
        f"no restore that was cut is known for {path}",
        "restore again, without --resume; what came back is where it was said to be",
    )


def cannot_make(path: Path, error: OSError) -> AsyncamandaError:
    """Return the error for a folder that cannot be made: later if room can be made."""
    kind = LaterError if error.errno in {errno.ENOSPC, errno.EDQUOT} else RefusedError
    return kind(
        "cannot-make",
        f"{path} cannot be made: {error.strerror}",
        "name another folder with --to DIR",
    )
