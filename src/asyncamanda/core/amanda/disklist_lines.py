"""Changing a disklist's lines: those of one DLE, and no other.

What this makes of a disklist that it does not understand, Amanda has to be asked.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from asyncamanda.core.amanda.disklist import WORD, NestedLines, find_included, split_words
from asyncamanda.core.amanda.quoting import unquote

RETIRED = "retired"  # the why of comment_out() for a client that is gone for good
_RETIRED = re.compile(rf"# {RETIRED} (?P<day>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}): (?P<line>.*)")
_FIRST_WORD = re.compile(rf"(?P<before>\s*)(?P<host>{WORD.pattern})")


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one DLE: from `first` on, `count` of them, counted from 0."""

    host: str
    disk: str
    first: int
    count: int


def find_blocks(text: str) -> list[Block]:
    """Return the lines of each DLE, in their order.

    Source: parse_diskline() in diskfile.c of Amanda 3.5.1.
    """
    found: list[Block] = []
    nested = NestedLines()
    for number, line in enumerate(text.split("\n")):
        if nested.is_open:
            found[-1] = replace(found[-1], count=found[-1].count + 1)
            nested.feed(line)
            continue
        words = split_words(line)
        if len(words) < 2 or find_included(line) is not None:
            continue
        found.append(Block(unquote(words[0]), unquote(words[1]), number, 1))
        nested.feed(line)
    return found


def comment_out(text: str, is_meant: Callable[[Block], bool], why: str, day: date) -> str:
    """Return `text` with each DLE that is meant as comments, which say why and since when."""
    lines = text.split("\n")
    for block in find_blocks(text):
        if is_meant(block):
            for number in range(block.first, block.first + block.count):
                lines[number] = f"# {why} {day.isoformat()}: {lines[number]}"
    return "\n".join(lines)


def rename_host(text: str, old: str, new: str) -> str:
    """Return `text` with each DLE of the host `old` as one of `new`, which needs no quotes."""
    lines = text.split("\n")
    for block in find_blocks(text):
        if block.host.lower() == old.lower():
            line = lines[block.first]
            word = _FIRST_WORD.match(line)
            assert word
            lines[block.first] = f"{word['before']}{new}{line[word.end() :]}"
    return "\n".join(lines)


def find_retired(text: str) -> dict[str, date]:
    """Return the hosts whose lines were commented out as RETIRED, and since when.

    Those that the disklist has again are left out.
    """
    there = {block.host.lower() for block in find_blocks(text)}
    found: dict[str, date] = {}
    commented = [_RETIRED.fullmatch(line) for line in text.split("\n")]
    lines = [each["line"] if each else "" for each in commented]
    for block in find_blocks("\n".join(lines)):
        said = commented[block.first]
        if said and block.host.lower() not in there:
            try:
                day = date.fromisoformat(said["day"])
            except ValueError:  # somebody has typed it
                continue
            found[block.host] = max(day, found.get(block.host, day))
    return found
