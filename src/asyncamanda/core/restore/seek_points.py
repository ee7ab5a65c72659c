"""Finding seek points of a gzip stream while it is read from its beginning.

zlib does not tell where blocks end, but it can be seen:

- While a block's header is read nothing comes out for longer than any symbol takes. Near there each
  bit is tried as its beginning, by decoding on from it.
- In a block that is stored as it is, what goes in comes out; for how long is found by trying.

A point counts only if a decoder that began there gave the same bytes as the one that came from
the stream's beginning, over `PROVEN` bytes of the stream. Where none is found, as in a stream of
tiny blocks, reading takes longer, and that is all.
"""

import zlib
from collections.abc import Iterator

from asyncamanda.core.restore.inflater import WINDOW, Inflater, SeekPoint

SPACING = 1 << 24  # bytes of the stream from one point to the next
WIDENED = 16  # ... or that many times as many of what it decodes to
PROVEN = 1 << 17  # bytes of it, or WIDENED times as many of what it decodes to: several blocks

_PATIENCE = 1 << 20  # bytes of it in which to look for a block's beginning
_STEP = 4  # bytes; two of them are longer than any symbol, three shorter than most headers
_BACK = 32  # bytes before the second quiet step in which its block may begin
_AHEAD = 1 << 10  # bytes that show whether a block begins at a bit
_STORED = 1 << 16  # bytes; a block that is stored as it is has fewer
_NO_BLOCK = b"\xff"  # as a block's beginning this is an error: its last three bits say no kind
_MOST_CODES = 29  # more than 257 of literals and lengths, more than 1 of distances
_LARGE_PIECE = 1 << 16
_PIECE = 1 << 12  # bytes that are fed at a time while a point is looked for or proven


class SeekPointFinder:
    """Decodes a gzip stream as an Inflater does, and finds seek points about `spacing` apart.

    `points` are those that were proven so far, in order.
    """

    def __init__(self, spacing: int = SPACING) -> None:
        self.points: list[SeekPoint] = []
        self._spacing = spacing
        self._wanted_at = (spacing, WIDENED * spacing)  # in the stream, or in what it decodes to
        self._inflater = Inflater()
        self._searched = 0
        self._window = b""
        self._proving: tuple[SeekPoint, Inflater] | None = None

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Yield what `packed`, the next piece of the stream, decodes to. Raises zlib.error."""
        rest = memoryview(packed)
        while rest:
            if self._proving:
                pieces = self._prove(*self._proving, rest[:_PIECE])
            elif ahead := self._count_ahead():
                pieces = self._inflater.feed(rest[:ahead])
            else:
                pieces = self._search(rest[:_PIECE])
            begun_at = self._inflater.packed_at
            for piece in pieces:
                self._window = (
                    piece[-WINDOW:] if len(piece) >= WINDOW else (self._window + piece)[-WINDOW:]
                )
                yield piece
            rest = rest[self._inflater.packed_at - begun_at :]

    def end(self) -> None:
        """Raise ValueError if the stream has not come to its end."""
        if not self._inflater.is_between:
            raise ValueError("the stream ends in its middle")

    def _count_ahead(self) -> int:
        """Return how many bytes to go on before looking for a block; 0: look now."""
        packed_at, at = self._wanted_at
        if self._inflater.at >= at:
            return 0
        return max(0, min(packed_at - self._inflater.packed_at, _LARGE_PIECE))

    def _go_on(self) -> None:
        """Want no point before the next `spacing` is over."""
        self._proving = None
        packed_at, at = self._inflater.packed_at, self._inflater.at
        self._wanted_at = packed_at + self._spacing, at + WIDENED * self._spacing
        self._searched = 0

    def _prove(self, point: SeekPoint, other: Inflater, packed: memoryview) -> Iterator[bytes]:
        """Decode `packed`, beside a decoder that began at `point`."""
        ours = b"".join(self._inflater.feed(packed))
        if _decode(other, packed) != ours:
            self._proving = None
        elif other.packed_at - point.packed_at >= PROVEN or other.at - point.at >= WIDENED * PROVEN:
            self.points.append(point)
            self._go_on()
        yield ours

    def _search(self, packed: memoryview) -> Iterator[bytes]:
        """Decode `packed`, as far as to where a block seems to begin."""
        came: list[bytes] = []
        used = quiet = 0
        while used < len(packed) and not self._proving:
            step = packed[used : used + _STEP]
            piece = b"".join(self._inflater.feed(step))
            used += len(step)
            came.append(piece)
            quiet = 0 if piece else quiet + 1
            if quiet == 2 and _BACK <= used < len(packed) - _AHEAD:
                window = self._join(came)
                self._proving = self._try_bits(packed, used, window)
            elif piece == step and (left := self._measure_stored()) is not None:
                part = packed[used : used + left]
                came.extend(self._inflater.feed(part))
                used += len(part)
                if len(part) == left:
                    self._begin_here(self._join(came))
        self._searched += used
        if not self._proving and self._searched > _PATIENCE:
            self._go_on()
        yield b"".join(came)

    def _join(self, came: list[bytes]) -> bytes:
        return b"".join((self._window, *came))[-WINDOW:]

    def _begin_here(self, window: bytes) -> None:
        point = SeekPoint(self._inflater.at, self._inflater.packed_at, 0, window)
        self._proving = point, Inflater(point)

    def _measure_stored(self) -> int | None:
        """Return how many bytes are left of the stored block that is being decoded, or None."""
        least, more = 0, _STORED
        if self._is_accepted(more):
            return None
        while more - least > 1:
            middle = (least + more) // 2
            least, more = (middle, more) if self._is_accepted(middle) else (least, middle)
        return least

    def _is_accepted(self, count: int) -> bool:
        try:
            self._inflater.foretell(_NO_BLOCK * count)
        except zlib.error:
            return False
        return True

    def _try_bits(
        self, packed: memoryview, used: int, window: bytes
    ) -> tuple[SeekPoint, Inflater] | None:
        """Return where the block begins whose header is decoded to `used`, or None.

        With it comes a decoder that began there and has decoded to `used` as well.
        """
        ahead = packed[used : used + _AHEAD]
        expected = self._inflater.foretell(ahead)
        packed_at = self._inflater.packed_at - used
        for place in _list_beginnings(packed[used - _BACK : used + 4]):
            at = used - _BACK + place // 8
            point = SeekPoint(self._inflater.at, packed_at + at, place % 8, window)
            if _decode(Inflater(point), packed[at : used + _AHEAD]) == expected:
                other = Inflater(point)
                _decode(other, packed[at:used])
                return point, other
        return None


def _list_beginnings(packed: memoryview) -> Iterator[int]:
    """Yield each bit at which a block may begin that has codes of its own and is not the last."""
    bits = int.from_bytes(packed, "little")
    for place in range((len(packed) - 3) * 8):
        header = bits >> place
        if (
            header & 0b111 == 0b100
            and header >> 3 & 31 <= _MOST_CODES
            and header >> 8 & 31 <= _MOST_CODES
        ):
            yield place


def _decode(inflater: Inflater, packed: memoryview) -> bytes | None:
    """Return what `packed` decodes to, None where it cannot be decoded."""
    try:
        return b"".join(inflater.feed(packed))
    except zlib.error:
        return None
