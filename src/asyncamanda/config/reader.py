"""What both configuration files have in common: reading them, and reporting every mistake.

A file's keys are a table: for each key the function that makes a value of what stands there, or a
further such table. A function raises Wrong for what is not allowed.
"""

import difflib
import re
import sys
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Mapping, Sequence
from datetime import time, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from asyncamanda.core.protocol.authority import check_client_name
from asyncamanda.core.values import interval
from asyncamanda.core.values.size import ALLOWED, parse_size
from asyncamanda.errors import ConfigurationError

LONGEST_SHOWN = 60  # characters

Reader = Callable[[Any], object]
Keys = Mapping[str, "Reader | Keys"]


class Wrong(ValueError):  # noqa: N818 - a mistake of the file's, gathered with the others
    """A value that is not allowed: what was found, and what is allowed."""

    def __init__(self, found: object, allowed: str) -> None:
        super().__init__(f"found {_shown(found)}; allowed: {allowed}")


def read_file(path: Path) -> str | None:
    """Return the text of the file `path`, or None if there is none.

    Raises ConfigurationError if it cannot be read.
    """
    try:
        content = path.read_bytes()
        if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise ConfigurationError(
                "config-unreadable", f"{path} is written in UTF-16", "save it as UTF-8"
            )
        return content.decode("utf-8-sig")  # an editor may have put a mark before it
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "config-unreadable",
            f"{path} cannot be read: {error}",
            "is it a text file that you can read?",
        ) from error


def parse_toml(text: str, name: str) -> dict[str, object]:
    """Return the table that `text` is; `name` is its file's.

    Raises ConfigurationError, with the place of the mistake, if it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of a number or a nesting beyond all bounds
        hint = 'put text in quotes: key = "value"'
        if "twice" in str(error) or "overwrite" in str(error):  # in tomllib's words
            hint = "a section may begin once only: put its lines below the one that is there"
        raise ConfigurationError("config-not-toml", f"{name} is not TOML: {error}", hint) from error


def read_table(
    table: Mapping[str, object], keys: Keys, mistakes: list[str], prefix: str = ""
) -> dict[str, Any]:
    """Return the values of `table` that are right, by key; add a line to `mistakes` for others."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in keys:
            shown = key if re.fullmatch(r"[\w-]+", key) else "..."  # it may be a password
            close = difflib.get_close_matches(key, keys, 1)
            hint = f"did you mean {close[0]}?" if close else f"allowed: {', '.join(keys)}"
            mistakes.append(f"{prefix}{shown}: unknown key; {hint}")
            continue
        reader = keys[key]
        try:
            if callable(reader):
                values[key] = reader(value)
            else:
                values[key] = read_table(_as_table(value), reader, mistakes, f"{prefix}{key}.")
        except Wrong as wrong:
            mistakes.append(f"{prefix}{key}: {wrong}")
    return values


def _as_table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Wrong(value, "a table, begun by its name in brackets on a line of its own")
    return value


def refuse_mistakes(name: str, mistakes: Sequence[str], hint: str) -> None:
    """Raise ConfigurationError if there are `mistakes` in the file `name`."""
    if mistakes:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        raise ConfigurationError(
            "config-wrong",
            "\n".join([f"{name} has {count}", *(f"  {mistake}" for mistake in mistakes)]),
            hint,
        )


def _shown(value: object) -> str:
    """Return a value of the file's for its owner to recognise, without a password in it."""
    if isinstance(value, str):
        _, at, host = value.rpartition("@")
        start, colon, _ = host.partition(":")
        text = repr(f"...@{host}" if at else start + (colon and ":..."))
        return text if len(text) < LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
    if isinstance(value, int | float):
        return str(value) if abs(value) < sys.maxsize else "a number beyond all bounds"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return "something else"


def read_text(value: object) -> str:
    """Return a text that the operating system would take as an argument."""
    if not isinstance(value, str) or not _is_text(value):
        raise Wrong(value, "a text in quotes")
    return value


def read_name(value: object) -> str:
    """Return a client's name."""
    try:
        check_client_name(text := read_text(value))
    except ValueError as error:
        raise Wrong(value, f"a client's name as the disklist has it ({error})") from error
    return text


def _is_text(value: str) -> bool:
    return bool(value) and "\0" not in value


def texts_like(what: str, example: str) -> Reader:
    """Return a reader of lists of texts; it asks for `what` they are, by an `example`."""

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise Wrong(value, f"{what}, {example}")
        return tuple(value)

    return read


def read_size(value: object) -> int:
    """Return an amount of bytes."""
    try:
        if isinstance(value, str):
            return parse_size(value)
    except ValueError:
        pass
    raise Wrong(value, ALLOWED)


def read_flag(value: object) -> bool:
    """Return a truth value."""
    if not isinstance(value, bool):
        raise Wrong(value, "true or false")
    return value


def read_mail(value: object) -> str:
    """Return an address that the local sendmail takes: a user, or user@host."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w.+][\w.+-]*(@[\w.-]+)?", value):
        raise Wrong(value, 'a user, or an address: "root" or "me@example.com"')
    return value


def read_url(value: object) -> str:
    """Return a web address."""
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/]+[^\s]*", value):
        raise Wrong(object(), 'a web address, "https://..."')  # there may be a secret in it
    return value


def read_path(value: object) -> Path:
    """Return the path of a file, whole or from the home."""
    if not isinstance(value, str) or not value.startswith(("/", "~/")) or not _is_text(value):
        raise Wrong(object(), 'a file\'s whole path, "/..." or "~/..."')  # it may be a password
    return Path(value)


def read_span(value: object) -> timedelta:
    """Return a span of time, above zero and at most ten years."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Wrong(value, interval.ALLOWED)
    try:
        return interval.parse_interval(str(value))
    except ValueError as error:
        raise Wrong(value, f"{interval.ALLOWED} ({error})") from error


def span_between(least: str, most: str) -> Reader:
    """Return a reader of spans from `least` to `most`, which are written as in the file."""
    bounds = interval.parse_interval(least), interval.parse_interval(most)
    allowed = f'a span from "{least}" to "{most}"'

    def read(value: object) -> timedelta:
        try:
            span = read_span(value)
        except Wrong:
            raise Wrong(value, allowed) from None
        if not bounds[0] <= span <= bounds[1]:
            raise Wrong(value, allowed)
        return span

    return read


def number_between(least: int, most: int) -> Reader:
    """Return a reader of whole numbers from `least` to `most`."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Wrong(value, f"a whole number from {least} to {most}")
        return value

    return read


def read_share(value: object) -> float:
    """Return a share of a whole, above 0 and at most 1, of a text such as "70%"."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?\s*%", value):
        share = float(value.rstrip("% ")) / 100
        if 0 < share <= 1:
            return share
    raise Wrong(value, 'a text from "1%" to "100%"')


def read_time_of_day(value: object) -> time:
    """Return a time of day, of a text such as "03:30" or TOML's own 03:30:00."""
    if isinstance(value, time):
        return value
    if isinstance(value, str) and re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
        return time.fromisoformat(value)
    raise Wrong(value, 'a time of day from "00:00" to "23:59"')


def one_of(kind: type[Enum]) -> Reader:
    """Return a reader of the values of the enumeration `kind`."""

    def read(value: object) -> Enum:
        try:
            return kind(value)
        except ValueError as error:
            raise Wrong(value, " or ".join(f'"{member.value}"' for member in kind)) from error

    return read
