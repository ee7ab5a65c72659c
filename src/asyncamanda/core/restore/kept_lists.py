"""Folders' lists in a kept head: whole, or different from those in its base, on which it builds.

A folder that is there as in the base is in neither form. They are packed in blocks of some folders
in a row, so that one is found without unpacking a million others.
"""

import struct
import zlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate, pairwise

from asyncamanda.core.restore.columns import pack_columns, unpack_columns
from asyncamanda.core.restore.list_differences import (
    ListDifference,
    apply_difference,
    make_older,
)

LARGE = 1 << 17  # bytes of lists that make a block; one folder may have more
LEVEL = 6  # of zlib: 9 takes thrice as long for a hundredth less
_LENGTHS = struct.Struct("<II")


class Form(IntEnum):
    """How a folder's list is written."""

    WHOLE = 0
    DIFFERENT = 1
    GONE = 2  # the base has the folder, this image has not
    STORED = 3  # different only in what the image has


FROM_BASE = {Form.DIFFERENT, Form.STORED}


@dataclass(slots=True)
class Lists:
    """The lists of a block, folder by folder. `numbers` belong to those that are different."""

    paths: list[bytes] = field(default_factory=list)
    forms: list[int] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    numbers: list[Sequence[int]] = field(default_factory=list)
    size: int = 0  # of what was added, in bytes

    def add(self, path: bytes, listed: bytes | ListDifference | None) -> None:
        """Add a folder, whose list is whole, different, or which is gone."""
        self.paths.append(path)
        self.size += len(path)
        if isinstance(listed, ListDifference):
            self.forms.append(Form.DIFFERENT if any(listed.numbers[:3]) else Form.STORED)
            self.texts.append(listed.added)
            self.numbers.append(listed.numbers)
            self.size += len(listed.added) + len(listed.numbers)
            return
        self.forms.append(Form.GONE if listed is None else Form.WHOLE)
        self.texts.append(listed or b"")
        self.numbers.append(())
        self.size += len(listed or b"")

    def find(self, path: bytes) -> int | None:
        """Return the folder's number in the block, None if it is not in it."""
        paths = self.paths
        number = bisect_left(paths, path)
        return number if number < len(paths) and paths[number] == path else None

    def listed(self, number: int, before: bytes, *, is_older: bool) -> bytes | None:
        """Return the list of a folder, or its older form; None if the folder is gone.

        `before` is the older form of the base's.
        """
        text, form = self.texts[number], self.forms[number]
        if form == Form.STORED and is_older:
            return before
        if form in FROM_BASE:
            return apply_difference(before, self.numbers[number], text, is_older=is_older)
        if form == Form.GONE:
            return None
        return make_older(text) if is_older else text

    def pack(self) -> bytes:
        """Return the lists as they are kept."""
        lengths = [*map(len, self.texts)]
        counts = [*map(len, self.numbers)]
        numbers = [number for some in self.numbers for number in some]
        columns = pack_columns([self.forms, lengths, counts, numbers])
        paths = b"\0".join(self.paths)
        head = _LENGTHS.pack(len(columns), len(paths))
        return zlib.compress(b"".join((head, columns, paths, *self.texts)), LEVEL)


def unpack_lists(packed: bytes) -> Lists:
    """Return the lists that Lists.pack() made. Raises ValueError or zlib.error."""
    unpacked = zlib.decompress(packed)
    columns_end, paths_length = _LENGTHS.unpack_from(unpacked)
    columns_end += _LENGTHS.size
    paths_end = columns_end + paths_length
    forms, lengths, counts, numbers = unpack_columns(unpacked[_LENGTHS.size : columns_end])
    paths = unpacked[columns_end:paths_end].split(b"\0")
    ends = [*accumulate(lengths, initial=paths_end)]
    texts = [unpacked[begin:end] for begin, end in pairwise(ends)]
    stops = [*accumulate(counts, initial=0)]
    own = [numbers[begin:end] for begin, end in pairwise(stops)]
    if not len(paths) == len(forms) == len(texts) == len(own) or ends[-1] != len(unpacked):
        raise ValueError("a block of lists does not fit together")
    return Lists(paths, [*forms], texts, [*own])
