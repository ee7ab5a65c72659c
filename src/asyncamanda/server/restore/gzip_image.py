"""An image that gzip has packed, and whose seek points are kept: read from any place of it.

It is unpacked by this process, which is as quick as a program and can begin in the middle.
"""

import os
import zlib
from collections.abc import Iterator
from contextlib import suppress

from asyncamanda.core.restore.inflater import Inflater
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.kept_index import BadKept
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.dump_files import DumpFiles
from asyncamanda.server.restore.streams import Image

_PIECE = 1 << 16  # packed bytes that are read at a time
_NEAR = 1 << 20  # bytes: less is rather unpacked than jumped over


class GzipImage(Image):
    """Such an image. `packed_read` counts the bytes of the dump that were read."""

    def __init__(self, files: DumpFiles, head: KeptHead) -> None:
        super().__init__(files)
        self.packed_read = 0
        self._head = head
        self._inflater = Inflater()
        self._pieces: Iterator[bytes] = iter(())
        self._piece = memoryview(b"")  # what is unpacked by now, the last of it

    def _read(self, offset: int, count: int) -> bytes:
        self._go_to(offset)
        piece, self._piece = self._piece[:count], self._piece[count:]
        return bytes(piece)

    def _move(self, sink: int, offset: int, count: int) -> int:
        self._go_to(offset)
        moved = os.write(sink, self._piece[:count]) if self._piece else 0
        self._piece = self._piece[moved:]
        return moved

    def _go_to(self, offset: int) -> None:
        """Let `_piece` begin with the byte at `offset`; it is empty at the image's end only."""
        if not 0 <= offset - self._at_first() <= len(self._piece) + _NEAR:
            self._enter(offset)
        while (ahead := offset - self._at_first()) >= len(self._piece):
            piece = self._unpack()
            self._piece = memoryview(piece)
            if not piece:
                return
        self._piece = self._piece[ahead:]

    def _at_first(self) -> int:
        return self._inflater.at - len(self._piece)

    def _enter(self, offset: int) -> None:
        """Go to the seek point before `offset`, unless what is unpacked by now is nearer."""
        point = None
        with suppress(BadKept):
            point = self._head.point_before(offset)
        is_behind = offset < self._at_first()
        if is_behind or (point and point.at > self._inflater.at):
            self._inflater = Inflater(point)
            self._pieces, self._piece = iter(()), memoryview(b"")

    def _unpack(self) -> bytes:
        """Return what comes next, b"" at the end only."""
        try:
            while True:
                for piece in self._pieces:
                    return piece
                packed = self.files.read_at(self._inflater.packed_at, _PIECE)
                if not packed:
                    break
                self.packed_read += len(packed)
                self._pieces = self._inflater.feed(packed)
        except zlib.error as error:
            raise self._broken(str(error)) from error
        if not self._inflater.is_between:
            raise self._broken("it is cut off")
        return b""

    def _broken(self, reason: str) -> BadDataError:
        header = self.files.header
        return BadDataError(
            "filter-failed",
            f"the dump {header.timestamp} of {header.host}:{header.disk} in {self.files.where} "
            f"cannot be unpacked: {reason}",
            "is the dump damaged? An earlier one may be whole",
        )
