"""What the broker makes of the gate's answers before an ordinary user gets them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from asyncamanda.client.restore.claims import Claimant, Judgement, check_done, understanding
from asyncamanda.client.restore.files_reply import FilesReply
from asyncamanda.client.restore.peer import only_root
from asyncamanda.client.restore.voice import Voice
from asyncamanda.core.restore.answer import (
    DiskAnswer,
    FileVersion,
    QueuedRestore,
    RestoreAnswer,
    RestoreDone,
    RestoreFailed,
)
from asyncamanda.core.restore.handover import UNLISTED
from asyncamanda.core.restore.listing_filter import ListingFilter, may_see_version
from asyncamanda.core.restore.request import (
    DisksRequest,
    FilesRequest,
    ListRequest,
    RawRequest,
    RestoreRequest,
)
from asyncamanda.errors import RefusedError, kind_by_exit


class BrokerReply(Protocol):
    """What becomes of the answers to one request; each method raises AsyncamandaError to end it."""

    @property
    def is_ready(self) -> bool:
        """Whether the gate's output can be judged by now."""

    @property
    def is_done(self) -> bool:
        """Whether the gate has said that its answer is whole."""

    def plan_request(self) -> RestoreRequest | None:
        """Return what the gate is to be asked next, None if there is nothing more."""

    def hear(self, answer: RestoreAnswer) -> None:
        """Take in what the gate says."""

    def take(self, piece: memoryview) -> None:
        """Take in a piece of the gate's output."""

    def end_round(self) -> None:
        """Note that the gate has answered one request, whole by its own word."""

    def finish(self) -> None:
        """Tell what is still to be told."""


def make_reply(request: RestoreRequest, claimant: Claimant, voice: Voice) -> BrokerReply:
    """Return what answers `request` for that user. Raises RefusedError for a whole image."""
    match request:
        case DisksRequest():
            return DisksReply(request, voice)
        case ListRequest(is_every_version=True):
            return VersionsReply(request, claimant, voice)
        case ListRequest():
            return ListReply(request, claimant, voice)
        case FilesRequest(is_dry_run=True):
            return RehearsalReply(request, claimant, voice)
        case FilesRequest():
            return FilesReply(request, claimant, voice)
        case RawRequest():
            raise only_root()


class _Once:
    """What is the same for all that ask once."""

    def __init__(self, request: RestoreRequest, judgement: Judgement | None) -> None:
        self._requests = [request]
        self._judgement = judgement

    @property
    def is_done(self) -> bool:
        return self._judgement is not None and self._judgement.is_done

    @property
    def is_ready(self) -> bool:
        return self._judgement is None or self._judgement.ways is not None

    def plan_request(self) -> RestoreRequest | None:
        return self._requests.pop() if self._requests else None


class DisksReply(_Once):
    """Which disks there are: no secret on this machine."""

    def __init__(self, request: DisksRequest, voice: Voice) -> None:
        super().__init__(request, None)
        self._voice = voice
        self._is_done = False

    @property
    def is_done(self) -> bool:
        return self._is_done

    def hear(self, answer: RestoreAnswer) -> None:
        match answer:
            case DiskAnswer() | QueuedRestore():
                self._voice.answer(answer)
            case RestoreDone():
                self._is_done = True
            case RestoreFailed():
                kind = kind_by_exit(answer.exit)
                raise kind(answer.reference, answer.message, answer.hint)
            case _:
                pass

    def take(self, piece: memoryview) -> None:
        """Take nothing: there is no output."""

    def end_round(self) -> None:
        check_done(is_done=self._is_done)

    def finish(self) -> None:
        self._voice.answer(RestoreDone(0, 0))


