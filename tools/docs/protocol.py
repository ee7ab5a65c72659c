"""The pages' part that is made from the protocol's definitions: each message, field by field.

Types, bounds and meanings are those that the code has: a message's docstring says what its fields
mean, and what a wrong value is told says what a right one is (core/protocol/bounds.py).
"""

import inspect
import re
import sys
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin

from asyncamanda.core.model import EPOCH
from asyncamanda.core.protocol import bounds
from asyncamanda.core.protocol.authority import (
    LONGEST_AMANDA_CONFIG,
    LONGEST_CLIENT,
    TOKEN_DIGITS,
)
from asyncamanda.core.protocol.bounds import Bound, check_entries, find_bound
from asyncamanda.core.protocol.codec import may_be_missing
from asyncamanda.core.protocol.messages import (
    LARGEST_FROM_CLIENT,
    LARGEST_FROM_SERVER,
    PROTOCOLS,
    ClientMessage,
    ServerMessage,
)
from asyncamanda.core.restore import answer, request

_NAME = "A-Z a-z 0-9 _ . -, the first one no . or -, no two dots in a row"
# what a wrong value is told: a right one, where those words do not say it
_SAID = {
    "neither true nor false": "true or false",
    "no time with its zone": (
        f"time, RFC 3339 with its zone, from {EPOCH.year} to {bounds.LATEST.year - 1}"
    ),
    "no reference": "word of at most 60 characters a-z 0-9 -, the first one a letter",
    "no run's timestamp": "text, 8 to 14 digits or none",
    "no dump's timestamp": "text, 8 to 14 digits or none",
    "no day": "text, a day such as 2026-12-01",
    "no run": "text, 8 to 14 digits",
    f"no name of at most {bounds.LONGEST_PATH} bytes": (
        f"path within the disk of at most {bounds.LONGEST_PATH} bytes: no part of it is empty, "
        "`.` or `..`"
    ),
    f"no name of at most {bounds.LONGEST_GLOB} bytes": f"at most {bounds.LONGEST_GLOB} bytes",
    "no token": f"text, {TOKEN_DIGITS} digits of 0-9 a-f",
    f"a client's name has from 1 to {LONGEST_CLIENT} characters": (
        f"name of at most {LONGEST_CLIENT} characters {_NAME}"
    ),
    f"a configuration's name has from 1 to {LONGEST_AMANDA_CONFIG} characters": (
        f"name of at most {LONGEST_AMANDA_CONFIG} characters {_NAME}"
    ),
}
_WORD = re.compile(r'^    [A-Z_]+ = "([^"]+)"(?: +# (.+))?$', re.MULTILINE)


def describe_protocol() -> str:
    """Return the part of docs/protocol.md that is made from the code, in Markdown."""
    spoken = ", ".join(map(str, PROTOCOLS))
    records = list_records(*get_args(ClientMessage), *get_args(ServerMessage))
    parts = [
        f"Protocols that this version speaks: {spoken}.",
        f"## What a client sends\n\nA line has at most {LARGEST_FROM_CLIENT} bytes.",
        *(_describe_record(kind, _head(kind)) for kind in get_args(ClientMessage)),
        f"## What the server sends\n\nA line has at most {LARGEST_FROM_SERVER} bytes.",
        *map(_describe_message_of_server, get_args(ServerMessage)),
        "## Records within messages",
        *(_describe_record(kind, f"### {kind.__name__}") for kind in records),
    ]
    return "\n\n".join(parts)


def describe_restore() -> str:
    """Return the part of docs/protocol.md on what a restore's two sides say, in Markdown."""
    asked, answered = request.KINDS, answer.KINDS
    inner = list_records(*asked.values(), *answered.values())
    parts = [
        f"### What a client asks\n\nThe line has at most {request.LARGEST_REQUEST} bytes.",
        *(_describe_record(kind, f"#### {name}") for name, kind in asked.items()),
        f"### What the server answers\n\nA line has at most {answer.LARGEST_ANSWER} bytes.",
        *(_describe_record(kind, f"#### {name}") for name, kind in answered.items()),
        "### Records within a restore's lines",
        *(_describe_record(kind, f"#### {kind.__name__}") for kind in inner),
    ]
    return "\n\n".join(parts)


