"""Dumps that are set aside: kept though their volumes are used again, for a client that was lost.

    FOLDER/CONFIG/HOST/TIMESTAMP.LEVEL.NUMBER/00001     the files of one dump, as Amanda wrote them

FOLDER lies among the virtual tapes, on whose file system a file gets a second name and no copy is
made, or beside the ledger. Amanda never writes into a file that is there: it removes it, and makes
another one (vfs-device.c, holding.c of Amanda 3.5.1; tests/e2e/test_lost_laptop.py).
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.core.amanda.curinfo import sanitise_name
from asyncamanda.core.amanda.header import HEADER_BYTES, FileKind
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.gate import ipc
from asyncamanda.server.restore.dump_files import (
    MOST_FILES,
    DumpFile,
    DumpFiles,
    Unfit,
    WantedDump,
    close_files,
    find_fault,
    open_dump_file,
)
from asyncamanda.server.restore.heads import LEAST_FREE, is_keepable
from asyncamanda.system.files import sync_folder

ASIDE = "asyncamanda-aside"
_UNFINISHED = ".tmp"
_PRIVATE = 0o700
_AT_ONCE = 1 << 30  # bytes: copy_file_range(2) moves hardly more


@dataclass(frozen=True, slots=True)
class AsidePlace:
    """A folder for what is set aside, and how many bytes its file system is to keep free."""

    folder: Path
    spare: int = 0

    @property
    def free(self) -> int:
        """How many bytes may be written there; 0 where that cannot be told."""
        with suppress(OSError):
            there = next(each for each in (self.folder, *self.folder.parents) if each.exists())
            system = os.statvfs(there)
            return max(system.f_bavail * system.f_frsize - self.spare, 0)
        return 0


def list_places(settings: Settings) -> tuple[AsidePlace, ...]:
    """Return where dumps of a configuration may be set aside: among its volumes first."""
    beside = AsidePlace(Path(ipc.STATE, "aside"), LEAST_FREE)
    return (*(AsidePlace(folder / ASIDE) for folder in settings.vtapes), beside)


class AsideStore:
    """What is set aside of one host, in `places`. One process at a time may change it."""

    def __init__(
        self, settings: Settings, host: str, places: Sequence[AsidePlace] | None = None
    ) -> None:
        self.places = list_places(settings) if places is None else tuple(places)
        self._below = Path(settings.name, sanitise_name(host))

    def open(self, dump: WantedDump) -> Iterator[DumpFiles | Unfit]:
        """Yield the dump from each place that has it, or why it cannot be used there."""
        for folder in self._folders():
            if files := _open_folder(folder / _name(dump), dump):
                yield files

    def has(self, dump: WantedDump) -> bool:
        """Return whether all of the dump is set aside."""
        for found in self.open(dump):
            if isinstance(found, DumpFiles):
                found.close()
                return True
        return False

    def store(self, dump: WantedDump, files: DumpFiles, place: AsidePlace) -> None:
        """Set a dump aside, all of it or nothing. Raises OSError, ENOSPC for a full disk too."""
        if not is_keepable(dump.timestamp, dump.level):
            raise OSError(errno.EINVAL, "its timestamp is none", dump.timestamp)
        folder = place.folder / self._below
        for each in (place.folder, folder.parent, folder):
            each.mkdir(mode=_PRIVATE, exist_ok=True)
        new = folder / f"{_name(dump)}{_UNFINISHED}"
        with suppress(FileNotFoundError):
            shutil.rmtree(new)  # of a kill
        new.mkdir(mode=_PRIVATE)
        try:
            for number, descriptor in enumerate(files.descriptors, 1):
                _put(descriptor, new / f"{number:05d}")
            sync_folder(new)
            with suppress(FileNotFoundError):
                shutil.rmtree(folder / _name(dump))  # one that was not whole
            new.rename(folder / _name(dump))
            sync_folder(folder)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            raise

    def knows(self, dump: WantedDump) -> bool:
        """Return whether the dump was set aside: it should be there whole then."""
        return any((folder / _name(dump)).exists() for folder in self._folders())

    def keep_only(self, dumps: Collection[WantedDump]) -> None:
        """Remove all that is set aside but these. Raises OSError."""
        names = {_name(dump) for dump in dumps}
        for folder in self._folders():
            with suppress(FileNotFoundError):
                for name in os.listdir(folder):  # noqa: PTH208 - names alone
                    if name not in names:
                        shutil.rmtree(folder / name)
                if not names:
                    folder.rmdir()

    def supersede(self, dumps: Collection[WantedDump]) -> None:
        """Remove what these make needless: older dumps of the same disks, halves after a kill.

        What is newer stays, and so does what is of other disks: a ledger that has lost its memory,
        or came out of an older export, knows of neither. Raises OSError.
        """
        names = {_name(dump) for dump in dumps}
        newest: dict[str, str] = {}
        for stamp, _, disk in (name.split(".") for name in names):
            newest[disk] = max(stamp, newest.get(disk, ""))
        for folder in self._folders():
            with suppress(FileNotFoundError):
                for name in os.listdir(folder):  # noqa: PTH208 - names alone
                    stamp, disk = name.partition(".")[0], name.rpartition(".")[2]
                    is_older = name not in names and stamp < newest.get(disk, "")
                    if is_older or name.endswith(_UNFINISHED):
                        shutil.rmtree(folder / name)

    def count_bytes(self) -> int:
        """Return how much is set aside, in bytes; 0 where nothing is."""
        size = 0
        for folder in self._folders():
            with suppress(OSError):
                size += sum(file.stat().st_size for file in folder.glob("*/*"))
        return size

    def _folders(self) -> Iterator[Path]:
        for place in self.places:
            yield place.folder / self._below


def list_hosts(settings: Settings) -> list[str]:
    """Return of which hosts anything is set aside, as their folders are called."""
    found: set[str] = set()
    for place in list_places(settings):
        with suppress(OSError):
            found |= {each.name for each in (place.folder / settings.name).iterdir()}
    return sorted(found)


def list_aside(settings: Settings) -> Iterator[WantedDump]:
    """Yield each dump of a configuration that is set aside, by the header of its first file."""
    for place in list_places(settings):
        for first in (place.folder / settings.name).glob("*/*/00001"):
            file = open_dump_file(first)
            if isinstance(file, DumpFile):
                close_files([file])
                header = file.header
                yield WantedDump(header.host, header.disk, header.timestamp, header.level)


def count_stored(files: DumpFiles) -> int:
    """Return how many bytes the files of a dump have, with their headers."""
    return files.size + HEADER_BYTES * len(files.descriptors)


def _name(dump: WantedDump) -> str:
    """Return what a dump's folder is called: a client's words are not in it."""
    disk = hashlib.sha256(dump.disk.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{dump.timestamp}.{dump.level}.{disk[:16]}"


def _put(descriptor: int, path: Path) -> None:
    """Give an open file another name, or make a copy of it where it cannot have that."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # dst_dir_fd: with neither Python calls link(2), which would not follow what /proc has
        os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=folder)
    except OSError:  # another file system, or removed by now
        _copy(descriptor, path)
    finally:
        os.close(folder)


