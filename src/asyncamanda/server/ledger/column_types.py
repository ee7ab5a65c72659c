"""How values are kept in the ledger's columns.

Nothing here is SQLite's alone: PostgreSQL takes it as well.
"""

import enum
import json
import re
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Dialect, Enum, String, Text, TypeDecorator

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.values.foreign import parse_json

_ESCAPED = re.compile(r"\\(?:\\|u([0-9a-f]{4}))")


class Name(TypeDecorator[str]):
    """Text that may hold what is no UTF-8, as the names of disks may (PEP 383's surrogates).

    No database keeps those, and PostgreSQL no NUL, so they are kept as `\\udce9`, and a
    backslash as two. Equal names are kept alike, so they compare and index as they should.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """Return `value` as it is kept."""
        if value is None:
            return None
        escaped = value.replace("\\", r"\\").replace("\0", r"\u0000")
        return escaped.encode("utf-8", "backslashreplace").decode("utf-8")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """Return what was kept as `value`."""
        if value is None:
            return None
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "\\", value)


class Names(TypeDecorator[tuple[str, ...]]):
    """Several names, kept as JSON in ASCII."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """Return `value` as it is kept."""
        return None if value is None else json.dumps(list(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...] | None:  # noqa: ARG002 - SQLAlchemy's
        """Return what was kept as `value`."""
        return None if value is None else tuple(str(name) for name in parse_json(value))


class Recorded(TypeDecorator[Filters]):
    """What a dump went through, kept as JSON in ASCII."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Filters | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """Return `value` as it is kept."""
        return None if value is None else json.dumps(asdict(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Filters | None:  # noqa: ARG002 - SQLAlchemy's
        """Return what was kept as `value`."""
        return None if value is None else Filters(**parse_json(value))


class Moment(TypeDecorator[datetime]):
    """An aware time, kept as RFC 3339 in UTC, always to the microsecond, so that it sorts."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """Return `value` as it is kept. Raises ValueError if it has no time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        naive = value.astimezone(UTC).replace(tzinfo=None)
        return naive.isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's
        """Return what was kept as `value`. Raises ValueError if that is no aware time."""
        at = None if value is None else datetime.fromisoformat(value)
        if at is not None and at.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return at


def one_of(choice: type[enum.Enum]) -> Enum:
    """Return a column type for the members of `choice`, kept as the words they stand for."""
    return Enum(
        choice,
        native_enum=False,
        length=20,
        values_callable=lambda members: [member.value for member in members],
    )
