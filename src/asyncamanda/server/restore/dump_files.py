"""The files of one dump, open: what lies behind their headers, joined, is the dump.

What is open is read to its end, whatever a flush or a run does with its name meanwhile.
"""

import errno
import os
import stat
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from asyncamanda.core.amanda.dump_form import DumpForm, parse_form
from asyncamanda.core.amanda.header import HEADER_BYTES, DumpHeader, FileKind, parse_header
from asyncamanda.errors import BadDataError

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
MOST_FILES = 10_000  # of one dump
_MOST_AT_ONCE = 1 << 30  # bytes: sendfile(2) moves hardly more


@dataclass(frozen=True, slots=True)
class DumpFile:
    """An open file of a dump: its header, and how many bytes are behind that."""

    descriptor: int
    header: DumpHeader
    size: int


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a file, or a copy of a dump, cannot be used, in words."""

    reason: str


@dataclass(frozen=True, slots=True)
class WantedDump:
    """A dump that the ledger has. `runs` are the timestamps of those that wrote it somewhere."""

    host: str
    disk: str
    timestamp: str
    level: int
    runs: tuple[str, ...] = ()

    def is_of(self, header: DumpHeader) -> bool:
        """Return whether that is the header of a file of this dump."""
        return header.is_of(self.host, self.disk, self.timestamp) and header.level == self.level


def open_dump_file(path: Path) -> DumpFile | Unfit:
    """Open a file of a dump, and read its header. It is for the caller to close."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        return Unfit(f"{path} cannot be opened: {error.strerror}")
    found = _read_header(descriptor, path)
    if isinstance(found, Unfit):
        os.close(descriptor)
    return found


def _read_header(descriptor: int, path: Path) -> DumpFile | Unfit:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return Unfit(f"{path} is not a file")
    try:
        block = os.pread(descriptor, HEADER_BYTES, 0)
    except OSError as error:
        return Unfit(f"{path} cannot be read: {error.strerror}")
    header = parse_header(block) if len(block) == HEADER_BYTES else None
    if header is None:
        return Unfit(f"{path} has no header of a dump")
    return DumpFile(descriptor, header, status.st_size - HEADER_BYTES)


def find_fault(files: Sequence[DumpFile]) -> str:
    """Return what shows that these are not all bytes of a dump, "" if they are."""
    if any(file.header.is_partial for file in files):
        return "the dump was cut off"
    there = sum(file.size for file in files)
    sizes = {file.header.size for file in files} - {None}
    if files[0].header.kind is FileKind.WHOLE:
        sizes = {files[0].header.size}
    if sizes and sizes != {there}:
        return f"there are {there} bytes of it, not all"
    return ""


def close_files(files: Sequence[DumpFile]) -> None:
    """Close them all."""
    for file in files:
        os.close(file.descriptor)


class OpenDump(Protocol):
    """A dump that can be read, wherever it lies. What DumpFiles says of each holds here, too."""

    header: DumpHeader
    form: DumpForm
    where: str
    size: int

    def close(self) -> None: ...

    def read_at(self, offset: int, count: int) -> bytes: ...

    def send(self, sink: int, offset: int, count: int) -> int: ...


class DumpFiles:
    """A dump by its files, in order, each checked. `where` says in words where they lie.

    `size` is that of the dump in bytes, as it was written: compressed if it is.
    """

    def __init__(self, files: Sequence[DumpFile], where: str) -> None:
        self._files = tuple(files)
        self._starts = [0, *accumulate(file.size for file in files)]
        self.where = where
        self.size = self._starts[-1]
        self.header = files[0].header
        self.form: DumpForm = parse_form(self.header)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Its open files, in order; each begins with its header."""
        return tuple(file.descriptor for file in self._files)

    def close(self) -> None:
        """Close the files."""
        close_files(self._files)
        self._files = ()

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes of the dump; b"" at its end only.

        Raises BadDataError if they cannot be read.
        """
        if offset >= self.size:
            return b""
        file, place, left = self._find(offset)
        try:
            piece = os.pread(file.descriptor, min(count, left), place)
        except OSError as error:
            raise self._unreadable(f"{error.strerror}") from error
        if not piece:
            raise self._unreadable("one of its files has become shorter")
        return piece

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` with bytes of the dump as far as one of its files has them.

        Return how many that were, 0 at the dump's end only. Raises as read_at().
        """
        if offset >= self.size:
            return 0
        file, place, left = self._find(offset)
        try:
            count = os.preadv(file.descriptor, [buffer[:left]], place)
        except OSError as error:
            raise self._unreadable(f"{error.strerror}") from error
        if not count:
            raise self._unreadable("one of its files has become shorter")
        return count

    def send(self, sink: int, offset: int, count: int) -> int:
        """Let the kernel copy up to `count` bytes of the dump to `sink`; return how many it did.

        That is 0 at the dump's end only. Raises BadDataError if they cannot be read, and OSError
        if they cannot be written; EINVAL means that `sink` is of a kind that has to be written to.
        """
        if offset >= self.size:
            return 0
        file, place, left = self._find(offset)
        try:
            moved = os.sendfile(sink, file.descriptor, place, min(count, left, _MOST_AT_ONCE))
        except OSError as error:
            if error.errno == errno.EIO:
                self.read_at(offset, 1)  # raises if it is the dump's disk that has the fault
            raise
        if not moved:
            raise self._unreadable("one of its files has become shorter")
        return moved

    def _find(self, offset: int) -> tuple[DumpFile, int, int]:
        """Return the file that has the byte `offset`, its place there, and how many follow."""
        number = bisect_right(self._starts, offset) - 1
        begun = offset - self._starts[number]
        return self._files[number], HEADER_BYTES + begun, self._files[number].size - begun

    def _unreadable(self, reason: str) -> BadDataError:
        header = self.header
        return BadDataError(
            "dump-unreadable",
            f"the dump {header.timestamp} of {header.host}:{header.disk} in {self.where} cannot "
            f"be read: {reason}",
            "is the disk that it lies on in order? `dmesg` on the server may tell",
        )
