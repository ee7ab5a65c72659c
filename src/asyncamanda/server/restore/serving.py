"""One question of a client's that wants files back, and the answer: names, or a tar stream.

What is there is another's to know (Holdings); this says it as the protocol has it
(docs/protocol.md), and has what is given away written down first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from asyncamanda.core.restore.answer import (
    DiskAnswer,
    FileVersion,
    ImagesPlan,
    MissingFile,
    RestoreDone,
    RestorePlan,
    UnmatchedPath,
)
from asyncamanda.core.restore.listing import FOLDER, FolderOwner, OwnersOnTheWay, render_name
from asyncamanda.core.restore.request import (
    DisksRequest,
    FilesRequest,
    ListRequest,
    RawRequest,
    RestoreRequest,
)
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.answer_streams import AT_ONCE, AnswerStreams

MOST_NEAR = 20

Entries = Iterator[tuple[bytes, bytes]]  # path and flag


class DatedList(Protocol):
    """What was there in a disk at a date."""

    @property
    def plan(self) -> RestorePlan: ...

    def flag(self, path: bytes) -> bytes | None: ...

    def walk(self, path: bytes, *, is_deep: bool) -> Entries: ...

    def find(self, path: bytes, glob: bytes) -> Entries: ...

    def near(self, path: bytes) -> Sequence[bytes]: ...

    def owner(self, folder: bytes) -> FolderOwner | None: ...


class DatedFiles(Protocol):
    """What is to be given back, as it was at a date; `counts` are files and bytes sent by now."""

    @property
    def plan(self) -> RestorePlan: ...

    @property
    def missing(self) -> Iterable[tuple[bytes, str]]: ...

    @property
    def unmatched(self) -> Iterable[tuple[bytes, Sequence[bytes]]]: ...

    @property
    def counts(self) -> tuple[int, int]: ...

    def entries(self) -> Entries: ...

    def owner(self, folder: bytes) -> FolderOwner | None: ...

    def write(
        self,
        out: int,
        follow: Callable[[Callable[[], int]], None],
        hear: Callable[[bytes, str], None],
    ) -> None: ...


class DatedImages(Protocol):
    """The images of a chain; `counts` are images and bytes sent by now.

    write() sends one of them, but for its first bytes, and returns the size of all of it.
    """

    @property
    def plan(self) -> ImagesPlan: ...

    @property
    def counts(self) -> tuple[int, int]: ...

    def find_run(self, level: int) -> str: ...

    def write(
        self, level: int, skip: int, out: int, follow: Callable[[Callable[[], int]], None]
    ) -> int: ...


class Holdings(Protocol):
    """What the server has of one client. All of it raises what asyncamanda's errors are."""

    def disks(self) -> Iterable[DiskAnswer]: ...

    def open_list(self, request: ListRequest) -> AbstractContextManager[DatedList]: ...

    def versions(self, request: ListRequest) -> Iterable[FileVersion]: ...

    def open_files(self, request: FilesRequest) -> AbstractContextManager[DatedFiles]: ...

    def open_images(self, request: RawRequest) -> AbstractContextManager[DatedImages]: ...


class Recording(Protocol):
    """What is written down of what is given back; `counts` tells its files and bytes at the end."""

    def begin(
        self,
        request: FilesRequest | RawRequest,
        run: str,
        counts: Callable[[], tuple[int, int]],
    ) -> None: ...


def answer_request(
    request: RestoreRequest, holdings: Holdings, voice: AnswerStreams, recording: Recording
) -> None:
    """Answer to the end.

    `recording` is told before files are given back. Raises AsyncamandaError where the answer is an
    error, and OSError.
    """
    match request:
        case DisksRequest():
            for disk in holdings.disks():
                voice.say(disk)
            voice.say(RestoreDone(0, 0))
        case ListRequest(is_every_version=True):
            _answer_versions(request, holdings, voice)
        case ListRequest():
            with holdings.open_list(request) as listed:
                _answer_list(request, listed, voice)
        case FilesRequest():
            with holdings.open_files(request) as files:
                _answer_files(request, files, voice, recording)
        case RawRequest():
            with holdings.open_images(request) as images:
                _answer_images(request, images, voice, recording)


