"""The terminal that a live view is drawn on, by rich. Loaded only where one is shown."""

import sys
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

from asyncamanda.report.stream import styled

ECHO = 4  # columns


def open_console() -> Console:
    """Return stderr as what a live view is drawn on."""
    return Console(file=styled(sys.stderr), highlight=False, emoji=False)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A view that leaves the last columns free, for the ^C that a terminal echoes.

    After a full line it would echo that on the next one, and what is to be cleared would be
    looked for one line too low: the view would stay.
    """

    view: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        yield from console.render(self.view, options.update_width(max(options.max_width - ECHO, 1)))
