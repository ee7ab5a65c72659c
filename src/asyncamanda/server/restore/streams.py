"""Images of disks, as the archive of them needs them: bytes by their offset, in rising order.

A dump that is no filter's work is read where it lies, from any place. Through filters one can only
read on, so whoever wants an earlier byte begins again.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence

from asyncamanda.core.amanda.filters import FilterStep
from asyncamanda.errors import AsyncamandaError, BadDataError
from asyncamanda.server.restore.dump_files import OpenDump
from asyncamanda.server.restore.pipeline import PATIENCE, Command, Pipeline
from asyncamanda.server.restore.sinks import Sink

_PIECE = 1 << 18
_AT_ONCE = 1 << 20  # bytes that the kernel is asked to move: how far it is can be seen meanwhile


class Image(ABC):
    """The bytes that tar has written. What was read last is kept until the next is."""

    def __init__(self, files: OpenDump) -> None:
        self.files = files
        self._at, self._piece = 0, b""

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes (more, if they were read before); b"" at the end only.

        Raises BadDataError if they cannot be read or unpacked.
        """
        begun = offset - self._at
        if not 0 <= begun < len(self._piece):
            begun = 0
            self._at, self._piece = offset, self._read(offset, count)
        return self._piece[begun:]

    def copy_to(self, sink: Sink, offset: int, count: int) -> None:
        """Write so many bytes to `sink`.

        Raises BadDataError if the image does not have or give them, and OSError if they cannot be
        written.
        """
        begun = offset - self._at
        if 0 <= begun < len(self._piece):
            kept = memoryview(self._piece)[begun : begun + count]
            sink.write(kept)
            offset, count = offset + len(kept), count - len(kept)
        while count:
            moved = self._copy_some(sink, offset, min(count, _AT_ONCE))
            if not moved:
                raise self._cut_off(offset)
            offset, count = offset + moved, count - moved

    def copy_rest(self, sink: Sink, offset: int = 0) -> int:
        """Write all from `offset` on; return how many bytes that were. Raises as copy_to()."""
        at = offset
        while moved := self._copy_some(sink, at, _AT_ONCE):
            at += moved
        return at - offset

    def close(self) -> None:
        """Close the dump, and end what was started for it."""
        self.files.close()

    def _copy_some(self, sink: Sink, offset: int, count: int) -> int:
        moved = sink.send(self._move, offset, count)
        if moved is None:
            piece = self._read(offset, min(count, _PIECE))
            sink.write(piece)
            moved = len(piece)
        return moved

    @abstractmethod
    def _read(self, offset: int, count: int) -> bytes: ...

    @abstractmethod
    def _move(self, sink: int, offset: int, count: int) -> int:
        """Let the kernel move bytes to `sink`; return how many, 0 at the image's end only."""

    def _cut_off(self, offset: int) -> BadDataError:
        header = self.files.header
        return BadDataError(
            "dump-cut-off",
            f"the dump {header.timestamp} of {header.host}:{header.disk} ends at byte {offset}, "
            "in the middle of a file",
            "an earlier dump may be whole",
        )


class PlainImage(Image):
    """An image that lies in its files as tar has written it."""

    def _read(self, offset: int, count: int) -> bytes:
        return self.files.read_at(offset, count)

    def _move(self, sink: int, offset: int, count: int) -> int:
        return self.files.send(sink, offset, count)


class FilteredImage(Image):
    """An image that is unpacked by programs as it is read. `starts` counts how often it was begun.

    Raises ConfigurationError where a program cannot be run.
    """

    def __init__(
        self, files: OpenDump, steps: Sequence[FilterStep], patience: float = PATIENCE
    ) -> None:
        super().__init__(files)
        self.starts = 0
        self._steps = steps
        self._patience = patience
        self._pipeline: Pipeline | None = None
        self._offset = 0  # of what the pipeline gives next

    def close(self) -> None:
        """Close the dump, and end the programs."""
        self.stop()
        super().close()

    def _read(self, offset: int, count: int) -> bytes:
        piece = self._go_to(offset).read(count)
        self._offset += len(piece)
        return piece

    def _move(self, sink: int, offset: int, count: int) -> int:
        moved = self._go_to(offset).move(sink, count)
        self._offset += moved
        return moved

    def _go_to(self, offset: int) -> Pipeline:
        """Return the pipeline, whose next byte is that one (or it is at its end)."""
        if self._pipeline is None or offset < self._offset:
            self.stop()
            self._pipeline = Pipeline(self.files, self._commands(), self._explain, self._patience)
            self._offset = 0
            self.starts += 1
        if offset > self._offset:
            self._pass_over(self._pipeline, offset)
        return self._pipeline

    def _commands(self) -> Sequence[Command]:
        return [(step.program, *filter(None, [step.option])) for step in self._steps]

    def _explain(self, how: str) -> AsyncamandaError:
        return cannot_unpack(self.files, how)

    def _pass_over(self, pipeline: Pipeline, offset: int) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            while self._offset < offset:
                moved = pipeline.move(nowhere, offset - self._offset)
                if not moved:
                    return
                self._offset += moved
        finally:
            os.close(nowhere)

    def stop(self) -> None:
        """End the programs; what is read then begins them again."""
        if self._pipeline:
            self._pipeline.close()
            self._pipeline = None


def cannot_unpack(files: OpenDump, how: str) -> BadDataError:
    """Return the error for a dump whose filter cannot be undone."""
    header = files.header
    return BadDataError(
        "filter-failed",
        f"the dump {header.timestamp} of {header.host}:{header.disk} in {files.where} cannot be "
        f"unpacked: {how}",
        "is the dump damaged? An earlier one may be whole",
    )
