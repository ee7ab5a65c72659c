"""The head of an image: the list of all that was there, which GNU tar writes before anything else.

All folders come first, each with its dumpdir: what was in it, `Y` if the image has it, `N` if only
an older one has, `D` for a folder. So the newest image's head is the whole listing at its date,
whatever its level. (Two exceptions, both `N`: what tar was told to exclude, and a folder that it
wrongly left out of the image; locating finds neither.)

A head holds a million names in little more memory than their bytes: the lists lie one behind the
other, as they came, and an index of numbers finds a folder's.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping

from asyncamanda.core.restore.image import BadImage
from asyncamanda.core.restore.member import Kind, Member
from asyncamanda.core.restore.renames import KINDS, Rename, parse_renames

STORED, OLDER, FOLDER = b"Y", b"N", b"D"
FLAGS = {STORED, OLDER, FOLDER}
Entry = tuple[bytes, bytes]  # name or path, and flag

# what is not a flag and a file's name between two NULs
_UNFIT = re.compile(rb"\0(?!\Z|[YND](?!\.{0,2}\0))|/")
_NANO = 1_000_000_000
_AT_ONCE = 1 << 16  # bytes of a list that are taken apart at a time
_FEWEST_SLOTS = 256


class Head:
    """The folders of an image, with what was in them.

    `end` is the offset in the image at which they end. `renames` are the image's, as tar recorded
    them.
    """

    def __init__(self) -> None:
        """Begin with no folder."""
        self.end = 0
        self.renames: tuple[Rename, ...] = ()
        self._bytes = bytearray()  # of each folder its path, a NUL, and its records
        self._places = array("Q")  # of each folder: where it begins there
        self._times = array("q")  # of each folder: when it was last changed, in seconds
        self._slots = array("I", bytes(4 * _FEWEST_SLOTS))  # folders' numbers, from 1, by hash

    def add(self, member: Member) -> None:
        """Add a folder, in the image's order; any other member has nothing to add.

        Raises BadImage if its list cannot be one.
        """
        if member.dumpdir is None:
            return
        try:
            self._add(member.path, b"\0" + member.dumpdir)
        except ValueError as error:
            raise BadImage(member.start, str(error)) from None
        self._times.append(member.mtime_ns // _NANO)
        self.end = member.end

    @property
    def folders(self) -> "Folders":
        """Each folder's path, with its list."""
        return Folders(self)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, folder: bytes) -> bool:
        return self._number(folder) is not None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the folders' paths, in the image's order."""
        return map(self._path, range(len(self._places)))

    def entries(self, folder: bytes) -> Iterator[Entry]:
        """Yield the names in a folder, in order; none where the image does not have the folder."""
        number = self._number(folder)
        if number is None:
            return
        begin, end = self._places[number] + len(folder) + 1, self._end(number)
        while begin < end:
            stop = self._bytes.rfind(b"\0", begin, begin + _AT_ONCE) + 1
            if stop <= begin or begin + _AT_ONCE >= end:
                stop = self._bytes.find(b"\0", min(begin + _AT_ONCE, end) - 1, end) + 1
            records = bytes(memoryview(self._bytes)[begin : stop - 1]).split(b"\0")
            yield from [(record[1:], record[:1]) for record in records]
            begin = stop

    def flag(self, path: bytes) -> bytes | None:
        """Return the flag of a file or folder, None if it was not there."""
        folder, _, name = path.rpartition(b"/")
        number = self._number(folder) if name else None
        if number is not None:
            begin, end = self._places[number] + len(folder), self._end(number)
            for flag in (STORED, OLDER, FOLDER):
                if self._bytes.find(b"\0%b%b\0" % (flag, name), begin, end) >= 0:
                    return flag
            return None
        is_topmost = not path or b"" not in self  # else another folder lists it
        return FOLDER if is_topmost and path in self else None

    def changed_at(self, folder: bytes) -> int | None:
        """Return when a folder was last changed, in seconds since 1970; None if it is not there."""
        number = self._number(folder)
        return None if number is None else self._times[number]

    def topmost(self) -> Iterator[bytes]:
        """Yield the folders that lie in no other one: the disk's own, b"", if it is there."""
        if b"" in self:
            yield b""
            return
        for folder in self:
            if folder.rpartition(b"/")[0] not in self:
                yield folder

    def walk(self, below: bytes = b"") -> Iterator[Entry]:
        """Yield path and flag of all that is below a folder, depth first.

        Where a disk's backup is of some of its folders only, these are below b"".
        """
        if below or b"" in self:
            yield from self._walk(below)
            return
        for folder in self.topmost():
            yield folder, FOLDER
            yield from self._walk(folder)

    def match(self, pattern: re.Pattern[bytes]) -> Iterator[Entry]:
        """Yield path and flag of all names that `pattern` matches, in the image's order.

        `pattern` is for a NUL and a record: its groups are the flag and the name.
        """
        for number, place in enumerate(self._places):
            begin = self._bytes.index(b"\0", place)
            prefix = b""
            for found in pattern.finditer(self._bytes, begin, self._end(number)):
                prefix = prefix or (self._path(number) + b"/").removeprefix(b"/")
                yield prefix + found[2], found[1]

    def _walk(self, below: bytes) -> Iterator[Entry]:
        way = [((below + b"/").removeprefix(b"/"), self.entries(below))]
        while way:
            prefix, entries = way[-1]
            for name, flag in entries:
                path = prefix + name
                yield path, flag
                if flag == FOLDER:
                    way.append((path + b"/", self.entries(path)))
                    break
            else:
                way.pop()

    def _add(self, path: bytes, records: bytes) -> None:
        if not records.endswith(b"\0"):
            raise ValueError("a folder's list is cut off")
        if unfit := _UNFIT.search(records):
            records = self._take_renames(records, unfit.start())
        if path in self:
            raise ValueError("the image has a folder twice")
        self._places.append(len(self._bytes))
        self._bytes += path
        self._bytes += records
        if 2 * len(self._places) <= len(self._slots):
            self._index(path, len(self._places))
            return
        self._slots = array("I", bytes(8 * len(self._slots)))
        for number, each in enumerate(self, 1):
            self._index(each, number)

    def _take_renames(self, records: bytes, begin: int) -> bytes:
        """Return the records without those of renames, which end them, and are kept."""
        entries, renames = records[: begin + 1], records[begin + 1 : -1].split(b"\0")
        if _UNFIT.search(entries) or any(record[:1] not in KINDS for record in renames):
            raise ValueError("a folder's list has what is not a file's name")
        if self.renames:
            raise ValueError("two folders have records of renamed ones")
        self.renames = parse_renames(renames)
        return entries

    def _index(self, path: bytes, number: int) -> None:
        mask = len(self._slots) - 1
        slot = hash(path) & mask
        while self._slots[slot]:
            slot = (slot + 1) & mask
        self._slots[slot] = number

    def _number(self, path: bytes) -> int | None:
        """Return a folder's number, from 0; None if there is none."""
        mask = len(self._slots) - 1
        slot = hash(path) & mask
        while number := self._slots[slot]:
            if self._bytes.startswith(path + b"\0", self._places[number - 1]):
                return number - 1
            slot = (slot + 1) & mask
        return None

    def _path(self, number: int) -> bytes:
        begin = self._places[number]
        return bytes(self._bytes[begin : self._bytes.index(b"\0", begin)])

    def _end(self, number: int) -> int:
        return self._places[number + 1] if number + 1 < len(self._places) else len(self._bytes)

    def _list(self, folder: bytes) -> bytes:
        """Return a folder's records, each ended by a NUL. Raises KeyError."""
        number = self._number(folder)
        if number is None:
            raise KeyError(folder)
        return bytes(self._bytes[self._places[number] + len(folder) + 1 : self._end(number)])


class Folders(Mapping[bytes, bytes]):
    """The folders of a head as a mapping: path to list, records of `Y`, `N` and `D`."""

    def __init__(self, head: Head) -> None:
        """Show those of `head`."""
        self._head = head

    def __getitem__(self, folder: bytes) -> bytes:
        return self._head._list(folder)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._head)

    def __len__(self) -> int:
        return len(self._head)


def find_folder(members: Iterable[Member], folder: bytes) -> Head:
    """Return a head of one folder alone, empty if the image does not have it.

    Reads no more of `members` than it has to, and keeps nothing else: for a listing of one folder.
    Raises BadImage.
    """
    head = Head()
    for member in members:
        if member.kind is not Kind.FOLDER:
            break
        if member.path == folder:
            head.add(member)
            break
    return head
