"""Whether all that a disk's newest dump lists can be found in its chain: what a drill proves.

tar lists names as unchanged (`N`) for three reasons: an older dump has them, they are excluded, or
it has wrongly left out their folder (head.py). Which names are excluded the server knows only in
part: a client's own list of patterns is on the client. So a name that is found nowhere is lost for
certain only where there is no such list; where there is one it is forgiven if it is like those that
the full has left out, and in doubt else.

A folder that is listed, and not in the image, was mostly deleted while tar was at work, or nobody
may look into it: tar lists all folders first. Where most are missing it is a loss. Else a full
makes sure, if it is not so in the full already.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from asyncamanda.core.restore.head import FOLDER, Entry, Head
from asyncamanda.core.restore.search import LEFT_OUT, MAY_BE_EXCLUDED, Located, Search

NOT_LISTED = "tar has left out the folder, with all that is in it"
MOST_NAMED = 20
_MOST_UNSURE = 2000  # names that are kept until all of the full's are known
_MOST_LEARNED = 10_000
_FEW = 3  # folders that may be missing from a full: deleted meanwhile


@dataclass(frozen=True, slots=True)
class Lost:
    """Names that are found nowhere: how many, and the first of them, each with the reason."""

    count: int = 0
    first: tuple[tuple[bytes, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NamesProof:
    """What was found: `names` were looked for, `older` of them in older dumps.

    `lost` are found nowhere, `unsure` neither, but the client may have excluded them. `sample` are
    places of files, chosen by chance.
    """

    names: int
    older: int
    lost: Lost
    unsure: Lost
    sample: tuple[Located, ...]


def prove_names(
    heads: Sequence[Head],
    is_excluded: Callable[[bytes], bool],
    *,
    has_own_list: bool,
    chance: random.Random,
    sample: int,
) -> NamesProof:
    """Look for all names of the newest of `heads`; the full's is the first.

    `is_excluded` knows the dumptype's patterns; `has_own_list`: the client may have others.
    """
    return _Proof(heads, is_excluded, has_own_list, chance, sample).prove()


class _Proof:
    def __init__(
        self,
        heads: Sequence[Head],
        is_excluded: Callable[[bytes], bool],
        has_own_list: bool,
        chance: random.Random,
        sample: int,
    ) -> None:
        self._newest = heads[-1]
        self._full = heads[0]
        self._search = Search(heads)
        self._is_excluded = is_excluded
        self._has_own_list = has_own_list
        self._chance = chance
        self._wanted = sample
        self._sample: list[Located] = []
        self._located = self._names = self._older = 0
        self._lost = _Losses(MOST_NAMED)
        self._unsure = _Losses(_MOST_UNSURE)
        self._gone = _Losses(_MOST_UNSURE)
        self._learned = _LeftOut()

    def prove(self) -> NamesProof:
        folders = 0
        for path, flag in _walk(self._newest):
            self._names += 1
            if flag == FOLDER:
                folders += 1
                if path not in self._newest and not self._is_excluded(path):
                    self._gone.add(path, NOT_LISTED)
            else:
                self._look_for(path, flag)
        self._judge_gone(folders)
        likely = self._unsure
        unsure = _Losses(MOST_NAMED, likely.count - len(likely.first))
        for path, reason in likely.first:
            if not self._learned.is_like(path):
                unsure.add(path, reason)
        return NamesProof(
            self._names, self._older, self._lost.end(), unsure.end(), tuple(self._sample)
        )

    def _judge_gone(self, folders: int) -> None:
        """Decide what is to be thought of folders that are listed, and not in the image."""
        count = self._gone.count
        if count > max(_FEW, folders // 2):
            self._lost.add_all(self._gone)
        elif self._newest is not self._full:
            for path, reason in self._gone.first:
                if path in self._full or self._full.flag(path) != FOLDER:
                    self._unsure.add(path, reason)
        elif count > _FEW:
            self._unsure.add_all(self._gone)

    def _look_for(self, path: bytes, flag: bytes) -> None:
        place = self._search.locate_listed(path, flag)
        if isinstance(place, Located):
            self._older += place.image < self._search.newest
            self._take(place)
        elif place.reason == LEFT_OUT:
            self._learned.add(path)
        elif not self._is_excluded(path):
            may_be_meant = self._has_own_list and place.reason in MAY_BE_EXCLUDED
            (self._unsure if may_be_meant else self._lost).add(path, place.reason)

    def _take(self, place: Located) -> None:
        """Let each place be in the sample by the same chance."""
        self._located += 1
        if len(self._sample) < self._wanted:
            self._sample.append(place)
        elif (number := self._chance.randrange(self._located)) < self._wanted:
            self._sample[number] = place


class _Losses:
    def __init__(self, most: int, count: int = 0) -> None:
        self.count = count
        self.first: list[tuple[bytes, str]] = []
        self._most = most

    def add(self, path: bytes, reason: str) -> None:
        self.count += 1
        if len(self.first) < self._most:
            self.first.append((path, reason))

    def add_all(self, others: "_Losses") -> None:
        for path, reason in others.first:
            self.add(path, reason)
        self.count += others.count - len(others.first)

    def end(self) -> Lost:
        return Lost(self.count, tuple(self.first))


class _LeftOut:
    """What the full has left out, which shows what the client's own patterns are about."""

    def __init__(self) -> None:
        self._kinds: set[tuple[str, bytes]] = set()

    def add(self, path: bytes) -> None:
        if len(self._kinds) < _MOST_LEARNED:
            self._kinds.update(_kinds_of(path))

    def is_like(self, path: bytes) -> bool:
        return any(kind in self._kinds for kind in _kinds_of(path))


def _kinds_of(path: bytes) -> Iterable[tuple[str, bytes]]:
    """Yield by what an excluded name may be like another: name, suffix, or folder."""
    folder, _, name = path.rpartition(b"/")
    yield "name", name
    stem, dot, suffix = name.rpartition(b".")
    if stem and dot:
        yield "suffix", suffix
    if folder:
        yield "folder", folder


def _walk(head: Head) -> Iterator[Entry]:
    """Yield all names of a head, folder by folder."""
    for folder in head:
        prefix = (folder + b"/").removeprefix(b"/")
        for name, flag in head.entries(folder):
            yield prefix + name, flag


def describe_lost(lost: Lost) -> str:
    """Return in words which names are lost, with the paths as they are on the disk."""
    named = [
        f"./{path.decode('utf-8', 'surrogateescape')} ({reason})" for path, reason in lost.first
    ]
    more = f" and {lost.count - len(named)} more" if lost.count > len(named) else ""
    what = "1 name" if lost.count == 1 else f"{lost.count} names"
    return f"{what} cannot be found in the dumps: {', '.join(named)}{more}"
