"""Whole images of a disk: which there are, and one after another received."""

import contextlib
import os
from collections.abc import Callable
from datetime import timedelta

from asyncamanda.client.restore.exchange import Exchange, ExchangeEnd
from asyncamanda.client.restore.gateway import Gateway, Reconnection
from asyncamanda.core.restore.answer import DiskAnswer, ImageOfDisk, ImagesPlan, RestoreAnswer
from asyncamanda.core.restore.request import At, RawRequest
from asyncamanda.errors import (
    AsyncamandaError,
    BadDataError,
    LaterError,
    ProtocolError,
    RefusedError,
)
from asyncamanda.report.text import name_disks
from asyncamanda.system.clock import now as read_clock

PIECE = 1 << 20  # bytes
NOT_UNDERSTOOD = "not-understood"


def find_disk(gateway: Gateway, named: str) -> DiskAnswer:
    """Return the disk of that name, or that is that path at the client.

    Raises BadDataError if there is none, and what Gateway.ask_disks() raises.
    """
    disks = gateway.ask_disks(asks_on=True)
    device = named.rstrip("/") or "/"
    for disk in disks:
        if disk.disk == named:
            return disk
    for disk in disks:
        if disk.device == device:
            return disk
    there = name_disks([disk.disk for disk in disks])
    raise BadDataError(
        "no-such-disk",
        f"the server has no disk {named} of this client",
        f"there are: {there}" if disks else "nothing of this client can be restored",
    )


def ask_images(gateway: Gateway, disk: str, at: At, *, asks_on: bool = False) -> ImagesPlan:
    """Return the images of which the disk is made at a date.

    `asks_on`: another request will follow, for which the server makes ready meanwhile.
    Raises RefusedError if the server is older than images, and what Gateway.ask() raises.
    """
    plans: list[ImagesPlan] = []

    def take(answer: RestoreAnswer) -> None:
        if isinstance(answer, ImagesPlan):
            plans.append(answer)
        gateway.note(answer)

    with contextlib.closing(gateway.ask(RawRequest(disk, at), take)) as exchange:
        if asks_on:
            gateway.prepare()
        end = exchange.conclude()
    if end.failed or not end.done or not plans:
        raise _explain(gateway, end)
    levels = [image.level for image in plans[-1].images]
    if not levels or levels != [*range(len(levels))]:
        raise _bad_answer(gateway, f"dumps of the levels {levels} are no chain")
    return plans[-1]


class ImageReceiver:
    """Receives images of the chain of one run. `have` is how much there is of the present one."""

    def __init__(
        self,
        gateway: Gateway,
        disk: str,
        run: str,
        tell: Callable[[str], None],
        show: Callable[[int], None],
    ) -> None:
        """`show` is called often, with `have`; `tell` gets words about trying again."""
        self.have = 0
        self._gateway = gateway
        self._disk = disk
        self._at = At(run=run)
        self._tell = tell
        self._show = show
        self._told: ImagesPlan | None = None  # in the present session

    def fetch(self, image: ImageOfDisk, sink: int, have: int) -> None:
        """Write an image to the descriptor `sink`, but for the first bytes, which are there.

        Raises ProtocolError, BadDataError, RefusedError and LaterError; the sink's OSError; and
        Interrupted.
        """
        self.have = have
        reconnection = Reconnection(self._gateway, self._tell)
        has_begun = False
        while True:
            began_at = read_clock()
            try:
                end = self._try(image, sink)
            except LaterError as error:
                if not has_begun:
                    raise
                reconnection.wait(error, timedelta(0))
                continue
            if end.done and not end.failed:
                return self._check(image, end.done.size)
            if not Reconnection.is_cut(end):
                raise _explain(self._gateway, end)
            has_begun = True
            stood = read_clock() - began_at if self._told else timedelta(0)
            reconnection.wait(self._gateway.explain_end(end), stood)

    def _try(self, image: ImageOfDisk, sink: int) -> ExchangeEnd:
        """Receive what comes over one connection; return how its session ended."""
        self._told = None
        request = RawRequest(self._disk, self._at, image.level, self.have)
        exchange = self._gateway.ask(request, self._hear, lambda: self._show(self.have))
        with contextlib.closing(exchange):
            while self._told is None and exchange.await_answer():
                pass
            if self._told:
                self._receive(image, exchange, sink)
            return exchange.conclude()

    def _receive(self, image: ImageOfDisk, exchange: Exchange, sink: int) -> None:
        assert self._told
        if image not in self._told.images:
            raise BadDataError(
                "chain-changed",
                f"{self._disk} would be restored from other dumps than a moment ago",
                "begin again, without --resume",
            )
        while piece := exchange.source.read(PIECE):
            self.have += len(piece)
            if image.size is not None and self.have > image.size:
                raise _bad_answer(self._gateway, f"the image has more than {image.size} bytes")
            left = memoryview(piece)
            while left:
                left = left[os.write(sink, left) :]
            self._show(self.have)

    def _check(self, image: ImageOfDisk, sent: int) -> None:
        """Raise BadDataError unless all of the image has come."""
        if self.have != (sent if image.size is None else image.size):
            raise BadDataError(
                "image-short",
                f"{self.have} bytes of the level {image.level} image have come, not "
                f"{sent if image.size is None else image.size}",
                "begin again, without --resume",
            )

    def _hear(self, answer: RestoreAnswer) -> None:
        if isinstance(answer, ImagesPlan):
            self._told = answer
        self._gateway.note(answer)


def _explain(gateway: Gateway, end: ExchangeEnd) -> AsyncamandaError:
    if end.failed and end.failed.reference == NOT_UNDERSTOOD:
        return RefusedError(
            "server-too-old",
            f"the asyncamanda at {gateway.host} gives no whole images back",
            "it is older than this one: its administrator can upgrade it, or do it by hand "
            "(docs/restore-by-hand.md)",
        )
    return gateway.explain_end(end)


def _bad_answer(gateway: Gateway, words: str) -> ProtocolError:
    return ProtocolError(
        "bad-answer",
        f"{gateway.host} sent what is no answer to this: {words}",
        "is it your server?",
    )
