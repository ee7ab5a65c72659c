"""What a client has on the server, as serving.py asks for it, where only the client can read it.

The members of a plan are the same for dumps that are sealed, and for those that are not: the chain
is as the server says, its images come as they lie there, and are opened, listed and merged here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from asyncamanda.client.restore.images import ask_images
from asyncamanda.commands.sealed.dumps import (
    HERE,
    Drawer,
    RemoteDump,
    SealedImage,
    find_doubts,
    open_image,
)
from asyncamanda.commands.sealed.heads import BeginningStore
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.restore.answer import DiskAnswer, DumpOfDisk, FileVersion, ImageOfDisk
from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.core.restore.request import At, FilesRequest, ListRequest, RawRequest
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.dated import ChainFiles, ChainList, name_device
from asyncamanda.server.restore.images import ChainImages
from asyncamanda.server.restore.reading import OpenChain
from asyncamanda.server.restore.source import ChosenDumps
from asyncamanda.server.restore.streams import Image
from asyncamanda.server.restore.versions import describe_version, look_through


@dataclass(slots=True)
class SealedChain(OpenChain):
    """A chain of which some images are sealed; `keep` has, for each, what keeps its beginning."""

    keep: tuple[Callable[[bytes], None], ...] = ()

    def read_head(self, number: int = -1) -> Head:
        """Return the list of all that was there at one of the dumps, and keep where it stood."""
        head = OpenChain.read_head(self, number)
        image = self.image(number)
        if isinstance(image, SealedImage) and image.stop_noting():
            self.keep[number](image.begins)
        return head


class SealedHoldings:
    """The dumps of this client, read over a line, and opened with the key in `identity`."""

    def __init__(self, drawer: Drawer, identity: Path, store: BeginningStore) -> None:
        self._drawer = drawer
        self._identity = identity
        self._store = store
        self._known: list[DiskAnswer] | None = None
        self._dles: dict[str, Dle] = {}

    @property
    def dles(self) -> Mapping[str, Dle]:
        """Each disk that was opened, with the path that it is."""
        return self._dles

    def disks(self) -> Iterable[DiskAnswer]:
        """Return each disk, with the dates that can be restored: here all that is sealed can be."""
        if self._known is None:
            self._known = [_open_up(disk) for disk in self._drawer.gateway.ask_disks()]
        return self._known

    @contextmanager
    def open_list(self, request: ListRequest) -> Iterator[ChainList]:
        """Yield what was there in a disk at a date."""
        with self._open(request.disk, request.at) as chain:
            yield ChainList(self, request.disk, chain)

    def versions(self, request: ListRequest) -> Iterable[FileVersion]:
        """Return each dump that has the path, the newest first."""
        disk = next((one for one in self.disks() if one.disk == request.disk), None)
        dumps = [_record(request.disk, dump) for dump in disk.runs] if disk else []

        def open_at(dump: RecordedDump) -> AbstractContextManager[OpenChain]:
            return self._open(request.disk, At(run=dump.verdict.timestamp))

        found = look_through(dumps, open_at, request.path, has_ways=request.has_owners)
        return [describe_version(version, request.path) for version in reversed([*found])]

    @contextmanager
    def open_files(self, request: FilesRequest) -> Iterator[ChainFiles]:
        """Yield what is to be given back."""
        at = request.at
        if request.resume:
            at = At(run=request.resume.dumps[-1]) if request.resume.dumps else at
        with self._open(request.disk, at) as chain:
            if request.resume and request.resume.dumps != chain.chosen.runs:
                raise BadDataError(
                    "chain-changed",
                    f"{request.disk} would be restored from other dumps than before",
                    "begin again, without --resume",
                )
            yield ChainFiles(self, request, chain)

    @contextmanager
    def open_images(self, request: RawRequest) -> Iterator[ChainImages]:
        """Yield the images of a chain, whatever program made them."""
        with self._open(request.disk, request.at, is_raw=True) as chain:
            yield ChainImages(chain, name_device(self, request.disk))

    @contextmanager
    def _open(self, disk: str, at: At, *, is_raw: bool = False) -> Iterator[OpenChain]:
        plan = ask_images(self._drawer.gateway, disk, at, asks_on=True)
        self._dles[disk] = Dle(HERE, disk, plan.device)
        run = plan.images[-1].run
        dumps = tuple(_record(disk, image) for image in plan.images)
        openers = tuple(
            partial(self._open_image, disk, run, image, is_raw=is_raw) for image in plan.images
        )
        chosen = ChosenDumps(dumps, (*plan.doubts, *find_doubts(disk, plan.images)))
        keep = tuple(partial(self._store.keep, disk, image) for image in plan.images)
        with closing(SealedChain(chosen, openers, keep=keep)) as chain:
            yield chain

    def _open_image(self, disk: str, run: str, image: ImageOfDisk, *, is_raw: bool) -> Image:
        files = RemoteDump(self._drawer, disk, run, image)
        begins = b"" if is_raw else self._store.find(disk, image)
        return open_image(files, self._identity, begins, is_raw=is_raw)


def _open_up(disk: DiskAnswer) -> DiskAnswer:
    return replace(disk, is_listable=True, reason="") if disk.is_sealed else disk


def _record(disk: str, dump: DumpOfDisk | ImageOfDisk) -> RecordedDump:
    state = DumpState.HELD  # wherever it lies: it is there
    verdict = DleVerdict(HERE, disk, dump.run, state, dump.level, dumped_at=dump.dumped_at)
    return RecordedDump(verdict)
