"""Reports that can be read: a value of megabytes is cut where pytest and hypothesis print it.

And that can be sent: pytest-xdist ends with an internal error of its own where a report has a lone
surrogate, as names of files have that are not UTF-8.
"""

from collections.abc import Iterable

from _pytest._code.code import (
    ExceptionChainRepr,
    ExceptionRepr,
    ReprEntry,
    ReprExceptionInfo,
    ReprTraceback,
)

LONGEST_LINE = 2000  # characters
MOST_LINES = 1000  # of one place in a traceback; logs of Amanda and of the dispatcher are there too


def cut_line(text: str) -> str:
    """Return a line, or its two ends."""
    if len(text) <= LONGEST_LINE:
        return text
    half = LONGEST_LINE // 2
    return f"{text[:half]} [... {len(text) - 2 * half} characters ...] {text[-half:]}"


def cut_lines(lines: Iterable[str]) -> list[str]:
    """Return lines, each cut, or the first and the last of them."""
    whole = [cut_line(line) for line in lines]
    if len(whole) <= MOST_LINES:
        return whole
    half = MOST_LINES // 2
    return [*whole[:half], f"[... {len(whole) - 2 * half} lines ...]", *whole[-half:]]


def sendable(value: object) -> object:
    """Return what a report was made into, each lone surrogate in it escaped."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case dict():
            return {sendable(key): sendable(each) for key, each in value.items()}
        case list():
            return [sendable(each) for each in value]
        case tuple():
            return tuple(map(sendable, value))
    return value


def shorten(report: ExceptionRepr) -> None:
    """Cut what a traceback, and those that led to it, print."""
    if isinstance(report, ExceptionChainRepr):
        for traceback, crash, _ in report.chain:
            _shorten_traceback(traceback)
            if crash:
                crash.message = "\n".join(cut_lines(crash.message.splitlines()))
    elif isinstance(report, ReprExceptionInfo):
        _shorten_traceback(report.reprtraceback)


def _shorten_traceback(traceback: ReprTraceback) -> None:
    for entry in traceback.reprentries:
        entry.lines = cut_lines(entry.lines)
        if isinstance(entry, ReprEntry) and entry.reprfuncargs:
            arguments = entry.reprfuncargs
            arguments.args = [(name, cut_line(str(value))) for name, value in arguments.args]