def _copy(descriptor: int, path: Path) -> None:
    size, offset = os.fstat(descriptor).st_size, 0
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        while offset < size:
            moved = os.sendfile(out, descriptor, offset, min(size - offset, _AT_ONCE))
            if not moved:
                raise OSError(errno.EIO, "it has become shorter", str(path))
            offset += moved
        os.fsync(out)
    finally:
        os.close(out)


def _open_folder(folder: Path, dump: WantedDump) -> DumpFiles | Unfit | None:
    """Return the dump that lies in a folder of its own; None where there is none."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names alone
    except FileNotFoundError:
        return None
    except OSError as error:
        return Unfit(f"{folder} cannot be read: {error.strerror}")
    with ExitStack() as undo:
        opened: list[DumpFile] = []
        undo.callback(lambda: close_files(opened))
        for number, name in enumerate(names[:MOST_FILES], 1):
            file = open_dump_file(folder / name)
            if isinstance(file, Unfit):
                return file
            opened.append(file)
            if name != f"{number:05d}" or not _is_file_of(dump, file, number):
                return Unfit(f"{folder / name} is none of its files")
        fault = find_fault(opened) if opened else "there is nothing of it"
        if fault:
            return Unfit(f"{folder}: {fault}")
        undo.pop_all()
    return DumpFiles(opened, f"what is set aside in {folder}")


def _is_file_of(dump: WantedDump, file: DumpFile, number: int) -> bool:
    header = file.header
    if not dump.is_of(header):
        return False
    if header.kind is FileKind.PART:
        return header.part == number
    return header.kind is (FileKind.WHOLE if number == 1 else FileKind.GOES_ON)
