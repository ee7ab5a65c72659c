"""The export that the dispatcher has made when runs have ended: when, its name, which are kept."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from asyncamanda.core.values.foreign import parse_json

SPACED = timedelta(hours=1)  # between the beginnings of two
_NAME = re.compile(r"asyncamanda-(?P<host>.+)-(?P<day>[0-9]{8})\.tar\.gz(?:\.age)?")


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """What the process is told on its stdin: what server.toml says, perhaps not the usual one.

    `amanda_config` is that whose runs have ended; the export is of all of them.
    """

    amanda_config: str
    user: str
    ledger: str
    folder: str
    keep: int
    encrypt_to: tuple[str, ...]


def render_export_order(order: ExportOrder) -> str:
    """Return the order as JSON, in ASCII."""
    return json.dumps(asdict(order))


def parse_export_order(text: str) -> ExportOrder:
    """Return the order that render_export_order() has rendered. Raises ValueError."""
    said = parse_json(text)
    try:
        return ExportOrder(**(said | {"encrypt_to": tuple(said["encrypt_to"])}))
    except (TypeError, KeyError) as error:
        raise ValueError(f"not an order: {error!r}") from error


@dataclass(frozen=True, slots=True)
class LastExport:
    """How the last one that was made by itself ended: `path`, or why there is none."""

    begun_at: datetime
    path: str = ""
    fault: str = ""


def render_last(last: LastExport) -> str:
    """Return the note on the last one as JSON, in ASCII."""
    return json.dumps(asdict(last) | {"begun_at": last.begun_at.isoformat()}) + "\n"


def parse_last(text: str) -> LastExport:
    """Return the note that render_last() has rendered. Raises ValueError."""
    said = parse_json(text)
    try:
        begun_at = datetime.fromisoformat(said["begun_at"])
        if begun_at.tzinfo is None:
            raise ValueError("its time has no zone")
        return LastExport(begun_at, str(said["path"]), str(said["fault"]))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a note on an export: {error!r}") from error


def decide_wait(last: LastExport | None, ended_at: datetime | None, now: datetime) -> timedelta:
    """Return how long to wait before the next is made; below zero if none is needed.

    `ended_at` is the end of the newest run. A day's runs may end minutes after each other: so one
    waits, and has what ended meanwhile, too. One that has failed is made again.
    """
    if last is None or last.begun_at > now:
        return timedelta()
    if not last.fault and (ended_at is None or ended_at < last.begun_at):
        return timedelta(-1)
    return max(last.begun_at + SPACED - now, timedelta())


def name_export(host: str, local: datetime, *, is_encrypted: bool) -> str:
    """Return the file's name: one a day, which the day's next takes the place of."""
    return f"asyncamanda-{host}-{local:%Y%m%d}.tar.gz{'.age' if is_encrypted else ''}"


def plan_pruning(names: Iterable[str], host: str, keep: int) -> list[str]:
    """Return those of this host's exports that are to go: all but those of the newest days."""
    own = [
        (found["day"], name)
        for name in names
        if (found := _NAME.fullmatch(name)) and found["host"] == host
    ]
    kept = sorted({day for day, _ in own})[-keep:]
    return [name for day, name in own if day not in kept]
