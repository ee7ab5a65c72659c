"""The wall clock, read at the edge and passed on as a value.

Waiting uses it too: the monotonic clock stops while a machine sleeps.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo


def now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


def parse_local_stamp(text: str) -> datetime:
    """Return the time, in UTC, that 14 digits of this machine's local time mean.

    Amanda names its runs and dumps so. An hour that comes twice, in autumn, is its first: so
    a backup rather looks older than it is. Raises ValueError for any other text.
    """
    return datetime.strptime(text, "%Y%m%d%H%M%S").astimezone(UTC)


def list_local_stamp(text: str) -> tuple[datetime, ...]:
    """Return the times that 14 digits of local time may mean: two in the hour that comes twice.

    Raises ValueError for any other text.
    """
    local = datetime.strptime(text, "%Y%m%d%H%M%S")  # noqa: DTZ007 - both are made aware
    return tuple(dict.fromkeys(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)))


def read_local(local: datetime, zone: str) -> datetime:
    """Return the time, in UTC, that `local` is on this machine where its zone is called `zone`.

    The zone's name says which of two it is in the hour that comes twice.
    """
    both = [local.replace(fold=fold).astimezone() for fold in (0, 1)]
    return next((one for one in both if one.tzname() == zone), both[0]).astimezone(UTC)


def format_local_stamp(moment: datetime) -> str:
    """Return the 14 digits that Amanda would give a run that begins at `moment`."""
    return f"{moment.astimezone():%Y%m%d%H%M%S}"


def local_zone() -> tzinfo | None:
    """Return this machine's time zone with its summer time; None if only its offset is known.

    A time in `None` (datetime.astimezone) has the offset of its day, and keeps it on others.
    """
    with suppress(OSError, ValueError, KeyError):  # KeyError: TZ in POSIX' own form
        if name := os.environ.get("TZ", "").lstrip(":"):
            return ZoneInfo(name)
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file)
    return None
