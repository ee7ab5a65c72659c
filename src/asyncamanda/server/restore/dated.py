"""What was there in a disk at a date, and files of it, out of a chain of dumps that are open."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from asyncamanda.core.amanda import excludes
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.restore.answer import RestorePlan
from asyncamanda.core.restore.head import FOLDER, STORED, Entry, Head
from asyncamanda.core.restore.listing import FolderOwner, list_folders
from asyncamanda.core.restore.request import FilesRequest
from asyncamanda.core.restore.selection import Selection, find, find_near, forgive_excluded
from asyncamanda.server.restore.archive import Written
from asyncamanda.server.restore.owners import read_owners
from asyncamanda.server.restore.reading import OpenChain, count_size, plan_restore, write_restore
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.system.clock import now

# without names: they may be of files that whoever asks may not know of
MOST_PATTERNS = 500  # of which a client is told
EXCLUDED = "what is excluded from its backups is not among it"


class DiskDevices(Protocol):
    """What knows which path on the client each disk is, by its DLE."""

    @property
    def dles(self) -> Mapping[str, Dle]: ...


class ChainList:
    """What was there in a disk at the date of a chain of dumps."""

    def __init__(self, source: DiskDevices, disk: str, chain: OpenChain) -> None:
        self._chain = chain
        self._head: Head | None = None
        self.plan = describe_chain(source, disk, chain)

    def flag(self, path: bytes) -> bytes | None:
        """Return the flag of a file or folder, None if it was not there."""
        return find_flag(self._newest, path)

    def walk(self, path: bytes, *, is_deep: bool) -> Iterator[Entry]:
        """Yield path and flag of all below a folder, or of what is in it."""
        if is_deep:
            return self._newest.walk(path)
        if path or b"" in self._newest:
            prefix = (path + b"/").removeprefix(b"/")
            return ((prefix + name, flag) for name, flag in self._newest.entries(path))
        return ((folder, FOLDER) for folder in self._newest.topmost())

    def find(self, path: bytes, glob: bytes) -> Iterator[Entry]:
        """Yield path and flag of all below a folder whose names match."""
        return find(self._newest, glob, path)

    def near(self, path: bytes) -> tuple[bytes, ...]:
        """Return a few paths that were there and are like one that was not."""
        return find_near(self._newest, path)

    def owner(self, folder: bytes) -> FolderOwner | None:
        """Return whose a folder was; None if it was not there."""
        return self._owners.get(folder)

    @cached_property
    def _newest(self) -> Head:
        return self._chain.read_head()

    @cached_property
    def _owners(self) -> dict[bytes, FolderOwner]:
        return read_owners(self._chain)


class ChainFiles:
    """Files of a disk, as they were at the date of a chain of dumps."""

    def __init__(self, source: DiskDevices, request: FilesRequest, chain: OpenChain) -> None:
        self._request = request
        self._chain = chain
        self._written = Written()
        found = plan_restore(chain, request.paths)
        doubts: tuple[str, ...] = ()
        if found.missing:
            is_excluded = excludes.compile_patterns(chain.image().files.form.excludes)
            listed, found = found, forgive_excluded(found, request.paths, is_excluded)
            doubts = (EXCLUDED,) if found.missing != listed.missing else ()
        is_trial = request.is_dry_run and not request.has_owners  # whose numbers nobody is told
        head = chain.read_head()
        self._selection = add_ways(head, found, request.paths, is_top=request.has_owners)
        plan = describe_chain(source, request.disk, chain)
        self.plan = replace(
            plan,
            doubts=(*plan.doubts, *doubts),
            files=sum(map(len, found.members)),
            folders=len(found.folders),  # not those on the way to what is wanted
            size=count_size(chain, found, is_walking=is_trial),
            **_describe_excludes(chain),
        )

    @property
    def missing(self) -> tuple[tuple[bytes, str], ...]:
        """Files that were there and cannot be had, and why."""
        return self._selection.missing

    @property
    def unmatched(self) -> list[tuple[bytes, tuple[bytes, ...]]]:
        """Wanted paths that were not there, each with some that were and are like it."""
        near = self._selection.near
        return [(path, near.get(path, ())) for path in self._selection.unmatched]

    @property
    def counts(self) -> tuple[int, int]:
        """How many files went out by now, and bytes of their contents."""
        return self._written.files, self._written.contents

    def entries(self) -> Iterator[Entry]:
        """Yield path and flag of all that is to go out."""
        for folder in self._selection.folders:
            yield folder, FOLDER
        for members in self._selection.members:
            for path in members.values():
                yield path, STORED

    def owner(self, folder: bytes) -> FolderOwner | None:
        """Return whose a folder was; None if it was not there."""
        return self._owners.get(folder)

    def write(
        self,
        out: int,
        follow: Callable[[Callable[[], int]], None],
        hear: Callable[[bytes, str], None],
    ) -> None:
        """Write all to the descriptor `out`, but for what a cut restore has got.

        `follow` is given what tells how many bytes went out by now, and `hear` what is missing.
        """
        sink = Sink(out)
        follow(lambda: sink.written)
        skip = self._request.resume.done if self._request.resume else 0
        write_restore(self._chain, self._selection, sink, hear, skip=skip, written=self._written)

    @cached_property
    def _owners(self) -> dict[bytes, FolderOwner]:
        return read_owners(self._chain)


def describe_chain(source: DiskDevices, disk: str, chain: OpenChain) -> RestorePlan:
    """Return what is said of a chain before anything is read of it."""
    chosen = chain.chosen
    verdict = chosen.newest.verdict
    assert verdict.dumped_at is not None
    return RestorePlan(
        run=verdict.timestamp,
        dumped_at=verdict.dumped_at,
        files=None,
        folders=None,
        size=None,
        dumps=chosen.runs,
        doubts=chain.doubts,
        keeps_acls=chain.keeps_acls,
        now=now(),
        device=name_device(source, disk),
    )


def _describe_excludes(chain: OpenChain) -> dict[str, Any]:
    """Return what a plan says of what the dumps were to leave out."""
    forms = [image.files.form for image in chain.images]
    patterns = dict.fromkeys(pattern for form in forms for pattern in form.excludes)
    told = tuple(each for each in patterns if len(each) <= excludes.LONGEST)[:MOST_PATTERNS]
    is_all = len(told) == len(patterns) and all(form.has_all_excludes for form in forms)
    return {"excludes": told, "has_all_excludes": is_all}


def name_device(source: DiskDevices, disk: str) -> str:
    """Return the path on the client that a disk is, as far as it is known."""
    dle = source.dles.get(disk)
    return (dle.device if dle else "") or disk


def find_flag(head: Head, path: bytes) -> bytes | None:
    """Return the flag of a path; the disk's own folder is one, whatever of it was dumped."""
    return FOLDER if not path and len(head) else head.flag(path)


def add_ways(head: Head, found: Selection, wanted: Collection[bytes], *, is_top: bool) -> Selection:
    """Return a selection with the folders that lead to what is wanted.

    So a folder that is gone at the client comes back as it was. `is_top`: the disk's own, too.
    """
    folders = dict.fromkeys(found.folders)
    for path in wanted:
        for folder in list_folders(path):
            if (folder or is_top) and folder in head:
                folders[folder] = None
    return replace(found, folders=tuple(folders))
