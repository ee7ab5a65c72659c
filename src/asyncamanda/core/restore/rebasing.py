"""How tar's own names for folders change while it looks through a disk.

tar compares a disk with its snapshot of the dump before, in which each folder has a name. As soon
as it finds that a folder D now is P, it puts P for D in the names of all that it knows below D, in
the snapshot and on the disk (incremen.c, dirlist_replace_prefix). So a later rename may be
recorded with a name that never was, the next snapshot may have names that never were, and all
depends on the order in which tar meets folders: those in one folder by name, then what is in the
first of them, and so on.

The records tell the names at the end. From these, what each rename did is worked out backwards;
where a name may have come from several others, all of them are kept.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.renames import Rename

_MOST_WAYS = 512  # from which a name may have come
_MOST_GUESSES = 1024
_ROUNDS = 4  # in which what tar met has to be found out

_Order = tuple[list[bytes], bytes]
_Targets = dict[Rename, frozenset[bytes]]  # which folders each record may be about


class TangledError(ValueError):
    """Folders took each other's names in more ways than are worked out."""


@dataclass(frozen=True, slots=True)
class Rebase:
    """A folder that tar met under another name than before.

    `target` is where it met it, and `old_names` are what it may have called it before. `record` has
    the names, old and new, as they were at the end. `is_certain` is False where it may have met
    another folder.
    """

    target: bytes
    record: Rename
    old_names: frozenset[bytes]
    is_certain: bool


class Rebasing:
    """The renames of one dump, in the order in which tar met them.

    A moment is a number: of how many of them tar has met.
    """

    def __init__(self, head: Head) -> None:
        """Work out the renames of `head`. Raises TangledError."""
        self._head = head
        self._met: list[_Order] = []  # the targets
        self._latest_first: list[Rebase] = []
        self._near: dict[bytes, list[int]] = {}  # a rebase's names: its number below zero
        if not head.renames:
            return
        if len(list(head.topmost())) > 1:
            raise TangledError("tar was given several folders, in an unknown order")
        self._work_out_all(head.renames)

    def __len__(self) -> int:
        return len(self._met)

    def __iter__(self) -> Iterator[Rebase]:
        """Yield the renames as tar met them."""
        return reversed(self._latest_first)

    def moment_of(self, folder: bytes) -> int:
        """Return the moment before tar meets this folder of the disk."""
        return bisect_left(self._met, _order(folder))

    def of_target(self, folder: bytes) -> list[Rebase]:
        """Return the renames that have this target."""
        if not self._met:
            return []
        order = _order(folder)
        first, last = bisect_left(self._met, order), bisect_right(self._met, order)
        return [self._at(index) for index in range(first, last)]

    def first_names(self, rebase: Rebase) -> frozenset[bytes]:
        """Return what a renamed folder may have been called before tar met any."""
        return self.names_before(rebase.record[0], len(self))

    def names_before(self, name: bytes, moment: int, begin: int = 0) -> frozenset[bytes]:
        """Return what may have been called at moment `begin` what is called `name` at `moment`.

        Raises TangledError.
        """
        return frozenset(
            earlier
            for earlier, at in self._undo(name, moment, begin)
            if self._before(earlier, at, begin) is None
        )

    def names_at_end(self, folder: bytes) -> frozenset[bytes]:
        """Return what tar may call a folder of the disk in its next snapshot. Raises TangledError.

        A rename of the folder itself counts, too: tar may put a name into itself.
        """
        found = set()
        seen = {(folder, self.moment_of(folder))}
        todo = [*seen]
        while todo:
            name, moment = todo.pop()
            index = self._after(name, moment)
            if index is None:
                found.add(name)
                continue
            rebase = self._at(index)
            hits = [old for old in rebase.old_names if _is_below(name, old)]
            steps = {(_move(name, old, rebase.target), index + 1) for old in hits}
            if not rebase.is_certain or len(hits) < len(rebase.old_names):
                steps.add((name, index + 1))
            todo += steps - seen
            _note(seen, steps)
        return frozenset(found)

    def folders_called(self, name: bytes) -> frozenset[bytes]:
        """Return the disk's folders that tar may call `name` in its next snapshot.

        Raises TangledError.
        """
        if not self._met:
            return frozenset((name,) if name in self._head else ())
        found = {earlier for earlier, _ in self._undo(name, len(self), 0)}
        return frozenset(
            folder for folder in found if folder in self._head and name in self.names_at_end(folder)
        )

    def _work_out_all(self, records: tuple[Rename, ...]) -> None:
        """Find out which folders tar met, since a record may have another name for one.

        At first all are kept that may be meant in any order; then those that fit the order.
        """
        targets = {record: frozenset(record[1:]) for record in records}
        while (guessed := self._guess(targets)) != targets:
            targets = guessed
        targets = {record: self._there(guessed) for record, guessed in targets.items()}
        for _ in range(_ROUNDS):
            self._work_out(targets)
            fitting = {
                record: frozenset(each for each in guessed if record[1] in self.names_at_end(each))
                for record, guessed in targets.items()
            }
            if not all(fitting.values()):
                raise TangledError("a folder was renamed that is not there")
            certain = [each for fits in fitting.values() if len(fits) == 1 for each in fits]
            if len(set(certain)) < len(certain):
                raise TangledError("a folder was renamed twice")
            if fitting == targets:
                return
            targets = fitting
        self._work_out(targets)

    def _guess(self, targets: _Targets) -> _Targets:
        """Return what each record may be about, and more of it, given what is known so far."""
        olds: dict[bytes, set[bytes]] = {}
        for (old, _), guessed in targets.items():
            for target in guessed:
                olds.setdefault(target, set()).add(old)
        found = {}
        for record, guessed in targets.items():
            earlier = _earlier(record[1], olds)
            for old in _earlier(record[0], olds):
                earlier |= {folder for name in earlier for folder in _halve(name, old)}
            found[record] = guessed | self._there(earlier)
        return found

    def _there(self, folders: Iterable[bytes]) -> frozenset[bytes]:
        return frozenset(folder for folder in folders if folder in self._head)

    def _work_out(self, targets: _Targets) -> None:
        """Set the renames, each for all folders that it may be about."""
        meant = [
            (_order(target), target, record, len(guessed) == 1)
            for record, guessed in targets.items()
            for target in guessed
        ]
        meant.sort()
        self._met = [order for order, *_ in meant]
        self._latest_first, self._near = [], {}
        for index in range(len(meant) - 1, -1, -1):
            _, target, record, is_certain = meant[index]
            old_names = self.names_before(record[0], len(meant), index + 1)
            self._latest_first.append(Rebase(target, record, old_names, is_certain))
            for name in {target, *old_names}:
                self._near.setdefault(name, []).append(-index)

    def _at(self, index: int) -> Rebase:
        return self._latest_first[len(self._met) - 1 - index]

    def _undo(self, name: bytes, moment: int, begin: int) -> set[tuple[bytes, int]]:
        """Return all earlier names, each with the moment until which it was one."""
        seen = {(name, moment)}
        todo = [*seen]
        while todo:
            name, moment = todo.pop()
            index = self._before(name, moment, begin)
            if index is None:
                continue
            rebase = self._at(index)
            steps = set()
            if _is_below(name, rebase.target):
                steps = {(_move(name, rebase.target, old), index) for old in rebase.old_names}
            if not rebase.is_certain or not all(_is_below(name, old) for old in rebase.old_names):
                steps.add((name, index))
            todo += steps - seen
            _note(seen, steps)
        return seen

    def _before(self, name: bytes, moment: int, begin: int) -> int | None:
        """Return the last rename before a moment that may be about what is above a name."""
        last = -1
        for above in _above(name):
            if near := self._near.get(above):
                place = bisect_right(near, -moment)
                if place < len(near):
                    last = max(last, -near[place])
        return last if last >= begin else None

    def _after(self, name: bytes, moment: int) -> int | None:
        """Return the first rename from a moment on that may be about what is above a name."""
        first = len(self._met)
        for above in _above(name):
            if near := self._near.get(above):
                place = bisect_right(near, -moment) - 1
                if place >= 0:
                    first = min(first, -near[place])
        return first if first < len(self._met) else None


