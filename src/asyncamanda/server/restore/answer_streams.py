"""The two ways to a client that asks for files: what is said, and the bytes."""

import os
from collections.abc import Callable
from contextlib import suppress

from asyncamanda.core.restore.answer import MissingFile, RestoreAnswer, encode_answer

AT_ONCE = 1 << 16  # bytes of names that are written at a time


class AnswerStreams:
    """The two ways to the client: `out` is stdout, what is said goes to `errors`, stderr.

    `missing` counts the files that were said to be.
    """

    def __init__(self, out: int, errors: int) -> None:
        self.out = out
        self.errors = errors
        self.missing = 0
        self._written = 0
        self._count_more: Callable[[], int] = lambda: 0
        self._kept = bytearray()

    def say(self, answer: RestoreAnswer) -> None:
        """Say it. Raises OSError if nobody listens."""
        self.missing += isinstance(answer, MissingFile)
        line = encode_answer(answer)
        _write_all(self.errors, line)
        self._written += len(line)

    def follow(self, count: Callable[[], int]) -> None:
        """Let `count` tell how many bytes somebody else has written to stdout by now."""
        self._count_more = count

    def count_sent(self) -> int:
        """Return how many bytes were written to both by now."""
        return self._written + self._count_more()

    def say_last(self, answer: RestoreAnswer) -> None:
        """Say it if somebody listens, and wait for nobody."""
        with suppress(OSError):
            os.set_blocking(self.errors, False)
            os.write(self.errors, encode_answer(answer))

    def write(self, record: bytes) -> None:
        """Write to stdout, with what follows or at flush()."""
        self._kept += record
        if len(self._kept) >= AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what is kept. Raises OSError if nobody reads."""
        kept = bytes(self._kept)
        self._kept.clear()
        _write_all(self.out, kept)
        self._written += len(kept)


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
