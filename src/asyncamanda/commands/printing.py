"""What a command prints while somebody follows it."""

import shlex
import sys
import textwrap

from asyncamanda.core.values.printable import printable

WIDTH = 79


def tell(text: str) -> None:
    """Print `text`, no line of it too long for a terminal."""
    lines = textwrap.wrap(
        printable(text),
        WIDTH,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    print("\n".join(lines), flush=True)


def again() -> str:
    """Return the command that is running, for somebody to type it again."""
    return shlex.join(["asyncamanda", *sys.argv[1:]])
