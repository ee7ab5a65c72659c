r"""The header of a dump: the 32 KB that Amanda puts before each file of it.

    AMANDA: FILE 20261128162409 laptop "/srv/a b"  lev 0 comp N program APPLICATION
    ...
    SERVER-CRC=c24a1bdd:40960

A dump in the holding disk begins with a FILE; what does not fit goes on in CONT_FILEs, each named
by the one before. On a volume it lies in SPLIT_FILEs. Type, timestamp, host, disk and level are
the server's own words: only what stands behind them on line 1, and some lines below, comes from
the client. SERVER-CRC has the size of the whole dump as it was written, and stands there as soon
as the driver has taken the dump for ended. Source: fileheader.c, holding.c and chunker of Amanda
3.5.1, pinned against the real ones by tests/e2e/test_amanda_facts.py.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from asyncamanda.core.amanda.quoting import unquote

HEADER_BYTES = 32_768
LONGEST_NAME = 255  # bytes of a host or disk; a longer one is cut in a header (STRMAX)

_WORD = r'("(?:\\.|[^"\\])*+"|[^ "]++)'
_FIRST = re.compile(
    rf"AMANDA: (FILE|CONT_FILE|SPLIT_FILE) ([0-9]{{14}}) ([^ ]++) {_WORD} +"
    r"(?:part ([0-9]{1,9})/-?[0-9]{1,9} +)?lev ([0-9]{1,3}) (.*)"
)
_DLE = re.compile(r"\nDLE=<<(?P<end>ENDDLE[0-9]*)\n(?P<dle>.*?)\n(?P=end)\n", re.DOTALL)
_VOLUME = re.compile(rb"AMANDA: TAPESTART DATE ([0-9]{14}) TAPE ")
_STORED = re.compile(r"SERVER-CRC=([0-9a-f]{1,8}):([0-9]{1,18})")
_UNPACKED = re.compile(r"NATIVE-CRC=([0-9a-f]{1,8}):([1-9][0-9]{0,17})")


class FileKind(Enum):
    """What a file of a dump is."""

    WHOLE = "FILE"  # the dump, or its beginning, in the holding disk
    GOES_ON = "CONT_FILE"  # more of it, in the holding disk
    PART = "SPLIT_FILE"  # on a volume


@dataclass(frozen=True, slots=True)
class DumpHeader:
    """What a header says of the dump that its file belongs to.

    `size` is that of the whole dump in bytes, without headers, None where the driver has not
    written it yet. `unpacked_size` is that of what the client's program has written, before it was
    compressed or encrypted, as the client reports it; None if it does not. `goes_on_in` is the path
    of the next file, "" for none. `part` counts from 1. `claims` is what stands behind the level,
    `application` what made the dump where that is an application of Amanda's: both hold words of
    the client's (dump_form.py). `dle` is what the server's planner said of the DLE, in XML, ""
    where that is left out since it is long. `checksum` and `unpacked_checksum` are the CRC-32C of
    what has these sizes.
    """

    kind: FileKind
    timestamp: str
    host: str
    disk: str
    level: int
    part: int = 1
    is_partial: bool = False
    size: int | None = None
    goes_on_in: str = ""
    claims: str = ""
    application: str = ""
    dle: str = ""
    unpacked_size: int | None = None
    checksum: int | None = None
    unpacked_checksum: int | None = None

    def is_of(self, host: str, disk: str, timestamp: str) -> bool:
        """Return whether it is of that dump. A name that is too long is compared as it is cut."""
        return (
            self.timestamp == timestamp
            and self.host == _cut(host)
            and (self.disk == _cut(disk) or self.disk == disk)
        )


def parse_header(block: bytes) -> DumpHeader | None:
    """Return what a file's first HEADER_BYTES say; None if they are no dump's header.

    Never raises. Where a line stands twice the later one counts, as for Amanda; a dump that any
    line calls partial is.
    """
    text = block[:HEADER_BYTES].partition(b"\0")[0].decode("utf-8", "surrogateescape")
    first, *rest = text.split("\n")
    found = _FIRST.fullmatch(first)
    if found is None:
        return None
    kind, timestamp, host, disk, part, level, claims = found.groups()
    checksum, size = _last_sum(rest, _STORED)
    unpacked_checksum, unpacked_size = _last_sum(rest, _UNPACKED)
    return DumpHeader(
        kind=FileKind(kind),
        timestamp=timestamp,
        host=host,
        disk=unquote(disk),
        level=int(level),
        part=int(part or 1),
        is_partial=any(line.upper() == "PARTIAL=YES" for line in rest),
        size=size,
        goes_on_in=_last_value(rest, "CONT_FILENAME="),
        claims=claims,
        application=_last_value(rest, "APPLICATION="),
        dle=found["dle"] if (found := _DLE.search(text)) else "",
        unpacked_size=unpacked_size,
        checksum=checksum,
        unpacked_checksum=unpacked_checksum,
    )


def parse_volume_stamp(block: bytes) -> str:
    """Return the timestamp of the run that labelled a volume last, by its first file; else ""."""
    found = _VOLUME.match(block)
    return found[1].decode("ascii") if found else ""


def _last_value(lines: Sequence[str], key: str) -> str:
    return next((line[len(key) :] for line in reversed(lines) if line.startswith(key)), "")


def _last_sum(
    lines: Sequence[str], pattern: re.Pattern[str]
) -> tuple[int, int] | tuple[None, None]:
    """Return the checksum and the size that stand last, None for both where none do."""
    for line in reversed(lines):
        if found := pattern.fullmatch(line):
            return int(found[1], 16), int(found[2])
    return None, None


def _cut(name: str) -> str:
    return name.encode("utf-8", "surrogateescape")[:LONGEST_NAME].decode("utf-8", "surrogateescape")
