"""Whether the code on the disk is newer than what this process runs."""

import sys
from collections.abc import Callable

from asyncamanda import quick

PACKAGE = "asyncamanda"


def look_at_code() -> tuple[str, ...]:
    """Return what can be seen of the file of each module of asyncamanda that is loaded."""
    modules = list(sys.modules.items())
    files = {
        str(module.__file__)
        for name, module in modules
        if name.partition(".")[0] == PACKAGE and getattr(module, "__file__", None)
    }
    return tuple(quick.glimpse(file) for file in sorted(files))


class Code:
    """Remembers the code that was on the disk when this process began."""

    def __init__(self, look: Callable[[], tuple[str, ...]] = look_at_code) -> None:
        self._look = look
        self._begun = self._last = frozenset(look())

    def is_newer(self) -> bool:
        """Return whether it is another by now, whole, and as it was at the last look.

        While it is being installed it changes, and parts of it are missing.
        """
        seen = self._look()
        before, self._last = self._last, frozenset(seen)
        is_whole = all(one.startswith("(") for one in seen)  # else an error's number
        return is_whole and self._last == before and not self._begun <= self._last
