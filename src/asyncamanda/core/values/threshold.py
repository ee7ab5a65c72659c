"""Thresholds of monitoring plugins: ranges of values, and what lies beyond them.

monitoring-plugins.org/doc/guidelines.html, "Threshold and ranges". For a span of time our own way
of writing one is taken beside plain seconds: "26h", "@1h:2h", "~:3d".
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from asyncamanda.core.values.interval import parse_interval

ALLOWED = 'a range of spans, such as "26h", "93600" (seconds), "1h:26h", "~:3d" or "@1h:2h"'

_SECONDS = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class AlertRange:
    """What is alerted: values outside of `start` to `end`, or `is_inside` those within.

    Both ends belong to what is within. An end that is infinite is none.
    """

    start: float
    end: float
    is_inside: bool = False

    def alerts(self, value: float) -> bool:
        """Return whether `value` is to be alerted."""
        return (self.start <= value <= self.end) is self.is_inside

    def __str__(self) -> str:
        """Return the range as plugins write it, in plain numbers."""
        start = "" if self.start == 0 else f"{_number(self.start)}:"
        end = "" if self.end == math.inf else _number(self.end)
        return f"{'@' if self.is_inside else ''}{start or ('' if end else '0:')}{end}"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a value is a warning, and when it is critical; None for never."""

    warning: AlertRange | None = None
    critical: AlertRange | None = None

    def __bool__(self) -> bool:
        """Return whether anything is alerted at all."""
        return self.warning is not None or self.critical is not None


NEVER_ALERTED = Thresholds()


def parse_range(text: str, read: Callable[[str], float] | None = None) -> AlertRange:
    """Return the range that `text` means: `[@][START:][END]`, and `~` for a start without a bound.

    `read` reads one end; without it that is a span, in seconds. Raises ValueError, with what is
    wrong, where it means none.
    """
    read = read or read_seconds
    is_inside = text.startswith("@")
    start, colon, end = text.removeprefix("@").strip().rpartition(":")
    if not colon and not end:
        raise ValueError("a range has an end")
    least = -math.inf if start == "~" else read(start or "0")
    most = read(end) if end else math.inf
    if least > most:
        raise ValueError("its start is above its end")
    return AlertRange(least, most, is_inside)


def read_seconds(text: str) -> float:
    """Return the seconds of a span; a bare number is seconds. Raises ValueError."""
    if _SECONDS.fullmatch(text):
        return float(text)
    return parse_interval(text).total_seconds()


def _number(value: float) -> str:
    if math.isinf(value):
        return "~"
    return f"{value:.0f}" if value == int(value) else repr(value)
