"""The files that Amanda and asyncamanda write on this client, as the Amanda user finds them."""

import contextlib
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncamanda.client.doctor.case import Case, Places
from asyncamanda.client.start.probing import can_be_made, look_at, read_lines
from asyncamanda.core.amanda.amandates import Rejected, Row, iterate_rows
from asyncamanda.core.doctor import files
from asyncamanda.core.doctor.findings import Check, not_needed
from asyncamanda.core.doctor.rights import judge_secret
from asyncamanda.errors import AsyncamandaError
from asyncamanda.system.files import open_shared

LOCK_WITHIN = timedelta(seconds=1)
_TEMPORARY = Path("/tmp")  # noqa: S108 - only examined


def check_amandates(case: Case, places: Places, now: datetime) -> Check:
    """Return whether Amanda's own amandates can be written, and whether its content is valid."""
    path = places.amandates
    if fault := files.judge_amandates_file(look_at(path), case.user):
        return fault
    configured = str(case.plan.amandates)
    content = _read_amandates(path)
    return files.judge_amandates(
        str(path), configured, content, now, is_by_command=case.is_by_command
    )


def _read_amandates(path: Path) -> files.Content:
    rejected = Rejected()
    try:
        with open_shared(path, LOCK_WITHIN) as text:
            count, newest = _sum_up(iterate_rows(text.blocks(), rejected))
    except AsyncamandaError as error:
        return files.Content(0, rejected, None, error.message)
    return files.Content(count, rejected, newest)


def _sum_up(rows: Iterable[Row]) -> tuple[int, tuple[str, datetime] | None]:
    count, latest = 0, ("", 0)
    for disk, _, seconds in rows:
        count += 1
        if seconds > latest[1]:
            latest = (disk, seconds)
    disk, seconds = latest
    return count, (disk, datetime.fromtimestamp(seconds, UTC)) if seconds else None


def check_lists(case: Case, places: Places) -> Check:
    """Return whether tar's snapshots can be written."""
    return files.judge_lists(look_at(places.gnutar_lists), case.user)


def check_logs(case: Case, places: Places) -> Check:
    """Return whether Amanda can write its logs: its folder, and amandad's in it."""
    # each kind of program has a folder of its own in the logs, which it makes where it is missing
    folders = [places.logs, places.logs / "amandad", places.logs / "client", places.temporary]
    return files.judge_logs([(look_at(path), can_be_made(path)) for path in folders], case.user)


def check_state(case: Case) -> Check:
    """Return whether asyncamanda can write its memory."""
    state = case.plan.state
    return files.judge_state(look_at(state), case.user, can_be_made=can_be_made(state))


def check_space(case: Case, places: Places | None) -> Check:
    """Return whether there is room where Amanda, as far as that is known, and asyncamanda write."""
    paths = [case.plan.state, _TEMPORARY]
    if places:
        paths += [places.gnutar_lists, places.logs, places.temporary]
    rooms: dict[tuple[int, int], files.Room] = {}
    for path in paths:
        there, seen = _find_file_system(path)
        rooms.setdefault((seen.f_fsid, seen.f_blocks), _measure(there, seen))
    return files.judge_space([*rooms.values()])


def _find_file_system(path: Path) -> tuple[Path, os.statvfs_result]:
    """Return `path`, or the nearest above it that this user can see, and what it lies on."""
    for each in (path, *path.parents):
        with contextlib.suppress(OSError):
            return each, os.statvfs(each)
    raise AssertionError("everybody sees the root")


def _measure(path: Path, seen: os.statvfs_result) -> files.Room:
    return files.Room(
        path=str(path),
        free_bytes=seen.f_bavail * seen.f_frsize,
        all_bytes=seen.f_blocks * seen.f_frsize,
        free_files=seen.f_favail if seen.f_files else None,
    )


def check_secret(name: str, key: str, path: Path | None, user: str) -> Check:
    """Return whether the file that client.toml's `key` names is for the Amanda user alone."""
    if path is None:
        return not_needed(name, f"client.toml has no {key}")
    lines = sum(1 for line in read_lines(path) if line.strip())
    return judge_secret(name, key, look_at(path), user, lines)
