"""The index of a kept head: whose it is, on which other one it builds, and where its blocks are.

A kept head is its blocks, its index, and an end of fixed length by which it is told whether all of
it is there: that has the index's checksum, and the index has those of the blocks.
"""

import json
import struct
import zlib
from dataclasses import astuple, dataclass, field
from typing import Any, Protocol

from asyncamanda.core.restore.inflater import SeekPoint
from asyncamanda.core.restore.kept_facts import Rights
from asyncamanda.core.values.foreign import parse_json

BEGIN = b"asyncamanda, a kept head\n"
_MAGIC = b"kept 1\r\n"
_END = struct.Struct("<QII8s")  # the index's place, length and checksum
_BYTES = "latin-1"  # JSON has no bytes: each is the character of its number


class BadKept(ValueError):  # noqa: N818 - it says what it is
    """A kept head that is damaged, cut off, or another dump's."""


class Bytes(Protocol):
    """A kept head as it lies there: bytes, or a file's in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: slice, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class DumpName:
    """What tells one dump from all others."""

    amanda_config: str
    host: str
    disk: str
    timestamp: str
    level: int


@dataclass(frozen=True, slots=True)
class Base:
    """The kept head of the same disk on which one builds. `checksum` is that of its index."""

    timestamp: str
    level: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some bytes of a kept head."""

    offset: int
    length: int
    checksum: int

    def cut(self, kept: Bytes) -> bytes:
        """Return them. Raises BadKept if they are not those that were written."""
        piece = kept[self.offset : self.offset + self.length]
        if len(piece) != self.length or zlib.crc32(piece) != self.checksum:
            raise BadKept("a part of it is damaged")
        return piece


@dataclass(frozen=True, slots=True)
class KeptPoint:
    """A seek point, whose window lies packed in the kept head."""

    at: int
    packed_at: int
    bit: int
    window: Stretch


def pack_window(window: bytes) -> bytes:
    """Return a seek point's window as it is kept."""
    return zlib.compress(window, 9)


def unpack_point(point: KeptPoint, kept: Bytes) -> SeekPoint:
    """Return the seek point. Raises BadKept."""
    try:
        window = zlib.decompress(point.window.cut(kept))
    except zlib.error as error:
        raise BadKept(f"a window is not to be unpacked: {error}") from error
    return SeekPoint(point.at, point.packed_at, point.bit, window)


@dataclass(slots=True)
class KeptIndex:
    """What is known of a kept head before a block of it is read.

    `place` counts the kept heads that build on one another, from 0. `end` is where the image's
    folders end, `image_end` where all of it does. Of `files` it is known where they begin, of
    `unplaced` not. `keeps_acls`: the image was made with access lists. Block n begins with the
    folder `firsts[n]`.
    """

    dump: DumpName
    base: Base | None = None
    place: int = 0
    end: int = 0
    image_end: int = 0
    folders: int = 0
    files: int = 0
    unplaced: int = 0
    keeps_acls: bool = False
    renames: tuple[tuple[bytes, bytes], ...] = ()
    rights: list[Rights] = field(default_factory=list)
    firsts: list[bytes] = field(default_factory=list)
    lists: list[Stretch] = field(default_factory=list)
    facts: list[Stretch] = field(default_factory=list)
    points: list[KeptPoint] = field(default_factory=list)


def render_index(index: KeptIndex, offset: int) -> bytes:
    """Return what ends a kept head whose index comes to lie at byte `offset`."""
    said = {
        "dump": astuple(index.dump),
        "base": index.base and astuple(index.base),
        "counts": [getattr(index, name) for name in _COUNTS],
        "keeps_acls": index.keeps_acls,
        "renames": [[_text(old), _text(new)] for old, new in index.renames],
        "rights": [_render_rights(rights) for rights in index.rights],
        "firsts": [_text(first) for first in index.firsts],
        "lists": [astuple(stretch) for stretch in index.lists],
        "facts": [astuple(stretch) for stretch in index.facts],
        "points": [
            [point.at, point.packed_at, point.bit, *astuple(point.window)] for point in index.points
        ],
    }
    packed = zlib.compress(json.dumps(said, separators=(",", ":")).encode("ascii"))
    return packed + _END.pack(offset, len(packed), zlib.crc32(packed), _MAGIC)


def parse_index(kept: Bytes) -> tuple[KeptIndex, int]:
    """Return the index of a kept head, and its checksum. Raises BadKept."""
    ending = kept[max(0, len(kept) - _END.size) : len(kept)]
    if len(ending) != _END.size or not ending.endswith(_MAGIC):
        raise BadKept("its end is missing")
    offset, length, checksum, _ = _END.unpack(ending)
    packed = Stretch(offset, length, checksum).cut(kept)
    try:
        return _parse(parse_json(zlib.decompress(packed))), checksum
    except (ValueError, TypeError, KeyError, LookupError, zlib.error) as error:
        raise BadKept(f"its index is not to be understood: {error}") from error


_COUNTS = ("place", "end", "image_end", "folders", "files", "unplaced")


def _parse(said: Any) -> KeptIndex:
    return KeptIndex(
        dump=DumpName(*said["dump"]),
        base=Base(*said["base"]) if said["base"] else None,
        **dict(zip(_COUNTS, map(int, said["counts"]), strict=True)),
        keeps_acls=bool(said["keeps_acls"]),
        renames=tuple((_bytes(old), _bytes(new)) for old, new in said["renames"]),
        rights=[_parse_rights(*rights) for rights in said["rights"]],
        firsts=[*map(_bytes, said["firsts"])],
        lists=[Stretch(*each) for each in said["lists"]],
        facts=[Stretch(*each) for each in said["facts"]],
        points=[
            KeptPoint(at, packed_at, bit, Stretch(*window))
            for at, packed_at, bit, *window in said["points"]
        ],
    )


def _render_rights(rights: Rights) -> list[object]:
    attributes = [[_text(key), _text(value)] for key, value in rights.attributes]
    return [*rights[:3], _text(rights.owner), _text(rights.group), attributes]


def _parse_rights(  # noqa: PLR0913, PLR0917 - as they are written
    mode: int, uid: int, gid: int, owner: str, group: str, attributes: list[list[str]]
) -> Rights:
    pairs = tuple((_bytes(key), _bytes(value)) for key, value in attributes)
    return Rights(mode, uid, gid, _bytes(owner), _bytes(group), pairs)


def _text(name: bytes) -> str:
    return name.decode(_BYTES)


def _bytes(text: str) -> bytes:
    return text.encode(_BYTES)
