"""The CRC-32C of what lies in a dump's files, and of the image in it, in one reading.

Amanda notes both in the dump's header (core/amanda/header.py). The files are read into one buffer,
which is summed where it lies; where programs unpack the dump, they are fed from there, too.
"""

import mmap
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crc32c import crc32c

from asyncamanda.core.amanda.filters import FilterStep
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.dump_files import DumpFiles
from asyncamanda.server.restore.pipeline import Pipeline
from asyncamanda.server.restore.streams import cannot_unpack

WINDOW = 1 << 20  # bytes


@dataclass(slots=True)
class Sum:
    """A CRC-32C, and of how many bytes."""

    checksum: int = 0
    size: int = 0

    def add(self, piece: bytes | memoryview) -> None:
        """Go on with the next bytes."""
        self.checksum = crc32c(piece, self.checksum)
        self.size += len(piece)


class SummedFeed:
    """A dump's files for a pipeline, summed as they are read; read() in rising order only."""

    def __init__(self, files: DumpFiles, pause: Callable[[], None]) -> None:
        self.sum = Sum()
        self._files = files
        self._pause = pause
        self._buffer = memoryview(mmap.mmap(-1, WINDOW))
        self._begin = self._end = 0  # of what is in the buffer

    def fill(self) -> memoryview:
        """Return the next bytes, which are there until the next call; none at the end."""
        self._pause()
        self._begin = self._end
        count = self._files.read_into(self._buffer, self._end)
        self._end += count
        piece = self._buffer[:count]
        self.sum.add(piece)
        return piece

    def read_at(self, offset: int, count: int) -> memoryview:
        """Return up to `count` bytes, none at the end. Raises as DumpFiles.read_at()."""
        if offset == self._end:
            self.fill()
        assert self._begin <= offset <= self._end
        return self._buffer[offset - self._begin : self._end - self._begin][:count]

    def send(self, sink: int, offset: int, count: int) -> int:
        """Write as many bytes as `sink` takes; return how many, 0 at the end only."""
        piece = self.read_at(offset, count)
        return os.write(sink, piece) if piece else 0


def sum_dump(
    files: DumpFiles, steps: Sequence[FilterStep], pause: Callable[[], None]
) -> tuple[Sum, Sum]:
    """Return the sums of a dump as it lies there, and of the image that `steps` make of it.

    `pause` is called between any two pieces. Raises BadDataError if a file cannot be read or
    unpacked, ConfigurationError where a program cannot be run.
    """
    feed = SummedFeed(files, pause)
    if not steps:
        while feed.fill():
            pass
        return feed.sum, feed.sum
    commands = [(step.program, *filter(None, [step.option])) for step in steps]
    unpacked = Sum()
    pipeline = Pipeline(feed, commands, lambda how: cannot_unpack(files, how))
    try:
        most = files.header.unpacked_size
        while piece := pipeline.read(WINDOW):
            unpacked.add(piece)
            if most is not None and unpacked.size > most:  # it might never end
                break
    finally:
        pipeline.close()
    while feed.fill():  # what gzip has not taken, behind the image
        pass
    return feed.sum, unpacked


def find_wrong_sum(files: DumpFiles, stored: Sum, unpacked: Sum | None) -> BadDataError | None:
    """Return the error if the bytes are not those that Amanda has noted; `unpacked` may be unknown.

    What it has not noted is not compared.
    """
    header = files.header
    noted = [("its files", stored, header.checksum, header.size)]
    if unpacked:
        unpacked_size = header.unpacked_size
        noted.append(("the image in it", unpacked, header.unpacked_checksum, unpacked_size))
    for what, found, checksum, size in noted:
        if checksum is not None and (found.checksum, found.size) != (checksum, size):
            return BadDataError(
                "dump-changed",
                f"the dump {header.timestamp} of {header.host}:{header.disk} in {files.where} is "
                f"not as it was written: the checksum of {what} is {found.checksum:08x}, of "
                f"{format_size(found.size)}, and was {checksum:08x}, of {format_size(size or 0)}",
                "a full dump makes a whole one; is the disk that it lies on in order? `dmesg` on "
                "the server may tell",
            )
    return None
