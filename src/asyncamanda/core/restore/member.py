"""A member of an image, and how it is made of its header and what belongs to that."""

from dataclasses import dataclass
from enum import Enum

from asyncamanda.core.restore.extensions import Extensions
from asyncamanda.core.restore.pax import parse_decimal, parse_time
from asyncamanda.core.restore.sparse import Pieces, SparseMap
from asyncamanda.core.restore.tarfields import (
    BLOCK,
    LARGEST,
    LARGEST_DEVICE,
    LARGEST_ID,
    LONGEST_OWNER,
    POSIX,
    parse_number,
    parse_owner,
    parse_owner_names,
    parse_path,
    parse_target,
    parse_text,
)

_NANO = 1_000_000_000
_NO_DEVICE = (0, 0)


class Kind(Enum):
    """What a member is."""

    FILE = "file"
    HARD_LINK = "hard link"
    SYMLINK = "symbolic link"
    CHARACTER = "character device"
    BLOCK = "block device"
    FOLDER = "folder"
    FIFO = "FIFO"


@dataclass(frozen=True, slots=True)
class Member:
    """One file, folder or link of an image. Offsets are bytes of the image.

    `start` is that of its first header, extensions included; `data` that of its contents, of which
    `stored` bytes lie there; `end` that of the next member. `path` is relative to the disk's
    folder, b"" for that itself; `link` is what a hard link is a link to, as a path, or a symbolic
    link's target as it is. `size` is that of the file with its holes; `pieces` are what a sparse
    file has between them, (offset, bytes) each. `attributes` are pax records of extended
    attributes and access lists, key and value as tar writes them. `dumpdir` is a folder's list in
    an incremental image, records that each end in NUL.
    """

    start: int
    data: int
    stored: int
    end: int
    kind: Kind
    path: bytes
    link: bytes
    mode: int
    uid: int
    gid: int
    owner: bytes
    group: bytes
    mtime_ns: int
    size: int
    device: tuple[int, int] = _NO_DEVICE
    pieces: Pieces | None = None
    attributes: tuple[tuple[bytes, bytes], ...] = ()
    dumpdir: bytes | None = None


def build_member(  # noqa: PLR0913, PLR0917 - what a member is made of
    start: int,
    data: int,
    kind: Kind,
    block: bytes,
    extensions: Extensions | None = None,
    sparse: SparseMap | None = None,
    dumpdir: bytes | None = None,
) -> Member:
    """Return the member of a header block and of what belongs to it.

    `data` is where its contents begin, behind its map or list. Nearly all members come by here
    with a header alone, and each call that is saved for them counts. Raises ValueError.
    """
    mode, uid, gid = parse_owner(block[100:124])
    owner, group = parse_owner_names(block[265:329])
    mtime_ns = parse_number(block[136:148], -LARGEST) * _NANO
    attributes: tuple[tuple[bytes, bytes], ...] = ()
    if extensions is None:
        name, link, stored = _name(block), None, parse_number(block[124:136])
    else:
        long_name, link = extensions.member_name(), extensions.member_link()
        name = _name(block) if long_name is None else long_name
        stored = parse_size(block, extensions)
        records = extensions.records
        if records is not None:
            uid, gid, owner, group, mtime_ns = _override(
                records.fields, uid, gid, owner, group, mtime_ns
            )
            attributes = tuple(records.attributes.items())
    if dumpdir is not None:
        stored = 0
    size, pieces = stored, None
    if sparse is not None:
        stored -= sparse.leading
        size, pieces = sparse.size, sparse.pieces(stored)
    if stored and kind is not Kind.FILE:
        raise ValueError("a member that is not a file has contents")
    end = data + stored + -stored % BLOCK
    if end > LARGEST:
        raise ValueError("a file is larger than any image")
    path = parse_path(name, is_folder=kind is Kind.FOLDER)
    target = b"" if kind is Kind.FILE else _target(block, link, kind)
    device = _NO_DEVICE
    if kind is Kind.CHARACTER or kind is Kind.BLOCK:
        device = _device(block)
    return Member(
        start, data, stored, end, kind, path, target, mode, uid, gid, owner, group, mtime_ns, size,
        device, pieces, attributes, dumpdir,
    )  # fmt: skip


def parse_size(block: bytes, extensions: Extensions | None) -> int:
    """Return how many bytes of contents a header says that there are. Raises ValueError."""
    size = None if extensions is None else extensions.field(b"size")
    return parse_number(block[124:136]) if size is None else parse_decimal(size)


def _override(  # noqa: PLR0913, PLR0917 - and the same back
    fields: dict[bytes, bytes], uid: int, gid: int, owner: bytes, group: bytes, mtime_ns: int
) -> tuple[int, int, bytes, bytes, int]:
    """Return what a pax header says instead of what the header said."""
    if b"uid" in fields:
        uid = parse_decimal(fields[b"uid"], LARGEST_ID)
    if b"gid" in fields:
        gid = parse_decimal(fields[b"gid"], LARGEST_ID)
    owner, group = fields.get(b"uname", owner), fields.get(b"gname", group)
    if len(owner) > LONGEST_OWNER or len(group) > LONGEST_OWNER or b"\0" in owner + group:
        raise ValueError("an owner's name is too long or has a NUL")
    if b"mtime" in fields:
        mtime_ns = parse_time(fields[b"mtime"])
    return uid, gid, owner, group, mtime_ns


def _name(block: bytes) -> bytes:
    """Return the name of a header; what stands behind an old GNU one's fields is no part of it."""
    name = parse_text(block[:100])
    if block[345] and block[257:265] == POSIX:
        return parse_text(block[345:500]) + b"/" + name
    return name


def _target(block: bytes, long_link: bytes | None, kind: Kind) -> bytes:
    link = parse_text(block[157:257]) if long_link is None else long_link
    if kind is Kind.HARD_LINK:
        return parse_path(link)
    return parse_target(link) if kind is Kind.SYMLINK else b""


def _device(block: bytes) -> tuple[int, int]:
    return (
        parse_number(block[329:337], largest=LARGEST_DEVICE),
        parse_number(block[337:345], largest=LARGEST_DEVICE),
    )
