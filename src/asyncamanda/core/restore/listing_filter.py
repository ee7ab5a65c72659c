"""The server's list of all that was asked for, into what the user could have seen.

Records end in NUL. Those of folders' owners, `@MODE:UID:GID:ACL:PATH`, come before what lies in
these folders; all others are a flag (head.py) and a path. MODE is in octal digits and ACL in
hexadecimal ones; of each folder that leads to a version FileVersion has the same.
"""

from collections.abc import Collection, Iterator

from asyncamanda.core.protocol.bounds import LONGEST_PATH, LONGEST_WAY
from asyncamanda.core.restore.answer import FileVersion
from asyncamanda.core.restore.permission import Access
from asyncamanda.core.restore.visible import TOP, Ways

OWNER = b"@"
LONGEST_RECORD = LONGEST_PATH + LONGEST_WAY + 2
_FOLDER = b"D"
_PARTS = 4
_HIGHEST = 0xFFFFFFFF


class ListingFilter:
    """Bytes of a list into those that the user may have.

    `files` and `folders` are how many names were handed over; `seen` are those of the wanted paths
    that are there, as far as the user may know.
    """

    def __init__(self, ways: Ways, wanted: Collection[bytes]) -> None:
        self._ways = ways
        self._wanted = frozenset(wanted)
        self._kept = b""
        self.files = self.folders = 0
        self.seen: set[bytes] = set()

    def feed(self, piece: bytes | memoryview) -> Iterator[bytes]:
        """Yield the records, NUL included, that `piece` completes and the user may have.

        Raises ValueError if it is no such list.
        """
        *records, self._kept = (self._kept + piece).split(b"\0")
        if len(self._kept) > LONGEST_RECORD:
            raise ValueError("a list has a record that is too long")
        for record in records:
            if record.startswith(OWNER):
                self._tell(record)
            elif self._ways.is_named(path := record[1:]):
                self._count(record[:1], path)
                yield record + b"\0"

    def end(self) -> None:
        """Raise ValueError if the list was cut off."""
        if self._kept:
            raise ValueError("a list is cut off")

    def _tell(self, record: bytes) -> None:
        *parts, path = record[1:].split(b":", _PARTS)
        access = parse_way(b":".join(parts).decode("ascii", "replace"))
        self._ways.tell_folder(path, access)
        if path in self._wanted and self._ways.is_named(path):
            self.seen.add(path)

    def _count(self, flag: bytes, path: bytes) -> None:
        if flag == _FOLDER:
            self.folders += 1
        else:
            self.files += 1
        if path in self._wanted:
            self.seen.add(path)


def parse_way(text: str) -> Access:
    """Return what MODE:UID:GID:ACL says of a folder. Raises ValueError if that is nothing."""
    mode, uid, gid, acl = text.split(":")
    if not all(part.isascii() and part.isdecimal() for part in (mode, uid, gid)):
        raise ValueError("a folder's owner is no number")
    numbers = int(mode, 8), int(uid), int(gid)
    if max(numbers) > _HIGHEST:
        raise ValueError("a folder's owner is out of range")
    return Access(*numbers, bytes.fromhex(acl))


def may_see_version(version: FileVersion, ways: Ways) -> bool:
    """Return whether the user could have come to the path in that dump.

    `ways` are new ones, with the path as what is wanted. A version of which nobody says whose the
    folders were is out of reach.
    """
    folders = [TOP]
    for index, byte in enumerate(version.path):
        if byte == ord("/"):
            folders.append(version.path[:index])
    try:
        for folder, way in zip(folders, version.ways, strict=True):
            ways.tell_folder(folder, parse_way(way))
    except ValueError:
        return False
    return ways.is_named(version.path)
