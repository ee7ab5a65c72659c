"""The stream for all that is printed: text of others controls no terminal and ends no line."""

from collections.abc import Iterable
from typing import TextIO, cast

from asyncamanda.core.values.printable import printable_lines


class _CleanStream:
    """A stream that writes out what does not print, line ends aside; all else is as it was."""

    def __init__(self, plain: TextIO) -> None:
        self.plain = plain

    def write(self, text: str) -> int:
        """Write `text` as people may see it; return how long it was."""
        self.plain.write(printable_lines(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write all of `lines`."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        """Return what the plain stream has by that name."""
        return getattr(self.plain, name)


def clean(stream: TextIO) -> TextIO:
    """Return `stream` in such a way that all that is printed to it is escaped."""
    if styled(stream) is not stream:
        return stream
    return cast("TextIO", _CleanStream(stream))


def styled(stream: TextIO) -> TextIO:
    """Return what is below a clean `stream`, for who writes a terminal's codes of its own.

    Whatever is shown there has to be printable() before.
    """
    maybe: object = stream
    return maybe.plain if isinstance(maybe, _CleanStream) else stream
