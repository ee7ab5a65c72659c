"""The members of an image that gzip has packed, with seek points, in one go through the dump."""

import zlib
from collections.abc import Iterator, Sequence

from asyncamanda.core.restore.image import ImageParser, Member
from asyncamanda.core.restore.inflater import SeekPoint
from asyncamanda.core.restore.seek_points import SPACING, SeekPointFinder
from asyncamanda.server.restore.dump_files import DumpFiles

MOST_POINTS = 4096  # of one dump; each takes some 15 KB of what is kept
_PIECE = 1 << 18


class GzipMembers:
    """Iterates over the members. When it has ended, `points` are all there are.

    It raises ValueError where the dump is broken or cut off, to its last byte, and BadDataError
    where it cannot be read.
    """

    def __init__(self, files: DumpFiles) -> None:
        self._files = files
        self._finder = SeekPointFinder(max(SPACING, files.size // MOST_POINTS))

    @property
    def points(self) -> Sequence[SeekPoint]:
        """The seek points that were found until now."""
        return self._finder.points

    def __iter__(self) -> Iterator[Member]:
        parser = ImageParser()
        at = packed_at = 0
        try:
            while packed := self._files.read_at(packed_at, _PIECE):
                packed_at += len(packed)
                for piece in self._finder.feed(packed):
                    if not parser.is_ended:
                        yield from parser.feed(at, piece)
                    at += len(piece)
        except zlib.error as error:
            raise ValueError(f"it cannot be unpacked: {error}") from error
        self._finder.end()
        parser.end()
