"""Numbers in columns: many of one kind beside each other, by their bytes, which packs well.

A column is its count, how many bytes each number has, and then the lowest byte of all of them, the
next one of all of them, and so on. Where most numbers are small most of that is zeros.
"""

import struct
from collections.abc import Iterator, Sequence

_PREFIX = struct.Struct("<IB")
_WIDEST = 8  # bytes: numbers below zero have all of them


def pack_columns(columns: Sequence[Sequence[int]]) -> bytes:
    """Return the columns, each of signed 64-bit numbers, one behind the other."""
    return b"".join(map(_pack, columns))


def unpack_columns(packed: bytes) -> Iterator[Sequence[int]]:
    """Yield the columns that pack_columns() was given. Raises ValueError where they are none."""
    at = 0
    while at < len(packed):
        if len(packed) - at < _PREFIX.size:
            raise ValueError("a column is cut off")
        count, width = _PREFIX.unpack_from(packed, at)
        at += _PREFIX.size
        if width > _WIDEST or count * width > len(packed) - at:
            raise ValueError("a column is cut off")
        if not width:
            yield bytes(count)
        elif width == 1:
            yield packed[at : at + count]
        else:
            numbers = bytearray(_WIDEST * count)
            for place in range(width):
                begin = at + place * count
                numbers[place::_WIDEST] = packed[begin : begin + count]
            yield struct.unpack(f"<{count}q", numbers)
        at += count * width


def _pack(column: Sequence[int]) -> bytes:
    count = len(column)
    lowest, highest = min(column, default=0), max(column, default=0)
    width = _WIDEST if lowest < 0 else (highest.bit_length() + 7) // 8
    prefix = _PREFIX.pack(count, width)
    if width <= 1:
        return prefix + bytes([*column]) * width
    numbers = struct.pack(f"<{count}q", *column)
    return prefix + b"".join([numbers[place::_WIDEST] for place in range(width)])
