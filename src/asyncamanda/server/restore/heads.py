"""Where kept heads lie: beside the ledger, a folder for each disk, in it a file for each dump.

What these are called is made of numbers: a client's words are in the files, not in their names. A
file is whole or not there, even after a crash, and one that is damaged counts as none.
"""

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from asyncamanda.core.restore.keeping import Stored
from asyncamanda.core.restore.kept import KeptHead, open_kept
from asyncamanda.core.restore.kept_index import BadKept, Base, DumpName, parse_index
from asyncamanda.core.values.printable import printable
from asyncamanda.server.gate import ipc
from asyncamanda.system.files import open_folder, replace_in_parts, write_whole

HEADS = Path(ipc.STATE, "heads")
LEAST_FREE = 1 << 30  # bytes, of the file system that the ledger is on as well
MOST_STEPS = 16  # from one to the one that has all by itself: keeping.py makes two at most

_FILE = re.compile(r"[0-9]{8,14}\.[0-9]{1,3}")
_REFUSED = ".refused"
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def is_keepable(timestamp: str, level: int) -> bool:
    """Return whether there can be a kept head of such a dump."""
    return _FILE.fullmatch(f"{timestamp}.{level}") is not None


class _OpenFile:
    """A file's bytes, read when they are asked for. It is closed when nobody has it any more."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, _FLAGS)
        self._length = os.fstat(self._descriptor).st_size

    def __del__(self) -> None:
        with suppress(AttributeError, OSError):  # it could not be opened
            os.close(self._descriptor)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, places: slice) -> bytes:
        begin, end, _ = places.indices(self._length)
        try:
            return os.pread(self._descriptor, max(0, end - begin), begin)
        except OSError as error:
            raise BadKept(f"it cannot be read: {error.strerror}") from error


class HeadStore:
    """The kept heads of one Amanda configuration. One process at a time may change anything."""

    def __init__(self, amanda_config: str, folder: Path = HEADS) -> None:
        self._amanda_config = amanda_config
        self.folder = folder / amanda_config
        self._opened: dict[DumpName, KeptHead] = {}

    def find(self, host: str, disk: str, timestamp: str, level: int) -> KeptHead | None:
        """Return what is kept of a dump's head; None if nothing is, or it is damaged."""
        try:
            return self._open(DumpName(self._amanda_config, host, disk, timestamp, level))
        except (BadKept, OSError, MemoryError):
            return None

    def is_known(self, name: DumpName) -> bool:
        """Return whether a dump's head is kept, or cannot be; one that is damaged is removed.

        Raises OSError.
        """
        path = self._path(name)
        if _refusal(path).exists():
            return True
        is_kept = self.find(name.host, name.disk, name.timestamp, name.level) is not None
        if not is_kept:
            path.unlink(missing_ok=True)
        return is_kept

    def of_disk(self, name: DumpName) -> list[Stored]:
        """Return what there is of the disk of a dump. Raises OSError."""
        paths = _list(self._path(name).parent)
        return [stored for path in paths if (stored := self._look_at(path))]

    def list_stored(self) -> Iterator[Stored]:
        """Yield what there is, as far as it can be read. Raises OSError."""
        for disk in _list(self.folder):
            for path in _list(disk):
                if stored := self._look_at(path):
                    yield stored

    def tidy(self, held: Collection[DumpName]) -> None:
        """Remove what is left over, or cannot be read, and notes of dumps that are not `held`.

        Raises OSError.
        """
        notes = {_refusal(self._path(name)) for name in held}
        for disk in _list(self.folder):
            for path in _list(disk):
                if path not in notes and not self._look_at(path):
                    path.unlink()
            with suppress(OSError):
                disk.rmdir()

    def write(self, name: DumpName, parts: Iterable[bytes]) -> None:
        """Store a kept head. Raises OSError, and what `parts` raises; then nothing has changed."""
        self._opened.pop(name, None)
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = open_folder(path.parent)
        try:
            replace_in_parts(folder, path.name, parts, 0o600)
        finally:
            os.close(folder)

    def refuse(self, name: DumpName, reason: str) -> None:
        """Note that a dump's head cannot be kept, so that it is not read again. Raises OSError."""
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(_refusal(path), f"{printable(reason)}\n", 0o600)

    def has_room(self, least: int) -> bool:
        """Return whether so many bytes are left there, or a tenth of a small file system.

        Raises OSError.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = os.statvfs(self.folder)
        return there.f_bavail * there.f_frsize >= min(least, there.f_blocks * there.f_frsize // 10)

    def remove(self, name: DumpName) -> None:
        """Remove a kept head, and its disk's folder if that is empty now. Raises OSError."""
        path = self._path(name)
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()

    def _open(self, name: DumpName, steps: int = 0) -> KeptHead:
        """Return a kept head, with those that it builds on. Raises BadKept or OSError."""
        if name in self._opened:
            return self._opened[name]

        def find_base(base: Base) -> KeptHead:
            if steps == MOST_STEPS:
                raise BadKept("it builds on too many")
            builds_on = DumpName(*_disk_of(name), base.timestamp, base.level)
            return self._open(builds_on, steps + 1)

        kept = open_kept(_OpenFile(self._path(name)), find_base)
        if kept.index.dump != name:
            raise BadKept("it is another dump's")
        kept.check()
        self._opened[name] = kept
        return kept

    def _look_at(self, path: Path) -> Stored | None:
        """Return what is stored in a file, None if it is nothing that was stored there."""
        if not _FILE.fullmatch(path.name):
            return None
        try:
            file = _OpenFile(path)
            index, checksum = parse_index(file)
            stored_at = path.stat().st_mtime_ns
        except (BadKept, OSError, MemoryError):
            return None
        if self._path(index.dump) != path:
            return None
        return Stored(index.dump, index.base, index.place, checksum, len(file), stored_at)

    def _path(self, name: DumpName) -> Path:
        words = f"{name.host}\0{name.disk}".encode("utf-8", "surrogateescape")
        file = f"{name.timestamp}.{name.level}"
        if not _FILE.fullmatch(file):
            raise BadKept(f"{file!a} is no dump's")
        return self.folder / hashlib.sha256(words).hexdigest()[:32] / file


def _refusal(path: Path) -> Path:
    return path.with_name(f"{path.name}{_REFUSED}")


def _disk_of(name: DumpName) -> tuple[str, str, str]:
    return name.amanda_config, name.host, name.disk


def _list(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
