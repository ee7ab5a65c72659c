"""How far back files can be restored, and how long it may stay so."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from asyncamanda.core.amanda.tapelist import Volume
from asyncamanda.core.values.size import format_size

FILLED = 0.9  # of the volumes: each flush ends in the middle of one
CHANGED = 0.02  # of all data a day, in the example
RUNS = 7  # a week, of which one is a full


def find_reach(disks: Collection[str], first_at: Mapping[str, datetime | None]) -> datetime | None:
    """Return since when every one of the `disks` can be restored, None if one cannot be at all.

    `first_at` is the first date of each that can be.
    """
    dates = [first_at.get(disk) for disk in disks]
    known = [date for date in dates if date]
    return max(known) if known and len(known) == len(dates) else None


def find_since(
    known: datetime | None, fulls: Iterable[datetime], seen_until: datetime
) -> datetime | None:
    """Return since when a disk can be restored: as it was `known` by a look, if it was.

    Else since the first of the confirmed `fulls` that has come since, which must be there: those up
    to `seen_until` were looked for. None if that is not known either.
    """
    return known or min((full for full in fulls if full > seen_until), default=None)


def describe_volumes(volumes: Sequence[Volume], tapecycle: int) -> str:
    """Return what the volumes of a configuration say of how long dumps are kept."""
    written = sorted(each.timestamp for each in volumes if each.timestamp and each.is_reused)
    kept = sum(1 for each in volumes if each.timestamp and not each.is_reused)
    beside = ""
    if kept:
        beside = f"; {kept} more, marked no-reuse, {'is' if kept == 1 else 'are'} never overwritten"
    if not written:
        return f"no volume has been written yet, of {tapecycle}{beside}"
    first = f"{written[0][:4]}-{written[0][4:6]}-{written[0][6:8]}"
    if len(written) < tapecycle:
        return (
            f"{len(written)} of {tapecycle} volumes written, the first on {first}; "
            f"none is overwritten before all are written{beside}"
        )
    return f"{len(written)} volumes, the oldest of {first}, which the next flush overwrites{beside}"


def estimate_weeks(room: int, data: int) -> float:
    """Return for how many weeks volumes of `room` bytes keep dumps of `data` bytes in all.

    With a full a week, and a day's changes in each other dump since the last full; uncompressed.
    """
    changes = sum(CHANGED * day for day in range(1, RUNS))
    return room * FILLED / (data * (1 + changes))


def describe_room(room: int) -> list[str]:
    """Return, in words, what `room` bytes of volumes keep: two examples."""
    lines = []
    for part in (20, 5):
        data = room // part
        weeks = estimate_weeks(room, data)
        lines.append(f"{format_size(data)} of disks in all: about {weeks:.0f} weeks back")
    return lines
