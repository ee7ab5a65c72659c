"""A kept head: the listing of an image, and where in it each file is, without the image.

Lists and facts are in blocks that are unpacked when they are asked for, so that one folder of a
million files takes some milliseconds and little memory. A kept head may build on another one, its
base, which may build on a third: it has what is different (kept_writer.py).
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

from asyncamanda.core.restore.head import FOLDER, OLDER, STORED, Entry, Head
from asyncamanda.core.restore.inflater import SeekPoint
from asyncamanda.core.restore.kept_facts import Facts, KeptFile, KeptFolder
from asyncamanda.core.restore.kept_index import (
    BEGIN,
    BadKept,
    Base,
    Bytes,
    KeptIndex,
    KeptPoint,
    parse_index,
    unpack_point,
)
from asyncamanda.core.restore.kept_lists import FROM_BASE, Form, Lists, unpack_lists
from asyncamanda.core.restore.recent import RecentFolders

_FOLDER = FOLDER[0]
_NANO = 1_000_000_000
_MOST_BLOCKS = 2  # of a kind that stay in memory, unpacked
_Own = tuple[bytes | None, Lists, int]  # a folder, its block, and its number there
_NO_MORE: _Own = (None, Lists(), 0)


class KeptHead(Head):
    """The head of an image as it is kept, with what is known of its folders and files."""

    def __init__(
        self, kept: Bytes, index: KeptIndex, checksum: int, base: "KeptHead | None"
    ) -> None:
        """Read `kept`, whose index this is, with its checksum: see open_kept()."""
        super().__init__()
        self.index, self.checksum = index, checksum
        self.end, self.renames = index.end, index.renames
        self._kept = kept
        self._base = base
        self._lists: dict[int, Lists] = {}
        self._facts: dict[int, Facts] = {}
        self._last_list: tuple[bytes, bytes | None] | None = None
        self._recent_members = RecentFolders[KeptFile]()
        self._recent_known = RecentFolders[KeptFile]()

    def check(self) -> None:
        """Raise BadKept if any part of it is damaged, which is not looked at later on.

        But for windows of seek points, which are when they are used. Its base has its own parts.
        """
        for stretch in (*self.index.lists, *self.index.facts):
            stretch.cut(self._kept)

    # -- the listing

    def __len__(self) -> int:
        return self.index.folders

    def __iter__(self) -> Iterator[bytes]:
        """Yield the folders' paths, in the image's order, which is that of their bytes."""
        for path, _ in self.lists():
            yield path

    def __contains__(self, folder: bytes) -> bool:
        found = self._find(folder)
        if found:
            block, number = found
            return self._read_lists(block).forms[number] != Form.GONE
        return self._base is not None and folder in self._base

    def listed(self, folder: bytes) -> bytes | None:
        """Return a folder's list, records that each end in NUL; None if it was not there."""
        if not self._last_list or self._last_list[0] != folder:
            self._last_list = folder, self._find_list(folder, is_older=False)
        return self._last_list[1]

    def lists(self, *, is_older: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Yield each folder's path and list, in the order of the paths' bytes.

        Or their older forms, as the next image has them where nothing changes.
        """
        own = self._own(is_older=is_older)
        mine, lists, number = next(own, _NO_MORE)
        for path, before in self._base.lists(is_older=True) if self._base else ():
            while mine is not None and mine < path:
                if (listed := lists.listed(number, b"", is_older=is_older)) is not None:
                    yield mine, listed
                mine, lists, number = next(own, _NO_MORE)
            if mine != path:
                yield path, before
                continue
            if (listed := lists.listed(number, before, is_older=is_older)) is not None:
                yield path, listed
            mine, lists, number = next(own, _NO_MORE)
        while mine is not None:
            if (listed := lists.listed(number, b"", is_older=is_older)) is not None:
                yield mine, listed
            mine, lists, number = next(own, _NO_MORE)

    def entries(self, folder: bytes) -> Iterator[Entry]:
        """Yield the names in a folder, in order; none where the image does not have the folder."""
        for record in (self.listed(folder) or b"").split(b"\0")[:-1]:
            yield record[1:], record[:1]

    def flag(self, path: bytes) -> bytes | None:
        """Return the flag of a file or folder, None if it was not there."""
        folder, _, name = path.rpartition(b"/")
        listed = self.listed(folder) if name else None
        if listed is None:
            return FOLDER if path in self else None  # nothing lists the topmost ones
        for flag in (STORED, OLDER, FOLDER):
            record = flag + name + b"\0"
            if listed.startswith(record) or b"\0" + record in listed:
                return flag
        return None

    def changed_at(self, folder: bytes) -> int | None:
        """Return when a folder was last changed, in seconds since 1970; None if it is not there."""
        facts = self.folder(folder)
        return None if facts is None else facts.mtime_ns // _NANO

    def walk(self, below: bytes = b"") -> Iterator[Entry]:
        """Yield path and flag of all that is below a folder, depth first.

        Where a disk's backup is of some of its folders only, these are below b"".
        """
        return self._walk(below) if below or b"" in self else super().walk(below)

    def match(self, pattern: re.Pattern[bytes]) -> Iterator[Entry]:
        """Yield path and flag of all names that `pattern` matches, in the image's order.

        `pattern` is for a NUL and a record: its groups are the flag and the name.
        """
        for path, listed in self.lists():
            prefix = path + b"/" if path else b""
            for found in pattern.finditer(b"\0" + listed):
                yield prefix + found[2], found[1]

    # -- what is known of folders and files

    def folder(self, folder: bytes) -> KeptFolder | None:
        """Return what is known of a folder itself, None if it was not there."""
        found = self._find(folder)
        if found:
            block, number = found
            if self._read_lists(block).forms[number] == Form.GONE:
                return None
            if facts := self._read_facts(block).folder(number):
                return facts
        return self._base.folder(folder) if self._base else None

    def members(self, folder: bytes) -> dict[bytes, KeptFile]:
        """Return the files of a folder that the image has, by their names, in its order.

        One whose place is not known is missing.
        """
        return self._recent_members.get(folder, self._read_members)

    def known(self, folder: bytes) -> dict[bytes, KeptFile]:
        """Return the files of a folder of which this image or one before has told."""
        if self._base is None:
            return self.members(folder)
        return self._recent_known.get(folder, self._read_known)

    def offset_of(self, path: bytes) -> int | None:
        """Return where in the image the headers of a file begin, None if that is not known."""
        folder, _, name = path.rpartition(b"/")
        file = self.members(folder).get(name)
        return file.start if file else None

    def is_absent(self, path: bytes) -> bool:
        """Return whether the image is certain not to have a file, whatever its lists say."""
        return not self.index.unplaced and self.offset_of(path) is None

    def point_before(self, at: int) -> SeekPoint | None:
        """Return the last place before byte `at` of the image at which its stream can be entered.

        None if that is its beginning. Raises BadKept.
        """
        points = self.index.points
        number = bisect_right(points, at, key=_at)
        return unpack_point(points[number - 1], self._kept) if number else None

    # -- the blocks

    def _own(self, *, is_older: bool) -> Iterator[_Own]:
        """Yield the folders that are in the blocks; for their older forms only those that count."""
        for block in range(len(self.index.firsts)):
            lists = self._read_lists(block)
            for number, (path, form) in enumerate(zip(lists.paths, lists.forms, strict=True)):
                if not is_older or form != Form.STORED:
                    yield path, lists, number

    def _find(self, folder: bytes) -> tuple[int, int] | None:
        block = bisect_right(self.index.firsts, folder) - 1
        if block < 0:
            return None
        lists = self._lists.get(block) or self._read_lists(block)
        number = lists.find(folder)
        return None if number is None else (block, number)

    def _walk(self, below: bytes) -> Iterator[Entry]:
        """Do what walk() does. It is called for a million names, and each call in it counts."""
        way = [((below + b"/").removeprefix(b"/"), self._records(below))]
        while way:
            prefix, records = way[-1]
            for record in records:
                path = prefix + record[1:]
                if record[0] == _FOLDER:
                    yield path, FOLDER
                    way.append((path + b"/", self._records(path)))
                    break
                yield path, record[:1]
            else:
                way.pop()

    def _records(self, folder: bytes) -> Iterator[bytes]:
        listed = self._find_list(folder, is_older=False)
        return iter(listed.split(b"\0")[:-1] if listed else ())

    def _list(self, folder: bytes) -> bytes:
        listed = self.listed(folder)
        if listed is None:
            raise KeyError(folder)
        return listed

    def _find_list(self, folder: bytes, *, is_older: bool) -> bytes | None:
        found = self._find(folder)
        if found is None:
            return self._base._find_list(folder, is_older=True) if self._base else None
        block, number = found
        lists = self._lists[block]
        before = None
        if self._base and lists.forms[number] in FROM_BASE:
            before = self._base._find_list(folder, is_older=True)
        return lists.listed(number, before or b"", is_older=is_older)

    def _read_members(self, folder: bytes) -> dict[bytes, KeptFile]:
        found = self._find(folder)
        listed = self.listed(folder) if found else None
        if found is None or listed is None:
            return {}
        block, number = found
        stored = [record[1:] for record in listed.split(b"\0") if record[:1] == b"Y"]
        known = self._base.known(folder) if self._base else {}
        return dict(self._read_facts(block).files(number, stored, known))

    def _read_known(self, folder: bytes) -> dict[bytes, KeptFile]:
        before = self._base.known(folder) if self._base else {}
        return before | self.members(folder)

    def _read_lists(self, block: int) -> Lists:
        if block not in self._lists:
            _make_room(self._lists)
            self._lists[block] = unpack_lists(self.index.lists[block].cut(self._kept))
        return self._lists[block]

    def _read_facts(self, block: int) -> Facts:
        if block not in self._facts:
            _make_room(self._facts)
            packed = self.index.facts[block].cut(self._kept)
            self._facts[block] = Facts(packed, self.index.rights)
        return self._facts[block]


def open_kept(kept: Bytes, find_base: Callable[[Base], KeptHead | None]) -> KeptHead:
    """Return a kept head, whose base, if it has one, `find_base` knows. Raises BadKept."""
    if kept[: len(BEGIN)] != BEGIN:
        raise BadKept("its beginning is missing")
    index, checksum = parse_index(kept)
    base = find_base(index.base) if index.base else None
    if index.base and (base is None or base.checksum != index.base.checksum):
        raise BadKept("what it builds on is missing, or is not what it was")
    return KeptHead(kept, index, checksum, base)


def _make_room(blocks: dict[int, Lists] | dict[int, Facts]) -> None:
    if len(blocks) >= _MOST_BLOCKS:
        del blocks[next(iter(blocks))]


def _at(point: KeptPoint) -> int:
    return point.at
