"""Random files of a disk as it is here now, for a proof: found without reading the whole disk.

Each is found on a walk from the disk's folder down, by a random entry at each step. No link is
followed, no other file system entered, and no file opened that is not a regular one. What is
mounted from elsewhere in the same file system is left out as well: it may be so since the dump.
"""

import errno
import os
import random
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

from asyncamanda.core.restore.proof import LARGEST_FILE, LiveFile, is_unchanged
from asyncamanda.system.tree import READABLE, Tree

WALKS = 400  # at most, of one disk
DEEPEST = 60  # folders on the way of one
LARGEST_FOLDER = 5000  # entries of a folder that are looked at
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class LiveDisk:
    """The folder of a disk, as it is on this machine; it is open until close().

    `limit` is the time of its newest dump, as core/restore/proof.py has it.
    """

    def __init__(self, device: bytes, limit: int) -> None:
        """Open it. Raises OSError."""
        self._top = os.open(device, READABLE & ~os.O_NOFOLLOW)
        self._tree = Tree(self._top)
        self._limit = limit
        self._file_system = os.fstat(self._top).st_dev
        self._mount = _find_mount(self._top)

    def close(self) -> None:
        """Close it."""
        self._tree.close()
        os.close(self._top)

    def sample(
        self, is_excluded: Callable[[bytes], bool], chance: random.Random
    ) -> Iterator[LiveFile]:
        """Yield random files that have not changed since the dump; one may come several times."""
        for _ in range(WALKS):
            with suppress(OSError):
                if found := self._walk(is_excluded, chance):
                    yield found

    def look(self, path: bytes) -> LiveFile | None:
        """Return what is at `path` now; None if that is no regular file with one name."""
        with suppress(OSError):
            folder, name = self._tree.parent(path)
            return self._describe(path, os.stat(name, dir_fd=folder, follow_symlinks=False))
        return None

    def open(self, path: bytes) -> int:
        """Return the regular file at `path`, open for reading. Raises OSError if it is none."""
        folder, name = self._tree.parent(path)
        try:
            descriptor = os.open(name, OPEN_FILE | os.O_NOATIME, dir_fd=folder)
        except PermissionError:  # O_NOATIME is for the file's owner and root
            descriptor = os.open(name, OPEN_FILE, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
        return descriptor

    def _walk(self, is_excluded: Callable[[bytes], bool], chance: random.Random) -> LiveFile | None:
        """Return the file that one walk has come to, if it came to one that proves something."""
        path, is_settled = b"", True
        above = os.fstat(self._top)
        for _ in range(DEEPEST):
            name = self._pick(path, chance)
            path = path + b"/" + name if path else name
            seen, mount = self._see(path)
            is_here = (seen.st_dev, mount) == (self._file_system, self._mount)
            if not is_here or is_excluded(path):
                return None
            if not stat.S_ISDIR(seen.st_mode):
                file = self._describe(path, seen, is_settled=is_settled)
                return file if file and self._is_fit(file) else None
            # to be renamed is a change of the folder, and of the one that it is in
            is_settled &= min(above.st_mtime_ns, seen.st_ctime_ns) < self._limit
            above = seen
        return None

    def _see(self, path: bytes) -> tuple[os.stat_result, str]:
        """Return what is at `path`, no link followed, and of which mount it is. Raises OSError."""
        folder, name = self._tree.parent(path)
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            return os.fstat(descriptor), _find_mount(descriptor)
        finally:
            os.close(descriptor)

    def _is_fit(self, file: LiveFile) -> bool:
        return file.size <= LARGEST_FILE and is_unchanged(file, self._limit)

    def _pick(self, folder: bytes, chance: random.Random) -> bytes:
        """Return a random name in a folder. Raises OSError, also if there is none."""
        descriptor = os.open(".", READABLE, dir_fd=self._tree.folder(folder))
        try:
            with os.scandir(descriptor) as entries:
                names = [each.name for each in islice(entries, LARGEST_FOLDER)]
        finally:
            os.close(descriptor)
        if not names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return os.fsencode(chance.choice(names))

    def _describe(
        self, path: bytes, seen: os.stat_result, *, is_settled: bool = True
    ) -> LiveFile | None:
        if not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1:
            return None
        return LiveFile(
            path,
            seen.st_size,
            seen.st_mtime_ns,
            seen.st_ctime_ns,
            stat.S_IMODE(seen.st_mode),
            seen.st_uid,
            seen.st_gid,
            seen.st_ino,
            is_settled,
        )


def _find_mount(descriptor: int) -> str:
    """Return the mount that something open is reached by: the kernel's number, "" if unknown."""
    with suppress(OSError), open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as known:  # noqa: PTH123 - often, and no path
        for line in known:
            if line.startswith("mnt_id:"):
                return line
    return ""
