"""amandates: which disk was dumped when, at which level, as the client believes.

One line a disk and level, `DISK LEVEL UNIXTIME`, DISK quoted where needed. Amanda reads
levels 0 to 399, skips malformed lines, and takes time 0 for never. Source: start_amandates()
in amandates.c of Amanda 3.5.1.

A file can hold a million lines (2,500 disks at 400 levels), so reading it keeps nothing of a
line, and takes whole blocks of plain lines with one pattern.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from asyncamanda.core.amanda.quoting import unquote
from asyncamanda.core.model import RejectedLine

LEVELS = 400
LATEST_SECOND = 253_402_300_799  # the end of the year 9999, the last that datetime knows
KEPT_REJECTED = 20
KEPT_TEXT = 200

Row = tuple[str, int, int]  # disk, level, unix time

_PLAIN = re.compile(r"(?:[!#-\[\]-~]++ [1-3]?[0-9]{1,2} [1-9][0-9]{8,9}\n)++")
_NAME = re.compile(r'[ \t\r\v\f]*((?:"(?:\\.|[^"\\])*"|\\.|[^\s"\\])+)(?=\s)', re.DOTALL | re.ASCII)
_NUMBERS = re.compile(r"\s*([+-]?[0-9]{1,18})\s+([+-]?[0-9]{1,18})", re.ASCII)


@dataclass(slots=True)
class Rejected:
    """The lines that were skipped: how many, and the first few of them."""

    count: int = 0
    lines: list[RejectedLine] = field(default_factory=list)

    def add(self, number: int, text: str, fault: str) -> None:
        self.count += 1
        if len(self.lines) < KEPT_REJECTED:
            self.lines.append(RejectedLine(number, text[:KEPT_TEXT], fault))


def iterate_rows(blocks: Iterable[str], rejected: Rejected) -> Iterator[Row]:
    """Yield (disk, level, unix time) of every line that Amanda would read.

    `blocks` are pieces of the file, each ending with a line (the last one's may lack its end).
    Lines that Amanda would skip go to `rejected`; blank lines do not count. Never raises.
    """
    before = 0  # lines in the blocks before this one
    for block in blocks:
        if _PLAIN.fullmatch(block):
            words = block.split()
            yield from zip(words[0::3], map(int, words[1::3]), map(int, words[2::3]), strict=True)
        else:
            for number, line in enumerate(block.split("\n"), before + 1):
                row = _read_line(line)
                if isinstance(row, tuple):
                    yield row
                elif row:
                    rejected.add(number, line, row)
        before += block.count("\n")


def _read_line(line: str) -> Row | str:
    """Return the row that `line` holds, or its fault; "" for a blank line."""
    if not line.strip(" \t\r\v\f"):
        return ""
    name = _NAME.match(line)
    if not name:
        return "no disk name followed by a level and a time"
    numbers = _NUMBERS.match(line, name.end())
    if not numbers:
        return "no level and time after the disk name"
    level, seconds = int(numbers[1]), int(numbers[2])
    if not 0 <= level < LEVELS:
        return f"level {level} is not within 0 to {LEVELS - 1}"
    if not 0 <= seconds <= LATEST_SECOND:
        return f"time {seconds} is not within 0 to {LATEST_SECOND}"
    return unquote(name[1]), level, seconds
