"""Hints that suit what was typed: `list` and `restore` as they are typed there."""

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Sequence

from asyncamanda.core.values.shellwords import quote_words
from asyncamanda.errors import AsyncamandaError

_COMMAND = re.compile(r"\b(as root: )?asyncamanda (list|restore)\b")
_PATHS = {"--to", "--config"}  # options whose value is a path
_WITH_VALUES = {"--at", "--disk", "--find", "--level", "--overwrite", "--raw"}  # is none


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


def settle_paths(typed: Sequence[str], paths: Collection[str], here: str) -> list[str]:
    """Return the words that were typed, relative paths among them with the folder `here`.

    So that they mean the same where somebody else types them. `paths` are the arguments that name
    files; the values of options are not among them, but for those of _PATHS.
    """
    settled: list[str] = []
    before = ""
    for word in typed:
        name, is_joined, value = word.partition("=")
        if before in _PATHS or (word in paths and before not in _WITH_VALUES):
            settled.append(os.path.join(here, word))  # noqa: PTH118 - keeps what is after a link
        elif is_joined and name in _PATHS:
            settled.append(f"{name}={os.path.join(here, value)}")  # noqa: PTH118 - as above
        else:
            settled.append(word)
        before = word
    return settled


def drop_force(hint: str) -> str:
    """Return the hint without the advice to use --force, for who has; as it is, if that is all."""
    clauses = hint.split("; ")
    return "; ".join(clause for clause in clauses if not clause.startswith("--force ")) or hint


def name_options(**named: str | None) -> list[str]:
    """Return these options as words, but for those that were not given."""
    words = [(f"--{name.replace('_', '-')}", value) for name, value in named.items() if value]
    return [word for pair in words for word in pair]
