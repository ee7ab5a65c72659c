"""Which names and files of a disk an ordinary user could have come to: folder by folder.

Folders are told in an order in which each one comes after the one that holds it. What lies below a
folder that was not told is out of reach: nobody knows who could have entered it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from asyncamanda.core.restore.permission import Access, Asker, may_enter, may_read

TOP = b""


@dataclass(frozen=True, slots=True)
class _Way:
    """What the asker may do at a folder, and on the way to it.

    `is_open`: to name a file in it is to reach it. `is_listed`: its names can be read.
    `listed_from`: the depth from which on all folders down to this one can be listed, one more than
    its own if it cannot. `wanted_from`: the depth of the nearest folder that was asked for, itself
    or above, None if there is none.
    """

    is_open: bool
    is_listed: bool
    listed_from: int
    wanted_from: int | None


_CLOSED = _Way(is_open=False, is_listed=False, listed_from=1 << 30, wanted_from=None)


class Ways:
    """The folders of one disk, at one date, as far as they were told."""

    def __init__(
        self,
        asker: Asker,
        wanted: Collection[bytes],
        *,
        is_reachable: bool,
        keeps_acls: bool,
    ) -> None:
        """`wanted` are the paths that were asked for, a folder with all below.

        `is_reachable`: the asker may come to the disk's folder, by what lies above it.
        """
        self._asker = asker
        self._wanted = frozenset(wanted)
        self._keeps_acls = keeps_acls
        first = 0 if TOP in self._wanted else None
        self._above_top = _Way(is_reachable, is_reachable, 0, first)
        self._ways: dict[bytes, _Way] = {}

    def tell_folder(self, path: bytes, access: Access) -> None:
        """Take in a folder. One that was told already stays as it was told first."""
        above = self._above(path)
        can_enter = may_enter(access, self._asker, keeps_acls=self._keeps_acls)
        can_list = may_read(access, self._asker, keeps_acls=self._keeps_acls)
        depth = _depth(path)
        is_listed = above.is_open and can_list
        self._ways.setdefault(
            path,
            _Way(
                is_open=above.is_open and can_enter,
                is_listed=is_listed,
                listed_from=above.listed_from if is_listed else depth + 1,
                wanted_from=depth if path in self._wanted else above.wanted_from,
            ),
        )

    def is_known(self, folder: bytes) -> bool:
        """Return whether the folder was told."""
        return folder in self._ways

    def is_named(self, path: bytes) -> bool:
        """Return whether the asker may know that `path` is there, among what was asked for.

        That is so for what the asker named, if it can be reached, and for what can be listed from
        there on.
        """
        above = self._above(path)
        if path in self._wanted:
            return above.is_open
        return above.wanted_from is not None and above.listed_from <= above.wanted_from

    def is_listable(self, folder: bytes) -> bool:
        """Return whether the asker may read the names in `folder`, starting from what was named."""
        way = self._ways.get(folder, _CLOSED)
        return way.wanted_from is not None and way.listed_from <= way.wanted_from

    def is_shown(self, path: bytes) -> bool:
        """Return whether the asker could have listed the folder that `path` lies in."""
        return self._above(path).is_listed

    def is_reached(self, path: bytes) -> bool:
        """Return whether the asker comes to `path`, if it is there and whoever named it."""
        return self._above(path).is_open

    def may_read(self, path: bytes, access: Access) -> bool:
        """Return whether the asker could have read that file, of which it may know."""
        return (
            self.is_named(path)
            and self.is_reached(path)
            and may_read(access, self._asker, keeps_acls=self._keeps_acls)
        )

    def _above(self, path: bytes) -> _Way:
        if path == TOP:
            return self._above_top
        return self._ways.get(path.rpartition(b"/")[0], _CLOSED)


def _depth(path: bytes) -> int:
    return path.count(b"/") + 1 if path else 0
