"""Counting the hours for which a machine is awake, from what was seen of its clocks now and then.

CLOCK_MONOTONIC does not go on while a machine sleeps, and no step of the wall clock changes it: it
says how much, and the wall clock only on which day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo
from itertools import pairwise

from asyncamanda.core.exposure.days import Days, add_use
from asyncamanda.core.exposure.values import UNSURE, Exposure

KEPT_MARKS = 200
MARKED_WITHIN = 600.0  # seconds: of three marks that are so close the one in the middle is dropped


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the clocks showed at one moment.

    `boot` is the system start's id, `at` the wall clock, and `awake` the seconds since that start,
    without those in which the machine slept.
    """

    boot: str
    at: datetime
    awake: float


@dataclass(frozen=True, slots=True)
class UseMark:
    """The seconds of use that had been counted at `at`, and how often it could not be counted."""

    at: datetime
    used: float
    gaps: int


@dataclass(frozen=True, slots=True)
class DumpMark:
    """What had been counted when a dump began; `is_least`: it may have been less, by much."""

    began_at: datetime
    used: float
    gaps: int
    is_least: bool = False


@dataclass(frozen=True, slots=True)
class UseRecord:
    """The use of a machine since it was first counted.

    `used` are its seconds, and `gaps` how often there was a time of which nobody knows. It was
    counted until `last`. `days` has the seconds of each of the last days, None where not known.
    `marks` are the last moments at which it was counted, oldest first, and `dumps` what had been
    counted when the newest dumps of the disks began.
    """

    used: float
    gaps: int
    last: Sighting
    days: Days = field(default_factory=dict)
    marks: tuple[UseMark, ...] = ()
    dumps: tuple[DumpMark, ...] = ()


def begin_use(now: Sighting, today: date) -> UseRecord:
    """Return a new record. Nobody knows what was before."""
    return UseRecord(0.0, 0, now, {today: None}, (UseMark(now.at, 0.0, 0),))


def count_use(
    record: UseRecord, seen: Sequence[Sighting], zone: tzinfo, *, is_whole: bool
) -> UseRecord:
    """Return the record after what was `seen` since, oldest first.

    Between two system starts that are seen one after the other the machine was off, or ran another
    system. Unless it `is_whole`: then there may have been others before the first.
    """
    used, days, marks = record.used, record.days, record.marks
    gaps = record.gaps + (not is_whole)
    for before, after in pairwise((record.last, *seen)):
        is_gap = before is record.last and not is_whole
        amount = after.awake - (before.awake if before.boot == after.boot else 0.0)
        amount = max(amount, 0.0)
        used += amount
        days = add_use(days, before.at, after.at, None if is_gap else amount, zone)
        marks = _add_mark(marks, UseMark(after.at, used, gaps))
    return replace(
        record, used=used, gaps=gaps, last=seen[-1] if seen else record.last, days=days, marks=marks
    )


def _add_mark(marks: tuple[UseMark, ...], mark: UseMark) -> tuple[UseMark, ...]:
    """Return `marks` and `mark`, without one between two that are close to each other."""
    if len(marks) > 1:
        before = marks[-2]
        is_close = (
            before.gaps == mark.gaps
            and mark.used - before.used <= MARKED_WITHIN
            and timedelta(0) <= mark.at - before.at <= timedelta(seconds=MARKED_WITHIN)
        )
        if is_close:
            marks = marks[:-1]
    return (*marks, mark)[-KEPT_MARKS:]


def note_dumps(record: UseRecord, began_at: Iterable[datetime]) -> UseRecord:
    """Return the record with what had been counted when the disks' newest dumps began.

    What was found of a dump once stays.
    """
    known = {dump.began_at: dump for dump in record.dumps}
    wanted = sorted({*began_at})
    return replace(
        record, dumps=tuple(known.get(at) or _find_dump(record.marks, at) for at in wanted)
    )


def _find_dump(marks: tuple[UseMark, ...], at: datetime) -> DumpMark:
    """Return what had been counted at `at`: rather too little, so that exposure is too much."""
    for before, after in pairwise(marks):
        if not before.at <= at < after.at:
            continue
        if before.gaps != after.gaps:
            return DumpMark(at, after.used, before.gaps, is_least=True)
        least = max(before.used, after.used - (after.at - at).total_seconds())
        most = min(after.used, before.used + (at - before.at).total_seconds())
        if most - least > UNSURE.total_seconds():
            return DumpMark(at, most, before.gaps, is_least=True)
        return DumpMark(at, min(least, most), before.gaps)
    first, last = marks[0], marks[-1]
    if at >= last.at:
        return DumpMark(at, last.used, last.gaps)
    if at < first.at:
        return DumpMark(at, first.used, first.gaps, is_least=True)
    return DumpMark(at, last.used, last.gaps, is_least=True)


def expose(record: UseRecord | None, last_at: datetime | None) -> Exposure:
    """Return the exposure since a backup that began at `last_at`; None: there is none.

    Where there is none it was used at least since this is counted.
    """
    if record is None:
        return Exposure(None)
    counted_at = record.last.at
    if last_at is None:
        return Exposure(timedelta(seconds=record.used), is_least=True, as_of=counted_at)
    known = {dump.began_at: dump for dump in record.dumps}
    dump = known.get(last_at) or (_find_dump(record.marks, last_at) if record.marks else None)
    if dump is None:
        return Exposure(None, as_of=counted_at)
    used = max(record.used - dump.used, 0.0)
    is_least = dump.is_least or dump.gaps != record.gaps
    return Exposure(timedelta(seconds=used), is_least, counted_at)
