"""Pax headers: records `LENGTH KEY=VALUE\\n` that say what a tar header's fields cannot hold.

Of the records only those are kept that GNU tar writes and that a restore needs; of what a header
says twice nobody knows which counts, so that is refused. Parsers raise ValueError, with one plain
line, and nothing else. Source: xheader.c of GNU tar 1.34.
"""

from dataclasses import dataclass, field

from asyncamanda.core.restore.tarfields import LARGEST

MOST_RECORDS = 10_000  # of one header, those of a sparse file's pieces not counted
MOST_ATTRIBUTES = 4 << 20  # bytes of extended attributes of one member; Linux has 64 KiB each
LONGEST_KEY = 4096  # bytes
LONGEST_NUMBER = 40  # digits, a fraction's included

_NANO = 1_000_000_000
_SPARSE = frozenset({
    b"GNU.sparse.major", b"GNU.sparse.minor", b"GNU.sparse.name", b"GNU.sparse.realsize",
    b"GNU.sparse.size", b"GNU.sparse.numblocks", b"GNU.sparse.map",
})  # fmt: skip
_FIELDS = _SPARSE | {
    b"path", b"linkpath", b"size", b"uid", b"gid", b"uname", b"gname", b"mtime", b"GNU.dumpdir",
}  # fmt: skip
_ATTRIBUTES = (b"SCHILY.xattr.", b"SCHILY.acl.")
_PIECES = {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}  # in turn: one of each a piece


@dataclass(slots=True)
class PaxRecords:
    """What a pax header says: its fields, its attributes in order, and pieces of a sparse file."""

    fields: dict[bytes, bytes] = field(default_factory=dict)
    attributes: dict[bytes, bytes] = field(default_factory=dict)
    pieces: list[int] = field(default_factory=list)  # offset, size, offset, size ...

    @property
    def is_sparse(self) -> bool:
        """Whether it has anything of a sparse file's map."""
        return bool(self.pieces) or not _SPARSE.isdisjoint(self.fields)

    @property
    def is_about_members(self) -> bool:
        """Whether there is anything in it that would change what a member is."""
        return bool(self.fields or self.attributes or self.pieces)


def parse_records(text: bytes) -> PaxRecords:
    """Return a pax header's records. Raises ValueError if there is anything wrong with them."""
    records = PaxRecords()
    seen = total = at = 0
    while at < len(text):
        key, begin, end = _find_record(text, at)
        if key in _PIECES:
            _add_piece(records, key, text[begin:end])
        else:
            seen += 1
            total += end - at if key not in _FIELDS else 0
            _add_record(records, key, text[begin:end])
        if seen > MOST_RECORDS or total > MOST_ATTRIBUTES:
            raise ValueError("a pax header says too much")
        at = end + 1
    return records


def _add_record(records: PaxRecords, key: bytes, value: bytes) -> None:
    """Keep a record; one that is of no interest is passed over."""
    if key in _FIELDS:
        kept = records.fields
    elif key.startswith(_ATTRIBUTES) and key not in _ATTRIBUTES:
        kept = records.attributes
    else:
        return
    if key in kept:
        raise ValueError("a pax header says something twice")
    kept[key] = value


def _find_record(text: bytes, at: int) -> tuple[bytes, int, int]:
    """Return the key of the record at `at`, and where its value begins and ends."""
    blank = text.find(b" ", at, at + LONGEST_NUMBER)
    digits = text[at:blank] if blank > 0 else b""
    if not digits.isdigit():
        raise ValueError("a pax record has no length")
    end = at + int(digits) - 1
    equal = text.find(b"=", blank, min(end, blank + LONGEST_KEY))
    if text[end : end + 1] != b"\n" or equal <= blank + 1:
        raise ValueError("a pax record is not as long as it says, or has no key")
    key = text[blank + 1 : equal]
    if b"\0" in key:
        raise ValueError("a pax record's key has a NUL")
    return key, equal + 1, end


def _add_piece(records: PaxRecords, key: bytes, value: bytes) -> None:
    is_size = len(records.pieces) % 2 == 1
    if is_size != (key == b"GNU.sparse.numbytes"):
        raise ValueError("a sparse file's pieces are not in pairs")
    records.pieces.append(parse_decimal(value))


def parse_decimal(value: bytes, largest: int = LARGEST) -> int:
    """Return a record's number. Raises ValueError if it is none, or too large."""
    if not value.isdigit() or len(value) > LONGEST_NUMBER:
        raise ValueError("a number is not decimal")
    number = int(value)
    if number > largest:
        raise ValueError("a number is out of range")
    return number


def parse_time(value: bytes) -> int:
    """Return a record's time, `-1.5`, in nanoseconds since 1970; what is finer is cut off."""
    whole, _, fraction = value.removeprefix(b"-").partition(b".")
    if fraction and (not fraction.isdigit() or len(fraction) > LONGEST_NUMBER):
        raise ValueError("a time is not decimal")
    number = parse_decimal(whole) * _NANO + int(fraction[:9].ljust(9, b"0"))
    return -number if value[:1] == b"-" else number


def render_time(nanoseconds: int) -> bytes:
    """Return a time as parse_time() takes it."""
    whole, fraction = divmod(abs(nanoseconds), _NANO)
    sign = b"-" if nanoseconds < 0 else b""
    return (b"%b%d.%09d" % (sign, whole, fraction)).rstrip(b"0").removesuffix(b".")


def render_record(key: bytes, value: bytes) -> bytes:
    """Return one record, whose length counts its own digits."""
    rest = len(key) + len(value) + 3  # a blank, an equals sign, a newline
    length = rest + len(b"%d" % rest)
    if len(b"%d" % length) > len(b"%d" % rest):
        length += 1
    return b"%d %b=%b\n" % (length, key, value)
