"""What was read of folders, for who goes through a tree: back to a folder after each subfolder.

To read the folder again each time would take endless time where there are thousands in it.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class RecentFolders(Generic[V]):
    """The names of the last folder that was asked for, each with a value, and of those above it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._last: tuple[bytes, dict[bytes, V]] | None = None
        self._way: dict[bytes, dict[bytes, V]] = {}

    def get(self, folder: bytes, read: Callable[[bytes], dict[bytes, V]]) -> dict[bytes, V]:
        """Return the names of a folder, which `read` knows."""
        if self._last and self._last[0] == folder:
            return self._last[1]
        for other in [each for each in self._way if not _leads_to(each, folder)]:
            del self._way[other]
        if folder not in self._way:
            self._way[folder] = read(folder)
        self._last = folder, self._way[folder]
        return self._way[folder]


def _leads_to(other: bytes, folder: bytes) -> bool:
    return not other or folder == other or folder.startswith(other + b"/")
