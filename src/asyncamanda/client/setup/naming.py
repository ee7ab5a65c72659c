"""By which name the server knows this machine, and what is wanted where it has another one."""

import re
from dataclasses import replace
from enum import Enum

from asyncamanda.config.client import SYSTEM_FILE, parse_client_config
from asyncamanda.errors import ConfigurationError

OTHER_NAME = "other-name"
_NAME_LINE = re.compile(r"^name[ \t]*=.*\n?", re.MULTILINE)
_HEAD = re.compile(r"\ufeff?(?:[ \t]*(?:#[^\n]*)?\r?\n)*")  # comments and blank lines


class OtherNameError(ConfigurationError):
    """The server knows this machine's key as `known`, which is not the `wanted` name."""

    def __init__(self, known: str, wanted: str) -> None:
        self.known = known
        self.wanted = wanted
        super().__init__(
            OTHER_NAME,
            f"the server knows this key as {known}, not as {wanted}",
            f"to keep that name: --name {known}; to rename it, on the server: asyncamanda server "
            f"rename {known} {wanted}; if this machine is a copy of {known}: --new-key",
        )


class NameWish(Enum):
    """What is wanted where the server knows this machine's key by another name.

    The value is what is typed for it.
    """

    KEEP = "keep"
    RENAME = "rename"
    COPY = "copy"


def is_same_name(wanted: str, known: str, *, is_named: bool) -> bool:
    """Return whether the server's name is the one that is wanted.

    A host's name that nobody chose (`is_named`) is the same with its domain and without.
    """
    if wanted == known:
        return True
    one, other = wanted.lower(), known.lower()
    return not is_named and (
        one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
    )


def read_wish(answer: str) -> NameWish | None:
    """Return what an answer, a word or its beginning, means; None for no such word."""
    word = answer.lower()
    found = [wish for wish in NameWish if word and wish.value.startswith(word)]
    return found[0] if found else None


def needs_name(known: str, recorded: str | None, host_name: str) -> bool:
    """Return whether client.toml has to say by which name the server knows this machine.

    `recorded` is the name that is in it. It has to where that cannot be seen by the host's name.
    """
    if recorded is not None:
        return recorded != known
    return not is_same_name(host_name, known, is_named=False)


def write_name(text: str, name: str) -> str:
    """Return a client.toml that says this name; all else in it stays.

    Raises ConfigurationError if that cannot be said without changing something else.
    """
    line = f'name = "{name}"  # by which the server knows this machine\n'
    if said := _NAME_LINE.search(text):
        after = f"{text[: said.start()]}{line}{text[said.end() :]}"
    else:
        head = _HEAD.match(text)
        place = head.end() if head else 0
        after = f"{text[:place]}{line}{text[place:]}"
    before = parse_client_config(text, str(SYSTEM_FILE))
    try:
        is_whole = parse_client_config(after, str(SYSTEM_FILE)) == replace(before, name=name)
    except ConfigurationError:
        is_whole = False
    if not is_whole:
        raise ConfigurationError(
            "name-by-hand", f"{SYSTEM_FILE} could not be changed", f"write there: {line.strip()}"
        )
    return after
