"""What stands before a member's header and belongs to it: long names, and a pax header.

At most one of each kind, all of them bounded. Raises ValueError, with one plain line, and nothing
else.
"""

from asyncamanda.core.restore.pax import PaxRecords, parse_records
from asyncamanda.core.restore.sparse import LeadingMap, RecordedMap
from asyncamanda.core.restore.tarfields import LONGEST_NAME

LONGEST_DUMPDIR = 64 << 20  # bytes of one folder's list: a million names of 60 bytes
LONGEST_PAX = LONGEST_DUMPDIR + (8 << 20)  # bytes of a pax header, which may hold such a list
LONG_NAME, LONG_LINK, PAX, GLOBAL = b"LKxg"
LONGEST = {
    LONG_NAME: LONGEST_NAME,
    LONG_LINK: LONGEST_NAME,
    PAX: LONGEST_PAX,
    GLOBAL: LONGEST_NAME,
}


class Extensions:
    """What has come of one member's extensions; None is what has not."""

    def __init__(self) -> None:
        self.name: bytes | None = None
        self.link: bytes | None = None
        self.records: PaxRecords | None = None

    def add(self, kind: int, contents: bytes) -> None:
        """Take one extension, of a kind in LONGEST but GLOBAL."""
        if kind == LONG_NAME and self.name is None:
            self.name = _parse_long(contents)
        elif kind == LONG_LINK and self.link is None:
            self.link = _parse_long(contents)
        elif kind == PAX and self.records is None:
            self.records = parse_records(contents)
        else:
            raise ValueError("a member has an extension twice, or out of place")

    def field(self, key: bytes) -> bytes | None:
        """Return what the pax header says, None if nothing."""
        return None if self.records is None else self.records.fields.get(key)

    def member_name(self) -> bytes | None:
        """Return the name that counts instead of the header's, None if there is none.

        Beside a sparse file's own name `path` is only that of the place where old tars leave it
        (sparse_path_decoder() in xheader.c).
        """
        sparse_name = self.field(b"GNU.sparse.name")
        return _only(self.name, self.field(b"path") if sparse_name is None else sparse_name)

    def member_link(self) -> bytes | None:
        """Return the link's target that counts instead of the header's, None if there is none."""
        return _only(self.link, self.field(b"linkpath"))

    def sparse_map(self) -> LeadingMap | RecordedMap | None:
        """Return the sparse file's map that the pax header has or promises, None if none."""
        if self.records is None or not self.records.is_sparse:
            return None
        if self.field(b"GNU.sparse.major") in {None, b"0"}:
            return RecordedMap(self.records)
        if (self.field(b"GNU.sparse.major"), self.field(b"GNU.sparse.minor")) != (b"1", b"0"):
            raise ValueError("a sparse file's map is of an unknown kind")
        return LeadingMap(self.records)


def check_global(contents: bytes) -> None:
    """Raise ValueError if a global pax header would change members: GNU tar's never does."""
    if parse_records(contents).is_about_members:
        raise ValueError("a pax header is about all members")


def parse_dumpdir(contents: bytes) -> bytes:
    """Return a folder's list: records that each end in NUL, without the NUL that ends the list."""
    records = contents[:-1] if contents[-2:] == b"\0\0" or contents == b"\0" else contents
    if records and (records[-1:] != b"\0" or records[:1] == b"\0" or b"\0\0" in records):
        raise ValueError("a folder's list is broken")
    return records


def _parse_long(contents: bytes) -> bytes:
    return contents.removesuffix(b"\0")


def _only(old: bytes | None, pax: bytes | None) -> bytes | None:
    if old is not None and pax is not None:
        raise ValueError("a member has several names")
    return pax if old is None else old
