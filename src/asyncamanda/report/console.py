"""The terminal that a live view is drawn on, by rich. Loaded only where one is shown."""

import sys

from rich.console import Console, ConsoleOptions

from asyncamanda.report.stream import styled

ECHO = 4  # columns


class _NarrowConsole(Console):
    """One that leaves the last columns free, for the ^C that a terminal echoes.

    After a full line it would echo that on the next one, and what is to be cleared would be
    looked for one line too low: the view would stay.
    """

    @property
    def options(self) -> ConsoleOptions:
        """How a view is laid out."""
        whole = super().options
        return whole.update_width(max(whole.max_width - ECHO, 1))


def open_console() -> Console:
    """Return stderr as what a live view is drawn on."""
    return _NarrowConsole(file=styled(sys.stderr), highlight=False, emoji=False)
