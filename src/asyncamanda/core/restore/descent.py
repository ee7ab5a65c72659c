"""Which folder of the dump before a folder was: by what tar recorded, and by what it got wrong.

A file that tar flags as unchanged (`N`) lay, under its own name, in the same folder (the same
inode) at the dump before: moving a file changes its ctime, and tar looks at that. So the question
is only which folder that was.

tar knows folders by inode, and records which were renamed. But where a folder took the name of
another one that the snapshot had, tar leaves the other's inode in the next snapshot (incremen.c,
procdir). From then on it takes one for the other, without a record or with a false one. Names in
its snapshot can be wrong, too (rebasing.py). So what its next snapshot holds is followed dump by
dump: of each folder its name there, and which folder's inode that entry has. All that may be is
kept; what is found in more than one place is not told apart here. None stands for "any".

Sources: incremen.c of GNU tar 1.34 and 1.35, which do not differ in this.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from asyncamanda.core.restore.head import FOLDER, Head
from asyncamanda.core.restore.rebasing import Rebasing, TangledError

_MOST_KEPT = 4096  # answers


class Origin(NamedTuple):
    """What a folder may have been at the dump before.

    `compared` is the folder with whose list tar compared its list, `true` the one that it was.
    """

    compared: bytes
    true: bytes


class Descent:
    """The folders of a chain of dumps, each with what it was at the dump before.

    Dumps are numbered from the oldest, 0.
    """

    def __init__(self, heads: Sequence[Head]) -> None:
        """Look at the renames of these dumps, the oldest first."""
        self._heads = heads
        self._rebasings: list[Rebasing | None] = [_work_out(head) for head in heads]
        renamed = [number for number, head in enumerate(heads) if head.renames]
        self._first_renamed = renamed[0] if renamed else len(heads)
        self._heirs: list[dict[bytes, bytes] | None] = [None] * len(heads)
        self._origins: dict[tuple[int, bytes], frozenset[Origin] | None] = {}
        for number in range(1, len(heads)):
            if not self._is_possible(number):
                self._rebasings[number] = None

    def origins(self, number: int, folder: bytes) -> frozenset[Origin] | None:
        """Return what a folder of dump `number`, not the oldest, may have been at the one before.

        None is any. It holds for what tar flagged as unchanged in the folder; where there is
        nothing of that kind the folder may also have been none of them.
        """
        if number < self._first_renamed:
            return frozenset((Origin(folder, folder),) if folder in self._heads[number - 1] else ())
        key = number, folder
        if key not in self._origins:
            if len(self._origins) >= _MOST_KEPT:
                self._origins.clear()
            try:
                self._origins[key] = self._find_origins(number, folder)
            except (TangledError, RecursionError):
                self._origins[key] = None
        return self._origins[key]

    def may_be_folder(self, number: int, path: bytes) -> bool:
        """Return whether what dump `number` lists as unchanged may be a folder.

        tar leaves out a folder that its snapshot has by this name, where it renamed that one.
        """
        if not self._heads[number].renames:
            return False
        try:
            return bool(self._called(number - 1, path))
        except TangledError:
            return True

    def _is_possible(self, number: int) -> bool:
        """Return whether there was all that was renamed, each for one folder.

        It was in the snapshot, or tar had met it already: it was moved while tar was at work.
        """
        head, seen = self._heads[number], set()
        for rebase in self._rebasings[number] or ():
            try:
                entries = self._entries(number - 1, self._rebasing(number).first_names(rebase))
            except TangledError:
                return False
            if not entries and all(head.flag(name) != FOLDER for name in rebase.old_names):
                return False
            if rebase.is_certain and len(entries) == 1:
                if entries in seen:
                    return False
                seen.add(entries)
        return True

    def _find_origins(self, number: int, folder: bytes) -> frozenset[Origin]:
        origins = self._list_origins(number, folder)
        for true in {origin.true for origin in origins} - {folder}:
            self._check_move(number, folder, true)
        return origins

    def _check_move(self, number: int, folder: bytes, true: bytes) -> None:
        """Raise TangledError if a folder may not have been `true`, though tar may say so.

        Where inodes change without reason, as on FAT and in some file systems of FUSE, folders
        seem to take each other's names, which few people ever do. So where a name was there
        before, or an old one still is, the folder has to have the other one's time as well.
        """
        heads = self._heads[number - 1 : number + 1]
        if not self._called(number - 1, folder) and true not in heads[1]:
            return
        changed_at = heads[1].changed_at(folder)
        if changed_at is None or changed_at != heads[0].changed_at(true):
            raise TangledError("folders seem to have taken each other's names")

    def _list_origins(self, number: int, folder: bytes) -> frozenset[Origin]:
        rebasing, before = self._rebasing(number), number - 1
        renames = rebasing.of_target(folder)
        found: set[Origin] = set()
        for rebase in renames:
            for entry in self._entries(before, rebasing.first_names(rebase)):
                found |= {Origin(entry, true) for true in self._holders(before, entry)}
        if any(rebase.is_certain for rebase in renames):
            return frozenset(found)
        # else tar compared it with what its snapshot has by this name, if anything, whichever
        # folder it then was by its inode: one of this name, by now
        compared = self._called(before, folder)
        if compared:
            names = rebasing.names_before(folder, rebasing.moment_of(folder))
            for entry in self._entries(before, names | {folder}):
                for true in self._holders(before, entry):
                    found |= {Origin(each, true) for each in compared}
        return frozenset(found)

    def _holders(self, number: int, folder: bytes) -> frozenset[bytes]:
        """Return the folders whose inode the next snapshot may have for a folder of this dump.

        It is its own, but where it took the name of another that the snapshot before had: by a
        rename that is recorded, or by one of a folder above it. Raises TangledError.
        """
        own = frozenset((folder,))
        if number < self._first_renamed or number == 0:
            return own
        rebasing, before = self._rebasing(number), number - 1
        entries = self._called(before, folder)
        if not entries:
            return own
        renames = rebasing.of_target(folder)
        if not renames:
            names = rebasing.names_before(folder, rebasing.moment_of(folder)) | {folder}
            if self._entries(before, names) == entries and len(entries) == 1:
                return own
        stale = {
            self._heir(number, holder)
            for entry in entries
            for holder in self._holders(before, entry)
        }
        is_stale = (
            any(rebase.is_certain for rebase in renames)
            and entries == own
            and self._rebasing(before).names_at_end(folder) == own
        )
        return frozenset(stale if is_stale else stale | own)

    def _heir(self, number: int, folder: bytes) -> bytes:
        """Return what a folder of the dump before this one is in this one, which has it renamed.

        Raises TangledError where that is not known.
        """
        heirs = self._heirs[number]
        if heirs is None:
            heirs = {}
            for rebase in self._rebasing(number):
                origins = self.origins(number, rebase.target) if rebase.is_certain else None
                if origins and len({origin.true for origin in origins}) == 1:
                    heirs[next(iter(origins)).true] = rebase.target
            self._heirs[number] = heirs
        if folder not in heirs:
            raise TangledError("what a folder is by now is not known")
        return heirs[folder]

    def _entries(self, number: int, names: Iterable[bytes]) -> frozenset[bytes]:
        return frozenset(folder for name in names for folder in self._called(number, name))

    def _called(self, number: int, name: bytes) -> frozenset[bytes]:
        """Return the folders that the next snapshot may have by this name. Raises TangledError."""
        return self._rebasing(number).folders_called(name)

    def _rebasing(self, number: int) -> Rebasing:
        rebasing = self._rebasings[number]
        if rebasing is None:
            raise TangledError("the renames of a dump are not understood")
        return rebasing


def _work_out(head: Head) -> Rebasing | None:
    try:
        return Rebasing(head)
    except TangledError:
        return None
