"""Putting files where they were: staged in a hidden folder beside them, then renamed one by one.

Nothing is deleted. A file that is there is replaced only if that is wanted, by a rename, so that
there is always one of the two; a folder that is there keeps its owner and mode. Links are not
followed: on the way to a file's place there are folders, or it is not put there.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from zlib import crc32

from asyncamanda.client.restore.new_folder import (
    PrivateFolder,
    begin_within,
    cannot_make,
    make_private_folder,
    no_record,
    resume_within,
)
from asyncamanda.client.restore.record import Record
from asyncamanda.client.restore.record_lines import Errand, Part
from asyncamanda.core.restore.whereabouts import common_folder
from asyncamanda.errors import RefusedError, UsageError
from asyncamanda.system.attributes import FATAL, Dresser
from asyncamanda.system.files import open_folder
from asyncamanda.system.tree import Tree

IN_THE_WAY = "a folder is in its place"
ON_THE_WAY = "a file or a link is where a folder should be"
ELSEWHERE = "another file system is mounted there"
READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Overwrite(Enum):
    """What happens to a file that is there already."""

    NEVER = "never"
    NEWER = "newer"
    ALWAYS = "always"


@dataclass(slots=True)
class Placed:
    """What came of it: how many files were replaced, which were kept, what is not there and why.

    `left` is how many files were staged and not put anywhere.
    """

    replaced: int = 0
    left: int = 0
    kept: list[bytes] = field(default_factory=list)
    failed: list[tuple[bytes, str]] = field(default_factory=list)


class Staging:
    """The hidden folder of one disk's files, on their file system; `folder` is unpacked into."""

    def __init__(self, top: int, beside: int, name: str, folder: PrivateFolder) -> None:
        self.top = top  # the disk's folder
        self.folder = folder
        self._beside = beside  # the open folder that this one is in
        self._name = name

    def close(self) -> None:
        """Close all of it; what is staged stays, and a later start can go on."""
        self.folder.close()
        os.close(self._beside)
        os.close(self.top)

    def remove(self) -> None:
        """Remove it, with what was not put anywhere."""
        self.folder.record.remove()
        with contextlib.suppress(OSError):
            shutil.rmtree(self._name, dir_fd=self._beside)


def open_staging(part: Part, errand: Errand, *, resume: bool) -> Staging:
    """Make the hidden folder for `part`, or with `resume` open the one that is there.

    Raises UsageError if there is one of an earlier restore, BadDataError if there is none to go on
    with, and RefusedError or LaterError if it cannot be.
    """
    top_path = Path(part.device)
    with contextlib.ExitStack() as undo:
        try:
            top = open_folder(top_path)
            undo.callback(os.close, top)
            beside, path = _open_common(top, part)
            undo.callback(os.close, beside)
        except OSError as error:
            raise RefusedError(
                "no-place",
                f"{top_path}, where the files were, cannot be opened: {error.strerror}",
                "without --in-place they come back into a new folder",
            ) from error
        name = f".asyncamanda-restoring-{_number(part):08x}"
        place = top_path / os.fsdecode(path) / name
        open_it = _resume if resume else _begin
        staging = Staging(top, beside, name, open_it(beside, place, errand))
        undo.pop_all()
    return staging


def _begin(beside: int, place: Path, errand: Errand) -> PrivateFolder:
    try:
        hidden = make_private_folder(beside, place.name)
        return begin_within(hidden, place / "files", "record", errand)
    except FileExistsError as error:
        raise UsageError(
            "unfinished",
            f"a restore of the same files was cut: {place} is there",
            "--resume goes on with it; or remove that folder",
        ) from error
    except OSError as error:
        raise cannot_make(place, error) from error


def _resume(beside: int, place: Path, _: Errand) -> PrivateFolder:
    try:
        hidden = os.open(place.name, READABLE, dir_fd=beside)
        return resume_within(hidden, place / "files", "record")
    except OSError as error:
        raise no_record(place) from error


def _open_common(top: int, part: Part) -> tuple[int, bytes]:
    """Return the deepest folder that is there and above all that is wanted, open, and its path."""
    path = common_folder(b"/" + each for each in part.paths).strip(b"/")
    tree = Tree(top)
    try:
        while True:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return os.dup(tree.folder(path)), path
            path = path.rpartition(b"/")[0]
    finally:
        tree.close()


def _number(part: Part) -> int:
    """Return what tells this from a restore of other files beside it."""
    return crc32(b"\0".join((os.fsencode(part.disk), *sorted(part.paths))))


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
            for name, is_folder in _list(self._staged.folder(folder)):
                path = folder + b"/" + name if folder else name
                if self._move(path, is_folder=is_folder):
                    waiting.append(path)
                yield path
        self.placed.left = self._count_left()

    def finish(self, dresser: Dresser) -> None:
        """Let the folders that were put there be what they are to be, the deepest first."""
        state = self._record.state
        for path in sorted(state.unfinished, reverse=True):
            if not _is_within(path, state.made):
                continue
            try:
                above, name = self._there.parent(path)
                descriptor = os.open(name, READABLE, dir_fd=above)
            except OSError:  # it has gone meanwhile, or is another's
                continue
            try:
                dresser.dress(descriptor, state.unfinished[path])
            finally:
                os.close(descriptor)

    def _count_left(self) -> int:
        waiting, count = [b""], 0
        while waiting:
            folder = waiting.pop()
            for name, is_folder in _list(self._staged.folder(folder)):
                if is_folder:
                    waiting.append(folder + b"/" + name if folder else name)
                else:
                    count += 1
        return count

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
        self._record.note(made=path.decode("latin-1"))
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
            if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK}:
                raise
            self._rename(path)  # this file system has no second names
        else:
            os.unlink(name, dir_fd=here)

    def _rename(self, path: bytes) -> None:
        here, name = self._staged.parent(path)
        there, _ = self._there.parent(path)
        os.rename(name, name, src_dir_fd=here, dst_dir_fd=there)


def _list(folder: int) -> list[tuple[bytes, bool]]:
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


def _is_within(path: bytes, folders: set[bytes]) -> bool:
    """Return whether `path` is one of `folders`, or below one."""
    while path and path not in folders:
        path = path.rpartition(b"/")[0]
    return path in folders
