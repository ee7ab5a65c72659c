"""Putting files where they were: staged in a hidden folder beside them, then renamed one by one.

Nothing is deleted. A file that is there is replaced only if that is wanted, by a rename, so that
there is always one of the two; a folder that is there keeps its owner and mode. Links are not
followed: on the way to a file's place there are folders, or it is not put there.
"""

import errno
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import Enum

from asyncamanda.client.restore.record import Record
from asyncamanda.client.restore.record_lines import to_text
from asyncamanda.client.restore.staging import Staging
from asyncamanda.system.attributes import FATAL, Dresser
from asyncamanda.system.tree import READABLE, Tree, list_folder

IN_THE_WAY = "a folder is in its place"
ON_THE_WAY = "a file or a link is where a folder should be"
NO_SECOND_NAME = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
ELSEWHERE = "another file system is mounted there"


class Overwrite(Enum):
    """What happens to a file that is there already."""

    NEVER = "never"
    NEWER = "newer"
    ALWAYS = "always"


@dataclass(slots=True)
class Placed:
    """What came of it: how many files were replaced, which were kept, what is not there and why.

    `left` files, of `left_size` bytes, and `left_folders` were staged and not put anywhere.
    """

    replaced: int = 0
    left: int = 0
    left_size: int = 0
    left_folders: int = 0
    kept: list[bytes] = field(default_factory=list)
    failed: list[tuple[bytes, str]] = field(default_factory=list)


class Placement:
    """Moves what is staged to its place below the disk's folder."""

    def __init__(self, staging: Staging, overwrite: Overwrite) -> None:
        self.placed = Placed()
        self._record: Record = staging.folder.record
        self._staged = Tree(staging.folder.descriptor)
        self._there = Tree(staging.top)
        self._overwrite = overwrite

    def close(self) -> None:
        """Release what this object has opened."""
        self._staged.close()
        self._there.close()

    def move_all(self) -> Iterator[bytes]:
        """Move all, and yield each path that was dealt with. Raises OSError for a full disk."""
        waiting = [b""]
        while waiting:
            folder = waiting.pop()
            for name, is_folder in list_folder(self._staged.folder(folder)):
                path = folder + b"/" + name if folder else name
                if self._move(path, is_folder=is_folder):
                    waiting.append(path)
                yield path
        self._count_left()

    def finish(self, dresser: Dresser) -> None:
        """Let the folders that were put there be what they are to be, the deepest first."""
        state = self._record.state
        below: dict[bytes, list[bytes]] = {}
        for path in sorted(state.unfinished, reverse=True):
            top = _find_above(path, state.made)
            if top is not None:
                below.setdefault(top, []).append(path)
        for top, paths in below.items():
            folder = _open_below(self._there, top)
            if folder is None:
                continue
            try:
                if os.fstat(folder).st_ino == state.made[top]:  # and not somebody else's by now
                    self._dress(folder, top, paths, dresser)
            finally:
                os.close(folder)

    def _dress(self, folder: int, top: bytes, paths: list[bytes], dresser: Dresser) -> None:
        """Let folders below the open one, which was put at `top`, be what they are to be."""
        tree = Tree(folder)
        try:
            for path in paths:
                descriptor = _open_below(tree, path[len(top) + 1 :])
                if descriptor is None:
                    continue
                try:
                    dresser.dress(descriptor, self._record.state.unfinished[path])
                finally:
                    os.close(descriptor)
        finally:
            tree.close()

    def _count_left(self) -> None:
        waiting, placed, seen = [b""], self.placed, set[int]()
        while waiting:
            folder = waiting.pop()
            for name, is_folder in list_folder(self._staged.folder(folder)):
                path = folder + b"/" + name if folder else name
                if is_folder:
                    placed.left_folders += 1
                    waiting.append(path)
                    continue
                placed.left += 1
                status = self._staged.stat(path)
                if status and stat.S_ISREG(status.st_mode) and status.st_ino not in seen:
                    seen.add(status.st_ino)  # another name of it has no bytes of its own
                    placed.left_size += status.st_size

    def _move(self, path: bytes, *, is_folder: bool) -> bool:
        """Move one thing, or note why that cannot be.

        Returns whether it is a folder that is there already: then what is in it goes one by one.
        """
        try:
            there = self._there.stat(path)
            if is_folder and there is not None and stat.S_ISDIR(there.st_mode):
                return True
            why = self._move_folder(path, there) if is_folder else self._move_file(path, there)
        except NotADirectoryError:
            why = ON_THE_WAY
        except OSError as error:
            if error.errno in FATAL:
                raise
            why = ELSEWHERE if error.errno == errno.EXDEV else error.strerror or str(error)
        if why:
            self.placed.failed.append((path, why))
        return False

    def _move_folder(self, path: bytes, there: os.stat_result | None) -> str:
        if there is not None:
            return ON_THE_WAY
        staged = self._staged.stat(path)
        assert staged
        self._record.note(made=[to_text(path), staged.st_ino])
        self._record.flush()  # after a kill it has to be known which folders are to be finished
        self._rename(path)
        return ""

    def _move_file(self, path: bytes, there: os.stat_result | None) -> str:
        if there is None:
            self._put(path)
            return ""
        if stat.S_ISDIR(there.st_mode):
            return IN_THE_WAY
        staged = self._staged.stat(path)
        assert staged
        if (staged.st_dev, staged.st_ino) == (there.st_dev, there.st_ino):
            here, name = self._staged.parent(path)
            os.unlink(name, dir_fd=here)  # a kill came between its two names
            return ""
        is_newer = staged.st_mtime_ns > there.st_mtime_ns
        if self._overwrite is Overwrite.ALWAYS or (self._overwrite is Overwrite.NEWER and is_newer):
            self._rename(path)
            self.placed.replaced += 1
        else:
            self.placed.kept.append(path)
        return ""

    def _put(self, path: bytes) -> None:
        """Give the file its name there, if nobody else has made one of that name by now."""
        here, name = self._staged.parent(path)
        there, _ = self._there.parent(path)
        try:
            os.link(name, name, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)
        except FileExistsError:
            self.placed.kept.append(path)
        except OSError as error:
            if error.errno not in NO_SECOND_NAME:
                raise
            self._rename(path)  # this file system has no second names
        else:
            os.unlink(name, dir_fd=here)

    def _rename(self, path: bytes) -> None:
        here, name = self._staged.parent(path)
        there, _ = self._there.parent(path)
        os.rename(name, name, src_dir_fd=here, dst_dir_fd=there)


def _find_above(path: bytes, folders: Collection[bytes]) -> bytes | None:
    """Return which of `folders` is `path`, or above it."""
    while path and path not in folders:
        path = path.rpartition(b"/")[0]
    return path or None


def _open_below(tree: Tree, path: bytes) -> int | None:
    """Return a folder open, to be read; None if it has gone, or is not this user's to open."""
    try:
        above, name = tree.parent(path)
        return os.open(name or b".", READABLE, dir_fd=above)
    except OSError:
        return None
