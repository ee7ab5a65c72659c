"""As of when: dates as people write them, a run's timestamp, or the latest."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from asyncamanda.core.amanda.timestamps import is_stamp

EXAMPLES = (
    'latest, today, yesterday, "3 days ago", "2 hours ago", 2026-11-20, "2026-11-20 14:00", '
    "2026-11-20T14:00Z, or a run's 14 digits"
)

_LONGEST = 64
_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_AGO = re.compile(r"(an?|\d{1,6}) ?(minute|hour|day|week)s? ago")
_DAY = re.compile(r"(today|yesterday|\d{4}-\d{2}-\d{2})")
_TIMES = re.compile(r"(?:(today|yesterday|\d{4}-\d{2}-\d{2})[ t] ?)?(\d{1,2}:\d{2}(?::\d{2})?)")
_ZONED = re.compile(r"\d{4}-\d{2}-\d{2}[ t]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)? ?(z|[+-]\d{2}:?\d{2})")
_END = time(23, 59, 59, 999_999)


@dataclass(frozen=True, slots=True)
class When:
    """A date to restore: the newest dump at or before `before` (UTC), or that of `run`.

    With neither it is the newest of all.
    """

    before: datetime | None = None
    run: str | None = None


def parse_when(text: str, now: datetime) -> When:
    """Return the date that `text` means. A day is meant to its end.

    `now` is aware, in the zone that times without one are of. A time that comes twice, where
    summer time ends, is the later one. Raises ValueError, with what is wrong.
    """
    words = " ".join(text.lower().split()) if len(text) <= _LONGEST else ""
    if words in {"latest", "newest", "now"}:
        return When()
    if is_stamp(words):
        return When(run=words)
    for pattern, read in _FORMS:
        if found := pattern.fullmatch(words):
            try:
                return read(found, now)
            except OverflowError:
                raise ValueError(f"{text} is not in the calendar") from None
    raise ValueError(f"not a date: {text[:_LONGEST]!a}; allowed: {EXAMPLES}")


def _read_ago(found: re.Match[str], now: datetime) -> When:
    number = 1 if found[1] in {"a", "an"} else int(found[1])
    return When(now.astimezone(UTC) - number * _UNITS[found[2]])


def _read_day(found: re.Match[str], now: datetime) -> When:
    day = _parse_day(found[1], now)
    if day > now.date():
        raise ValueError(f"{found[1]} is in the future")
    return When(_make_aware(datetime.combine(day, _END), now))


def _read_time(found: re.Match[str], now: datetime) -> When:
    day = _parse_day(found[1] or "today", now)
    try:
        at = time.fromisoformat(found[2].zfill(8 if found[2].count(":") > 1 else 5))
    except ValueError:
        raise ValueError(f"there is no time {found[2]}") from None
    moment = _make_aware(datetime.combine(day, at), now)
    return _check(moment, found[0], now)


def _read_zoned(found: re.Match[str], now: datetime) -> When:
    try:
        said = found[0].upper()
        moment = datetime.fromisoformat(f"{said[:10]}T{said[11:].replace(' ', '')}")
    except ValueError:
        raise ValueError(f"there is no time {found[0]}") from None
    return _check(moment.astimezone(UTC), found[0], now)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], datetime], When]], ...] = (
    (_AGO, _read_ago),
    (_DAY, _read_day),
    (_TIMES, _read_time),
    (_ZONED, _read_zoned),
)


def _parse_day(word: str, now: datetime) -> date:
    if word == "today":
        return now.date()
    if word == "yesterday":
        return now.date() - timedelta(days=1)
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise ValueError(f"there is no day {word}") from None


def _make_aware(local: datetime, now: datetime) -> datetime:
    """Return the time, in UTC, that `local` is where `now` is; the later one of two."""
    return max(local.replace(tzinfo=now.tzinfo, fold=fold).astimezone(UTC) for fold in (0, 1))


def _check(moment: datetime, said: str, now: datetime) -> When:
    if moment > now:
        raise ValueError(f"{said} is in the future")
    return When(moment)
