"""What a server has of a client, made up for tests: names, dates and contents."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from asyncamanda.core.restore.answer import (
    DiskAnswer,
    DumpOfDisk,
    FileVersion,
    ImageOfDisk,
    ImagesPlan,
    RestorePlan,
)
from asyncamanda.core.restore.listing import FolderOwner
from asyncamanda.core.restore.request import FilesRequest, ListRequest, RawRequest
from asyncamanda.errors import BadDataError

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RUN = "20261120120000"
OLDER = "20261119120000"
IMAGES = ImagesPlan(
    (
        ImageOfDisk(OLDER, NOON - timedelta(days=1), 0, "/sbin/dump", size=300),
        ImageOfDisk(RUN, NOON, 1, "/sbin/dump", size=200),
    ),
    ("a doubt",),
)
PLAN = RestorePlan(RUN, NOON, 2, 1, 300, (RUN,))
OWNER = FolderOwner(0o40750, 1000, 100, b"\x02")
NAMES = {
    b"a": b"D",
    b"a/\xe9": b"Y",
    b"a/b": b"D",
    b"a/b/c.txt": b"N",
    b"d.txt": b"Y",
}


@dataclass
class MadeUpList:
    """A list of NAMES."""

    plan: RestorePlan = PLAN

    def flag(self, path: bytes) -> bytes | None:
        """Return the flag of a name."""
        return NAMES.get(path) if path else b"D"

    def walk(self, path: bytes, *, is_deep: bool) -> Iterator[tuple[bytes, bytes]]:
        """Yield what is below a folder."""
        for name, flag in NAMES.items():
            below = name[len(path) + 1 if path else 0 :]
            is_below = not path or name.startswith(path + b"/")
            if is_below and (is_deep or b"/" not in below):
                yield name, flag

    def find(self, path: bytes, glob: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield what matches."""
        for name, flag in self.walk(path, is_deep=True):
            if fnmatchcase(name.rpartition(b"/")[2].decode("latin-1"), glob.decode("latin-1")):
                yield name, flag

    def near(self, path: bytes) -> Sequence[bytes]:
        """Return other names."""
        return [path + b"x", b"y" * 60_000, *(b"%d" % number for number in range(50))]

    def owner(self, folder: bytes) -> FolderOwner | None:
        """Return the owner of a folder, of one not known nothing."""
        return None if folder == b"a/b" else OWNER


@dataclass
class MadeUpFiles(MadeUpList):
    """Files that are so many bytes; `fault` is raised in their middle."""

    missing: Iterable[tuple[bytes, str]] = ()
    unmatched: Iterable[tuple[bytes, Sequence[bytes]]] = ()
    pieces: int = 3
    fault: BaseException | None = None
    counts: tuple[int, int] = (0, 0)

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all names."""
        return self.walk(b"", is_deep=True)

    def write(
        self,
        out: int,
        follow: Callable[[Callable[[], int]], None],
        hear: Callable[[bytes, str], None],
    ) -> None:
        """Write the pieces, or without end if there are none."""
        piece = sent = 0
        follow(lambda: sent)
        while not self.pieces or piece < self.pieces:
            sent += os.write(out, b"%99d\n" % piece)
            piece += 1
            self.counts = (piece, 100 * piece)
            if self.fault:
                raise self.fault
        hear(b"a/b/c.txt", "the dump does not have it")


@dataclass
class MadeUpImages:
    """Two images, each of lines of a hundred bytes."""

    plan: ImagesPlan = IMAGES
    counts: tuple[int, int] = (0, 0)

    def find_run(self, level: int) -> str:
        """Return the run that has made an image."""
        if level > 1:
            raise BadDataError("no-such-level", "there is none", "ask for another")
        return self.plan.images[level].run

    def write(
        self, level: int, skip: int, out: int, follow: Callable[[Callable[[], int]], None]
    ) -> int:
        """Write an image but for its first bytes."""
        size = self.plan.images[level].size
        assert size
        follow(lambda: self.counts[1])
        image = b"".join(b"%98d%d\n" % (line, level) for line in range(size // 100))
        self.counts = (1, os.write(out, image[skip:]))
        return size


@dataclass
class MadeUpHoldings:
    """One disk, `/home`; `files` are what comes back, `asked` is what was asked for."""

    files: MadeUpFiles = field(default_factory=MadeUpFiles)
    asked: list[object] = field(default_factory=list)

    def disks(self) -> Iterable[DiskAnswer]:
        """Return the disk."""
        return [DiskAnswer("/home", "/home", NOON, NOON, (DumpOfDisk(RUN, NOON, 0),), True)]

    @contextmanager
    def open_list(self, request: ListRequest) -> Iterator[MadeUpList]:
        """Yield the list of the disk."""
        self._ask(request, request.disk)
        yield MadeUpList()

    def versions(self, request: ListRequest) -> Iterable[FileVersion]:
        """Return the one version of a name."""
        self._ask(request, request.disk)
        if request.path not in NAMES:
            return []
        flag = NAMES[request.path].decode()
        return [FileVersion(request.path, RUN, NOON, flag, 7, NOON, True, ("755:0:0:",))]

    @contextmanager
    def open_files(self, request: FilesRequest) -> Iterator[MadeUpFiles]:
        """Yield the files."""
        self._ask(request, request.disk)
        yield self.files

    @contextmanager
    def open_images(self, request: RawRequest) -> Iterator[MadeUpImages]:
        """Yield the images."""
        self._ask(request, request.disk)
        yield MadeUpImages()

    def _ask(self, what: object, disk: str) -> None:
        self.asked.append(what)
        if disk != "/home":
            raise BadDataError("nothing-dumped", "there is no such disk", "ask for another")
