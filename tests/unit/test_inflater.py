"""Reading a gzip stream from its middle, and noticing that it is damaged."""

import gzip
import random
import zlib

import pytest

from asyncamanda.core.restore.inflater import OUTPUT, Inflater, SeekPoint
from asyncamanda.core.restore.seek_points import SeekPointFinder

PLAIN = random.Random(7).randbytes(5000).hex().encode()  # noqa: S311 - the same each time


@pytest.mark.parametrize("bit", range(8))
def test_reading_begins_at_any_bit_of_a_byte(bit: int) -> None:
    """With what came before as the window, and whatever the bits before it are."""
    stream = zlib.compressobj(6, zlib.DEFLATED, -15, zdict=PLAIN[:4000])
    raw = stream.compress(PLAIN[2000:]) + stream.flush()
    bits = int.from_bytes(raw, "little") << bit | (1 << bit) - 1
    inflater = Inflater(SeekPoint(4000, 70, bit, PLAIN[:4000]))
    packed = bits.to_bytes(len(raw) + 1, "little")
    found = b"".join(part for byte in packed for part in inflater.feed(bytes((byte,))))
    assert found == PLAIN[2000:]
    assert inflater.at == 4000 + len(found)
    assert inflater.packed_at == 70 + len(packed)


def test_what_decodes_to_much_comes_in_pieces() -> None:
    """So that a small stream of a client's takes no large memory."""
    plain = bytes(5 * OUTPUT + 1)
    lengths = [len(piece) for piece in Inflater().feed(gzip.compress(plain))]
    assert max(lengths) <= OUTPUT
    assert sum(lengths) == len(plain)


def test_streams_in_a_row_are_one_and_zeros_behind_are_none() -> None:
    """As gzip(1) has it."""
    inflater = Inflater()
    packed = gzip.compress(PLAIN) + gzip.compress(b"more") + bytes(50)
    assert b"".join(inflater.feed(packed)) == PLAIN + b"more"
    assert inflater.is_between


@pytest.mark.parametrize("cut", [1, 7, 9, 500])
def test_a_stream_that_is_cut_off_is_noticed(cut: int) -> None:
    """Within its last block, or its checksum."""
    finder = SeekPointFinder()
    assert PLAIN.startswith(b"".join(finder.feed(gzip.compress(PLAIN)[:-cut])))
    with pytest.raises(ValueError, match="ends in its middle"):
        finder.end()


def test_a_damaged_stream_is_noticed() -> None:
    """By its checksum."""
    packed = bytearray(gzip.compress(PLAIN))
    packed[-8] ^= 1
    with pytest.raises(zlib.error):
        b"".join(SeekPointFinder().feed(bytes(packed)))
