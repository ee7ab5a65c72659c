"""Whole images on this machine's disk: received in a hidden folder, then put in their place.

The folder lies beside the place, and has the run in its name. `0.img` in it is an image that is
whole and on the disk, `0.img.cut` the beginning of one, on the disk as well, and `0.img.part` one
that is being received, or was when this machine went down.
"""

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path

from asyncamanda.client.restore.new_folder import (
    FOLDER,
    cannot_make,
    make_private_folder,
    no_record,
)
from asyncamanda.errors import HeldError, UsageError
from asyncamanda.system.files import open_folder

SUFFIX = ".asyncamanda-image"
PRIVATE = 0o600
_OPEN = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def name_image(level: int) -> str:
    """Return the name of the image of a level in a folder of images."""
    return f"{level}.img"


class ImageFolder:
    """The hidden folder, open and locked; made by open_image_folder()."""

    def __init__(self, target: Path, placed_in: int, name: str, descriptor: int) -> None:
        self.target = target
        self._placed_in = placed_in
        self._name = name
        self._descriptor = descriptor

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.target.parent / self._name

    def find_size(self, level: int) -> int:
        """Return how many bytes of an image are there, by an earlier start."""
        for name in (name_image(level), f"{name_image(level)}.cut"):
            with contextlib.suppress(FileNotFoundError):
                return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_size
        return 0

    def is_whole(self, level: int) -> bool:
        """Return whether all of an image is there."""
        with contextlib.suppress(FileNotFoundError):
            os.stat(name_image(level), dir_fd=self._descriptor, follow_symlinks=False)
            return True
        return False

    def free_bytes(self) -> int:
        """Return how much this user can write there."""
        seen = os.fstatvfs(self._descriptor)
        return seen.f_frsize * (seen.f_bfree if os.geteuid() == 0 else seen.f_bavail)

    def begin(self, level: int) -> int:
        """Return a file for an image, open, at the end of what is there of it. Raises OSError."""
        part = f"{name_image(level)}.part"
        with contextlib.suppress(FileNotFoundError):  # what was never synced may be lost in part
            os.unlink(part, dir_fd=self._descriptor)
        try:
            self._rename(f"{name_image(level)}.cut", part)
        except FileNotFoundError:
            flags = _OPEN | os.O_CREAT | os.O_EXCL
            return os.open(part, flags, PRIVATE, dir_fd=self._descriptor)
        descriptor = os.open(part, _OPEN, dir_fd=self._descriptor)
        os.lseek(descriptor, 0, os.SEEK_END)
        return descriptor

    def end(self, level: int, descriptor: int, *, is_whole: bool) -> None:
        """Let what has come of an image last, and close it. Raises OSError."""
        name = name_image(level)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._rename(f"{name}.part", name if is_whole else f"{name}.cut")
        os.fsync(self._descriptor)

    def place_folder(self) -> None:
        """Make the folder what it was to become. Raises UsageError if something is there by now."""
        try:
            os.rename(
                self._name, self.target.name, src_dir_fd=self._placed_in, dst_dir_fd=self._placed_in
            )
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise is_there(self.target) from error
            raise
        os.fsync(self._placed_in)

    def place_file(self, level: int) -> None:
        """Put the image in its place, and remove the folder.

        Raises UsageError if something is there by now: it is never replaced.
        """
        source, name = name_image(level), self.target.name
        try:
            os.link(source, name, src_dir_fd=self._descriptor, dst_dir_fd=self._placed_in)
        except FileExistsError as error:
            raise is_there(self.target) from error
        except OSError:  # a file system without links, such as FAT
            self._take_name(name)
            try:
                os.rename(source, name, src_dir_fd=self._descriptor, dst_dir_fd=self._placed_in)
            except OSError:
                os.unlink(name, dir_fd=self._placed_in)
                raise
        os.fsync(self._placed_in)
        self.remove()

    def remove(self) -> None:
        """Remove the folder, with what is in it."""
        self.empty()
        with contextlib.suppress(OSError):
            os.rmdir(self._name, dir_fd=self._placed_in)

    def empty(self) -> None:
        """Remove what an earlier start has left."""
        with os.scandir(self._descriptor) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            os.unlink(name, dir_fd=self._descriptor)

    def close(self) -> None:
        """Close it; what is there stays, but for a folder that has nothing."""
        with contextlib.suppress(OSError):
            os.rmdir(self._name, dir_fd=self._placed_in)
        os.close(self._descriptor)
        os.close(self._placed_in)

    def _take_name(self, name: str) -> None:
        try:
            flags = _OPEN | os.O_CREAT | os.O_EXCL
            os.close(os.open(name, flags, PRIVATE, dir_fd=self._placed_in))
        except FileExistsError as error:
            raise is_there(self.target) from error

    def _rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)


def open_image_folder(target: Path, run: str, *, is_resumed: bool) -> ImageFolder:
    """Return the folder in which the images of that run are received, which are to be `target`.

    What an earlier start has left is used if `is_resumed`, and else removed. Raises BadDataError if
    there is nothing to go on with, HeldError if another process works there, UsageError, and
    RefusedError or LaterError if it cannot be made.
    """
    name = f".{target.name}.{run}{SUFFIX}"
    try:
        placed_in = open_folder(target.parent)
    except OSError as error:
        raise cannot_make(target, error) from error
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, placed_in)
        try:
            descriptor = _open(placed_in, name, is_resumed=is_resumed)
        except FileNotFoundError as error:
            raise no_record(target) from error
        except OSError as error:
            raise cannot_make(target, error) from error
        undo.callback(os.close, descriptor)
        _lock(descriptor, target)
        folder = ImageFolder(target, placed_in, name, descriptor)
        if not is_resumed:
            folder.empty()
        undo.pop_all()
    return folder


def _open(placed_in: int, name: str, *, is_resumed: bool) -> int:
    """Return the folder, open, if it is this user's alone. Raises OSError."""
    if not is_resumed:
        with contextlib.suppress(FileExistsError):
            return make_private_folder(placed_in, name)
    descriptor = os.open(name, FOLDER, dir_fd=placed_in)
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != 0o700:
        os.close(descriptor)
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), name)
    return descriptor


def _lock(descriptor: int, target: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise HeldError(
            "already-running", f"another restore to {target} goes on", "wait for its end"
        ) from error


def is_there(target: Path) -> UsageError:
    """Return the error for a place that is taken."""
    return UsageError(
        "target-exists",
        f"{target} is there already",
        "name what does not exist yet: a file, or a folder with a slash at its end",
    )
