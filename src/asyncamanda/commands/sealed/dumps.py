"""Dumps that this machine has encrypted, read over the line to the gate and opened here.

The gate sends a dump as it lies there, from any byte on, and here it goes through age and gzip. So
nothing of it lies on a disk in between. One transfer goes on at a time: the server has few turns.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from asyncamanda.client.restore.exchange import Exchange
from asyncamanda.client.restore.gateway import Gateway, Reconnection
from asyncamanda.commands.sealed.heads import LARGEST
from asyncamanda.core.amanda.dump_form import AMGTAR, APPLICATION, DumpForm, parse_form
from asyncamanda.core.amanda.filters import GZIP, UNDO
from asyncamanda.core.amanda.header import DumpHeader, FileKind
from asyncamanda.core.amanda.sealing import AGE, PROGRAM
from asyncamanda.core.restore.answer import ImageOfDisk, RestoreAnswer
from asyncamanda.core.restore.request import At, RawRequest
from asyncamanda.core.values.shellwords import quote_word
from asyncamanda.errors import AsyncamandaError, BadDataError, RefusedError
from asyncamanda.server.restore.pipeline import Command
from asyncamanda.server.restore.streams import FilteredImage, Image, PlainImage, cannot_unpack
from asyncamanda.system.clock import now as read_clock

PIECE = 1 << 18  # bytes
NEAR = 1 << 26  # bytes that are rather read and thrown away than asked for again
HERE = "this machine"
_WRONG_KEY = "no identity matched"  # age 1.1.1 and 1.2.1


class Drawer:
    """The line to the gate, on which one dump is read at a time."""

    def __init__(self, gateway: Gateway, tell: Callable[[str], None]) -> None:
        self.gateway = gateway
        self.tell = tell
        self.reader: RemoteDump | None = None

    def take(self, reader: "RemoteDump") -> None:
        """Let `reader` have it: what another one reads ends, and it begins again later."""
        if self.reader and self.reader is not reader:
            self.reader.pause()
        self.reader = reader


class RemoteDump:
    """A dump as it lies on the server, read over the line: an OpenDump (dump_files.py)."""

    def __init__(self, drawer: Drawer, disk: str, run: str, image: ImageOfDisk) -> None:
        """`run` is that of the chain's last dump."""
        self.header = _make_header(disk, image)
        self.form = _make_form(self.header, image)
        self.where = drawer.gateway.host
        self.size = image.size or 0
        self._drawer = drawer
        self._ask = (disk, run, image)
        self._exchange: Exchange | None = None
        self._at, self._piece = 0, b""  # the piece that was read last, and where it begins

    def close(self) -> None:
        """End what is read."""
        self.pause()
        if self._drawer.reader is self:
            self._drawer.reader = None

    def pause(self) -> None:
        """End what is read for now."""
        if self._exchange:
            self._exchange.close()
            self._exchange = None

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes; b"" at the end only. Raises AsyncamandaError."""
        begun = offset - self._at
        if not 0 <= begun < len(self._piece):
            self._go_to(offset)
            begun = offset - self._at
        return self._piece[begun : begun + count]

    def send(self, sink: int, offset: int, count: int) -> int:
        """Write up to `count` bytes to `sink`; return how many, 0 at the end only."""
        piece = self.read_at(offset, count)
        return os.write(sink, piece) if piece else 0

    def _go_to(self, offset: int) -> None:
        """Let the piece be one that has the byte `offset`, or an empty one at the end."""
        there = self._at + len(self._piece)
        if self._exchange is None or not there <= offset <= there + NEAR:
            self.pause()
            there = offset
        self._at, self._piece = there, b""
        while self._at + len(self._piece) <= offset:
            self._at += len(self._piece)
            self._piece = self._read()
            if not self._piece:
                self._at = offset
                return

    def _read(self) -> bytes:
        """Return what comes next, b"" at the end; a connection that breaks is made again."""
        if self.size and self._at >= self.size:
            return b""
        reconnection = Reconnection(self._drawer.gateway, self._drawer.tell)
        while True:
            self._drawer.take(self)
            self._exchange = self._exchange or self._begin()
            began_at = read_clock()
            if piece := self._exchange.source.read(PIECE):
                return piece
            end = self._exchange.conclude()
            self.pause()
            if end.done and not end.failed:
                if self.size and self._at != self.size:
                    raise self._short()
                return b""
            error = self._drawer.gateway.explain_end(end)
            if not Reconnection.is_cut(end):
                raise error
            reconnection.wait(error, max(read_clock() - began_at, timedelta(0)))

    def _begin(self) -> Exchange:
        disk, run, image = self._ask
        request = RawRequest(disk, At(run=run), image.level, self._at)

        def hear(answer: RestoreAnswer) -> None:
            self._drawer.gateway.note(answer)

        return self._drawer.gateway.ask(request, hear)

    def _short(self) -> BadDataError:
        return BadDataError(
            "image-short",
            f"the dump {self.header.timestamp} came to its end before all of it had come",
            "an earlier dump may be whole",
        )


class SealedImage(FilteredImage):
    """An image that is decrypted, and then unpacked, as it is read.

    What it `begins` with need not be, where that is known.
    """

    def __init__(self, files: RemoteDump, identity: Path, begins: bytes = b"") -> None:
        super().__init__(files, files.form.steps)
        self._identity = identity
        self.begins = begins
        self._is_noting = not begins

    def stop_noting(self) -> bool:
        """Note no more of what it begins with; return whether something was noted until now."""
        is_new, self._is_noting = self._is_noting, False
        return is_new and bool(self.begins)

    def _read(self, offset: int, count: int) -> bytes:
        if offset < len(self.begins):
            return self.begins[offset : offset + count]
        piece = super()._read(offset, count)
        if self._is_noting and offset == len(self.begins) <= LARGEST:
            self.begins += piece
        return piece

    def _commands(self) -> Sequence[Command]:
        decrypt = (AGE, "--decrypt", "--identity", str(self._identity))
        return [decrypt, *((GZIP, UNDO) for _ in self._steps[1:])]

    def _explain(self, how: str) -> AsyncamandaError:
        if _WRONG_KEY not in how:
            return cannot_unpack(self.files, how)
        header = self.files.header
        return RefusedError(
            "wrong-key",
            f"the key of this machine does not open the dump {header.timestamp} of {header.disk}: "
            "it was encrypted for another one",
            "the recovery sheet of that time has its key",
        )


def open_image(files: RemoteDump, identity: Path, begins: bytes = b"", *, is_raw: bool) -> Image:
    """Return the image in a dump, opened if it is sealed; `begins`: what it begins with, if known.

    With `is_raw` what something else has encrypted is left as it lies there.

    Raises RefusedError if something else has encrypted it than asyncamanda, and BadDataError where
    files of it are wanted (not `is_raw`) and it is no image of tar's.
    """
    form = files.form
    if not is_raw and not form.is_tar:
        raise BadDataError(
            "no-tar-image",
            f"{form.maker} has made the dump {files.header.timestamp} of {files.header.disk}, of "
            "which only the whole image can be had",
            f"as root: asyncamanda restore --raw {quote_word(files.header.disk)}",
        )
    if not form.is_sealed:
        return PlainImage(files)
    programs = [step.program for step in form.steps]
    is_ours = programs in ([PROGRAM], [PROGRAM, GZIP])
    if is_raw and not is_ours:
        return PlainImage(files)
    if not is_ours:
        raise RefusedError(
            "other-encryption",
            f"the dump {files.header.timestamp} of {files.header.disk} was encrypted by "
            f"{programs[0] or '?'}, and not by asyncamanda",
            f"asyncamanda restore --raw {quote_word(files.header.disk)} gets it as it lies there",
        )
    return SealedImage(files, identity, begins)


def find_doubts(disk: str, images: Sequence[ImageOfDisk]) -> tuple[str, ...]:
    """Return which images nobody has encrypted, in words: a server can make such ones itself."""
    return tuple(
        f"the dump {image.run} is not encrypted: the server can read it, and could have changed it"
        for image in images
        if not _make_form(_make_header(disk, image), image).is_sealed
    )


def _make_header(disk: str, image: ImageOfDisk) -> DumpHeader:
    return DumpHeader(
        FileKind.WHOLE,
        image.run,
        HERE,
        disk,
        image.level,
        size=image.size,
        claims=image.claims,
        application=image.maker,
        dle=image.dle,
        unpacked_size=image.unpacked_size,
    )


def _make_form(header: DumpHeader, image: ImageOfDisk) -> DumpForm:
    program, application = image.maker, ""
    if image.maker == AMGTAR:
        program, application = APPLICATION, AMGTAR
    return replace(parse_form(header), program=program, application=application)
