"""Times, spans and names as the fleet's page shows them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncamanda.core.fleet.facts import Exposure
from asyncamanda.core.values.interval import format_age
from asyncamanda.core.values.printable import clip, printable

LONGEST_NAME, LONGEST_TEXT = 200, 500  # characters
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


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


def show_span(span: timedelta | None) -> str:
    """Return a span to the hour from one hour on, so that a page is not another one each minute."""
    if span is None:
        return "unknown"
    if span >= HOUR:
        span = timedelta(hours=span // HOUR)
    return format_age(span) if span >= MINUTE else "under 1m"


def show_exposure(exposure: Exposure) -> str:
    """Return for how long a machine was used without a backup, in words."""
    if exposure.used is None or (exposure.is_least and exposure.used < MINUTE):
        return "unknown"
    return ("at least " if exposure.is_least else "") + show_span(exposure.used)


def show_name(name: str) -> str:
    """Return a name that others chose, all of it visible."""
    return clip(printable(name), LONGEST_NAME)


def show_text(text: str) -> str:
    """Return a sentence that may have the words of others in it, in one line."""
    return clip(printable(text), LONGEST_TEXT)


def count(number: int, thing: str) -> str:
    """Return a number of things in words: "1 client", "1,200 clients"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
