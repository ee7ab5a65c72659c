"""Writing a kept head: of an image's folders and members, or what in them is new to its base.

An image lists its folders in the order of their paths' bytes, and has their files in that order,
too, each folder's as they are listed (GNU tar 1.34 and 1.35: tests/system/test_kept.py). So nothing
has to be sorted, and no more than a block is in memory.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from asyncamanda.core.restore.head import STORED, Head
from asyncamanda.core.restore.inflater import SeekPoint
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.kept_facts import FactsDraft, KeptFile, KeptFolder, Rights, keep_file
from asyncamanda.core.restore.kept_index import (
    BEGIN,
    Base,
    DumpName,
    KeptIndex,
    KeptPoint,
    Stretch,
    pack_window,
    render_index,
)
from asyncamanda.core.restore.kept_lists import LARGE, Lists
from asyncamanda.core.restore.list_differences import ListDifference, find_difference
from asyncamanda.core.restore.member import Member

MOST_TOLD = 1 << 26  # bytes of owners' names, attributes and renames: an index has all of them
_RECORD = 100  # bytes that a number or two take, and what is around them
_MANY = 1 << 14  # files that make a block, whatever their names take


class Unkeepable(ValueError):  # noqa: N818 - it says what it is
    """An image whose head cannot be kept: it is not as tar writes it."""


class KeptWriter:
    """Makes a kept head of a dump, which builds on `base` if there is one, and writes nothing.

        yield from writer.begin(head, folders, members)
        yield from writer.end(points)

    are its bytes. `index` is as far as it has come.
    """

    def __init__(self, dump: DumpName, base: KeptHead | None = None, place: int = 0) -> None:
        self.index = KeptIndex(dump, place=place)
        self._base = base
        if base:
            of = base.index.dump
            self.index.base = Base(of.timestamp, of.level, base.checksum)
        self._rights: dict[Rights, int] = {}
        self._told = self._measured = 0
        self._offset = 0
        self._lists = Lists()
        self._facts = FactsDraft(self._rights)

    def begin(
        self, head: Head, folders: Mapping[bytes, KeptFolder], members: Iterable[Member]
    ) -> Iterator[bytes]:
        """Yield the blocks. `folders` are those of the head, `members` what comes behind them.

        The members are used up. Raises Unkeepable, and what reading `members` raises.
        """
        self.index.end, self.index.renames = head.end, head.renames
        renamed = sum(len(old) + len(new) + _RECORD for old, new in head.renames)
        self._told += renamed
        files = _Files(members)
        yield self._count(BEGIN)
        for path, before, after in _compare(head.folders.items(), self._base):
            if after is None:
                self._lists.add(path, None)
                self._facts.add(None, [])
            else:
                self.index.folders += 1
                self._add(path, before, after, folders[path], files.take(path, after))
            if self._lists.size >= LARGE or self._facts.files >= _MANY:
                yield from self._end_block()
        if self._lists.paths:
            yield from self._end_block()
        self.index.files, self.index.unplaced, behind = files.end()
        self.index.image_end = max(head.end, behind)

    def end(self, points: Sequence[SeekPoint] = ()) -> Iterator[bytes]:
        """Yield what comes behind the blocks: the dump's seek points, and the index."""
        for point in points:
            window = pack_window(point.window)
            stretch = self._stretch(window)
            self.index.points.append(KeptPoint(point.at, point.packed_at, point.bit, stretch))
            yield self._count(window)
        self.index.rights = [*self._rights]
        yield render_index(self.index, self._offset)

    def _add(
        self,
        path: bytes,
        before: bytes | None,
        after: bytes,
        folder: KeptFolder,
        files: list[tuple[int, bytes, KeptFile]],
    ) -> None:
        """Add a folder, if anything of it is not as in the base."""
        listed: bytes | ListDifference = after
        known: dict[bytes, KeptFile] = {}
        is_known = False
        if self._base and before is not None:
            is_known = self._base.folder(path) == folder
            if is_known and not files and before == after:
                return
            listed = find_difference(before, after) or after
            known = self._base.known(path) if files else known
        told = [(skipped, file, _is_known(file, known.get(name))) for skipped, name, file in files]
        self._lists.add(path, listed)
        self._facts.add(None if is_known else folder, told)

    def _end_block(self) -> Iterator[bytes]:
        self._measure()
        index = self.index
        index.firsts.append(self._lists.paths[0])
        for packed, stretches in (
            (self._lists.pack(), index.lists),
            (self._facts.pack(), index.facts),
        ):
            stretches.append(self._stretch(packed))
            yield self._count(packed)
        self._lists, self._facts = Lists(), FactsDraft(self._rights)

    def _measure(self) -> None:
        """Raise Unkeepable if there is more to tell than an index may have."""
        for rights in islice(self._rights, self._measured, None):
            told = sum(map(len, sum(rights.attributes, ())))
            self._told += _RECORD + len(rights.owner) + len(rights.group) + told
        self._measured = len(self._rights)
        if self._told > MOST_TOLD:
            raise Unkeepable("it has too much of owners, attributes or renamed folders")

    def _stretch(self, packed: bytes) -> Stretch:
        return Stretch(self._offset, len(packed), zlib.crc32(packed))

    def _count(self, packed: bytes) -> bytes:
        self._offset += len(packed)
        return packed


class _Files:
    """The members behind an image's folders, taken folder by folder."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._members = iter(members)
        self._next = next(self._members, None)
        self._taken = self._passed = self._behind = 0

    def take(self, folder: bytes, listed: bytes) -> list[tuple[int, bytes, KeptFile]]:
        """Return the files of the next folder: how many names are skipped, name, and file.

        What is not where tar would have it is passed over.
        """
        found: list[tuple[int, bytes, KeptFile]] = []
        stored: list[bytes] | None = None
        place = 0
        while self._next:
            above, _, name = self._next.path.rpartition(b"/")
            if above > folder:
                break
            file = keep_file(self._go_on(self._next))
            if above == folder and (not found or found[-1][2].end == file.start):
                stored = stored or [each[1:] for each in listed.split(b"\0") if each[:1] == STORED]
                with suppress(ValueError):
                    there = stored.index(name, place)
                    found.append((there - place, name, file))
                    place = there + 1
                    continue
            self._passed += 1
        self._taken += len(found)
        return found

    def end(self) -> tuple[int, int, int]:
        """Go on to the last. Return how many were taken and passed over, and where that ends."""
        while self._next:
            self._go_on(self._next)
            self._passed += 1
        return self._taken, self._passed, self._behind

    def _go_on(self, member: Member) -> Member:
        """Return `member`, which is the next, and have another one be that."""
        self._behind = member.end
        self._next = next(self._members, None)
        return member


def _compare(
    lists: Iterable[tuple[bytes, bytes]], base: KeptHead | None
) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """Yield all folders, in order: path, the base's list in its older form, and the image's.

    Raises Unkeepable.
    """
    last: bytes | None = None
    inherited = base.lists(is_older=True) if base else iter(())
    other = next(inherited, None)
    for path, after in lists:
        if last is not None and path <= last:
            raise Unkeepable("its folders are not in order")
        last = path
        while other and other[0] < path:
            yield *other, None
            other = next(inherited, None)
        if other and other[0] == path:
            yield path, other[1], after
            other = next(inherited, None)
        else:
            yield path, None, after
    while other:
        yield *other, None
        other = next(inherited, None)


def _is_known(file: KeptFile, known: KeptFile | None) -> bool:
    return known is not None and file[1:] == known[1:]
