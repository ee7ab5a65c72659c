"""Lines with fields for systemd's journal, by its own protocol.

It is described at systemd.io/JOURNAL_NATIVE_PROTOCOL, and proved by journald itself in
tests/system/test_journal.py. Where there is no journal this does nothing.
"""

import contextlib
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from asyncamanda.core.values.printable import printable_lines

SOCKET = Path("/run/systemd/journal/socket")
LONGEST = 16_384  # bytes of one field: a datagram has room for all of them
PATIENCE = 1.0  # seconds: a journal that does not listen delays nobody


class Priority(IntEnum):
    """How urgent a line is, as syslog(3) counts."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


@dataclass(frozen=True, slots=True)
class JournalLine:
    """A line; what is "" is left out. `message_id` names its kind, 32 hexadecimal digits."""

    message: str
    priority: Priority = Priority.INFO
    client: str = ""
    run: str = ""
    outcome: str = ""
    message_id: str = ""


def write_journal(line: JournalLine, place: Path = SOCKET, patience: float = PATIENCE) -> bool:
    """Hand `line` to the journal; return whether there is one that took it within `patience`."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stream:
        stream.settimeout(patience)
        stream.sendto(encode_fields(journal_fields(line)), str(place))
        return True
    return False


def encode_fields(fields: Mapping[str, str]) -> bytes:
    """Return one entry: NAME=value, or for a value of several lines NAME, its length and it."""
    entry = b""
    for name, text in fields.items():
        value = _cut(text.encode("utf-8", "surrogateescape"))
        if b"\n" in value:
            entry += name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
        else:
            entry += name.encode() + b"=" + value + b"\n"
    return entry


def journal_fields(line: JournalLine) -> dict[str, str]:
    """Return the fields of `line`, as people may see them."""
    fields = {
        "MESSAGE": line.message,
        "PRIORITY": str(int(line.priority)),
        "SYSLOG_IDENTIFIER": "asyncamanda",
        "ASYNCAMANDA_CLIENT": line.client,
        "ASYNCAMANDA_RUN": line.run,
        "ASYNCAMANDA_OUTCOME": line.outcome,
        "MESSAGE_ID": line.message_id,
    }
    return {name: printable_lines(value) for name, value in fields.items() if value}


def _cut(value: bytes) -> bytes:
    if len(value) <= LONGEST:
        return value
    whole = value[:LONGEST].decode("utf-8", "ignore")  # no half of a character
    return whole.encode() + b"..."
