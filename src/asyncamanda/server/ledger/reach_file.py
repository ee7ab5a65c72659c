"""What was found of how far back each client's backups go, in a file for the dispatcher.

To find it means to look at each dump that is there, and to ask Amanda, which reads the logs of all
its runs. So a process of its own does that now and then, and whoever tells a client reads this.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda.core.model import DleVerdict
from asyncamanda.core.restore.retention import find_since
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.report.json import time_value
from asyncamanda.server.gate.ipc import STATE
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.files import write_whole

FOLDER = Path(STATE, "reach")
HOLDS_FOR = timedelta(days=2)  # volumes are overwritten meanwhile, by whoever runs amdump


@dataclass(frozen=True, slots=True)
class DiskReach:
    """Since when a disk can be restored, None if it cannot; of the dumps until `seen_until`."""

    since: datetime | None
    seen_until: datetime


Reaches = Mapping[str, Mapping[str, DiskReach]]  # by client and disk


@dataclass(frozen=True, slots=True)
class ReachFound:
    """How far back each disk of each client goes, as it was at `looked_at`."""

    looked_at: datetime
    clients: Reaches = field(default_factory=dict)


class ReachFile:
    """What was found for one Amanda configuration; the file is read when it has changed."""

    def __init__(self, amanda_config: str) -> None:
        self._path = FOLDER / f"{amanda_config}.json"
        self._seen: tuple[int, int] | None = None
        self._found: ReachFound | None = None

    def write(self, found: ReachFound) -> None:
        """Replace what was found. Raises OSError."""
        clients = {
            client: {
                disk: [time_value(reach.since), time_value(reach.seen_until)]
                for disk, reach in disks.items()
            }
            for client, disks in found.clients.items()
        }
        value = {"looked_at": time_value(found.looked_at), "clients": clients}
        write_whole(self._path, json.dumps(value), 0o600)

    def read(self) -> ReachFound | None:
        """Return what was found, None if nothing was, or if that was too long ago."""
        try:
            status = self._path.stat()
            if (seen := (status.st_mtime_ns, status.st_ino)) != self._seen:
                self._found = _parse(self._path.read_text("utf-8"))
                self._seen = seen
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        found = self._found
        is_of_today = found and timedelta(0) <= read_clock() - found.looked_at <= HOLDS_FOR
        return found if is_of_today else None


def tell_since(
    found: ReachFound | None, client: str, disks: Iterable[str], verdicts: Iterable[DleVerdict]
) -> dict[str, datetime]:
    """Return since when each of the client's `disks` can be restored, where that is known.

    `verdicts` are what the ledger has of the client's dumps after seen_until().
    """
    if found is None:
        return {}
    fulls: dict[str, list[datetime]] = {}
    for verdict in verdicts:
        if verdict.state.is_confirmed and verdict.level == 0 and verdict.dumped_at:
            fulls.setdefault(verdict.disk, []).append(verdict.dumped_at)
    reaches = _reaches_of(found, client, disks)
    dates = {
        disk: find_since(reach.since, fulls.get(disk, ()), reach.seen_until)
        for disk, reach in reaches.items()
    }
    return {disk: date for disk, date in dates.items() if date}


def seen_until(found: ReachFound, client: str, disks: Iterable[str]) -> datetime:
    """Return of what date the dumps are that nobody has looked for, of any of the `disks`."""
    reaches = _reaches_of(found, client, disks).values()
    return min((reach.seen_until for reach in reaches), default=found.looked_at)


def _reaches_of(found: ReachFound, client: str, disks: Iterable[str]) -> dict[str, DiskReach]:
    known, unseen = found.clients.get(client, {}), DiskReach(None, found.looked_at)
    return {disk: known.get(disk, unseen) for disk in disks}


def _parse(text: str) -> ReachFound:
    value = parse_json(text)
    return ReachFound(
        datetime.fromisoformat(value["looked_at"]),
        {
            client: {disk: _parse_reach(*reach) for disk, reach in disks.items()}
            for client, disks in value["clients"].items()
        },
    )


def _parse_reach(since: str | None, seen_until: str) -> DiskReach:
    date = None if since is None else datetime.fromisoformat(since)
    return DiskReach(date, datetime.fromisoformat(seen_until))
