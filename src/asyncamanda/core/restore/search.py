"""Where in a chain of dumps the bytes of a file are.

The newest image has those that it flags `Y`. One that is flagged `N` is looked for in the dump
before, in the folder that its folder was then (descent.py), and so on. What is not certain is not
guessed: a file is found, or the reason is told why it is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from asyncamanda.core.restore.descent import Descent
from asyncamanda.core.restore.head import FOLDER, OLDER, STORED, Head

NOT_THERE = "it was not there"
IS_FOLDER = "it is a folder"
LEFT_OUT = "the full backup left it out: it is excluded, or it could not be read"
NOWHERE = "no dump of the chain has it, or tar left its folder out"
UNCLEAR = "its folder was moved in a way that tar did not record clearly; another dump may have it"
MAY_BE_EXCLUDED = {LEFT_OUT, NOWHERE}  # if its name is like that

_MOST_LISTS = 16  # that are taken apart at a time
_Key = tuple[int, bytes]  # a dump's number, and a folder
_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True)
class Located:
    """A file's bytes: the image of the chain, 0 for the full, and the path that it has there."""

    image: int
    path: bytes


@dataclass(frozen=True, slots=True)
class Unlocated:
    """A file that is in no image for certain."""

    reason: str


class Search:
    """Files of the newest dump of a chain, in its images."""

    def __init__(self, heads: Sequence[Head]) -> None:
        """Search in these, the oldest first, which is the full's."""
        self._heads = heads
        self._descent = Descent(heads)
        self._lists: dict[_Key, dict[bytes, bytes]] = {}
        self._asked: dict[_Key, None] = {}

    @property
    def newest(self) -> int:
        """The number of the newest dump."""
        return len(self._heads) - 1

    def locate(self, path: bytes) -> Located | Unlocated:
        """Return where a file of the newest dump is."""
        flag = self._heads[-1].flag(path)
        if flag is None:
            return Unlocated(NOT_THERE)
        return Unlocated(IS_FOLDER) if flag == FOLDER else self.locate_listed(path, flag)

    def locate_listed(self, path: bytes, flag: bytes) -> Located | Unlocated:
        """Return where a file is that the newest dump has with this flag, not a folder's."""
        number = self.newest
        while flag == OLDER:
            if number == 0:
                return Unlocated(LEFT_OUT)
            found = self._find_before(number, path)
            if isinstance(found, str):
                return Unlocated(found)
            path, flag = found
            number -= 1
        return Located(number, path)

    def _find_before(self, number: int, path: bytes) -> tuple[bytes, bytes] | str:
        """Return path and flag that an unchanged file had at the dump before, or why not."""
        folder, _, name = path.rpartition(b"/")
        origins = self._descent.origins(number, folder)
        if origins is None or self._descent.may_be_folder(number, path):
            return UNCLEAR
        found = {}
        for compared, true in origins:
            flag = self._flag(number - 1, true, name)
            if flag in {STORED, OLDER} and self._flag(number - 1, compared, name):
                found[true] = flag
        if len(found) != 1:
            return UNCLEAR if found else NOWHERE
        true, flag = found.popitem()
        return _join(true, name), flag

    def _flag(self, number: int, folder: bytes, name: bytes) -> bytes | None:
        """Return a name's flag in a folder.

        Most are asked for folder by folder, so at the second one the folder's list is taken apart;
        not at the first, since a list may be of a million names.
        """
        key = number, folder
        flags = self._lists.get(key)
        if flags is not None:
            return flags.get(name)
        if key not in self._asked:
            _make_room(self._asked)
            self._asked[key] = None
            return self._heads[number].flag(_join(folder, name))
        _make_room(self._lists)
        self._lists[key] = dict(self._heads[number].entries(folder))
        return self._lists[key].get(name)


def locate(heads: Sequence[Head], path: bytes) -> Located | Unlocated:
    """Return where a file of the newest of `heads` is; the oldest, which is the full's, is first.

    For many files make one Search.
    """
    return Search(heads).locate(path)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


def _make_room(known: dict[_Key, _Kept]) -> None:
    if len(known) >= _MOST_LISTS:
        del known[next(iter(known))]
