"""Each version of a file: the dumps that have it, and where its contents changed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from asyncamanda.core.model import EPOCH
from asyncamanda.core.restore.answer import FileVersion
from asyncamanda.core.restore.head import FOLDER, Head
from asyncamanda.core.restore.image import BadImage, Kind, Member
from asyncamanda.core.restore.listing import describe_owner, list_folders
from asyncamanda.core.restore.request import ListRequest
from asyncamanda.core.restore.search import Located, locate
from asyncamanda.errors import BadDataError, RefusedError
from asyncamanda.server.ledger.recorded_dumps import RecordedDump
from asyncamanda.server.restore.dated import find_flag, read_owners
from asyncamanda.server.restore.members import find_members
from asyncamanda.server.restore.reading import OpenChain, open_chain
from asyncamanda.server.restore.source import Source

MOST_KEPT = 8  # heads, of the dumps that were looked at last: chains have most of theirs in common


@dataclass(frozen=True, slots=True)
class _Seen:
    """A path in one dump; `place` is where its contents are: the run, and the path there."""

    version: FileVersion
    place: tuple[str, bytes] | None

    def is_as(self, older: "_Seen") -> bool:
        """Return whether nothing has changed since an older dump, as far as is known."""
        if self.place is not None and self.place == older.place:
            return True
        one, other = self.version, older.version
        known = one.size is not None or one.flag == FOLDER.decode()
        return known and (one.size, one.modified_at) == (other.size, other.modified_at)


class _Heads:
    """The lists of the dumps that were looked at last, so that a full's is read once."""

    def __init__(self) -> None:
        self._kept: dict[str, Head] = {}

    def of(self, chain: OpenChain) -> tuple[Head, ...]:
        """Return the lists of a chain."""
        runs = chain.chosen.runs
        if all(run in self._kept for run in runs[:-1]):
            heads = [self._kept[run] for run in runs[:-1]]
            chain.heads = ()
            heads.append(chain.read_newest_head())
        else:
            heads = list(chain.read_heads())
        for run, head in zip(runs, heads, strict=True):
            self._kept.pop(run, None)
            self._kept[run] = head
        for run in list(self._kept)[:-MOST_KEPT]:
            del self._kept[run]
        return tuple(heads)


def find_versions(source: Source, request: ListRequest) -> Iterator[FileVersion]:
    """Yield each dump in which a path is, the newest first.

    Dumps that are gone, or broken, are passed over. Raises BadDataError if there is none at all of
    the disk, and LaterError if they cannot be found just now.
    """
    dumps = source.dumps_of(request.disk)
    if not dumps:
        source.choose(request.disk)  # which says so
    heads = _Heads()
    newer: _Seen | None = None
    for dump in reversed(dumps):
        seen = _look(source, request, dump, heads)
        if seen is None:
            continue
        if newer:
            yield replace(newer.version, is_changed=not newer.is_as(seen))
        newer = seen
    if newer:
        yield newer.version


def _look(source: Source, request: ListRequest, dump: RecordedDump, heads: _Heads) -> _Seen | None:
    """Return the path in one dump; None if it is not in it, or the dump is not there."""
    run = dump.verdict.timestamp
    try:
        with open_chain(source, request.disk, run=run) as chain:
            its = heads.of(chain)
            flag = find_flag(its[-1], request.path)
            return None if flag is None else _describe(request, chain, its, flag)
    except (BadDataError, RefusedError):
        return None


def _describe(
    request: ListRequest, chain: OpenChain, heads: tuple[Head, ...], flag: bytes
) -> _Seen:
    verdict = chain.chosen.newest.verdict
    assert verdict.dumped_at is not None
    path, place = request.path, None
    if flag == FOLDER:
        member = _find_member(chain, Located(len(heads) - 1, path), folders=True)
    else:
        found = locate(heads, path)
        member = None
        if isinstance(found, Located):
            place = chain.chosen.runs[found.image], found.path
            member = _find_member(chain, found, folders=False)
    ways = _describe_ways(chain, path) if request.has_owners else ()
    version = FileVersion(
        path, verdict.timestamp, verdict.dumped_at, flag.decode("ascii"), ways=ways
    )
    if member is None:
        return _Seen(version, place)
    size = None if flag == FOLDER else member.size
    return _Seen(replace(version, size=size, modified_at=_modified_at(member)), place)


def _find_member(chain: OpenChain, at: Located, *, folders: bool) -> Member | None:
    """Return the member that has the contents, None if the image does not have it after all."""
    image = chain.images[at.image]
    try:
        for member in find_members(image, 0, [at.path], folders=folders):
            if member.kind is Kind.HARD_LINK:
                return next(find_members(image, 0, [member.link], folders=False), None)
            return member
    except BadImage:
        pass
    return None


def _modified_at(member: Member) -> datetime | None:
    """Return when a file was changed last; None where its clock was far off."""
    try:
        return EPOCH + timedelta(microseconds=member.mtime_ns // 1000)
    except OverflowError:
        return None


def _describe_ways(chain: OpenChain, path: bytes) -> tuple[str, ...]:
    """Return whose the folders on the way are; nothing if one of them is not known."""
    folders = list_folders(path)
    owners = read_owners(chain.images[-1], folders)
    if not all(folder in owners for folder in folders):
        return ()
    return tuple(describe_owner(owners[folder]) for folder in folders)
