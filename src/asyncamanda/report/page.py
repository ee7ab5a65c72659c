"""Lines for a terminal, as wide as that is; in one piece where there is none."""

import shutil
import sys
import textwrap
from typing import TextIO

from asyncamanda.core.values.printable import printable

HANGING = "    "


def fold(text: str, stream: TextIO, indent: str = "") -> str:
    """Return `text` with each of its lines folded to the width of `stream`, if that is a terminal.

    What a terminal would act on is escaped.
    """
    width = shutil.get_terminal_size().columns - 1 if stream.isatty() else sys.maxsize
    wrapper = textwrap.TextWrapper(
        width,
        initial_indent=indent,
        subsequent_indent=indent + HANGING,
        break_on_hyphens=False,
    )
    return "\n".join(wrapper.fill(printable(line)) for line in text.rstrip("\n").split("\n"))


def print_folded(text: str, indent: str = "") -> None:
    """Print `text` folded."""
    print(fold(text, sys.stdout, indent))  # noqa: T201 - an answer
