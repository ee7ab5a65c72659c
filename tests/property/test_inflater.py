"""Seek points of gzip streams: from each on the same bytes come, whatever blocks there are."""

import random
import zlib
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from asyncamanda.core.restore.inflater import WINDOW, Inflater, SeekPoint
from asyncamanda.core.restore.seek_points import SeekPointFinder

CHANCE = random.Random(7)  # noqa: S311 - the same each time
WORDS = [CHANCE.randbytes(CHANCE.randrange(2, 9)).hex().encode() for _ in range(5000)]
TEXT = b" ".join(CHANCE.choices(WORDS, k=220_000))
NOISE = CHANCE.randbytes(900_000)
MIXED = TEXT[:1_000_000] + NOISE[:400_000] + bytes(500_000) + TEXT[1_000_000:]


def pack(plain: bytes, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    """Return a gzip stream."""
    stream = zlib.compressobj(level, zlib.DEFLATED, 31, 8, strategy)
    return stream.compress(plain) + stream.flush()


def pack_flushed(plain: bytes) -> bytes:
    """Return a gzip stream as a program writes it that works in pieces."""
    stream = zlib.compressobj(6, zlib.DEFLATED, 31)
    pieces = []
    for begin in range(0, len(plain), 1 << 17):
        pieces += [
            stream.compress(plain[begin : begin + (1 << 17)]),
            stream.flush(zlib.Z_SYNC_FLUSH),
        ]
    return b"".join([*pieces, stream.flush()])


def find_points(packed: bytes, piece: int, spacing: int) -> tuple[bytes, list[SeekPoint]]:
    """Return what the stream decodes to, and its seek points."""
    finder = SeekPointFinder(spacing)
    pieces = [
        found
        for begin in range(0, len(packed), piece)
        for found in finder.feed(packed[begin : begin + piece])
    ]
    finder.end()
    return b"".join(pieces), finder.points


STREAMS: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "text": lambda: (TEXT, pack(TEXT)),
    "text, fast": lambda: (TEXT, pack(TEXT, 1)),
    "noise, stored": lambda: (NOISE, pack(NOISE)),
    "mixed": lambda: (MIXED, pack(MIXED)),
    "flushed": lambda: (TEXT, pack_flushed(TEXT)),
    "two in a row": lambda: (TEXT + MIXED, pack(TEXT) + pack(MIXED)),
    "with zeros behind": lambda: (MIXED, pack(MIXED) + bytes(1000)),
}


@given(st.sampled_from([*STREAMS]), st.integers(2_000, 300_000), st.integers(150_000, 400_000))
@settings(max_examples=20)
def test_reading_begins_at_any_seek_point(name: str, piece: int, spacing: int) -> None:
    """All is decoded; there are points, about as far apart as wanted; from each on it is alike."""
    plain, packed = STREAMS[name]()
    decoded, points = find_points(packed, piece, spacing)
    assert decoded == plain
    assert points
    for point in points:
        assert point.window == plain[max(0, point.at - WINDOW) : point.at]
        inflater = Inflater(point)
        rest = packed[point.packed_at :]
        parts = [
            part
            for begin in range(0, len(rest), 65_536)
            for part in inflater.feed(rest[begin : begin + 65_536])
        ]
        assert b"".join(parts) == plain[point.at :]
        assert inflater.is_between
        assert inflater.at == len(plain)


def test_a_long_run_of_zeros_has_points_too() -> None:
    """It is small in the stream, and takes long to decode."""
    plain = bytes(30_000_000)
    decoded, points = find_points(pack(plain), 1 << 12, 300_000)
    assert decoded == plain
    assert points
    inflater = Inflater(points[0])
    assert points[0].at + sum(map(len, inflater.feed(pack(plain)[points[0].packed_at :]))) == len(
        plain
    )


def test_a_stream_without_such_blocks_is_decoded_all_the_same() -> None:
    """All in one block of the fixed code, whose end nothing shows."""
    packed = pack(TEXT[:800_000], 6, zlib.Z_FIXED)
    decoded, points = find_points(packed, 50_000, 100_000)
    assert decoded == TEXT[:800_000]
    assert points == []
