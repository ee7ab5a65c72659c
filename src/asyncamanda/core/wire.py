"""How the protocol's records are written in JSON and read back, by their fields' types."""

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, TypeVar, get_args, get_origin

from asyncamanda.core.authority import ATTACH, Attach, decide_verb
from asyncamanda.core.model import DumpState

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")
Read = Callable[[object], object]  # JSON's value -> the field's; raises ValueError

LONGEST_SPAN = timedelta(days=3650)
MOST = 10**15  # of anything that is counted


def write_record(record: "DataclassInstance") -> dict[str, object]:
    """Return the fields of `record`, for JSON with write_value() as its default."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def write_value(value: object) -> object:
    """Return what JSON writes for a value that it does not know.

    Times are RFC 3339 in UTC, and have to be aware; spans are seconds.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds.is_integer() else seconds
    if isinstance(value, Enum):
        return value.value
    return write_record(value)  # type: ignore[arg-type]  # nothing else is in a record


def read_record(kind: type[R], value: object) -> R:
    """Return the record of that `kind` that `value`, as JSON has it, holds.

    Keys that the record does not have are passed over. Raises ValueError, which says what is
    wrong with which key and quotes nothing of the value.
    """
    if not isinstance(value, dict):
        raise ValueError("no object")  # noqa: TRY004 - what was sent is wrong, not a call
    values: dict[str, object] = {}
    for field in fields(kind):
        if field.name not in value:
            raise ValueError(f"{field.name} is missing")
        try:
            values[field.name] = _read_field(field.name, field.type, value[field.name])
        except ValueError as error:
            raise ValueError(f"{field.name}: {error}") from None
    make: Callable[..., R] = kind
    return make(**values)


def _read_field(key: str, kind: object, value: object) -> object:
    """Return `value` as a field `key` of type `kind` has it. Raises ValueError."""
    inner = [each for each in get_args(kind) if each not in {NoneType, Ellipsis}]
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError("no list")
        return tuple(_read_field(key, inner[0], each) for each in value)
    if inner:  # or None
        return None if value is None else _read_field(key, inner[0], value)
    read = _BY_KEY.get(key) or _BY_TYPE.get(kind)
    if read:
        return read(value)
    assert isinstance(kind, type)
    return read_record(kind, value)


def _text(most: int) -> Read:
    def read(value: object) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise ValueError(f"no text of at most {most} characters")
        return value

    return read


def _label(most: int) -> Read:
    """Text that goes into a log as it is."""
    text = _text(most)

    def read(value: object) -> object:
        if not str(text(value)).isprintable():
            raise ValueError("text that does not print")
        return value

    return read


def _one_of(*words: str) -> Read:
    def read(value: object) -> object:
        if value not in words:
            raise ValueError(f"none of {', '.join(words)}")
        return value

    return read


def _whole(least: int, most: int) -> Read:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"no whole number from {least} to {most}")
        return value

    return read


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")  # noqa: TRY004 - as above
    return value


def _span(value: object) -> timedelta:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("no number")  # noqa: TRY004 - as above
    if not 0 <= value <= LONGEST_SPAN.total_seconds():
        raise ValueError("not within 0 and ten years, in seconds")
    return timedelta(seconds=value)


def _time(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("no time with its zone")


def _state(value: object) -> DumpState:
    try:
        return DumpState(value)
    except ValueError:
        raise ValueError("no state of a dump") from None


def _token(value: object) -> object:
    if not isinstance(value, str) or not isinstance(decide_verb(ATTACH + value), Attach):
        raise ValueError("no token")  # noqa: TRY004 - as above
    return value


_BY_TYPE: dict[object, Read] = {
    bool: _flag,
    int: _whole(0, MOST),
    str: _text(1 << 20),
    datetime: _time,
    timedelta: _span,
    DumpState: _state,
}
_BY_KEY: dict[str, Read] = {  # closer bounds than the type's
    "exit": _whole(0, 255),
    "host_name": _label(200),
    "level": _whole(0, 399),  # amandates.py
    "of": _whole(1, 10**9),
    "place": _whole(1, 10**9),
    "protocols": _whole(0, 10**9),
    "software": _label(200),
    "standing": _one_of("idle", "queued", "running"),
    "status": _whole(0, 255),
    "ticket": _label(100),
    "token": _token,
}
