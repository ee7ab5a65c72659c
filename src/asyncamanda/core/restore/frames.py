"""What goes over the broker's socket: the answer, words about it, and how it ended, in one stream.

A frame is a letter for its kind, the number of bytes that follow in four bytes, and these bytes.
The request before it is one line (request.py).
"""

import struct
from enum import Enum

LARGEST_FRAME = 1 << 20  # bytes that follow
HEADER_BYTES = 5
BROKEN = 255  # the exit status where the connection to the gate broke, as ssh has it
SOCKET_PATH = "/run/asyncamanda/restore.sock"

_HEADER = struct.Struct(">cI")


class FrameKind(Enum):
    """What a frame has: names or a tar stream; lines of JSON (answer.py); an exit status."""

    OUTPUT = b"o"
    ANSWERS = b"a"
    END = b"e"


def render_header(kind: FrameKind, size: int) -> bytes:
    """Return what goes before `size` bytes. Raises ValueError if these are too many."""
    if size > LARGEST_FRAME:
        raise ValueError("a frame is too large")
    return _HEADER.pack(kind.value, size)


def parse_header(header: bytes) -> tuple[FrameKind, int]:
    """Return a frame's kind and how many bytes follow. Raises ValueError if that is no header."""
    if len(header) != HEADER_BYTES:
        raise ValueError("a frame is cut short")
    kind, size = _HEADER.unpack(header)
    if size > LARGEST_FRAME:
        raise ValueError("a frame is too large")
    return FrameKind(kind), size


def render_end(status: int) -> bytes:
    """Return the last frame: the exit status that the asking process ends with."""
    return render_header(FrameKind.END, 1) + bytes([status & 0xFF])
