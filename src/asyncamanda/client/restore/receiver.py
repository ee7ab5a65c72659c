"""One part of a restore: asked for and received, over as many connections as it takes."""

import contextlib
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from asyncamanda.client.restore.delivery import Delivery
from asyncamanda.client.restore.exchange import Exchange, ExchangeEnd
from asyncamanda.client.restore.gateway import Gateway, Reconnection
from asyncamanda.client.restore.listing import NOTHING_MATCHED, hint_unmatched
from asyncamanda.client.restore.new_folder import PrivateFolder
from asyncamanda.client.restore.own_excludes import read_own_excludes
from asyncamanda.client.restore.record_lines import Part, RecordedState, to_text
from asyncamanda.core.restore.answer import (
    MissingFile,
    RestoreAnswer,
    RestorePlan,
    UnmatchedPath,
)
from asyncamanda.core.restore.image import Kind
from asyncamanda.core.restore.outcome import RestoreOutlook
from asyncamanda.core.restore.request import At, FilesRequest, Resume
from asyncamanda.core.restore.search import MAY_BE_EXCLUDED
from asyncamanda.core.restore.whereabouts import folder_of, join
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import AsyncamandaError, BadDataError, LaterError, ProtocolError
from asyncamanda.report.text import name_disks
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.incoming import StreamCut
from asyncamanda.system.untar import Unpacked, Unpacker

NO_SPACE = "no-space"


class RestoreTeller(Protocol):
    """Tells people how a restore goes."""

    def tell(self, text: str) -> None:
        """Say something that matters now."""

    def begin(self, outlooks: Sequence[RestoreOutlook], place: str) -> None:
        """Say what comes, and where to."""

    def progress(self, files: int, size: int) -> None:
        """Show how much has come; called often."""


