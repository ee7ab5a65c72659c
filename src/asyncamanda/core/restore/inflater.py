"""Decoding a gzip stream from its beginning, or from a seek point in its middle.

Between two blocks of a deflate stream (RFC 1951) a decoder needs to know only the last 32 KiB that
came out, and the bit at which the next block begins. Python's zlib takes the first as a dictionary,
but lets no decoder begin within a byte. Blocks that say nothing, put before, bring it there.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

WINDOW = 1 << 15  # bytes that a block may refer back to
OUTPUT = 1 << 20  # bytes that come out at a time at most

_RAW = -15  # zlib: deflate without a wrapping
_GZIP = 31  # zlib: with that of gzip
_MAGIC = 0x1F  # the first byte of a gzip stream
_TRAILER = 8  # bytes of gzip after its last block


@dataclass(frozen=True, slots=True)
class SeekPoint:
    """Where reading may begin: a block does at `bit` of the byte at `packed_at` in the stream.

    `at` is the offset of what it decodes to, and `window` the 32 KiB, or all, that come before.
    """

    at: int
    packed_at: int
    bit: int
    window: bytes


def _write_odd_block() -> tuple[int, int]:
    """Return a block that says nothing, and how many bits it is: an odd number.

    Its one symbol is the end, by a code of its own (RFC 1951, 3.2.7).
    """
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
    lengths = {18: 1, 0: 2, 1: 2}  # of the code that the code's lengths are in
    fields = [(0b100, 3), (0, 5), (0, 5), (len(order) - 4, 4)]
    fields += [(lengths.get(symbol, 0), 3) for symbol in order]
    fields += [(0, 1), (138 - 11, 7), (0, 1), (118 - 11, 7)]  # 256 symbols that do not occur
    fields += [(0b11, 2), (0b01, 2)]  # the end has one bit, and there are no distances
    fields += [(0, 1)]  # the end
    bits = count = 0
    for value, width in fields:
        bits |= value << count
        count += width
    return bits, count


def _lead_to(bit: int) -> tuple[bytes, int]:
    """Return blocks that say nothing and end before `bit` of a byte: whole bytes, and that one."""
    bits, count = _write_odd_block() if bit % 2 else (0, 0)
    while count % 8 != bit:
        bits |= 0b010 << count  # of the fixed code: the end as its only symbol is ten bits
        count += 10
    lead = bits.to_bytes((count + 7) // 8, "little")
    return (lead[:-1], lead[-1]) if bit else (lead, 0)


_LEADS = tuple(map(_lead_to, range(8)))


class Inflater:
    """Decodes a gzip stream; several streams in a row are as one, and what follows them is ignored.

    `packed_at` is the offset of the next byte that it needs, `at` that of the next that comes out.
    """

    __slots__ = ("_bit", "_has_ended", "_stream", "_to_skip", "_trailer", "at", "packed_at")

    def __init__(self, point: SeekPoint | None = None) -> None:
        self._stream = zlib.decompressobj(_RAW, point.window) if point else None
        self._trailer = _TRAILER if point else 0  # bytes of it that zlib is going to leave to us
        self._to_skip = 0
        self._bit = point.bit if point else 0
        self._has_ended = False
        self.at = point.at if point else 0
        self.packed_at = point.packed_at if point else 0

    @property
    def is_between(self) -> bool:
        """Whether a stream has ended and no other has begun, or none at all."""
        return self._stream is None and not self._to_skip

    def feed(self, packed: bytes | memoryview) -> Iterator[bytes]:
        """Yield what `packed`, which lies at `packed_at`, decodes to, `OUTPUT` bytes at a time.

        Raises zlib.error where no gzip would have written it.
        """
        self.packed_at += len(packed)
        rest = self._come_to_bit(packed) if self._bit and len(packed) else packed
        is_more = False
        while (len(rest) or is_more) and not self._has_ended:
            if self._stream is None:
                rest = self._begin(rest)
                continue
            piece = self._stream.decompress(rest, OUTPUT)
            is_more = len(piece) == OUTPUT  # zlib may hold some back without wanting any input
            rest = self._stream.unconsumed_tail
            if self._stream.eof:
                rest, is_more = self._stream.unused_data, False
                self._stream, self._to_skip, self._trailer = None, self._trailer, 0
            if piece:
                self.at += len(piece)
                yield piece

    def _come_to_bit(self, packed: bytes | memoryview) -> bytes:
        """Return `packed` with blocks before it that bring a decoder to the bit."""
        lead, last = _LEADS[self._bit]
        first = packed[0] >> self._bit << self._bit
        self._bit = 0
        return b"".join((lead, bytes((first | last,)), packed[1:]))

    def _begin(self, rest: bytes | memoryview) -> bytes | memoryview:
        """Return what is left of `rest` without the last stream's trailer, and begin the next."""
        skipped = min(self._to_skip, len(rest))
        self._to_skip -= skipped
        rest = rest[skipped:]
        if len(rest):
            self._has_ended = rest[0] != _MAGIC
            self._stream = None if self._has_ended else zlib.decompressobj(_GZIP)
        return rest

    def foretell(self, packed: bytes | memoryview) -> bytes:
        """Return what feed() would yield of `packed` in this stream, and change nothing.

        Raises zlib.error as feed() does.
        """
        return self._stream.copy().decompress(packed) if self._stream else b""
