"""Tables for a terminal, by rich, which is loaded only where one is shown."""

import sys
from collections.abc import Iterable, Sequence

from asyncamanda.core.values.printable import printable
from asyncamanda.report.page import fold
from asyncamanda.report.stream import styled

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

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in heads:
        table.add_column(Text(printable(head)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(file=styled(sys.stdout), highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(file=styled(sys.stdout), highlight=False, emoji=False, width=500)
    console.print(table)
