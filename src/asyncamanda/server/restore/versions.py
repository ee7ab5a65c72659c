"""One file's versions: in which dumps it is, and which of them differ."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from asyncamanda.core.model import EPOCH
from asyncamanda.core.restore.answer import FileVersion
from asyncamanda.core.restore.head import FOLDER, Head
from asyncamanda.core.restore.image import BadImage, Member
from asyncamanda.core.restore.listing import FolderOwner, describe_owner, list_folders
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.core.restore.search import Located, locate
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.kept_members import find_absent, find_kept
from asyncamanda.server.restore.members import find_members
from asyncamanda.server.restore.owners import read_owners
from asyncamanda.server.restore.reading import OpenChain, open_chain
from asyncamanda.server.restore.source import Source
from asyncamanda.server.restore.streams import PlainImage


@dataclass(frozen=True, slots=True)
class Version:
    """A dump at whose date there was a file or folder of that path.

    `flag` is as in head.py. `member` is what has the file's bytes, None for a folder, and where
    finding it would take the unpacking of a whole dump. `is_changed`: it is not known to be what
    the next older dump has. `ways` are whose the folders that lead to it were, if that was asked
    for and all of them are known.
    """

    dump: RecordedDump
    flag: bytes
    member: Member | None
    is_changed: bool
    ways: tuple[FolderOwner, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """What a path was: its flag, and the run and path under which its bytes lie."""

    flag: bytes
    place: tuple[str, bytes] | None = None
    member: Member | None = None


@dataclass(slots=True)
class _Known:
    """What was found by now: heads by run, and members by run and path."""

    heads: dict[str, Head] = field(default_factory=dict)
    members: dict[tuple[str, bytes], Member | None] = field(default_factory=dict)


def list_versions(
    source: Source, disk: str, path: bytes, *, has_ways: bool = False
) -> Iterator[Version]:
    """Yield the versions of a path, oldest first, of the dumps that are there.

    A dump that is gone, or broken, is passed over. Raises BadDataError if there never was any, and
    LaterError or ConfigurationError if Amanda cannot be asked where they are.
    """
    dumps = source.dumps_of(disk)
    if not dumps:
        source.choose(disk)  # which says so

    def open_at(dump: RecordedDump) -> AbstractContextManager[OpenChain]:
        return open_chain(source, disk, run=dump.verdict.timestamp, is_list=True)

    yield from look_through(dumps, open_at, path, has_ways=has_ways)


def look_through(
    dumps: Iterable[RecordedDump],
    open_at: Callable[[RecordedDump], AbstractContextManager[OpenChain]],
    path: bytes,
    *,
    has_ways: bool,
) -> Iterator[Version]:
    """Yield the versions of a path in `dumps`, the oldest first, whose chains `open_at` yields.

    One for which that raises BadDataError is passed over.
    """
    known = _Known()
    before: _Found | None = None
    for dump in dumps:
        try:
            with open_at(dump) as chain:
                found = _look(chain, known, path)
                ways = find_ways(chain, path) if found and has_ways else ()
        except BadDataError:
            continue
        if found:
            is_same = before is not None and _is_alike(found, before)
            yield Version(dump, found.flag, found.member, not is_same, ways)
        before = found


def _look(chain: OpenChain, known: _Known, path: bytes) -> _Found | None:
    """Return what a path was at a chain's date, None if there was nothing."""
    runs = chain.chosen.runs
    chain.heads |= {run: known.heads[run] for run in runs if run in known.heads}
    heads = chain.read_heads()
    known.heads = chain.heads
    flag = heads[-1].flag(path)
    if flag is None:
        return None
    place = locate(heads, path) if flag != FOLDER else None
    if not isinstance(place, Located):
        return _Found(flag)
    key = runs[place.image], place.path
    if key not in known.members:
        known.members[key] = _find_member(chain, place)
    return _Found(flag, key, known.members[key])


def find_ways(chain: OpenChain, path: bytes) -> tuple[FolderOwner, ...]:
    """Return whose each folder is that leads to a path; nothing if one of them is not known."""
    folders = list_folders(path)
    owners = read_owners(chain, folders)
    if not all(folder in owners for folder in folders):
        return ()
    return tuple(owners[folder] for folder in folders)


def _find_member(chain: OpenChain, place: Located) -> Member | None:
    head = chain.read_head(place.image)
    if kept := find_kept(head, place.path):
        return kept
    image = chain.image(place.image)
    if not isinstance(image, PlainImage) or find_absent(head, [place.path]):
        return None
    try:
        return next(find_members(image, head.end, {place.path}, folders=False), None)
    except BadImage:
        return None


def _is_alike(found: _Found, before: _Found) -> bool:
    """Return whether nothing tells two versions apart, but perhaps where they lie."""
    if FOLDER in {found.flag, before.flag}:
        return found.flag == before.flag
    if found.place is not None and found.place == before.place:
        return True
    its, other = found.member, before.member
    if its is None or other is None:
        return False
    return (its.kind, its.size, its.mtime_ns, its.link) == (
        other.kind,
        other.size,
        other.mtime_ns,
        other.link,
    )


def describe_version(version: Version, path: bytes) -> FileVersion:
    """Return what is said of a version of the path."""
    verdict, member = version.dump.verdict, version.member
    assert verdict.dumped_at is not None
    return FileVersion(
        path,
        verdict.timestamp,
        verdict.dumped_at,
        version.flag.decode("ascii"),
        size=member.size if member else None,
        modified_at=_modified_at(member) if member else None,
        is_changed=version.is_changed,
        ways=tuple(map(describe_owner, version.ways)),
    )


def _modified_at(member: Member) -> datetime | None:
    """Return when a file was changed last; None where its clock was far off."""
    try:
        return EPOCH + timedelta(microseconds=member.mtime_ns // 1000)
    except OverflowError:
        return None
