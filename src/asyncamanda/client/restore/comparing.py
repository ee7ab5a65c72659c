"""What comes back of a file, compared with the file as it is here; nothing is written."""

import os
from collections.abc import Iterator

from asyncamanda.client.restore.sampling import LiveDisk
from asyncamanda.core.restore.proof import LiveFile, find_difference
from asyncamanda.system.incoming import READ_BYTES, StreamCut
from asyncamanda.system.tarstream import StreamedMember

OTHER_CONTENTS = "it came back with other contents"
UNREADABLE = "it cannot be read"

Chunk = tuple[int, bytes | memoryview]


def compare(disk: LiveDisk, file: LiveFile, streamed: StreamedMember) -> str | None:
    """Return how what came back differs from the file; "" if not, None if that is not known.

    It is not known if the file cannot be read here, or the stream ends before.
    """
    if difference := find_difference(file, streamed.member):
        return difference
    try:
        descriptor = disk.open(file.path)
    except OSError:
        return None
    try:
        is_same = all(_is_at(descriptor, chunk) for chunk in _lay_out(streamed))
    except (OSError, StreamCut):
        return None
    finally:
        os.close(descriptor)
    return "" if is_same else OTHER_CONTENTS


def _is_at(descriptor: int, chunk: Chunk) -> bool:
    """Return whether the file has these bytes at that place. Raises OSError."""
    offset, wanted = chunk
    found = b""
    while len(found) < len(wanted):
        piece = os.pread(descriptor, len(wanted) - len(found), offset + len(found))
        if not piece:
            return False
        found += piece
    return found == wanted


def _lay_out(streamed: StreamedMember) -> Iterator[Chunk]:
    """Yield the member's contents, each piece with its place in the file; holes are zeros."""
    member = streamed.member
    pieces = member.pieces if member.pieces is not None else ((0, member.stored),)
    left = streamed.contents()
    piece: memoryview = memoryview(b"")
    at = 0
    for offset, count in pieces:
        yield from _zeros(at, offset)
        at, end = offset, offset + count
        while at < end:
            piece = piece or memoryview(next(left))
            yield at, piece[: end - at]
            taken = min(len(piece), end - at)
            at, piece = at + taken, piece[taken:]
    yield from _zeros(at, member.size)


def _zeros(start: int, end: int) -> Iterator[Chunk]:
    for at in range(start, end, READ_BYTES):
        yield at, bytes(min(READ_BYTES, end - at))
