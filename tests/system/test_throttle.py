"""What goes through a throttled pipe: all of it, in order, and no faster than is allowed."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread

import pytest

from asyncamanda.core.conditions.rate import BURST
from asyncamanda.system.throttle import PIECE, Throttle, ThrottledPipe


@pytest.fixture
def pipes() -> Iterator[tuple[int, int]]:
    """Yield what to write to and what to read from; between them is a pipe of 100 kB a second."""
    throttle = Throttle()
    throttle.rate = 100_000
    source, write_end = os.pipe()
    read_end, sink = os.pipe()
    ThrottledPipe(source, sink, throttle).start()
    yield write_end, read_end
    for descriptor in (write_end, read_end):
        with suppress(OSError):
            os.close(descriptor)


def test_all_comes_through_and_takes_its_time(pipes: tuple[int, int]) -> None:
    """Byte for byte; the reader sees the end when the writer has closed."""
    write_end, read_end = pipes
    sent = secrets.token_bytes(150_000)

    def write() -> None:
        with os.fdopen(write_end, "wb") as file:
            file.write(sent)

    begun_at = time.monotonic()
    writer = Thread(target=write)
    writer.start()
    with os.fdopen(os.dup(read_end), "rb") as file:
        came = file.read()
    writer.join()
    assert came == sent
    assert time.monotonic() - begun_at >= len(sent) / 100_000 - BURST - PIECE / 100_000


def test_a_reader_that_has_gone_ends_the_writer(pipes: tuple[int, int]) -> None:
    """As with a pipe between them."""
    write_end, read_end = pipes
    os.close(read_end)
    with os.fdopen(os.dup(write_end), "wb", 0) as file, suppress(BrokenPipeError):
        for _ in range(100):
            file.write(b"x" * PIECE)
        pytest.fail("it goes on writing")


def test_without_a_limit_nothing_waits() -> None:
    """One that is lifted while somebody waits for it as well."""
    throttle = Throttle()
    source, write_end = os.pipe()
    read_end, sink = os.pipe()
    throttle.rate = 10_000
    ThrottledPipe(source, sink, throttle).start()
    os.write(write_end, b"x" * 60_000)
    os.close(write_end)
    throttle.rate = None
    begun_at = time.monotonic()
    with os.fdopen(read_end, "rb") as file:
        assert len(file.read()) == 60_000
    assert time.monotonic() - begun_at < 4
