"""Questions on a terminal."""

import sys

from asyncamanda.errors import UsageError


def is_terminal() -> bool:
    """Return whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(question: str) -> str:
    """Return what is typed to `question`, "" for nothing. Raises EOFError at the input's end."""
    print(question, end=" ", flush=True)
    line = sys.stdin.readline()
    if not line:
        print()
        raise EOFError
    return line.strip()


def check_can_ask(hint: str) -> None:
    """Raise UsageError, with `hint`, where there is no terminal to ask on."""
    if not sys.stdin.isatty():
        raise UsageError("nobody-to-ask", "there is no terminal to ask on", hint)


def is_agreed(question: str, hint: str) -> bool:
    """Ask whether to go on, and return whether that was a yes: nothing typed means no.

    Raises UsageError, with `hint`, where there is no terminal to ask on.
    """
    check_can_ask(hint)
    try:
        return ask(f"{question} [y/N]").lower() in {"y", "yes"}
    except EOFError:
        return False


def is_not_refused(question: str) -> bool:
    """Ask whether to go on, and return whether nobody said no: nothing typed means yes."""
    try:
        return ask(f"{question} [Y/n]").lower() in {"", "y", "yes"}
    except EOFError:
        return False
