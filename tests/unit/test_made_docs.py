"""What is made for the docs from the code."""

import re
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, get_args

import pytest
from tools.docs.made import with_part
from tools.docs.protocol import (
    describe_bound,
    describe_protocol,
    describe_restore,
    list_records,
)

from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.protocol.bounds import Bound, find_bound
from asyncamanda.core.protocol.messages import ClientMessage, ServerMessage
from asyncamanda.core.restore import answer, request

PROTOCOL = describe_protocol()


def bound(key: str, kind: object = str) -> Bound:
    """Return the bound of a field."""
    found = find_bound(key, kind)
    assert found
    return found


def test_a_part_that_is_stale_is_found_and_written() -> None:
    """And what stands around it stays."""
    page = "a\n<!-- x: made by tools/write-docs -->\nold\n<!-- end -->\nb\n"
    assert with_part(page, "x", "new") == page.replace("old", "new")
    with pytest.raises(ValueError, match="there is no place for y"):
        with_part(page, "y", "new")


@pytest.mark.parametrize("kind", [*get_args(ClientMessage), *get_args(ServerMessage)])
def test_every_message_and_field_is_described(kind: Any) -> None:
    """With its type's name as JSON has it."""
    part = PROTOCOL.split(f"### {kind.__name__.lower()}\n")[1].split("\n### ")[0]
    assert re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) == [one.name for one in fields(kind)]


def test_every_record_within_messages_is_described() -> None:
    """Records and lists of words, each once."""
    records = list_records(*get_args(ClientMessage), *get_args(ServerMessage))
    assert {DleVerdict, DumpState} <= {*records}
    for kind in records:
        part = PROTOCOL.split(f"### {kind.__name__}\n")[1].split("\n### ")[0]
        names = re.findall(r"^\| `([\w-]+)` \|", part, re.MULTILINE)
        if is_dataclass(kind):
            assert names == [one.name for one in fields(kind)]
        else:
            assert names == [member.value for member in DumpState]


@pytest.mark.parametrize(("name", "kind"), [*request.KINDS.items(), *answer.KINDS.items()])
def test_every_line_of_a_restore_is_described(name: str, kind: Any) -> None:
    """With its type's name and its keys as JSON has them, and the records in it."""
    page = describe_restore()
    part = page.split(f"#### {name}\n")[1].split("\n###")[0]
    assert re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) == [one.name for one in fields(kind)]
    for record in list_records(kind):
        assert f"#### {record.__name__}\n" in page


@pytest.mark.parametrize(
    ("field", "words", "good", "bad"),
    [
        (bound("disk"), "text of at most 4096 characters", ["\n" * 4096], ["x" * 4097]),
        (bound("level", int), "whole number from 0 to 399", [0, 399], [-1, 400, 1.0]),
        (bound("standing"), "one of idle, queued, running", ["idle"], ["", "Idle"]),
        (bound("heartbeat"), "seconds, from 0 to an hour", [0, 3600], [-1, 3601]),
        (bound("x", bool), "true or false", [True], [1, "true"]),
        (
            bound("path", bytes),
            "path within the disk of at most 65536 bytes: no part of it is empty, `.` or `..`",
            ["", "a", "a/b", "x" * 65_536],
            ["x" * 65_537, "/a", "a/", "..", None],
        ),
        (bound("glob", bytes), "at most 4096 bytes", ["*", "/"], ["x" * 4097, "\0"]),
        (bound("dumps"), "text, 8 to 14 digits", ["20261120"], ["", "x"]),
        (bound("day"), "text, a day such as 2026-12-01", ["2026-12-01"], ["", "2026-12-1"]),
        (bound("flag"), "one of Y, N, D", ["Y"], ["R", ""]),
        (
            bound("now", datetime),
            "time, RFC 3339 with its zone, from 1970 to 9998",
            ["1970-01-01T00:00:00Z", "9998-12-31T23:59:59Z"],
            ["1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z", "2026-01-01T00:00:00"],
        ),
        (
            bound("ticket"),
            "text of at most 100 characters, all of which print",
            ["x" * 100],
            ["x" * 101, "\n"],
        ),
        (
            bound("run"),
            "text, 8 to 14 digits or none",
            ["", "1" * 8, "1" * 14],
            ["1" * 7, "1" * 15],
        ),
        (
            bound("reference"),
            "word of at most 60 characters a-z 0-9 -, the first one a letter",
            ["a" * 60, "a-1"],
            ["a" * 61, "1", "A", ""],
        ),
        (bound("token"), "text, 32 digits of 0-9 a-f", ["af" * 16], ["af" * 15, "AF" * 16]),
        (
            bound("client"),
            "name of at most 253 characters A-Z a-z 0-9 _ . -, the first one no . or -, "
            "no two dots in a row",
            ["x" * 253, "_a.b-c"],
            ["x" * 254, "", ".a", "-a", "a..b", "a b"],
        ),
    ],
)
def test_what_a_field_may_hold_is_said_truly(
    field: Bound, words: str, good: list[object], bad: list[object]
) -> None:
    """The words, and the bound itself at both its ends."""
    assert describe_bound(field) == words
    for value in good:
        field.read(value)
    for value in bad:
        with pytest.raises(ValueError, match=r"."):
            field.read(value)


def test_a_kind_of_bound_that_nobody_has_words_for_is_an_error() -> None:
    """So that whoever adds one finds the place."""

    def refuse(_: object) -> object:
        raise ValueError("no colour")

    with pytest.raises(ValueError, match="has no words for: no colour"):
        describe_bound(Bound(refuse, refuse))
