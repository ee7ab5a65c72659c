"""How the protocol's records are written in JSON and read back, by their fields' types."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from asyncamanda.core.protocol.bounds import check_entries, find_bound

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")
# marks a field that came later: an older side does not send it, and then its default holds
MAY_LACK: Mapping[str, bool] = {"may_lack": True}


def write_record(record: "DataclassInstance") -> dict[str, object]:
    """Return the fields of `record`, for JSON with write_value() as its default."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def write_value(value: object) -> object:
    """Return what JSON writes for a value that it does not know.

    Times are RFC 3339 in UTC, and have to be aware; spans are seconds; a path is text, in which a
    lone surrogate (PEP 383) stands for what is no UTF-8.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds.is_integer() else seconds
    if isinstance(value, Enum):
        return value.value
    return write_record(value)  # type: ignore[arg-type]  # nothing else is in a record


def read_record(kind: type[R], value: object, *, may_lack: bool = False) -> R:
    """Return the record of that `kind` that `value`, as JSON has it, holds.

    Keys that the record does not have are passed over. Those marked MAY_LACK may be missing, and
    with `may_lack` all that have a default. Raises ValueError, which says what is wrong with which
    key and quotes nothing of the value.
    """
    if not isinstance(value, dict):
        raise ValueError("no object")  # noqa: TRY004 - what was sent is wrong, not a call
    values: dict[str, object] = {}
    for field in fields(kind):
        if field.name not in value:
            if may_be_missing(field) or (may_lack and _has_default(field)):
                continue
            raise ValueError(f"{field.name} is missing")
        try:
            values[field.name] = _read_field(field.name, field.type, value[field.name], may_lack)
        except ValueError as error:
            raise ValueError(f"{field.name}: {error}") from None
    make: Callable[..., R] = kind
    return make(**values)


def may_be_missing(field: Field[Any]) -> bool:
    """Return whether `field` is one that an older side does not send."""
    return bool(field.metadata.get("may_lack"))


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _read_field(key: str, kind: object, value: object, may_lack: bool) -> object:
    """Return `value` as a field `key` of type `kind` has it. Raises ValueError."""
    inner = [each for each in get_args(kind) if each not in {NoneType, Ellipsis}]
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError("no list")
        check_entries(key, len(value))
        return tuple(_read_field(key, inner[0], each, may_lack) for each in value)
    if inner:  # or None
        return None if value is None else _read_field(key, inner[0], value, may_lack)
    bound = find_bound(key, kind)
    if bound:
        return bound.read(value)
    assert isinstance(kind, type)
    return read_record(kind, value, may_lack=may_lack)


def fit_record(record: R) -> R:
    """Return `record` as read_record() will take it: words cut, numbers and times within bounds.

    Raises ValueError, which says for which key that cannot be: a name is not to be changed.
    """
    values: dict[str, object] = {}
    for field in fields(record):
        try:
            values[field.name] = _fit_field(field.name, field.type, getattr(record, field.name))
        except ValueError as error:
            raise ValueError(f"{field.name}: {error}") from None
    make: Callable[..., R] = type(record)
    return make(**values)


def _fit_field(key: str, kind: object, value: Any) -> object:
    """Return `value`, which a field `key` of type `kind` has, within its bounds."""
    inner = [each for each in get_args(kind) if each not in {NoneType, Ellipsis}]
    if get_origin(kind) is tuple:
        check_entries(key, len(value))
        return tuple(_fit_field(key, inner[0], each) for each in value)
    if inner:  # or None
        return None if value is None else _fit_field(key, inner[0], value)
    bound = find_bound(key, kind)
    return bound.fit(value) if bound else fit_record(value)
