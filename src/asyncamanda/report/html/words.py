"""Times, spans and names as the fleet's page shows them."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncamanda.core.fleet.facts import Exposure
from asyncamanda.core.values.interval import format_age
from asyncamanda.core.values.printable import clip, printable

LONGEST_NAME, LONGEST_TEXT = 200, 500  # characters
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
_LARGE = re.compile(r"\b([0-9]+d) [0-9]+[hms]\b|\b([0-9]+h) [0-9]+[ms]\b")
_SMALL = re.compile(r"\b[0-9]+m(?: [0-9]+s)?\b|\b[0-9]+s\b")


@dataclass(frozen=True, slots=True)
class ShownTime:
    """A time in the server's zone: `text` to the minute, `exact` with its zone, `iso` in full."""

    text: str
    exact: str
    iso: str


def show_time(moment: datetime | None) -> ShownTime | None:
    """Return `moment` for people and for programs, None where it is not known."""
    if moment is None:
        return None
    local = moment.astimezone()
    return ShownTime(
        f"{local:%Y-%m-%d %H:%M}",
        f"{local:%A, %Y-%m-%d %H:%M:%S} {local.tzname()}",
        local.isoformat(timespec="seconds"),
    )


def show_span(span: timedelta) -> str:
    """Return how long something took."""
    return format_age(span) if span >= MINUTE else "under 1m"


def show_use(span: timedelta | None) -> str:
    """Return a span of use, which grows, to the hour: so a page is not another one each minute."""
    if span is None:
        return "unknown"
    return format_age(timedelta(hours=span // HOUR)) if span >= HOUR else "under 1h"


def show_exposure(exposure: Exposure) -> str:
    """Return for how long a machine was used without a backup, in words."""
    used = exposure.used
    if used is None or not exposure.is_least:
        return show_use(used)
    if used < HOUR:
        return "at least some minutes" if used >= MINUTE else "unknown"
    return f"at least {show_use(used)}"


def without_ages(text: str) -> str:
    """Return `text` with each span of time as roughly as it matters: "3h", "2d", or "m".

    What differs in nothing else is the same: an age in a sentence grows by itself.
    """
    return _SMALL.sub("m", _LARGE.sub(r"\1\2", text))


def show_name(name: str) -> str:
    """Return a name that others chose, all of it visible."""
    return clip(printable(name), LONGEST_NAME)


def show_text(text: str) -> str:
    """Return a sentence that may have the words of others in it, in one line."""
    return clip(printable(text), LONGEST_TEXT)


def count(number: int, thing: str) -> str:
    """Return a number of things in words: "1 client", "1,200 clients"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
