"""Kept heads of small disks that are made by hand."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.kept import KeptHead, open_kept
from asyncamanda.core.restore.kept_facts import keep_folder
from asyncamanda.core.restore.kept_index import DumpName
from asyncamanda.core.restore.kept_writer import KeptWriter
from asyncamanda.core.restore.member import Kind, Member

BLOCK = 512
NAME = DumpName("daily", "laptop", "/home", "20261120140000", 0)
NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class File:
    """A file, or another name: what its folder's list flags it as, and what it is."""

    flag: bytes = b"Y"
    size: int = 0
    mtime: int = 0
    kind: Kind = Kind.FILE


Disk = Mapping[bytes, Mapping[bytes, File]]
FOLDER, OLDER = File(b"D"), File(b"N")


def list_members(disk: Disk) -> list[Member]:
    """Return the members of an image of `disk`, as tar would order them."""
    found: list[Member] = []
    at = 0
    for path, names in sorted(disk.items()):
        listed = b"".join(file.flag + name + b"\0" for name, file in sorted(names.items()))
        end = at + BLOCK + len(listed) + -len(listed) % BLOCK
        found.append(_member(at, end, Kind.FOLDER, path, len(names), 0, listed))
        at = end
    for path, names in sorted(disk.items()):
        for name, file in sorted(names.items()):
            if file.flag == b"Y":
                end = at + BLOCK + file.size + -file.size % BLOCK
                whole = path + b"/" + name if path else name
                found.append(_member(at, end, file.kind, whole, file.mtime, file.size))
                at = end
    return found


def _member(
    start: int,
    end: int,
    kind: Kind,
    path: bytes,
    mtime: int,
    size: int,
    listed: bytes | None = None,
) -> Member:
    data = end if kind is Kind.FOLDER else start + BLOCK
    mode = 0o755 if kind is Kind.FOLDER else 0o640
    return Member(
        start, data, end - data, end, kind, path, b"", mode, 1000, 100, b"ann", b"users",
        mtime * NANO, size, dumpdir=listed,
    )  # fmt: skip


def write_kept(
    members: Iterable[Member],
    base: KeptHead | None = None,
    place: int = 0,
    name: DumpName = NAME,
) -> Iterator[bytes]:
    """Yield the bytes of a kept head of an image with these members."""
    head, folders, others = Head(), {}, []
    for member in members:
        if member.dumpdir is None:
            others.append(member)
        else:
            head.add(member)
            folders[member.path] = keep_folder(member)
    writer = KeptWriter(name, base, place)
    yield from writer.begin(head, folders, others)
    yield from writer.end()


def open_on(kept: bytes, base: KeptHead | None = None) -> KeptHead:
    """Return the kept head that these bytes are; `base` is the only other one that there is."""
    return open_kept(kept, lambda _: base)


def keep(disk: Disk, base: KeptHead | None = None, place: int = 0) -> KeptHead:
    """Return a kept head of `disk`."""
    kept = b"".join(write_kept(list_members(disk), base, place))
    return open_on(kept, base)


def age(disk: Disk) -> dict[bytes, dict[bytes, File]]:
    """Return the disk as the next image lists it if nothing changes."""
    return {
        path: {
            name: replace(file, flag=b"N") if file.flag == b"Y" else file
            for name, file in names.items()
        }
        for path, names in disk.items()
    }
