"""What a field of the protocol's may hold: how it is read, and made fit before it is sent.

Either side considers the other hostile: what is read is bounded field by field, so that nothing a
server sends makes a start slow, or its memory large, or raises in some sum. And as each side's own
text comes from others, from Amanda's logs above all, it brings that within these bounds before
sending: otherwise the other side would refuse it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncamanda.core.model import EPOCH, DumpState
from asyncamanda.core.protocol.authority import (
    ATTACH,
    Attach,
    check_amanda_config_name,
    check_client_name,
    decide_verb,
)
from asyncamanda.core.ssh.publickey import LONGEST as LONGEST_KEY
from asyncamanda.core.values.printable import clip, printable

MOST_ENTRIES = 2000  # of a list: the most DLEs that a client has
LONGEST_TEXT = 1000  # characters, where nothing else is said
LONGEST_REASON = 1000
LONGEST_MESSAGE = 2000
LONGEST_DAY = 90_000  # seconds: in autumn a day has 25 hours
LONGEST_DISK = 4096  # the longest path (PATH_MAX)
LONGEST_PATH = 65_536  # bytes of a name within a disk; a tar image has longer ones than a system
LONGEST_GLOB = 4096  # bytes
LONGEST_WAY = 4096  # characters of a folder's mode, owner, group and ACL
LONGEST_HEADER = 32_768  # bytes of a dump's header (header.py)
LONGEST_SPAN = timedelta(days=3650)
LONGEST_HEARTBEAT = timedelta(hours=1)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)  # room for any zone, and for clocks that differ
MOST = 10**15  # of anything that is counted

PHASES = ("estimating", "waiting", "dumping", "writing", "done", "failed")  # amstatus.py
FLAGS = ("Y", "N", "D")  # of an entry of a folder: in this dump, in an older one, a folder

_KEBAB = re.compile(r"[a-z][a-z0-9-]{0,59}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RUN = re.compile(r"[0-9]{8,14}")
_STAMP = re.compile(r"(?:[0-9]{8,14})?")  # in ASCII; older logs have no time of day


@dataclass(frozen=True, slots=True)
class Bound:
    """What a field may hold.

    `read` returns JSON's value as the field has it, and raises ValueError, which quotes nothing of
    it. `fit` returns the nearest to a field's value that `read` will take; it raises ValueError for
    what cannot be changed, such as a name.
    """

    read: Callable[[object], object]
    fit: Callable[[Any], object]


def _same(value: object) -> object:
    return value


def _text(most: int) -> Bound:
    """Text that is one thing or another, and not to be cut."""

    def read(value: object) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise ValueError(f"no text of at most {most} characters")
        return value

    return Bound(read, read)


def _words(most: int) -> Bound:
    """Text for people, which may be cut."""
    return Bound(_text(most).read, lambda text: clip(text, most))


def _label(most: int) -> Bound:
    """Text that goes into a log as it is."""
    text = _text(most)

    def read(value: object) -> object:
        if not str(text.read(value)).isprintable():
            raise ValueError("text that does not print")
        return value

    return Bound(read, lambda label: clip(printable(label), most))


def _exact_label(most: int) -> Bound:
    """The same, of what is not to be changed."""
    read = _label(most).read
    return Bound(read, read)


def _name(check: Callable[[str], None]) -> Bound:
    def read(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError("no text")  # noqa: TRY004 - what was sent is wrong, not a call
        check(value)
        return value

    return Bound(read, read)


def _like(pattern: re.Pattern[str], what: str) -> Bound:
    def read(value: object) -> object:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"no {what}")
        return value

    return Bound(read, read)


def _one_of(*words: str) -> Bound:
    def read(value: object) -> object:
        if value not in words:
            raise ValueError(f"none of {', '.join(words)}")
        return value

    return Bound(read, read)


def _whole(least: int, most: int) -> Bound:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"no whole number from {least} to {most}")
        return value

    return Bound(read, lambda number: min(max(number, least), most))


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")  # noqa: TRY004 - as above
    return value


def _span(most: timedelta, words: str) -> Bound:
    def read(value: object) -> timedelta:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError("no number")  # noqa: TRY004 - as above
        if not 0 <= value <= most.total_seconds():
            raise ValueError(f"not within 0 and {words}, in seconds")
        return timedelta(seconds=value)

    return Bound(read, lambda span: min(max(span, timedelta(0)), most))


def _read_time(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None and moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
            if EPOCH <= moment < LATEST:
                return moment
    except (ValueError, OverflowError):
        pass
    raise ValueError("no time with its zone")


def _fit_time(moment: datetime) -> datetime:
    return min(max(moment, EPOCH), LATEST - timedelta(seconds=1))


def _read_state(value: object) -> DumpState:
    try:
        return DumpState(value)
    except ValueError:
        raise ValueError("no state of a dump") from None


def _encode(value: object, most: int) -> bytes:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(f"no name of at most {most} bytes")
    try:
        name = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ValueError("no name that a file can have") from None
    if b"\0" in name or len(name) > most:
        raise ValueError(f"no name of at most {most} bytes")
    return name


def check_path(path: bytes) -> None:
    """Raise ValueError unless `path` leads from a disk's folder to what is below it.

    b"" is that folder itself. No part is empty, `.` or `..`, so there is one way to write it.
    """
    if len(path) > LONGEST_PATH or b"\0" in path:
        raise ValueError(f"no name of at most {LONGEST_PATH} bytes")
    if path and not {b"", b".", b".."}.isdisjoint(path.split(b"/")):
        raise ValueError("no path within a disk")


def _read_path(value: object) -> bytes:
    path = _encode(value, LONGEST_PATH)
    check_path(path)
    return path


def _fit_path(path: bytes) -> bytes:
    check_path(path)
    return path


def _read_glob(value: object) -> bytes:
    return _encode(value, LONGEST_GLOB)


def _fit_glob(glob: bytes) -> bytes:
    if b"\0" in glob or len(glob) > LONGEST_GLOB:
        raise ValueError(f"no name of at most {LONGEST_GLOB} bytes")
    return glob


def _read_token(value: object) -> object:
    if not isinstance(value, str) or not isinstance(decide_verb(ATTACH + value), Attach):
        raise ValueError("no token")  # noqa: TRY004 - as above
    return value


_BY_TYPE: dict[object, Bound] = {
    bool: Bound(_read_flag, _same),
    int: _whole(0, MOST),
    bytes: Bound(_read_path, _fit_path),
    str: _text(LONGEST_TEXT),
    datetime: Bound(_read_time, _fit_time),
    timedelta: _span(LONGEST_SPAN, "ten years"),
    DumpState: Bound(_read_state, _same),
}
_BY_KEY: dict[str, Bound] = {  # closer bounds than the type's
    "amanda_config": _name(check_amanda_config_name),
    "claims": _text(LONGEST_HEADER),
    "client": _name(check_client_name),
    "day": _like(_DAY, "day"),
    "deferred_reason": _label(200),
    "device": _text(LONGEST_DISK),
    "disk": _text(LONGEST_DISK),
    "disk_number": _whole(0, MOST_ENTRIES),
    "dle": _text(LONGEST_HEADER),
    "doubts": _words(LONGEST_REASON),
    "dumps": _like(_RUN, "run"),
    "exit": _whole(0, 255),
    "flag": _one_of(*FLAGS),
    "glob": Bound(_read_glob, _fit_glob),
    "gone_with": _words(LONGEST_REASON),
    "heartbeat": _span(LONGEST_HEARTBEAT, "an hour"),
    "hint": _words(LONGEST_MESSAGE),
    "host": _name(check_client_name),
    "host_name": _label(200),
    "key": _text(LONGEST_KEY),
    "level": _whole(0, 399),  # amandates.py
    "maker": _label(200),
    "message": _words(LONGEST_MESSAGE),
    "of": _whole(1, 10**9),
    "phase": _one_of(*PHASES),
    "place": _whole(1, 10**9),
    "program": _label(200),
    "protocols": _whole(0, 10**9),
    "reason": _words(LONGEST_REASON),
    "proof_fault": _words(LONGEST_REASON),
    "reference": _like(_KEBAB, "reference"),
    "run": _like(_STAMP, "run's timestamp"),
    "software": _label(200),
    "standing": _one_of("idle", "queued", "running"),
    "status": _whole(0, 255),
    "timestamp": _like(_STAMP, "dump's timestamp"),
    "ticket": _exact_label(100),
    "use_days": _whole(0, LONGEST_DAY),
    "token": Bound(_read_token, _read_token),
    "ways": _text(LONGEST_WAY),
}
_ENTRIES = {
    "dumps": 400,
    "images": 400,
    "near": 20,
    "paths": 20_000,
    "protocols": 100,
    "use_days": 90,
    "ways": 4096,
}


def find_bound(key: str, kind: object) -> Bound | None:
    """Return the bound of a field `key` of type `kind`; None if that is a record of its own."""
    return _BY_KEY.get(key) or _BY_TYPE.get(kind)


def check_entries(key: str, count: int) -> None:
    """Raise ValueError if a list `key` has more entries than it may."""
    most = _ENTRIES.get(key, MOST_ENTRIES)
    if count > most:
        raise ValueError(f"a list of more than {most}")
