"""The archive that an export is: a gzipped tar of regular files, written and read as it comes.

What is read may be anybody's: it is parsed as the images of clients are (core/restore/image.py),
its members are regular files of the names that an export writes, each once, and unpacking yields no
more at a time than is asked for.
"""

import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import IO

from asyncamanda.core.export.manifest import ExportedMember, render_manifest
from asyncamanda.core.export.members import MANIFEST, parse_member_name
from asyncamanda.core.restore.archive import END, render_member
from asyncamanda.core.restore.image import BLOCK, BadImage, ImageParser, Kind, Member
from asyncamanda.core.restore.tarfields import pad
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError, BadDataError, LaterError

PIECE = 1 << 18  # bytes
GZIP = 31  # zlib's wbits for gzip's form
LEVEL = 6
MOST_MEMBERS = 2_000_000
HINT = "take another copy of it; nothing was changed"


class ExportWriter:
    """Writes an export's members one by one. `count` and `size` are of what they hold."""

    def __init__(self, output: IO[bytes], mtime: int) -> None:
        """`mtime`: of every member, in seconds."""
        self._output = output
        self._mtime_ns = mtime * 10**9
        self._packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
        self._members: list[ExportedMember] = []

    @property
    def count(self) -> int:
        """How many members there are."""
        return len(self._members)

    @property
    def size(self) -> int:
        """How many bytes these hold."""
        return sum(each.size for each in self._members)

    def add(self, name: str, size: int, pieces: Iterable[bytes], mode: int = 0o600) -> None:
        """Write a member of `size` bytes, which are those of `pieces`.

        Raises LaterError if these are fewer, OSError, and ValueError for a name that is none.
        """
        parse_member_name(name)
        path = name.encode("utf-8", "surrogateescape")
        self._write(render_member(_regular(path, size, mode, self._mtime_ns), path))
        digest, left = sha256(), size
        for piece in pieces:
            part = piece[:left]
            digest.update(part)
            self._write(part)
            left -= len(part)
            if not left:
                break
        if left:
            raise LaterError(
                "changed-meanwhile", f"{printable(name)} became shorter while it was read", "again"
            )
        self._write(bytes(pad(size)))
        self._members.append(ExportedMember(name, size, digest.hexdigest(), mode))

    def add_text(self, name: str, text: bytes, mode: int = 0o600) -> None:
        """Write a member that holds `text`."""
        self.add(name, len(text), [text] if text else [], mode)

    def end(self) -> None:
        """Write the manifest, and the archive's end."""
        text = render_manifest(self._members)
        members = [*self._members]
        self.add_text(MANIFEST, text)
        self._members = members
        self._write(END)
        self._output.write(self._packer.flush())
        self._output.flush()

    def _write(self, piece: bytes) -> None:
        if packed := self._packer.compress(piece):
            self._output.write(packed)


def _regular(path: bytes, size: int, mode: int, mtime_ns: int) -> Member:
    return Member(
        start=0,
        data=0,
        stored=size,
        end=0,
        kind=Kind.FILE,
        path=path,
        link=b"",
        mode=mode,
        uid=0,
        gid=0,
        owner=b"",
        group=b"",
        mtime_ns=mtime_ns,
        size=size,
    )


@dataclass(frozen=True, slots=True)
class ReadMember:
    """A member that is being read. `pieces` is what it holds, to be taken before the next one."""

    name: str
    size: int
    mode: int
    pieces: Iterator[bytes]


def read_members(source: IO[bytes]) -> Iterator[ReadMember]:
    """Yield each member of an export. Raises BadDataError for whatever an export is not."""
    reader = _Unpacked(source)
    parser = ImageParser()
    names: set[str] = set()
    try:
        while not parser.is_ended:
            at = reader.offset
            for member in parser.feed(at, reader.take(BLOCK)):
                name = _check(member, names)
                pieces = reader.pieces(member.stored)
                yield ReadMember(name, member.stored, member.mode, pieces)
                for _ in pieces:
                    pass
                reader.take(pad(member.stored))
        is_longer = any(reader.rest())
    except (BadImage, ValueError) as error:
        raise bad_export(str(error)) from error
    if is_longer:
        raise bad_export("there is more behind its end")


def _check(member: Member, names: set[str]) -> str:
    """Return a member's name. Raises ValueError if an export has no such member."""
    name = member.path.decode("utf-8", "surrogateescape")
    try:
        parse_member_name(name)
        fault = _find_fault(member, name, names)
    except ValueError as error:
        fault = str(error)
    if fault:
        raise ValueError(f"{printable(name)[:200]}: {fault}")
    names.add(name)
    return name


def _find_fault(member: Member, name: str, names: set[str]) -> str:
    if member.kind is not Kind.FILE or member.pieces is not None or member.attributes:
        return f"it is no regular file, but a {member.kind.value}"
    if member.size != member.stored or stat.S_IMODE(member.mode) & 0o7000:
        return "no export writes one like that"
    if name in names:
        return "it is there twice"
    return "there are too many" if len(names) >= MOST_MEMBERS else ""


def bad_export(reason: str) -> AsyncamandaError:
    """Return the error for a file that is no whole export."""
    return BadDataError("bad-export", f"it is no export, or a damaged one: {reason}", HINT)


class _Unpacked:
    """The bytes of a gzip file, by and by. `offset` is how many were taken.

    Each method raises BadDataError where the file is cut off, or is none.
    """

    def __init__(self, source: IO[bytes]) -> None:
        self.offset = 0
        self._source = source
        self._unpacker = zlib.decompressobj(GZIP)
        self._kept = b""

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes in pieces."""
        while size:
            piece = self._some(min(size, PIECE))
            self.offset += len(piece)
            size -= len(piece)
            yield piece

    def rest(self) -> Iterator[bytes]:
        """Yield what comes now, up to the end of all; NULs may fill tar's last block."""
        while not self._unpacker.eof:
            piece = self._unpack(PIECE)
            yield piece.strip(b"\0")
        yield self._unpacker.unused_data
        yield self._source.read(1)

    def _some(self, size: int) -> bytes:
        while not (piece := self._unpack(size)):
            if self._unpacker.eof:
                raise bad_export("it is cut off")
        return piece

    def _unpack(self, size: int) -> bytes:
        packed = self._unpacker.unconsumed_tail or self._source.read(PIECE)
        try:
            piece = self._unpacker.decompress(packed, size)
        except zlib.error as error:
            raise bad_export("its bytes are not those of gzip") from error
        if not packed and not piece and not self._unpacker.eof:
            raise bad_export("it is cut off")
        return piece