class _Filtered(_Once):
    """What is the same for all that make a list of names of which some may be seen."""

    def __init__(
        self, request: ListRequest | FilesRequest, wanted: Sequence[bytes], judgement: Judgement
    ) -> None:
        super().__init__(replace(request, has_owners=True), judgement)
        self._judge = judgement
        self._wanted = wanted
        self._filter: ListingFilter | None = None

    def hear(self, answer: RestoreAnswer) -> None:
        self._judge.hear(answer)

    def end_round(self) -> None:
        check_done(is_done=self._judge.is_done)
        if self._filter is not None:
            with understanding():
                self._filter.end()

    def _listing(self) -> ListingFilter:
        if self._filter is None:
            self._filter = ListingFilter(self._judge.known_ways(), self._wanted)
        return self._filter


class ListReply(_Filtered):
    """Names."""

    def __init__(self, request: ListRequest, claimant: Claimant, voice: Voice) -> None:
        judgement = Judgement(claimant, [request.path], voice)
        super().__init__(request, [request.path], judgement)
        self._path = request.path
        self._voice = voice

    def take(self, piece: memoryview) -> None:
        with understanding():
            self._voice.hand_over(self._listing().feed(piece))

    def finish(self) -> None:
        if not self._judge.has_matched:
            self._judge.tell_rest([])
            return
        listing, ways = self._listing(), self._judge.known_ways()
        count = listing.files + listing.folders
        self._judge.tell_rest([self._path] if count else listing.seen)
        if not count and ways.is_known(self._path) and not ways.is_listable(self._path):
            raise RefusedError(
                "not-readable", UNLISTED, "to see what is in it, as root: asyncamanda list"
            )
        self._voice.answer(RestoreDone(listing.files, 0))


class VersionsReply:
    """The dumps in which one path was, as far as the user could have come to it.

    No plan comes before these, so where the disk is on this machine is asked first.
    """

    is_ready = True

    def __init__(self, request: ListRequest, claimant: Claimant, voice: Voice) -> None:
        self._judge = Judgement(claimant, [request.path], voice)
        self._claimant = claimant
        self._request = request
        self._questions: list[RestoreRequest] = [
            replace(request, has_owners=True),
            DisksRequest(),
        ]
        self._voice = voice
        self._device = ""
        self._count = 0

    @property
    def is_done(self) -> bool:
        return self._judge.is_done

    def plan_request(self) -> RestoreRequest | None:
        self._judge.begin_round()
        return self._questions.pop() if self._questions else None

    def hear(self, answer: RestoreAnswer) -> None:
        match answer:
            case DiskAnswer():
                if answer.disk == self._request.disk:
                    self._device = answer.device
            case FileVersion():
                self._hear_version(answer)
            case _:
                self._judge.hear(answer)

    def _hear_version(self, version: FileVersion) -> None:
        ways = self._judge.make_ways(self._device, keeps_acls=False)
        if version.dumped_at >= self._claimant.since and may_see_version(version, ways):
            self._voice.answer(replace(version, ways=()))
            self._count += 1

    def take(self, piece: memoryview) -> None:
        """Take nothing: there is no output."""

    def end_round(self) -> None:
        check_done(is_done=self._judge.is_done)

    def finish(self) -> None:
        self._judge.tell_rest([self._request.path] if self._count else [])
        self._voice.answer(RestoreDone(self._count, 0))


class RehearsalReply(_Filtered):
    """What would be handed over: as many names as the user could have seen."""

    def __init__(self, request: FilesRequest, claimant: Claimant, voice: Voice) -> None:
        judgement = Judgement(claimant, request.paths, voice, is_told=False)
        super().__init__(request, request.paths, judgement)
        self._voice = voice

    def take(self, piece: memoryview) -> None:
        with understanding():
            for _ in self._listing().feed(piece):
                pass

    def finish(self) -> None:
        if not self._judge.has_matched:
            self._judge.tell_rest([])
            return
        listing = self._listing()
        self._judge.tell_plan(listing.files, listing.folders)
        self._judge.tell_rest(listing.seen)
        self._voice.answer(RestoreDone(0, 0))