def list_records(*messages_: Any) -> list[type]:
    """Return the records, and the lists of words, that messages consist of."""
    found: list[type] = []
    waiting: list[Any] = [*messages_]
    messages = set(waiting)
    while waiting:
        for field in fields(waiting.pop(0)):
            kind = _inner(field.type)
            is_own = is_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, Enum))
            if is_own and kind not in messages and kind not in found:
                found.append(kind)
                waiting += [kind] if is_dataclass(kind) else []
    return sorted(found, key=lambda kind: kind.__name__)


def describe_bound(bound: Bound) -> str:
    """Return what a field with that `bound` may hold.

    Raises ValueError if that cannot be told from what wrong values are told.
    """
    said = _reject(bound, None)
    if said == "no text":
        said = _reject(bound, "")
    if said == "no number":
        said = _reject(bound, -1)
    if said in _SAID:
        return _SAID[said]
    if said.startswith("none of "):
        return f"one of {said.removeprefix('none of ')}"
    if said.startswith("not within 0 and "):
        most = said.removeprefix("not within 0 and ").removesuffix(", in seconds")
        return f"seconds, from 0 to {most}"
    if not said.startswith(("no text of", "no whole number")):
        raise ValueError(f"tools/docs/protocol.py has no words for: {said}")
    is_printable = not _takes(bound, "\0")
    shown = ", all of which print" if said.startswith("no text") and is_printable else ""
    return f"{said.removeprefix('no ')}{shown}"


def _describe_message_of_server(kind: type) -> str:
    if kind in get_args(ClientMessage):
        return f"### {kind.__name__.lower()} (server)\n\nAs [a client's](#{kind.__name__.lower()})."
    return _describe_record(kind, _head(kind))


def _head(kind: type) -> str:
    return f"### {kind.__name__.lower()}"


def _describe_record(kind: Any, head: str) -> str:
    """Return a heading, what the docstring says, and a row for each field or word."""
    parts = [head, inspect.getdoc(kind) or ""]
    if issubclass(kind, Enum):
        words = _WORD.findall(inspect.getsource(kind))  # an Enum's comments are its meanings
        parts += [_table("value | meaning", (f"`{word}` | {meaning}" for word, meaning in words))]
    elif fields(kind):
        rows = (
            f"`{one.name}` | {_describe_field(one.name, one.type)}"
            f"{'; may be missing' if may_be_missing(one) else ''}"
            for one in fields(kind)
        )
        parts += [_table("key | value", rows)]
    return "\n\n".join(part for part in parts if part)


def _table(head: str, rows: Iterable[str]) -> str:
    return "\n".join(f"| {row} |" for row in (head, "--- | ---", *rows))


def _describe_field(key: str, kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"list of at most {_most_entries(key)}: {_describe_field(key, _inner(kind))}"
    if NoneType in get_args(kind):
        return f"{_describe_field(key, _inner(kind))}; or null"
    name = kind.__name__
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"a [{name}](#{name.lower()})"
    bound = find_bound(key, kind)
    if bound is None:
        return f"a [{name}](#{name.lower()})"
    return describe_bound(bound)


def _most_entries(key: str) -> str:
    try:
        check_entries(key, sys.maxsize)
    except ValueError as error:
        return str(error).removeprefix("a list of more than ")
    raise ValueError(f"tools/docs/protocol.py finds no bound of the list {key}")


def _inner(kind: Any) -> Any:
    """Return what a list, or what may be null, is of; else `kind`."""
    inner = [each for each in get_args(kind) if each not in {NoneType, Ellipsis}]
    return _inner(inner[0]) if inner else kind


def _reject(bound: Bound, value: object) -> str:
    try:
        bound.read(value)
    except ValueError as error:
        return str(error)
    raise ValueError(f"tools/docs/protocol.py knows no value that a bound refuses: {value!r}")


def _takes(bound: Bound, value: object) -> bool:
    try:
        bound.read(value)
    except ValueError:
        return False
    return True
