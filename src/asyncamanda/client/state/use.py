"""The record of for how long this machine is used: one JSON file beside the agent's memory.

It has hours, and nothing of what was done in them. It is brought up to date only by a start that
looks at the whole; after a crash, or on a full disk, it is the old one or the new one. A damaged
one is set aside, and then nobody knows what was before.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Any

from asyncamanda.client.start.settings import Plan
from asyncamanda.client.state.stored import read_text, read_time
from asyncamanda.core.exposure.days import Days, day_of
from asyncamanda.core.exposure.record import (
    KEPT_MARKS,
    DumpMark,
    Sighting,
    UseMark,
    UseRecord,
    begin_use,
    count_use,
    note_dumps,
)
from asyncamanda.core.exposure.values import KEPT_DAYS
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.report.json import time_value
from asyncamanda.system import past_boots
from asyncamanda.system.clock import local_zone
from asyncamanda.system.files import read_regular, write_whole

FILE_NAME = "use.json"
FORMAT = 1
LARGEST = 2 << 20  # bytes
LONGEST = 10**10  # seconds
MOST_DUMPS = 2000

UNDECODABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def look_back(folder: Path) -> tuple[Sighting, ...] | None:
    """Return what the journal says of the time since the use was counted last; None: not all of it.

    Whoever may read the system's journal has to ask: root, before it becomes the Amanda user.
    """
    record, _ = read_use(folder)
    clocks = past_boots.look_at_clocks()
    if record is None or clocks is None:
        return None
    return past_boots.look_back(record.last, clocks[1], _zone())


def read_use(folder: Path) -> tuple[UseRecord | None, bool]:
    """Return what was recorded in `folder`, None if nothing was; and whether that is damaged."""
    try:
        return decode_use(parse_json(read_regular(folder / FILE_NAME, LARGEST))), False
    except FileNotFoundError:
        return None, False
    except (OSError, *UNDECODABLE):
        return None, True


def count_now(plan: Plan, began_at: Iterable[datetime]) -> UseRecord | None:
    """Return the record as it is now; None where nothing is counted, as in the classic form.

    `began_at` are the beginnings of the disks' newest dumps. Nothing is written.
    """
    if plan.moments is None:
        return None
    record, _ = read_use(plan.state)
    clocks = past_boots.look_at_clocks()
    if clocks is None:
        return record
    if record is None:
        record = begin_use(clocks[1], day_of(clocks[1].at, _zone()))
    else:
        record = refresh_use(record, plan.sighted, clocks)
    return note_dumps(record, began_at)


def refresh_use(
    record: UseRecord,
    sighted: tuple[Sighting, ...] | None = None,
    clocks: tuple[Sighting, Sighting] | None = None,
) -> UseRecord:
    """Return `record` as it is now, with what was `sighted` since; None: nobody has looked."""
    clocks = clocks or past_boots.look_at_clocks()
    if clocks is None:
        return record
    begun, now = clocks
    if record.last.boot == now.boot:
        known = [one for one in sighted or () if one.boot == now.boot]
        seen = [one for one in known if record.last.awake < one.awake < now.awake]
        return count_use(record, [*seen, now], _zone(), is_whole=True)
    return count_use(record, [*(sighted or ()), begun, now], _zone(), is_whole=sighted is not None)


def keep_use(plan: Plan, record: UseRecord | None) -> None:
    """Write the record down. Failing to is no reason to fail: it is counted later."""
    if record is None:
        return
    path = plan.state / FILE_NAME
    with suppress(OSError):
        if read_use(plan.state)[1]:
            path.replace(path.with_name(f"{FILE_NAME}.damaged"))
        write_whole(path, json.dumps(encode_use(record)) + "\n", 0o600)


def _zone() -> tzinfo:
    return local_zone() or datetime.now(UTC).astimezone().tzinfo or UTC


def encode_use(record: UseRecord) -> dict[str, object]:
    """Return the record as JSON has it."""
    last = record.last
    return {
        "format": FORMAT,
        "used": record.used,
        "gaps": record.gaps,
        "last": [last.boot, time_value(last.at), last.awake],
        "days": {f"{day}": use for day, use in record.days.items()},
        "marks": [[time_value(mark.at), mark.used, mark.gaps] for mark in record.marks],
        "dumps": [
            [time_value(dump.began_at), dump.used, dump.gaps, dump.is_least]
            for dump in record.dumps[-MOST_DUMPS:]
        ],
    }


def decode_use(value: dict[str, Any]) -> UseRecord:
    """Return the record that JSON holds. Raises one of UNDECODABLE if it holds none."""
    if value["format"] != FORMAT:
        raise ValueError("another format")
    boot, at, awake = value["last"]
    return UseRecord(
        used=_number(value["used"]),
        gaps=_count(value["gaps"]),
        last=Sighting(read_text(boot), read_time(at), _number(awake)),
        days=_decode_days(value["days"]),
        marks=tuple(
            UseMark(read_time(at), _number(used), _count(gaps))
            for at, used, gaps in value["marks"][-KEPT_MARKS:]
        ),
        dumps=tuple(
            DumpMark(read_time(at), _number(used), _count(gaps), is_least is True)
            for at, used, gaps, is_least in value["dumps"][-MOST_DUMPS:]
        ),
    )


def _decode_days(value: dict[str, Any]) -> Days:
    if len(value) > KEPT_DAYS:
        raise ValueError("too many days")
    return {
        date.fromisoformat(day): None if use is None else _number(use) for day, use in value.items()
    }


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= LONGEST:
        raise ValueError("no number that was counted")
    return float(value)


def _count(value: object) -> int:
    number = _number(value)
    return int(number)
