"""An image that gzip has packed, and whose seek points are kept: read from any place of it.

It is unpacked by this process, which is as quick as a program and can begin in the middle.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress

from asyncamanda.core.amanda.filters import GZIP, UNDO, FilterStep
from asyncamanda.core.restore.inflater import Inflater
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.kept_index import BadKept
from asyncamanda.server.restore.dump_files import OpenDump
from asyncamanda.server.restore.streams import Image, cannot_unpack

_GZIPS = {GZIP, "pigz"}
_PIECE = 1 << 16  # packed bytes that are read at a time
_NEAR = 1 << 20  # bytes: less is rather unpacked than jumped over


def is_gzip(steps: Sequence[FilterStep]) -> bool:
    """Return whether a dump is what gzip makes, and nothing else."""
    programs = [step.program.rpartition("/")[2] for step in steps if step.option == UNDO]
    return len(steps) == 1 and bool(_GZIPS & {*programs})


class GzipImage(Image):
    """Such an image. `packed_read` counts the bytes of the dump that were read."""

    def __init__(self, files: OpenDump, head: KeptHead) -> None:
        super().__init__(files)
        self.packed_read = 0
        self._head = head
        self._inflater = Inflater()
        self._coming: Iterator[bytes] = iter(())
        self._unpacked: memoryview = memoryview(b"")  # what is unpacked by now, the last of it

    def _read(self, offset: int, count: int) -> bytes:
        self._go_to(offset)
        piece, self._unpacked = self._unpacked[:count], self._unpacked[count:]
        return bytes(piece)

    def _move(self, sink: int, offset: int, count: int) -> int:
        self._go_to(offset)
        moved = os.write(sink, self._unpacked[:count]) if self._unpacked else 0
        self._unpacked = self._unpacked[moved:]
        return moved

    def _go_to(self, offset: int) -> None:
        """Let `_unpacked` begin with the byte at `offset`; it is empty at the image's end only."""
        if not 0 <= offset - self._at_first() <= len(self._unpacked) + _NEAR:
            self._enter(offset)
        while (ahead := offset - self._at_first()) >= len(self._unpacked):
            piece = self._unpack()
            self._unpacked = memoryview(piece)
            if not piece:
                return
        self._unpacked = self._unpacked[ahead:]

    def _at_first(self) -> int:
        return self._inflater.at - len(self._unpacked)

    def _enter(self, offset: int) -> None:
        """Go to the seek point before `offset`, unless what is unpacked by now is nearer."""
        point = None
        with suppress(BadKept):
            point = self._head.point_before(offset)
        is_behind = offset < self._at_first()
        if is_behind or (point and point.at > self._inflater.at):
            self._inflater = Inflater(point)
            self._coming, self._unpacked = iter(()), memoryview(b"")

    def _unpack(self) -> bytes:
        """Return what comes next, b"" at the end only."""
        try:
            while True:
                if (piece := next(self._coming, None)) is not None:
                    return piece
                packed = self.files.read_at(self._inflater.packed_at, _PIECE)
                if not packed:
                    break
                self.packed_read += len(packed)
                self._coming = self._inflater.feed(packed)
        except zlib.error as error:
            raise cannot_unpack(self.files, str(error)) from error
        if not self._inflater.is_between:
            raise cannot_unpack(self.files, "it is cut off")
        return b""