def _answer_versions(request: ListRequest, holdings: Holdings, voice: AnswerStreams) -> None:
    count = 0
    for version in holdings.versions(request):
        voice.say(version if request.has_owners else replace(version, ways=()))
        count += 1
    if not count:
        voice.say(UnmatchedPath(request.path))
        raise nothing_matched()
    voice.say(RestoreDone(count, 0))


def _answer_list(request: ListRequest, listed: DatedList, voice: AnswerStreams) -> None:
    voice.say(listed.plan)
    flag = listed.flag(request.path)
    if flag is None:
        voice.say(render_unmatched(request.path, listed.near(request.path)))
        raise nothing_matched()
    owners = OwnersOnTheWay(listed.owner) if request.has_owners else None
    if owners and flag == FOLDER:
        voice.write(owners.render_folder(request.path))
    count = 0
    for path, entry_flag in _choose_entries(request, listed, flag):
        if owners:
            voice.write(owners.render(path))
        voice.write(render_name(path, entry_flag))
        count += 1
    voice.flush()
    voice.say(RestoreDone(count, 0))


def _choose_entries(request: ListRequest, listed: DatedList, flag: bytes) -> Entries:
    if flag != FOLDER:
        return iter([(request.path, flag)])
    if request.glob:
        return listed.find(request.path, request.glob)
    return listed.walk(request.path, is_deep=request.is_deep)


def _answer_files(
    request: FilesRequest, files: DatedFiles, voice: AnswerStreams, recording: Recording
) -> None:
    voice.say(files.plan)
    for path, reason in files.missing:
        voice.say(MissingFile(path, reason))
    unmatched = {path for path, near in files.unmatched if _say_unmatched(voice, path, near)}
    if unmatched.issuperset(request.paths):
        raise nothing_matched()
    if request.is_dry_run:
        if request.has_owners:
            _write_entries(files, voice)
        voice.say(RestoreDone(0, 0))
        return
    recording.begin(request, files.plan.run, lambda: files.counts)
    files.write(voice.out, voice.follow, lambda path, why: voice.say(MissingFile(path, why)))
    voice.say(RestoreDone(*files.counts))


def _answer_images(
    request: RawRequest, images: DatedImages, voice: AnswerStreams, recording: Recording
) -> None:
    voice.say(images.plan)
    if request.level is None:
        voice.say(RestoreDone(0, 0))
        return
    recording.begin(request, images.find_run(request.level), lambda: images.counts)
    size = images.write(request.level, request.skip, voice.out, voice.follow)
    voice.say(RestoreDone(1, size))


def _say_unmatched(voice: AnswerStreams, path: bytes, near: Sequence[bytes]) -> bool:
    voice.say(render_unmatched(path, near))
    return True


def _write_entries(files: DatedFiles, voice: AnswerStreams) -> None:
    owners = OwnersOnTheWay(files.owner)
    for path, flag in files.entries():
        voice.write(owners.render(path) + render_name(path, flag))
    voice.flush()


def render_unmatched(path: bytes, near: Sequence[bytes]) -> UnmatchedPath:
    """Return what is said of a path that was not there, with as many names as fit in a line."""
    few = [name for name in near[:MOST_NEAR] if len(name) <= AT_ONCE // MOST_NEAR]
    return UnmatchedPath(path, tuple(few))


def nothing_matched() -> BadDataError:
    """Return the error where nothing is there of all that was asked for."""
    return BadDataError(
        "nothing-matched",
        "nothing of that name was there then",
        "`asyncamanda list` shows what was; a name is compared as it is, capital letters included",
    )
