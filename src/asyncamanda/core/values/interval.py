"""Spans of time as people write them.

A bare number is hours, as in 2014; else `36h`, `1d12h`, `1 day`, `2 weeks`, `P1DT12H`.
"""

import re
from datetime import timedelta

ALLOWED = 'hours as a number (24), or a span such as "36h", "1d12h", "1 day", "2 weeks", "P1DT12H"'
LONGEST = timedelta(days=3650)

_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_NAMES = {
    unit: names.split()
    for unit, names in {
        "s": "s sec secs second seconds",
        "m": "m min mins minute minutes",
        "h": "h hr hrs hour hours",
        "d": "d day days",
        "w": "w week weeks",
    }.items()
}
_UNIT_OF = {name: unit for unit, names in _NAMES.items() for name in names}
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,6})?"
_BARE = re.compile(_NUMBER)
_PART = re.compile(rf"({_NUMBER})\s*([a-z]+)\s*,?\s*")
_ISO = re.compile(
    rf"p(?:(?P<w>{_NUMBER})w)?(?:(?P<d>{_NUMBER})d)?"
    rf"(?P<time>t(?:(?P<h>{_NUMBER})h)?(?:(?P<m>{_NUMBER})m)?(?:(?P<s>{_NUMBER})s)?)?"
)


def parse_interval(text: str) -> timedelta:
    """Return the span that `text` means, above zero and at most ten years.

    Raises ValueError, with what is wrong, where it means none.
    """
    text = text.strip().lower()
    span = _sum_of(text.removeprefix("-"))
    if span is None:
        raise ValueError("not a span of time")
    if span <= timedelta(0) or text.startswith("-"):
        raise ValueError("not above zero")
    if span > LONGEST:
        raise ValueError("longer than ten years")
    return span


def _sum_of(text: str) -> timedelta | None:
    if _BARE.fullmatch(text):
        parts = [(text, "h")]
    elif iso := _ISO.fullmatch(text):
        parts = [(iso[unit], unit) for unit in _UNITS if iso[unit]]
        if iso["time"] == "t":
            return None
    else:
        parts = _named_parts(text)
    if not parts:
        return None
    try:
        return sum((float(number) * _UNITS[unit] for number, unit in parts), timedelta(0))
    except OverflowError:
        return timedelta.max


def _named_parts(text: str) -> list[tuple[str, str]]:
    """Return (number, unit) for each part; none if any part is nonsense or comes twice."""
    parts = []
    position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if not part or part[2] not in _UNIT_OF:
            return []
        parts.append((part[1], _UNIT_OF[part[2]]))
        position = part.end()
    units = [unit for _, unit in parts]
    return parts if len(set(units)) == len(units) else []


def format_interval(span: timedelta) -> str:
    """Return `span` for people, to the second, in a form that parse_interval() reads: "1d 12h"."""
    seconds = round(span.total_seconds())
    parts = []
    for unit in "dhms":
        size = int(_UNITS[unit].total_seconds())
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def format_age(span: timedelta) -> str:
    """Return `span` for people, its two largest units: "3d 4h", "12m 5s"; never below zero."""
    return " ".join(format_interval(max(span, timedelta(0))).split()[:2])


def format_rough(span: timedelta) -> str:
    """Return `span` as people say it, one number rounded down: "5 minutes", "36 hours"."""
    minutes = int(span.total_seconds()) // 60
    if minutes < 1:
        return "less than a minute"
    count, unit = minutes, "minute"
    if minutes >= 48 * 60:
        count, unit = minutes // (24 * 60), "day"
    elif minutes >= 60:
        count, unit = minutes // 60, "hour"
    return f"{count} {unit}{'s' if count > 1 else ''}"