def _order(folder: bytes) -> _Order:
    """Return what sorts folders as tar meets them."""
    above, _, name = folder.rpartition(b"/")
    return above.split(b"/") if above else [], name


def _above(name: bytes) -> Iterator[bytes]:
    """Yield the folders above a name, the disk's own included."""
    while name:
        name = name.rpartition(b"/")[0]
        yield name


def _is_below(name: bytes, folder: bytes) -> bool:
    return name.startswith(folder + b"/") if folder else name != b""


def _move(name: bytes, old: bytes, new: bytes) -> bytes:
    """Return the name, which is below `old`, as it is below `new`."""
    rest = name[len(old) + 1 :] if old else name
    return new + b"/" + rest if new else rest


def _halve(name: bytes, old: bytes) -> Iterator[bytes]:
    """Yield the folder whose rename from `old` made `name` of its own name, if there is one."""
    folder = name[: (len(name) + len(old)) // 2]
    if old and _is_below(folder, old) and _move(folder, old, folder) == name:
        yield folder


def _earlier(name: bytes, olds: dict[bytes, set[bytes]]) -> set[bytes]:
    """Return all names that renames, in any order but each once, may have made `name` of."""
    found = {name}
    done: set[tuple[bytes, frozenset[bytes]]] = set()
    todo = [(name, frozenset[bytes]())]
    while todo:
        name, used = todo.pop()
        for above in _above(name):
            for old in () if above in used else olds.get(above, ()):
                step = _move(name, above, old), used | {above}
                if step not in done:
                    done.add(step)
                    todo.append(step)
                    found.add(step[0])
        if len(done) > _MOST_GUESSES:
            raise TangledError("a folder may have had too many names")
    return found


def _note(seen: set[tuple[bytes, int]], steps: set[tuple[bytes, int]]) -> None:
    """Add what has been looked at. Raises TangledError if that is too much."""
    seen |= steps
    if len(seen) > _MOST_WAYS:
        raise TangledError("a folder may have had too many names")
