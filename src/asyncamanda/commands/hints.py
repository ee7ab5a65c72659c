"""Hints that suit what was typed: `list` and `restore` as they are typed there."""

import contextlib
import re
from collections.abc import Iterator, Sequence

from asyncamanda.core.values.shellwords import quote_words
from asyncamanda.errors import AsyncamandaError

_COMMAND = re.compile(r"\b(as root: )?asyncamanda (list|restore)\b")


@contextlib.contextmanager
def naming(
    options: Sequence[str], *, client: str = "", typed: Sequence[str] = ()
) -> Iterator[None]:
    """Let the hint of an error that is raised in the block name commands that can be typed.

    With these options, such as `--config FILE`; and for the administrator, who asks for files of
    `client`, they are those of `server`. `typed` are the words after `asyncamanda` in the line that
    was typed, which root may type, too, where the hint has no options of its own.
    """
    try:
        yield
    except AsyncamandaError as error:
        error.hint = adapt_hint(error.hint, options, client, typed)
        raise


def adapt_hint(
    hint: str, options: Sequence[str], client: str = "", typed: Sequence[str] = ()
) -> str:
    """Return the hint with its commands as naming() says."""

    def adapt(found: re.Match[str]) -> str:
        has_options = hint.startswith(" -", found.end())
        if found[1] and typed and not has_options:
            return found[1] + quote_words(["asyncamanda", *typed])
        words = ["asyncamanda", *["server"] * bool(client), found[2], *options]
        return (found[1] or "") + quote_words([*words, client] if client else words)

    return _COMMAND.sub(adapt, hint)


def drop_force(hint: str) -> str:
    """Return the hint without the advice to use --force, for who has; as it is, if that is all."""
    clauses = hint.split("; ")
    return "; ".join(clause for clause in clauses if not clause.startswith("--force ")) or hint


def name_options(**named: str | None) -> list[str]:
    """Return these options as words, but for those that were not given."""
    words = [(f"--{name.replace('_', '-')}", value) for name, value in named.items() if value]
    return [word for pair in words for word in pair]
