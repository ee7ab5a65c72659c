"""Sparse files in images: where the stored pieces of a file belong.

GNU tar has four ways to say so: in an `S` header and blocks behind it (the old one), and three of
pax: numbers in records (0.0), in one record (0.1), and before the contents (1.0). All are read;
1.0 is what is written. Parsers raise ValueError, with one plain line, and nothing else. Source:
sparse.c of GNU tar 1.34.
"""

from collections.abc import Sequence

from asyncamanda.core.restore.pax import PaxRecords, parse_decimal
from asyncamanda.core.restore.tarfields import BLOCK, pad, parse_number

MOST_PIECES = 1 << 20  # of one file; as many need some 200 MB while they are read

Pieces = tuple[tuple[int, int], ...]

_IN_HEADER = (386, 4)  # where an `S` header's pieces begin, and how many there is room for
_IN_BLOCK = (0, 21)
_LONGEST_LINE = 20  # bytes of a number in a map, with its newline
_FEWEST_LINES = BLOCK // _LONGEST_LINE  # in a block of a map that goes on


class OldMap:
    """The pieces of an `S` header and of the blocks that follow it."""

    leading = 0  # bytes of the contents that are map

    def __init__(self, header: bytes) -> None:
        self.size = parse_number(header[483:495])
        self.goes_on = header[482] != 0
        self._numbers: list[int] = []
        self._read(header, *_IN_HEADER)

    def add(self, block: bytes) -> None:
        """Take the next block; `goes_on` says then whether another follows."""
        self.goes_on = block[504] != 0
        self._read(block, *_IN_BLOCK)

    def pieces(self, stored: int) -> Pieces:
        """Return the file's pieces, of which `stored` bytes are in the image."""
        return judge_pieces(self._numbers, self.size, stored)

    def _read(self, block: bytes, begin: int, most: int) -> None:
        for at in range(begin, begin + 24 * most, 24):
            if block[at + 12] == 0:
                if self.goes_on:  # for GNU tar this is the map's end, whatever follows
                    raise ValueError("a sparse file's map has a gap")
                return
            self._numbers.append(parse_number(block[at : at + 12]))
            self._numbers.append(parse_number(block[at + 12 : at + 24]))
        if len(self._numbers) > 2 * MOST_PIECES:
            raise ValueError("a sparse file has too many pieces")


class LeadingMap:
    """The map of pax 1.0: lines of one number each, in blocks of their own before the contents."""

    def __init__(self, records: PaxRecords) -> None:
        self.size = parse_decimal(records.fields.get(b"GNU.sparse.realsize", b""))
        self.leading = 0  # bytes of the contents that are map
        self._text = bytearray()
        self._lines = 0  # that have come
        self._wanted = 1  # the first one says how many pieces there are

    @property
    def goes_on(self) -> bool:
        """Whether another block is to come."""
        return self._lines < self._wanted

    def add(self, block: bytes) -> None:
        """Take the next block."""
        is_first = self.leading == 0
        lines = block.count(b"\n")
        self.leading += BLOCK
        self._text += block
        self._lines += lines
        if is_first:
            count = parse_decimal(block.partition(b"\n")[0])
            if count > MOST_PIECES:
                raise ValueError("a sparse file has too many pieces")
            self._wanted += 2 * count
        if self.goes_on and lines < _FEWEST_LINES:
            raise ValueError("a sparse file's map is broken")

    def pieces(self, stored: int) -> Pieces:
        """Return the file's pieces, of which `stored` bytes are in the image."""
        lines = bytes(self._text).split(b"\n", self._wanted)[1 : self._wanted]
        return judge_pieces([parse_decimal(line) for line in lines], self.size, stored)


class RecordedMap:
    """The map of pax 0.0 or 0.1, all of which stands in the pax header."""

    leading = 0  # bytes of the contents that are map
    goes_on = False

    def __init__(self, records: PaxRecords) -> None:
        self.size = parse_decimal(records.fields.get(b"GNU.sparse.size", b""))
        text = records.fields.get(b"GNU.sparse.map")
        if text is not None and records.pieces:
            raise ValueError("a sparse file has two maps")
        if text is not None and text.count(b",") >= 2 * MOST_PIECES:
            raise ValueError("a sparse file has too many pieces")
        self._numbers = [parse_decimal(n) for n in text.split(b",")] if text else records.pieces
        counted = parse_decimal(records.fields.get(b"GNU.sparse.numblocks", b""))
        if 2 * counted != len(self._numbers):
            raise ValueError("a sparse file has not as many pieces as it says")

    def add(self, block: bytes) -> None:
        """Take nothing: it never goes on."""

    def pieces(self, stored: int) -> Pieces:
        """Return the file's pieces, of which `stored` bytes are in the image."""
        return judge_pieces(self._numbers, self.size, stored)


SparseMap = OldMap | LeadingMap | RecordedMap


def judge_pieces(numbers: Sequence[int], size: int, stored: int) -> Pieces:
    """Return numbers as pieces (offset, bytes), those without bytes left out.

    GNU tar ends a map by an empty one where the file ends in a hole. Raises ValueError unless they
    ascend, do not overlap, lie in the file, and are all that is stored.
    """
    if len(numbers) % 2:
        raise ValueError("a sparse file's pieces are not in pairs")
    if len(numbers) > 2 * MOST_PIECES:
        raise ValueError("a sparse file has too many pieces")
    pieces = []
    at = total = 0
    for offset, length in zip(numbers[::2], numbers[1::2], strict=True):
        if offset < at or offset + length > size:
            raise ValueError("a sparse file's pieces overlap, or do not lie in it")
        at = offset + length
        total += length
        if length:
            pieces.append((offset, length))
    if total != stored:
        raise ValueError("a sparse file's pieces are not what is stored")
    return tuple(pieces)


def render_map(pieces: Pieces, size: int) -> bytes:
    """Return the map of pax 1.0 with its padding; a hole at the end is an empty piece, as tar's."""
    ends_in_hole = not pieces or sum(pieces[-1]) < size
    written = (*pieces, (size, 0)) if ends_in_hole else pieces
    numbers = [len(written), *(number for piece in written for number in piece)]
    text = b"".join(b"%d\n" % number for number in numbers)
    return text + bytes(pad(len(text)))
