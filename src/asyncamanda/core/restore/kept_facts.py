"""What is kept of an image's folders and files beside their names: rights, dates, sizes, places.

In columns of numbers, folder by folder. What a file had in an older image counts as known: where it
still has it, in whatever image, that takes a byte, and hardly one when packed.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from asyncamanda.core.restore.columns import pack_columns, unpack_columns
from asyncamanda.core.restore.kept_lists import LEVEL
from asyncamanda.core.restore.member import Kind, Member
from asyncamanda.core.restore.tarfields import BLOCK

_KINDS = tuple(Kind)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
_AS_BEFORE = 0x80  # instead of a kind: all but the place is what the base knows of the file
_HAS_MORE = 0x40  # beside a kind
_NANO = 1_000_000_000
_MOST_ATTRIBUTES = 1 << 12  # bytes of a folder's


class Rights(NamedTuple):
    """Whose a file or folder is, and what others may do with it.

    `attributes` are a folder's, as in its member. A file's are not kept.
    """

    mode: int
    uid: int
    gid: int
    owner: bytes
    group: bytes
    attributes: tuple[tuple[bytes, bytes], ...] = ()


class KeptFolder(NamedTuple):
    """What is kept of a folder. `has_more`: it has attributes, which its rights do not say."""

    mtime_ns: int
    rights: Rights
    has_more: bool


class KeptFile(NamedTuple):
    """What is kept of a file, link or device, whose headers begin at byte `start` of the image.

    `blocks` are how many of 512 bytes it has there, headers and all. `has_more`: it has attributes
    or holes, which the image tells.
    """

    start: int
    blocks: int
    kind: Kind
    size: int
    mtime_ns: int
    rights: Rights
    has_more: bool

    @property
    def end(self) -> int:
        """Where in the image the next one begins."""
        return self.start + self.blocks * BLOCK


Known = Mapping[bytes, KeptFile]


def keep_folder(member: Member) -> KeptFolder:
    """Return what is kept of a folder's member."""
    attributes = member.attributes
    has_more = sum(map(len, sum(attributes, ()))) > _MOST_ATTRIBUTES
    rights = _keep_rights(member, () if has_more else attributes)
    return KeptFolder(member.mtime_ns, rights, has_more)


def keep_file(member: Member) -> KeptFile:
    """Return what is kept of any other member."""
    return KeptFile(
        member.start,
        (member.end - member.start) // BLOCK,
        member.kind,
        member.size,
        member.mtime_ns,
        _keep_rights(member, ()),
        bool(member.attributes) or member.pieces is not None,
    )


def _keep_rights(member: Member, attributes: tuple[tuple[bytes, bytes], ...]) -> Rights:
    return Rights(member.mode, member.uid, member.gid, member.owner, member.group, attributes)


class FactsDraft:
    """What is known of a block's folders and their files, before it is packed.

    `rights` are those of the whole kept head by now, with their numbers.
    """

    def __init__(self, rights: dict[Rights, int]) -> None:
        self._rights = rights
        self._folders: list[tuple[int, int, int, int, int, int]] = []
        self._places: list[tuple[int, int]] = []  # of each file: its kind, names passed over
        self._files: list[tuple[int, int, int, int, int]] = []
        self._last_start = 0

    @property
    def files(self) -> int:
        """How many files there are in it."""
        return len(self._places)

    def add(
        self,
        folder: KeptFolder | None,
        files: Sequence[tuple[int, KeptFile, bool]],
    ) -> None:
        """Add a folder (None: it is as in the base), and its files in their order.

        With each file come how many names before it the image does not have although they are
        flagged so, and whether the base knows it as it is.
        """
        start = files[0][1].start // BLOCK if files else self._last_start
        first = (0, 0, 0, 0)
        if folder:
            number = self._number(folder.rights) + 1
            first = (number, *divmod(folder.mtime_ns, _NANO), int(folder.has_more))
        self._folders.append((*first, len(files), start - self._last_start))
        self._last_start = start
        for skipped, file, is_known in files:
            if is_known:
                self._places.append((_AS_BEFORE, skipped))
                continue
            kind = _NUMBERS[file.kind] | (_HAS_MORE if file.has_more else 0)
            self._places.append((kind, skipped))
            more = file.blocks - _usual_blocks(file.kind, file.size)
            seconds, nanos = divmod(file.mtime_ns, _NANO)
            self._files.append((self._number(file.rights), seconds, nanos, file.size, more))

    def _number(self, rights: Rights) -> int:
        return self._rights.setdefault(rights, len(self._rights))

    def pack(self) -> bytes:
        """Return it as it is kept."""
        columns = [
            *_turn(self._folders, 6),
            *_turn(self._places, 2),
            *_turn(self._files, 5),
        ]
        return zlib.compress(pack_columns(columns), LEVEL)


class Facts:
    """What a block has of its folders and their files."""

    def __init__(self, packed: bytes, rights: Sequence[Rights]) -> None:
        """Take what FactsDraft.pack() made. Raises ValueError, IndexError or zlib.error."""
        columns = [*unpack_columns(zlib.decompress(packed))]
        if len(columns) != 13:
            raise ValueError("a block of facts does not fit together")
        self._rights = rights
        self._folders = columns[:6]
        self._kinds, self._skipped = columns[6:8]
        self._files = columns[8:]
        counts, starts = columns[4:6]
        self._first = [*accumulate(counts, initial=0)]
        self._starts = [*accumulate(starts)]
        is_new = [kind < _AS_BEFORE for kind in self._kinds]
        self._new = [*accumulate(is_new, initial=0)]

    def folder(self, number: int) -> KeptFolder | None:
        """Return what is known of a folder, None if it is what the base knows."""
        rights, seconds, nanos, has_more = (column[number] for column in self._folders[:4])
        if not rights:
            return None
        return KeptFolder(seconds * _NANO + nanos, self._rights[rights - 1], bool(has_more))

    def files(
        self, number: int, stored: Sequence[bytes], known: Known
    ) -> Iterator[tuple[bytes, KeptFile]]:
        """Yield the names and files of a folder that the image has.

        `stored` are the names that are flagged so, and `known` is what the base knows.
        """
        start = self._starts[number] * BLOCK
        place = 0
        for index in range(self._first[number], self._first[number + 1]):
            place += self._skipped[index]
            name = stored[place]
            place += 1
            if self._kinds[index] == _AS_BEFORE:
                file = known[name]._replace(start=start)
            else:
                file = self._build(self._kinds[index], self._new[index], start)
            yield name, file
            start = file.end

    def _build(self, kind: int, index: int, start: int) -> KeptFile:
        rights, seconds, nanos, size, more = (column[index] for column in self._files)
        which = _KINDS[kind & ~_HAS_MORE]
        blocks = _usual_blocks(which, size) + more
        return KeptFile(
            start,
            blocks,
            which,
            size,
            seconds * _NANO + nanos,
            self._rights[rights],
            bool(kind & _HAS_MORE),
        )


def _usual_blocks(kind: Kind, size: int) -> int:
    return 1 - -size // BLOCK if kind is Kind.FILE else 1


def _turn(rows: Sequence[Sequence[int]], width: int) -> Iterator[Sequence[int]]:
    return zip(*rows, strict=True) if rows else iter([()] * width)
