"""JSON of others: whatever stands there, it is a value or a ValueError."""

import re
from pathlib import Path

import pytest

import asyncamanda
from asyncamanda.core.values.foreign import parse_json

DEEP = "[" * 20_000 + "]" * 20_000
SOURCE = Path(asyncamanda.__file__).parent


@pytest.mark.parametrize("text", ["", "{", "[1,", DEEP, DEEP.encode(), b"\xff"])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    """Also where it is nested more deeply than a parser can follow."""
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_what_is_json_is_its_value() -> None:
    """As json has it."""
    assert parse_json(b'{"a": [1, null]}') == {"a": [1, None]}


def test_nothing_reads_json_in_another_way() -> None:
    """Else a deep nesting in what others wrote would end whoever reads it."""
    readers = re.compile(r"\bjson\.loads?\(|\bJSONDecoder\b")
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if readers.search(path.read_text("utf-8"))
    }
    assert found == {"core/values/foreign.py"}
