"""Lines for a terminal, as wide as that is; in one piece where there is none."""

import re
import shlex
import shutil
import sys
import textwrap
from typing import TextIO

from asyncamanda.core.values.printable import printable

HANGING = "    "
_ESCAPED = re.compile(r"\$'(?:[^'\\]|\\.)*'")  # of bash; shlex knows nothing of it
_COMMAND = re.compile(r"(?P<words>.*?:) (?P<command>(?:asyncamanda|runuser -u) .*)")


def fold(text: str, stream: TextIO, indent: str = "") -> str:
    """Return `text` with each of its lines folded to the width of `stream`, if that is a terminal.

    What a terminal would act on is escaped.
    """
    width = shutil.get_terminal_size().columns - 1 if stream.isatty() else sys.maxsize
    lines = text.rstrip("\n").split("\n")
    return "\n".join(_fold_line(printable(line), width, indent) for line in lines)


def _fold_line(line: str, width: int, indent: str) -> str:
    blanks = " " * (len(line) - len(line.lstrip(" ")))
    return textwrap.fill(
        line,
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}{blanks}{HANGING}",
        break_on_hyphens=False,
    )


def fold_hint(hint: str, stream: TextIO, indent: str = "") -> str:
    """Return a hint folded, but for the command at its end: that can be pasted as it is.

    A command that does not fit stands in a line of its own, which only the terminal breaks.
    """
    lines = fold(hint, stream, indent)
    found = _COMMAND.fullmatch(hint)
    if "\n" not in lines or not found or not _is_command(found["command"]):
        return lines
    blanks = " " * (len(hint) - len(hint.lstrip(" ")))
    head = fold(found["words"], stream, indent)
    return f"{head}\n{indent}{blanks}{HANGING}{found['command']}"


def _is_command(text: str) -> bool:
    """Return whether this is a command to its end, and no sentence that begins with one."""
    try:
        words = shlex.split(_ESCAPED.sub("x", text))
    except ValueError:
        return False
    return not any(word.endswith((",", ";")) for word in words)


def print_folded(text: str, indent: str = "") -> None:
    """Print `text` folded."""
    print(fold(text, sys.stdout, indent))  # noqa: T201 - an answer
