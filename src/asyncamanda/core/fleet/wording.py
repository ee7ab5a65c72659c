"""Moments and spans in the sentences about a client, in the time zone of `now`."""

from datetime import datetime, timedelta

from asyncamanda.core.fleet.facts import Exposure
from asyncamanda.core.values.interval import format_age, format_interval
from asyncamanda.core.values.printable import clip

NEAR = timedelta(days=6)  # a weekday alone says which day is meant
LONGEST_REASON = 200  # characters of a reason in a sentence
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def say_moment(moment: datetime, now: datetime) -> str:
    """Return a moment as one says it at `now`: "09:00", "Fri 17:02", "2026-11-02 17:02"."""
    local = moment.astimezone(now.tzinfo)
    if local.date() == now.date():
        return f"{local:%H:%M}"
    if abs(now - moment) < NEAR:
        return f"{WEEKDAYS[local.weekday()]} {local:%H:%M}"
    return f"{local:%Y-%m-%d %H:%M}"


def say_ago(moment: datetime, now: datetime) -> str:
    """Return a moment, and how long ago it was: "Fri 17:02 (2d 3h ago)"."""
    return f"{say_moment(moment, now)} ({format_age(now - moment)} ago)"


def say_because(reason: str) -> str:
    """Return " because ..." with the reason, "" where there is none."""
    return f" because {clip(reason, LONGEST_REASON)}" if reason else ""


def say_exposure(exposure: Exposure) -> str:
    """Return for how long a machine was used: "12h 5m", "at least 12h", "unknown"."""
    if exposure.used is None:
        return "unknown"
    least = "at least " if exposure.is_least else ""
    return f"{least}{format_interval(whole_minutes(exposure.used))}"


def whole_minutes(span: timedelta) -> timedelta:
    """Return a span without its seconds."""
    return timedelta(minutes=span // timedelta(minutes=1))
