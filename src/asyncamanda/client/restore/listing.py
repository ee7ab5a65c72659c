"""What was there at a date: names of a disk as the server sends them, one after another."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.core.restore.answer import FileVersion, RestoreAnswer, RestorePlan, UnmatchedPath
from asyncamanda.core.restore.request import ListRequest
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


def list_names(gateway: Gateway, request: ListRequest, listed: Listed) -> Iterator[list[bytes]]:
    """Yield what there is, many at a time: the flag, a byte, and the path from the disk's folder.

    `listed` has what the server says besides. Raises BadDataError if there is nothing, and the
    server's errors.
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
        raise explain_unmatched(request, listed)
    if failed or not end.done or rest:
        raise gateway.explain_end(end)


def explain_unmatched(request: ListRequest, listed: Listed) -> BadDataError:
    """Return the error for a path that was not there."""
    name = os.fsdecode(request.path) or request.disk
    hint = "--versions shows in which dumps it is, and --at lists another date"
    if listed.near:
        hint = f"near it there is: {name_disks([*map(os.fsdecode, listed.near)])}; {hint}"
    what = f"{os.fsdecode(request.glob)} below {name}" if request.glob else name
    return BadDataError(NOTHING_MATCHED, f"{what} is not in the backup of {request.disk}", hint)
