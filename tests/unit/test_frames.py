"""What goes over the broker's socket, frame by frame."""

import pytest

from asyncamanda.core.restore.frames import (
    HEADER_BYTES,
    LARGEST_FRAME,
    FrameKind,
    parse_header,
    render_end,
    render_header,
)


@pytest.mark.parametrize("kind", FrameKind)
@pytest.mark.parametrize("size", [0, 1, LARGEST_FRAME])
def test_a_header_is_read_as_it_was_written(kind: FrameKind, size: int) -> None:
    """A letter, and how many bytes follow."""
    header = render_header(kind, size)
    assert len(header) == HEADER_BYTES
    assert parse_header(header) == (kind, size)


@pytest.mark.parametrize("header", [b"", b"o\0\0\0", b"x\0\0\0\1", b"o\xff\0\0\0", b"o\0\x10\0\1"])
def test_what_is_no_header_is_refused(header: bytes) -> None:
    """Of another kind, or of too much."""
    with pytest.raises(ValueError, match=r"."):
        parse_header(header)


def test_no_frame_is_too_large() -> None:
    """Whoever has more makes two."""
    with pytest.raises(ValueError, match="too large"):
        render_header(FrameKind.OUTPUT, LARGEST_FRAME + 1)


def test_the_end_is_an_exit_status() -> None:
    """In one byte."""
    assert render_end(77) == render_header(FrameKind.END, 1) + b"M"