class Receiver:
    """Receives the parts of a delivery, one after another.

    `missing` and `unmatched` are what the server said of all of them, by absolute names; `outlooks`
    what comes of each.
    """

    def __init__(self, gateway: Gateway, delivery: Delivery, teller: RestoreTeller) -> None:
        self.outlooks: list[RestoreOutlook] = []
        self.missing: dict[bytes, str] = {}
        self.unmatched: dict[bytes, tuple[bytes, ...]] = {}
        self._is_excluded = read_own_excludes()
        self._gateway = gateway
        self._delivery = delivery
        self._teller = teller
        self._unpacker: Unpacker | None = None
        self._part: Part | None = None  # whose answers are heard
        self._plan: RestorePlan | None = None  # of the present session
        self._exchange: Exchange | None = None
        self._came = 0  # where the last whole member of this session's stream ended

    def close(self) -> None:
        """Release what was opened for unpacking."""
        if self._unpacker:
            self._unpacker.close()

    def unpacker(self, folder: PrivateFolder) -> Unpacker:
        """Return what unpacks into the delivery's folder."""
        if self._unpacker is None:
            self._unpacker = Unpacker(folder.descriptor)
            self._unpacker.folders = folder.record.state.unfinished
        return self._unpacker

    def rehearse(self, part: Part) -> RestoreOutlook | None:
        """Return what would come of one part; None if nothing of it matches.

        Raises what Gateway.ask() raises, and the server's error.
        """
        self._part, self._plan = part, None
        request = FilesRequest(part.disk, part.paths, part.at, is_dry_run=True)
        with contextlib.closing(self._gateway.ask(request, self._hear)) as exchange:
            end = exchange.conclude()
        if end.failed and end.failed.reference == NOTHING_MATCHED:
            return None
        if end.failed or not end.done or self._plan is None:
            raise self._gateway.explain_end(end)
        return _outlook(part, self._plan)

    def fetch(self, number: int, part: Part) -> None:
        """Receive all of the part that has this number.

        Raises BadDataError if nothing matches, ProtocolError, RefusedError and LaterError; OSError
        for a disk that is full; and Interrupted.
        """
        self._part = part
        reconnection = Reconnection(self._gateway, self._teller.tell)
        has_begun = False
        while True:
            self._plan = None
            began_at = read_clock()
            try:
                is_whole, end = self._try(number, part)
            except LaterError as error:
                if not has_begun or error.reference == NO_SPACE:
                    raise
                reconnection.wait(error, timedelta(0))
                continue
            if is_whole and end.done and not end.failed:
                break  # before its last word the server may still say what is missing
            if not Reconnection.is_cut(end):
                raise self._explain(end)
            has_begun = True
            stood = read_clock() - began_at if self._plan else timedelta(0)
            reconnection.wait(self._gateway.explain_end(end), stood)
        self._end_part(number)

    def _try(self, number: int, part: Part) -> tuple[bool, ExchangeEnd]:
        """Return whether the stream came to its end, and how the session ended."""
        exchange = self._gateway.ask(self._request(number, part), self._hear, self.show)
        self._exchange, self._came = exchange, 0
        try:
            while self._plan is None and exchange.await_answer():
                pass
            plan: RestorePlan | None = self._plan
            is_whole = plan is not None and self._receive(number, part, plan, exchange)
            return is_whole, exchange.conclude()
        finally:
            self._exchange = None
            exchange.close()

    def _request(self, number: int, part: Part) -> FilesRequest:
        folder = self._delivery.folder
        state = folder.record.state if folder else None
        if state is None or state.part != number or not state.run:
            return FilesRequest(part.disk, part.paths, part.at)
        resume = Resume(state.dumps, state.done)
        return FilesRequest(part.disk, part.paths, At(run=state.run), resume=resume)

    def _receive(self, number: int, part: Part, plan: RestorePlan, exchange: Exchange) -> bool:
        """Unpack what comes; return whether that was all."""
        folder = self._admit(number, part, plan)
        unpacker = self.unpacker(folder)
        layout = self._delivery.layout(part)
        unpacker.place = lambda path, kind: layout.place(path, is_folder=kind is Kind.FOLDER)
        try:
            for one in unpacker.unpack(exchange.source):
                self._note(one, folder, unpacker)
        except StreamCut:
            return False
        except ValueError as error:
            raise ProtocolError(
                "bad-stream",
                f"{self._gateway.host} sent what is no answer to this: {error}",
                "is it your server? What came before this is as it was backed up",
            ) from error
        return True

    def _admit(self, number: int, part: Part, plan: RestorePlan) -> PrivateFolder:
        """Return the folder for what comes, if there is room, and say what comes."""
        is_new = self._delivery.folder is None
        folder = self._delivery.begin(plan.dumped_at)
        state = folder.record.state
        if state.part == number and state.run:
            self._check_same(state, plan)
        needed = (plan.size or 0) - (state.size if state.part == number else 0)
        if needed > (free := folder.free_bytes()):
            raise LaterError(
                NO_SPACE,
                f"{format_size(needed)} would come back, and in {folder.path} there is room for "
                f"{format_size(free)}",
                "free some space, or name another place with --to DIR",
            )
        if state.part != number or not state.run:
            state.begin_part(number)
            folder.record.note(plan=[plan.run, list(plan.dumps)])
            folder.record.flush()
        if is_new or not self.outlooks:
            self.outlooks = self.outlooks or [_outlook(part, plan)]
            self._teller.begin(self.outlooks, str(self._delivery.place))
        return folder

    def _check_same(self, state: RecordedState, plan: RestorePlan) -> None:
        """Raise ProtocolError if files of two dates would be mixed."""
        if (state.run, state.dumps) != (plan.run, tuple(plan.dumps)):
            raise ProtocolError(
                "bad-answer",
                f"{self._gateway.host} goes on with another dump than before",
                "begin again, without --resume",
            )

    def _end_part(self, number: int) -> None:
        folder = self._delivery.folder
        assert folder
        for path, reason in self.missing.items():
            folder.record.note(missing=[to_text(path), reason])
        for path, near in self.unmatched.items():
            folder.record.note(unmatched=[to_text(path), [*map(to_text, near)]])
        folder.record.state.begin_part(number + 1)
        folder.record.flush()

    def _hear(self, answer: RestoreAnswer) -> None:
        match answer:
            case RestorePlan():
                self._plan = answer
            case MissingFile():
                if not self._is_left_out(answer):
                    self.missing[self._name(answer.path)] = answer.reason
            case UnmatchedPath():
                near = tuple(map(self._name, answer.near))
                self.unmatched[self._name(answer.path)] = near
            case _:
                self._gateway.note(answer)

    def _is_left_out(self, answer: MissingFile) -> bool:
        """Return whether client.toml keeps it out of the backups, and nobody asked for just it."""
        if answer.reason not in MAY_BE_EXCLUDED or (self._part and answer.path in self._part.paths):
            return False
        return self._is_excluded(answer.path)

    def _note(self, one: Unpacked, folder: PrivateFolder, unpacker: Unpacker) -> None:
        """Count a member that is done, and write of it."""
        record, member = folder.record, one.member
        if one.reason:
            record.note(failed=[to_text(self._name(member.path)), one.reason])
        elif one.path is not None and member.kind is Kind.FOLDER:
            record.state.folders += 1
            record.note_folder(one.path, unpacker.folders[one.path])
        elif one.path is not None:
            record.state.files += 1
            record.state.size += member.stored
        self._came = member.end
        record.note_done()
        self.show()

    def show(self) -> None:
        folder = self._delivery.folder
        if folder:
            folder.record.tend()
            state = folder.record.state
            coming = self._exchange.source.position - self._came if self._exchange else 0
            self._teller.progress(state.files, state.size + max(coming, 0))

    def _name(self, path: bytes) -> bytes:
        """Return the absolute name of what is at `path` of the present part."""
        assert self._part
        return join(folder_of(self._part) or b"/", path)

    def _explain(self, end: ExchangeEnd) -> AsyncamandaError:
        if end.failed and end.failed.reference == NOTHING_MATCHED:
            return self.nothing_matched()
        return self._gateway.explain_end(end)

    def nothing_matched(self) -> BadDataError:
        """Return the error for paths of which none was there."""
        names = name_disks([os.fsdecode(path) for path in self.unmatched])
        near = [os.fsdecode(each) for names in self.unmatched.values() for each in names]
        only = os.fsdecode(next(iter(self.unmatched))) if len(self.unmatched) == 1 else ""
        hint = hint_unmatched(only, near)
        return BadDataError(NOTHING_MATCHED, f"not in the backup of then: {names}", hint)


def _outlook(part: Part, plan: RestorePlan) -> RestoreOutlook:
    return RestoreOutlook(
        part.disk, plan.run, plan.dumped_at, plan.files, plan.folders, plan.size, plan.doubts
    )
