"""How the doctor judges what goes on by itself: the schedule, the memory, the last backup."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncamanda.core.doctor.findings import Check, Health, well
from asyncamanda.core.doctor.rights import quoted
from asyncamanda.core.model import BackupState
from asyncamanda.errors import Exit

_STARTS = re.compile(r"(?:^|[\s/])asyncamanda(?:\s+run\b|\s+(?:-i|--interval)\b)")
_CRON_NAME = re.compile(r"[A-Za-z0-9_-]+")  # cron(8) passes over any other file of cron.d
_SCHEDULE = "asyncamanda schedule install"


@dataclass(frozen=True, slots=True)
class Timer:
    """What starts the agent, by asyncamanda's own record.

    `is_active` is None where that is not known; `differs` are files that were changed by hand,
    `missing` those without which nothing starts it, and that are gone. `faults` say why what they
    start does not run.
    """

    kind: str
    is_installed: bool
    is_active: bool | None
    differs: tuple[str, ...] = ()
    next_at: datetime | None = None
    missing: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def judge_schedule(
    timer: Timer | None, cron_lines: Sequence[str], cron_faults: Sequence[str] = ()
) -> Check:
    """Return whether something starts the agent; `cron_lines` name where cron does ("FILE:3").

    `cron_faults` are of such lines that do not: where, and why.
    """
    why = "nothing else starts a backup"
    faults = [*(timer.faults if timer and timer.is_installed else ()), *cron_faults]
    if faults and not cron_lines and (not timer or timer.faults or not timer.is_installed):
        found = f"what is to start the agent starts nothing: {'; '.join(faults)}"
        return Check("schedule", Health.BAD, found, why, f"as root: {_SCHEDULE}")
    is_whole = timer and timer.is_installed and not timer.missing and not timer.faults
    if timer and is_whole and timer.is_active is not False:
        until = f", next {timer.next_at:%Y-%m-%d %H:%M} UTC" if timer.next_at else ""
        if timer.differs:
            found = f"{timer.kind}: {', '.join(timer.differs)} not as asyncamanda installed it"
            why = "an update of asyncamanda does not change it"
            return Check("schedule", Health.WARNING, found, why, f"as root: {_SCHEDULE}")
        return well("schedule", f"{timer.kind}{until}")
    if cron_lines:
        return well("schedule", f"cron: {', '.join(cron_lines)}")
    if timer and timer.is_installed:
        gone = f"{', '.join(timer.missing)} gone"
        found = f"{timer.kind}: {gone if timer.missing else 'installed, and not active'}"
        fix = _SCHEDULE  # which offers to start a cron that does not run
        if timer.kind == "cron" and not timer.missing:
            fix += "; or systemctl enable --now cron; without systemd: service cron start"
        return Check("schedule", Health.BAD, found, why, f"as root: {fix}")
    found = "neither a timer nor a line of cron's starts `asyncamanda run`"
    fix = f"as root: {_SCHEDULE}; or in /etc/cron.d/asyncamanda: "
    fix += "17 * * * * root /usr/local/bin/asyncamanda run"
    return Check("schedule", Health.BAD, found, why, fix)


def judge_broker(place: str, *, is_listening: bool) -> Check:
    """Return whether ordinary users can ask for their files, at the socket `place`."""
    if is_listening:
        return well("users", "they can get their own files back")
    found = f"there is no socket {place}"
    why = "users of this machine cannot get their files back without root"
    return Check("users", Health.WARNING, found, why, f"as root: {_SCHEDULE}")


def judge_proof(state: BackupState, found: str) -> Check:
    """Return whether the backup is proved restorable; `found` says when it was, "" if never."""
    if state is BackupState.FAILED:
        why = "what was backed up may not come back as it is here; the server forces a full dump"
        fix = "asyncamanda run --force; then: asyncamanda prove"
        return Check("proof", Health.BAD, found, why, fix, exit=Exit.NOT_STORED)
    if state is BackupState.STALE:
        why = "nobody knows whether this machine's files would come back"
        fix = "asyncamanda prove, on mains and a line without limits"
        return Check("proof", Health.WARNING, found or "none was made for long", why, fix)
    return well("proof", found or "none was made yet; the timer makes one after a backup")


def is_cron_name(name: str) -> bool:
    """Return whether cron reads a file of that name in /etc/cron.d."""
    return bool(_CRON_NAME.fullmatch(name))


def find_starts(lines: Iterable[str]) -> list[int]:
    """Return the numbers of the lines that start the agent; comments do not."""
    return [
        number
        for number, line in enumerate(lines, 1)
        if not line.lstrip().startswith("#") and _STARTS.search(line)
    ]


def judge_memory(damage: str | None, path: str, *, is_unreadable: bool, user: str) -> Check:
    """Return whether the memory can be read; `damage` is what is wrong with it."""
    if damage is None:
        return well("memory", path)
    if is_unreadable:
        why = "what it knows of failed runs is lost, and each start backs up"
        fix = f"as root: chown {user} {quoted(path)} && chmod 644 {quoted(path)}"
        return Check("memory", Health.BAD, damage, why, fix)
    why = "it may have held that the last run failed: so the next start backs up"
    return Check("memory", Health.WARNING, damage, why, "asyncamanda run, which sets it aside")


def judge_backup(summary: str, *, is_due: bool, is_stale: bool) -> Check:
    """Return how old the last confirmed backup is; `summary` says it in words."""
    fix = "asyncamanda run -v, which says what prevents it; asyncamanda history lists the attempts"
    if is_stale:
        why = "what was changed since then is lost if this machine is"
        return Check("backup", Health.BAD, summary, why, fix, exit=Exit.STALE)
    if is_due:
        why = "the next start makes one, if nothing above prevents it"
        return Check("backup", Health.WARNING, summary, why, fix)
    return well("backup", summary)
