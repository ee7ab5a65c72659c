"""The holding disks: how much is held in them, and how much room they have.

One entry that cannot be read, or is no dump, hides nothing else: what is there is held, and is to
be flushed, whatever lies beside it.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from asyncamanda.core.amanda.timestamps import is_stamp
from asyncamanda.core.dispatch.flush import Holding
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.amanda.hiding import KEEPER, OWNER, UNFINISHED
from asyncamanda.system.clock import parse_local_stamp

_KIB = 1024


def look_at_holding(settings: Settings) -> Holding:
    """Return what is held in all holding disks, and how much they could hold."""
    held, capacity, stamps = 0, 0, set[str]()
    for place, use in zip(settings.holding, settings.holding_uses, strict=True):
        here = 0
        for stamp, size in _list_dumps(place):
            here += size
            stamps.add(stamp)
        held += here
        capacity += _find_room(place, use, here)
    oldest = min(stamps, default=None)
    return Holding(held, capacity, parse_local_stamp(oldest) if oldest else None)


def _list_dumps(place: Path) -> Iterator[tuple[str, int]]:
    """Yield the run and the size in bytes of each file of a dump that is ended."""
    for run in _scan(place):
        if not is_stamp(run.name):
            continue
        for entry in _scan(Path(run.path)):
            with suppress(OSError):
                if _is_dump(entry.name) and entry.is_file(follow_symlinks=False):
                    yield run.name, entry.stat(follow_symlinks=False).st_size


def _scan(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # it is none, or closed
        return []


def _is_dump(name: str) -> bool:
    is_ours = name == OWNER or name.startswith(KEEPER)
    return not is_ours and not name.endswith(UNFINISHED)


def _find_room(place: Path, use: int, held: int) -> int:
    """Return how many bytes a holding disk has room for, with those `held` in it now.

    `use` is as in amanda.conf, in KiB: so much, or if it is not above 0 all but so much. What the
    file system has no room for cannot be held, whatever amanda.conf says.
    """
    try:
        system = os.statvfs(place)
    except OSError:
        return 0
    free = system.f_bavail * system.f_frsize
    wanted = use * _KIB
    return min(wanted, held + free) if wanted > 0 else max(held + free + wanted, 0)
