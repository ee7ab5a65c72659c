"""Looking for what shows that the server has a dump: holding files, volumes, curinfo.

Nothing here follows a link or a name that a header gives out of Amanda's own folders. What cannot
be read shows nothing.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from asyncamanda.core.amanda.curinfo import parse_curinfo, sanitise_name
from asyncamanda.core.amanda.header import HEADER_BYTES, DumpHeader, FileKind, parse_header
from asyncamanda.core.amanda.runlog import RunLog
from asyncamanda.core.amanda.runlog_reader import Place
from asyncamanda.core.amanda.witness import Dump, Evidence, RunFacts, weigh
from asyncamanda.core.model import DleVerdict
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.amanda.logs import read_text
from asyncamanda.server.amanda.vtapes import VirtualTapes
from asyncamanda.system.clock import list_local_stamp, parse_local_stamp

_MOST_PARTS = 10_000
_USUAL_BYTES = 4096  # in which what a header says has room, hardly ever more


def find_evidence(settings: Settings, log: RunLog, stamp: str) -> Evidence:
    """Return what there is of the dumps of which `log`, the log of the run `stamp`, speaks."""
    dumps = {
        (claim.host, claim.disk, stamp if claim.timestamp == log.timestamp else claim.timestamp)
        for claim in log.verdicts
    }
    held = find_held(settings, dumps)
    taped = [dump for dump in dumps - held.keys() if dump in log.places]
    vtapes = VirtualTapes(settings)
    stored = {}
    for dump in taped:
        places = log.places[dump]
        levels = _find_on_vtapes(
            vtapes, dump, places, _find_taped_bytes(log, stamp, dump)
        ) or _find_in_curinfo(settings, dump, places)
        if levels:
            stored[dump] = levels
    return Evidence(held, stored)


def weigh_log(
    settings: Settings,
    log: RunLog,
    facts: RunFacts,
    known: Mapping[Dump, DleVerdict],
    written_at: datetime,
) -> tuple[DleVerdict, ...]:
    """Return what counts of the claims of a log that was last written `written_at`.

    An older dump of a run that nobody knows has the time that its name says. What lies beyond
    the log that speaks of it is left out.
    """
    words = weigh(log, facts, known, find_evidence(settings, log, facts.timestamp))
    dated = (
        replace(word, dumped_at=word.dumped_at or parse_local_stamp(word.timestamp))
        for word in words
    )
    return tuple(
        word
        for word in dated
        if word.timestamp == facts.timestamp or (word.dumped_at or written_at) <= written_at
    )


# -- the holding disk


def find_held(settings: Settings, dumps: Collection[Dump]) -> dict[Dump, set[int]]:
    """Return the levels of those of `dumps` that lie whole in the holding disks."""
    found: dict[Dump, set[int]] = {}
    of_run: dict[str, list[Dump]] = {}
    for dump in dumps:
        of_run.setdefault(dump[2], []).append(dump)
    for stamp, wanted in of_run.items():
        starts = {f"{sanitise_name(host)}." for host, _, _ in wanted}
        for header in _held_headers(settings, stamp, starts):
            for dump in wanted:
                if header.is_of(*dump):
                    found.setdefault(dump, set()).add(header.level)
    return found


def _held_headers(settings: Settings, stamp: str, starts: set[str]) -> Iterator[DumpHeader]:
    """Yield the header of each whole dump that a run has in the holding disks."""
    for place in settings.holding:
        with suppress(OSError):
            for entry in os.scandir(place / stamp):
                if entry.name.endswith(".tmp") or not any(map(entry.name.startswith, starts)):
                    continue
                header, size = _read_file(Path(entry.path))
                if header and header.kind is FileKind.WHOLE and _is_whole(settings, header, size):
                    yield header


def _is_whole(settings: Settings, header: DumpHeader, size: int) -> bool:
    """Return whether all bytes of the dump are there; `size` are those of its first file.

    The driver writes the size into the header when it takes the dump for ended.
    """
    if header.is_partial or header.size is None:
        return False
    seen, following = set[Path](), header.goes_on_in
    while following:
        path = Path(os.path.normpath(following))
        is_inside = any(path.parent == place / header.timestamp for place in settings.holding)
        if not is_inside or path in seen:
            return False
        seen.add(path)
        more, more_bytes = _read_file(path)
        if not more or more.kind is not FileKind.GOES_ON or more.is_partial:
            return False
        if (more.host, more.disk, more.level) != (header.host, header.disk, header.level):
            return False
        size += more_bytes
        following = more.goes_on_in
    return size == header.size


def _read_file(path: Path) -> tuple[DumpHeader | None, int]:
    """Return a dump file's header, None if it has none, and how many bytes are behind it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None, 0
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - of a descriptor
        with suppress(OSError):
            size = os.fstat(descriptor).st_size
            block = file.read(_USUAL_BYTES)
            if b"\0" not in block:
                block += file.read(HEADER_BYTES - _USUAL_BYTES)
            return parse_header(block), max(size - HEADER_BYTES, 0)
        return None, 0


# -- volumes


def _find_taped_bytes(log: RunLog, stamp: str, dump: Dump) -> int | None:
    """Return how much the taper has written of a dump of the log's own run, None if not known.

    That is a claim, and counts only where no other client's text can be in the log: whose dump it
    is could only deceive itself, which it can do by what it dumps, too.
    """
    is_alone = log.hosts == {dump[0]} and dump[2] == stamp and not log.is_doubtful
    return log.taped_bytes.get((*dump[:2], log.timestamp or stamp)) if is_alone else None


def _find_on_vtapes(
    vtapes: VirtualTapes, dump: Dump, places: Collection[Place], taped_bytes: int | None
) -> set[int]:
    """Return the level of a dump whose parts on virtual tapes are all there.

    By their headers, which have the size of the whole dump where it was held. What went straight to
    a volume was not known to be whole when they were written, and a dump that was cut looks alike:
    then it is as large as the log says (`taped_bytes`; tests/e2e/test_large_disk.py asks the real
    Amanda).
    """
    parts: dict[int, tuple[DumpHeader, int]] = {}
    for label, number in [*places][:_MOST_PARTS]:
        for path in vtapes.find_parts(label, number):
            header, size = _read_file(path)
            if header and header.kind is FileKind.PART and header.is_of(*dump):
                parts[header.part] = header, size
    headers = [header for header, _ in parts.values()]
    sizes = {taped_bytes if header.size is None else header.size for header in headers}
    levels = {header.level for header in headers}
    is_complete = sorted(parts) == [*range(1, len(parts) + 1)]
    is_complete &= sizes == {sum(size for _, size in parts.values())}
    is_cut = any(header.is_partial for header in headers)
    return levels if is_complete and len(levels) == 1 and not is_cut else set()


# -- curinfo


def _find_in_curinfo(settings: Settings, dump: Dump, places: Collection[Place]) -> set[int]:
    """Return the levels at which the driver remembers the dump, where it has put it.

    The label alone would not do: a flush of an older dump of that level writes it, too, and two
    disks may share the file. So it has to be just where the log says.
    """
    host, disk, stamp = dump
    path = settings.infofile / sanitise_name(host) / sanitise_name(disk) / "info"
    dates = {int(moment.timestamp()) for moment in list_local_stamp(stamp)}
    with suppress(OSError, ValueError):  # a name that can be none of a file's
        return {
            row.level
            for row in parse_curinfo(read_text(path))
            if row.date in dates and (row.label, row.file) in places
        }
    return set()
