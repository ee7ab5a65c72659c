"""What a command prints while somebody follows it."""

import shlex
import sys
import textwrap

from asyncamanda.core.values.printable import printable
from asyncamanda.system.steps import SetupStep, make_step

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


def see_to(step: SetupStep) -> None:
    """Make `step` so, and say whether that was needed. Raises what make_step() raises."""
    if step.is_so():
        tell(f"unchanged: {step.what}")
        return
    make_step(step)
    tell(f"done: {step.what}")
