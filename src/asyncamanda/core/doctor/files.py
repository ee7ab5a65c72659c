"""How the doctor judges the files in which Amanda, and asyncamanda, keep what they know."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncamanda.core.agent.due import FUTURE_AFTER
from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.core.doctor.findings import Check, Health, well
from asyncamanda.core.doctor.rights import PathKind, Seen, judge_file, judge_folder, quoted
from asyncamanda.core.values.shellwords import as_user
from asyncamanda.core.values.size import format_size

_AMANDATES = "without it Amanda does not know on which dump to build the next"


@dataclass(frozen=True, slots=True)
class Content:
    """What amandates holds: how many lines count, the skipped ones, and the newest time."""

    count: int
    rejected: Rejected
    newest: tuple[str, datetime] | None
    error: str = ""


def judge_amandates_file(seen: Seen, user: str) -> Check | None:
    """Return what is wrong with amandates as a file; None if nothing is."""
    return judge_file("amandates", seen, user, _AMANDATES)


def judge_amandates(
    path: str, configured: str, content: Content, now: datetime, *, is_by_command: bool
) -> Check:
    """Return whether amandates is valid, and is the file that client.toml names.

    By command it is the witness of each backup; by gate a mere hint.
    """
    if content.error:
        found, fix = f"{path}: {content.error}", f"fuser -v {quoted(path)} names who uses it"
        return Check("amandates", Health.BAD, found, _AMANDATES, fix)
    if configured != path:
        health = Health.BAD if is_by_command else Health.WARNING
        found = f"client.toml names {configured}, and Amanda writes {path}"
        why = "asyncamanda looks for this machine's dumps where Amanda does not record them"
        fix = f'in client.toml: amandates = "{path}"'
        return Check("amandates", health, found, why, fix)
    if content.rejected.count:
        first = content.rejected.lines[0]
        count = content.rejected.count
        found = f"{count} {'line' if count == 1 else 'lines'} of {path} cannot be read; line "
        found += f"{first.number}: {first.fault}"
        why = "Amanda skips them, and dumps those disks as if they had never been dumped"
        fix = f"remove those lines from {path}; Amanda writes them again"
        return Check("amandates", Health.WARNING, found, why, fix)
    if content.newest and content.newest[1] > now + FUTURE_AFTER:
        disk, moment = content.newest
        found = f"{disk} has a dump of {moment:%Y-%m-%d %H:%M} UTC, which is in the future"
        why = "the clock was wrong: until then the next dumps leave out what changed meanwhile"
        force = as_user("backup", "amadmin CONFIG force CLIENT")
        fix = f"is the clock right now? Then on the server, {force}"
        return Check("amandates", Health.WARNING, found, why, fix)
    dumps = "1 dump" if content.count == 1 else f"{content.count} dumps"
    return well("amandates", f"{path}, {dumps}")


def judge_lists(seen: Seen, user: str) -> Check:
    """Return whether GNU tar's snapshots can be kept."""
    why = "Amanda keeps the file lists of dumps there; without them GNU tar makes no dump"
    fault = judge_folder("gnutar-lists", seen, user, why)
    return fault or well("gnutar-lists", seen.path)


def judge_logs(folders: Sequence[tuple[Seen, bool]], user: str) -> Check:
    """Return whether Amanda can write its logs and temporary files.

    Each folder comes with whether Amanda could make it, where it is missing.
    """
    why = "a program of Amanda's that cannot write its logs does not start"
    for seen, can_be_made in folders:
        if seen.kind is PathKind.NOTHING and can_be_made:
            continue
        if fault := judge_folder("logs", seen, user, why):
            return fault
    return well("logs", f"{folders[0][0].path} and {folders[-1][0].path}")


def judge_state(seen: Seen, user: str, *, can_be_made: bool) -> Check:
    """Return whether asyncamanda can remember."""
    if seen.kind is PathKind.NOTHING and can_be_made:
        return well("state", f"{seen.path} is created at the first start")
    why = "without its memory asyncamanda could mistake an interrupted backup for a good one"
    return judge_folder("state", seen, user, why) or well("state", seen.path)


# -- space

LEAST_BYTES, LEAST_SHARE = 50_000_000, 0.01
NO_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Room:
    """What a file system has left: bytes for a user, of how many; files, None where not counted."""

    path: str
    free_bytes: int
    all_bytes: int
    free_files: int | None


def judge_space(rooms: Sequence[Room]) -> Check:
    """Return whether there is room for what Amanda and asyncamanda write."""
    why = "Amanda writes logs and tar's snapshots, and asyncamanda its memory, at each backup"
    warning = None
    for room in sorted(rooms, key=lambda room: room.free_bytes):
        fix = f"make room: du -xh --max-depth=2 {quoted(room.path)} | sort -h | tail"
        left = f"{format_size(room.free_bytes)} of {format_size(room.all_bytes)} left"
        if room.free_files == 0:
            found = f"{room.path}: no further file can be created (out of inodes)"
            return Check("space", Health.BAD, found, why, fix)
        if room.free_bytes < NO_BYTES:
            return Check("space", Health.BAD, f"{room.path}: {left}", why, fix)
        is_little = room.free_bytes < max(LEAST_BYTES, LEAST_SHARE * room.all_bytes)
        if is_little and warning is None:
            warning = Check("space", Health.WARNING, f"{room.path}: {left}", why, fix)
    if warning or not rooms:
        return warning or well("space", "nothing to check")
    least = min(rooms, key=lambda room: room.free_bytes)
    return well("space", f"{format_size(least.free_bytes)} at {least.path}, or more")
