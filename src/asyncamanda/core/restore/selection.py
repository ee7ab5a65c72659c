"""What a restore takes out of which image, and what of it is not there."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import islice

from asyncamanda.core.restore.glob import compile_name, compile_path
from asyncamanda.core.restore.head import FOLDER, Entry, Head
from asyncamanda.core.restore.search import MAY_BE_EXCLUDED, Located, Search, Unlocated

TWICE = "what is found for it belongs to another file as well; another dump may have it"

_MOST_NEAR = 5
_MOST_EXPLAINED = 50  # paths that were not there: a near name takes longer to find than a file
_MOST_COMPARED = 5000  # names of a folder, for one that is near


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for, by images, the oldest first.

    `members` are of each image the paths that files have there, with those that they are to have.
    `folders` are all that is a folder; the newest image has them. `missing` are files that are in
    no image for certain, each with the reason. `unmatched` are wanted paths that were not there;
    `near` has names like theirs that were, for the first of them.
    """

    members: tuple[dict[bytes, bytes], ...]
    folders: tuple[bytes, ...] = ()
    missing: tuple[tuple[bytes, str], ...] = ()
    unmatched: tuple[bytes, ...] = ()
    near: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)


def select(heads: Sequence[Head], wanted: Sequence[bytes]) -> Selection:
    """Return where all is that is wanted: of a folder all below it, of b"" everything.

    `heads` are a chain's, the full's first. Nothing is selected twice, and no two files are of the
    same member: where they seem to be, neither is certain.
    """
    newest = heads[-1]
    flags = {path: newest.flag(path) for path in wanted}
    if b"" in flags and len(newest):
        flags[b""] = FOLDER  # though only some folders of the disk may be backed up
    unmatched = [path for path, flag in flags.items() if flag is None]
    taken = _Taken(heads)
    for path, flag in _topmost({path: flag for path, flag in flags.items() if flag}):
        if path or path in newest:
            taken.add(path, flag)
        if flag == FOLDER:
            for each, its_flag in newest.walk(path):
                taken.add(each, its_flag)
    near = {path: find_near(newest, path) for path in unmatched[:_MOST_EXPLAINED]}
    return Selection(
        taken.members, tuple(taken.folders), tuple(taken.missing.items()), tuple(unmatched), near
    )


def forgive_excluded(
    found: Selection, wanted: Sequence[bytes], is_excluded: Callable[[bytes], bool]
) -> Selection:
    """Return a selection in which nothing is missing that was to be left out.

    tar lists that, too. A file that is itself `wanted` stays missing.
    """
    asked = {*wanted}

    def is_missing(path: bytes, why: str) -> bool:
        return path in asked or why not in MAY_BE_EXCLUDED or not is_excluded(path)

    return replace(found, missing=tuple(each for each in found.missing if is_missing(*each)))


def find(head: Head, pattern: bytes, below: bytes = b"") -> Iterator[Entry]:
    """Yield path and flag of all whose names a pattern matches, in the image's order.

    One with a `/` is for whole paths, but for a leading `/`. Raises ValueError if it is too long.
    """
    prefix = (below + b"/").removeprefix(b"/")
    if b"/" not in pattern:
        found = head.match(compile_name(pattern))
        return (entry for entry in found if entry[0].startswith(prefix)) if prefix else found
    matches = compile_path(pattern.removeprefix(b"/")).match
    return (entry for entry in head.walk(below) if matches(entry[0]))


def find_near(head: Head, path: bytes) -> tuple[bytes, ...]:
    """Return a few paths that were there and are most like one that was not.

    Of the first folder or file on the way that was not there, those in the same folder with a name
    like it; else those of the very name, wherever they are.
    """
    above, name = b"", b""
    for part in path.split(b"/"):
        above, name = (above + b"/" + name).removeprefix(b"/") if name else above, part
        if head.flag((above + b"/" + name).removeprefix(b"/")) != FOLDER:
            break
    names = {
        each.decode("latin-1"): each for each, _ in islice(head.entries(above), _MOST_COMPARED)
    }
    lowered = {each.lower(): each for each in names}
    like = get_close_matches(name.decode("latin-1").lower(), lowered, _MOST_NEAR, 0.6)
    near = [(above + b"/" + names[lowered[each]]).removeprefix(b"/") for each in like]
    if not near:
        last = path.rpartition(b"/")[2]
        literal = re.compile(rb"\0([YND])(" + re.escape(last) + rb")(?=\0)")
        near = [each for each, _ in islice(head.match(literal), _MOST_NEAR)]
    return tuple(near)


class _Taken:
    """What has been selected so far."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self.members: tuple[dict[bytes, bytes], ...] = tuple({} for _ in heads)
        self.folders: list[bytes] = []
        self.missing: dict[bytes, str] = {}
        self._search = Search(heads)
        self._doubtful: set[Located] = set()

    def add(self, path: bytes, flag: bytes) -> None:
        """Take a file or folder of the newest image."""
        if flag == FOLDER:
            self.folders.append(path)
            return
        place = self._search.locate_listed(path, flag)
        if isinstance(place, Unlocated):
            self.missing[path] = place.reason
            return
        members = self.members[place.image]
        other = members.get(place.path)
        if other is None and place not in self._doubtful:
            members[place.path] = path if path != place.path else place.path
            return
        self._doubtful.add(place)
        self.missing[path] = TWICE
        if other is not None:
            self.missing[members.pop(place.path)] = TWICE


def _topmost(wanted: dict[bytes, bytes]) -> Iterator[Entry]:
    """Yield each wanted path with its flag, without those below others."""
    for path, flag in wanted.items():
        parts = path.split(b"/") if path else []
        if not any(b"/".join(parts[:number]) in wanted for number in range(len(parts))):
            yield path, flag
