"""A folder, and what is below it, reached step by step: no link on the way is ever followed."""

import errno
import os
from contextlib import suppress

FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PRIVATE = 0o700


class Tree:
    """What lies below the folder that is open as `top`, by paths of bytes; b"" is the folder.

    The folder that was opened last stays open. `top` belongs to the caller, and stays open.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._path = b""
        self._open = top

    def close(self) -> None:
        """Release what this object has opened."""
        if self._open != self._top:
            os.close(self._open)
        self._open, self._path = self._top, b""

    def folder(self, path: bytes, *, make: bool = False) -> int:
        """Return a descriptor (O_PATH) of the folder `path`, good until the next call.

        With `make`, folders that are missing are made, for this user alone. Raises OSError: ENOTDIR
        where a link or a file is in the way.
        """
        if path == self._path:
            return self._open
        is_below = self._open != self._top and path.startswith(self._path + b"/")
        here = os.dup(self._open if is_below else self._top)
        rest = path[len(self._path) + 1 :] if is_below else path
        try:
            for name in rest.split(b"/") if rest else ():
                there = _step(here, name, make=make)
                os.close(here)
                here = there
        except BaseException:
            os.close(here)
            raise
        self.close()
        self._open, self._path = here, path
        return here

    def parent(self, path: bytes, *, make: bool = False) -> tuple[int, bytes]:
        """Return a descriptor of the folder that `path` is in, and its name there; as above."""
        above, _, name = path.rpartition(b"/")
        return self.folder(above, make=make), name

    def stat(self, path: bytes) -> os.stat_result | None:
        """Return what is at `path`, no link followed; None if there is nothing. Raises OSError."""
        with suppress(FileNotFoundError):
            folder, name = self.parent(path)
            return os.stat(name, dir_fd=folder, follow_symlinks=False) if name else None
        return None


def list_folder(folder: int) -> list[tuple[bytes, bool]]:
    """Return the names in a folder that is open as O_PATH, and whether each is a folder."""
    descriptor = os.open(".", READABLE, dir_fd=folder)
    try:
        with os.scandir(descriptor) as entries:
            found = [
                (os.fsencode(each.name), each.is_dir(follow_symlinks=False)) for each in entries
            ]
    finally:
        os.close(descriptor)
    return sorted(found)


def empty_folder(top: int) -> None:
    """Remove all that is below the folder that is open as `top`, however deep. Raises OSError."""
    tree = Tree(top)
    waiting, folders = [b""], []
    try:
        while waiting:
            folder = waiting.pop()
            for name, is_folder in list_folder(tree.folder(folder)):
                path = folder + b"/" + name if folder else name
                if is_folder:
                    waiting.append(path)
                    folders.append(path)
                else:
                    os.unlink(name, dir_fd=tree.folder(folder))
        for path in reversed(folders):  # what is below a folder was found after it
            above, name = tree.parent(path)
            os.rmdir(name, dir_fd=above)
    finally:
        tree.close()


def _step(folder: int, name: bytes, *, make: bool) -> int:
    if name in {b"", b".", b".."}:  # nobody asks for such a one
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
    try:
        return os.open(name, FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, PRIVATE, dir_fd=folder)
    return os.open(name, FOLDER, dir_fd=folder)
