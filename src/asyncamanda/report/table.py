"""Tables for a terminal, by rich, which is loaded only where one is shown."""

import re
import sys
from collections.abc import Iterable, Sequence

from asyncamanda.core.values.printable import printable
from asyncamanda.report.page import fold
from asyncamanda.report.stream import styled

_LEAST = 10  # columns for what has to be cut
_ENDLESS = 500  # columns, where there is no terminal
_TRAILING = re.compile(r" +((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)
STYLES = {  # on light and dark backgrounds
    "all well": "green",
    "deferred": "bold",
    "overdue": "bold",
    "no backup known": "bold",
    "FAILING": "bold red",
    "STALE": "bold red",
}


def print_glance(text: str) -> None:
    """Print a line that begins with a word of STYLES and a colon, the word in its colour."""
    from rich.console import Console  # noqa: PLC0415 - as below
    from rich.text import Text  # noqa: PLC0415

    word, colon, rest = fold(text, sys.stdout).partition(":")
    console = Console(file=styled(sys.stdout), highlight=False, emoji=False)
    if not console.is_terminal:
        print(f"{word}{colon}{rest}")  # noqa: T201 - the answer
        return
    console.print(Text.assemble((word, STYLES.get(word, "")), colon + rest))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print `rows` below `heads`, as wide as the terminal; whole lines where there is none."""
    from rich import box  # noqa: PLC0415 - costs a third of a start that prints no table
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    cells = [[printable(cell) for cell in row] for row in (heads, *rows)]
    console = Console(file=styled(sys.stdout), highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(file=styled(sys.stdout), highlight=False, emoji=False, width=_ENDLESS)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    widths = _find_widths(cells, console.width - 2 * (len(heads) - 1))
    for head, width in zip(cells[0], widths, strict=True):
        table.add_column(Text(head), overflow="fold", min_width=width)
    for row in cells[1:]:
        table.add_row(*map(Text, row))
    with console.capture() as captured:
        console.print(table)
    text = _TRAILING.sub(r"\1", captured.get())
    styled(sys.stdout).write(text)


def _find_widths(cells: Sequence[Sequence[str]], width: int) -> list[int | None]:
    """Return how narrow each column may become, so that it is wrapped between words.

    None where words have to be cut: in those with the longest words, as few as can be.
    """
    from rich.cells import cell_len  # noqa: PLC0415 - as above

    columns = list(zip(*cells, strict=True))
    widths: list[int | None] = [
        max((cell_len(word) for cell in c for word in cell.split()), default=0) for c in columns
    ]
    while sum(_LEAST if each is None else each for each in widths) > width:
        widest = max(range(len(widths)), key=lambda column: widths[column] or 0)
        if (widths[widest] or 0) <= _LEAST:
            return [None] * len(widths)
        widths[widest] = None
    return widths
