"""The state of the schedule, for whoever asks: nothing here fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from asyncamanda.client.schedule.machine import BOOTED, find_program, is_cron_running
from asyncamanda.client.schedule.record import WrittenFile, hash_text, read_own, read_record
from asyncamanda.core.schedule import schedule, systemd
from asyncamanda.core.schedule.schedule import ScheduleKind
from asyncamanda.errors import AsyncamandaError, RefusedError
from asyncamanda.system.programs import run_program

PATIENCE = 5  # seconds, with systemd


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """What starts the agent: `kind` is None if asyncamanda installed nothing.

    `is_active` and `next_at` are None where that is not known; `differs` are those of `files` that
    are gone or were changed by hand, `missing` the gone ones among them. `unknown` are those that
    this user may not look at: polkit keeps its rules to itself.
    """

    kind: ScheduleKind | None = None
    is_installed: bool = False
    is_active: bool | None = None
    files: tuple[Path, ...] = ()
    differs: tuple[Path, ...] = ()
    missing: tuple[Path, ...] = ()
    unknown: tuple[Path, ...] = ()
    next_at: datetime | None = None


def look_at_schedule() -> ScheduleStatus:
    """Return the state of the schedule; a record that cannot be read counts as none."""
    try:
        record = read_record()
        if record is None:
            return ScheduleStatus()
        files = tuple(entry.path for entry in record.entries)
        seen = {entry.path: _look_at_file(entry) for entry in record.entries}
        return ScheduleStatus(
            kind=record.kind,
            is_installed=record.is_done,
            is_active=_is_active(record.kind, files),
            files=files,
            differs=_select(seen, _FileState.CHANGED, _FileState.MISSING),
            missing=_select(seen, _FileState.MISSING),
            unknown=_select(seen, _FileState.UNKNOWN),
            next_at=_read_next() if record.kind is ScheduleKind.SYSTEMD else None,
        )
    except (AsyncamandaError, OSError):
        return ScheduleStatus()


class _FileState(Enum):
    """What has become of a file since it was written."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    MISSING = "missing"
    UNKNOWN = "unknown"


def _look_at_file(entry: WrittenFile) -> _FileState:
    try:
        own = read_own(entry)
    except RefusedError as error:
        # either it cannot be looked at, or it is a link or a folder by now
        is_hidden = isinstance(error.__cause__, OSError)
        return _FileState.UNKNOWN if is_hidden else _FileState.CHANGED
    if own is None:
        return _FileState.MISSING
    return _FileState.UNCHANGED if hash_text(own) in entry.sums else _FileState.CHANGED


def _select(seen: Mapping[Path, _FileState], *states: _FileState) -> tuple[Path, ...]:
    return tuple(path for path, state in seen.items() if state in states)


def _is_active(kind: ScheduleKind, files: tuple[Path, ...]) -> bool | None:
    if kind is ScheduleKind.SYSTEMD:
        said = _ask_systemd("is-active", systemd.TIMER)
        return None if said is None else said == "active"
    if Path(schedule.CRON_FILE) not in files:
        return None  # anacron is no daemon
    return is_cron_running()


def _read_next() -> datetime | None:
    said = _ask_systemd(
        "show", systemd.TIMER, "--property=NextElapseUSecRealtime", "--value", "--timestamp=unix"
    )
    try:
        return datetime.fromtimestamp(int((said or "").removeprefix("@")), UTC)
    except (ValueError, OverflowError, OSError):
        return None  # it says n/a, or is too old to know the option


def _ask_systemd(*words: str) -> str | None:
    """Return what systemctl prints, None if there is no systemd to ask."""
    systemctl = find_program("systemctl")
    if systemctl is None or not BOOTED.is_dir():
        return None
    answer = run_program([systemctl, *words], PATIENCE)
    return None if answer.status is None else answer.stdout.strip()
