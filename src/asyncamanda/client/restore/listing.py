"""What was there at a date: names of a disk as the server sends them, one after another."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.core.restore.answer import FileVersion, RestoreAnswer, RestorePlan, UnmatchedPath
from asyncamanda.core.restore.request import ListRequest
from asyncamanda.core.restore.whereabouts import join
from asyncamanda.core.values.shellwords import quote_word
from asyncamanda.errors import BadDataError, ProtocolError
from asyncamanda.report.text import name_disks

FOLDER = b"D"
LONGEST_NAME = 1 << 17  # bytes of a record
NOTHING_MATCHED = "nothing-matched"


@dataclass(slots=True)
class Listed:
    """What the server said beside the names."""

    plan: RestorePlan | None = None
    versions: tuple[FileVersion, ...] = ()
    near: tuple[bytes, ...] = ()
    is_unmatched: bool = False

    def take(self, answer: RestoreAnswer) -> None:
        """Note an answer."""
        match answer:
            case RestorePlan():
                self.plan = answer
            case FileVersion():
                self.versions = (*self.versions, answer)
            case UnmatchedPath():
                self.is_unmatched, self.near = True, answer.near


def list_names(
    gateway: Gateway, request: ListRequest, listed: Listed, top: bytes = b""
) -> Iterator[list[bytes]]:
    """Yield what there is, many at a time: the flag, a byte, and the path from the disk's folder.

    `listed` has what the server says besides; an error names paths below the folder `top`. Raises
    BadDataError if there is nothing, and the server's errors.
    """

    def hear(answer: RestoreAnswer) -> None:
        listed.take(answer)
        gateway.note(answer)

    with contextlib.closing(gateway.ask(request, hear)) as exchange:
        rest = b""
        for piece in exchange.records():
            *records, rest = (rest + piece).split(b"\0")
            if len(rest) > LONGEST_NAME:
                raise ProtocolError(
                    "bad-answer", f"{gateway.host} sent what is no list", "is it your server?"
                )
            if records:
                yield records
        end = exchange.conclude()
    failed = end.failed
    if listed.is_unmatched or (failed and failed.reference == NOTHING_MATCHED):
        raise explain_unmatched(request, listed, top)
    if failed or not end.done or rest:
        raise gateway.explain_end(end)


def explain_unmatched(request: ListRequest, listed: Listed, top: bytes = b"") -> BadDataError:
    """Return the error for a path that was not there; `top` is the disk's folder, if known."""
    name = os.fsdecode(join(top, request.path) if top else request.path) or request.disk
    if request.is_every_version:
        message = f"{name} is in no backup of {request.disk}"
        return BadDataError(NOTHING_MATCHED, message, "`asyncamanda list` shows what there is")
    near = [os.fsdecode(join(top, each) if top else each) for each in listed.near]
    what = f"{os.fsdecode(request.glob)} below {name}" if request.glob else name
    message = f"{what} was not there at that date, by the backup of {request.disk}"
    return BadDataError(NOTHING_MATCHED, message, hint_unmatched(name if top else "", near))


def hint_unmatched(name: str, near: Sequence[str]) -> str:
    """Return what to do about a path that was not there: `name`, or "" for several."""
    hint = "`asyncamanda list` shows what was there, and --at another date"
    if name:
        hint = f"in which backups it is: asyncamanda list --versions {quote_word(name)}"
    return f"near it there is: {name_disks(near)}; {hint}" if near else hint
