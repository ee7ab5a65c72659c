"""What goes on by itself on this client: schedule, memory, and the backups themselves."""

import pwd
import shutil
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from asyncamanda.client.doctor.case import Case
from asyncamanda.client.schedule.install import look_at_schedule
from asyncamanda.client.schedule.machine import BOOTED
from asyncamanda.client.start.network_offers import find_network_offers
from asyncamanda.client.start.probing import look_at, read_lines
from asyncamanda.client.state.assessment import assess
from asyncamanda.client.state.memory import FILE_NAME, read_memory
from asyncamanda.client.state.proof_record import read_proofs
from asyncamanda.core.agent.due import Due
from asyncamanda.core.doctor import inetd, starts, upkeep
from asyncamanda.core.doctor.findings import Check, Health, not_needed
from asyncamanda.core.doctor.rights import PathKind
from asyncamanda.core.model import BackupState
from asyncamanda.core.restore.frames import SOCKET_PATH
from asyncamanda.core.restore.proofs import count_drills, judge_proved
from asyncamanda.core.schedule import prove_units, restore_units
from asyncamanda.core.schedule.schedule import DISPATCHER, POLKIT_RULE
from asyncamanda.core.schedule.systemd import SERVICE_FILE
from asyncamanda.core.values.printable import printable
from asyncamanda.report.proof import describe_standing
from asyncamanda.report.text import explain_differences, sum_up
from asyncamanda.system.programs import run_program

_TABLES = (Path("/etc/crontab"), Path("/etc/anacrontab"))
# a start without them is later, or may fall asleep; or it is what check_users() is about
_DISPENSABLE = {
    DISPATCHER,
    POLKIT_RULE,
    restore_units.SERVICE_FILE,
    restore_units.SOCKET_FILE,
    prove_units.SERVICE_FILE,
    prove_units.TIMER_FILE,
}
_CRON_D = Path("/etc/cron.d")
_PARTS = tuple(Path(f"/etc/cron.{name}") for name in ("hourly", "daily", "weekly"))


def check_schedule() -> Check:
    """Return whether something starts the agent: a timer, or a line of cron's."""
    found = look_at_schedule()
    timer = upkeep.Timer(
        kind=found.kind.value if found.kind else "",
        is_installed=found.is_installed,
        is_active=found.is_active,
        differs=tuple(map(str, found.differs)),
        next_at=found.next_at,
        missing=tuple(str(path) for path in found.missing if str(path) not in _DISPENSABLE),
        faults=tuple(_find_faults(found.files)),
    )
    lines, faults = _find_cron_lines(found.files)
    return upkeep.judge_schedule(timer, lines, faults)


def _find_faults(files: Collection[Path]) -> Iterator[str]:
    """Yield why what the schedule's own files start does not run."""
    for path in files:
        if path == Path(SERVICE_FILE):
            for start in starts.parse_unit(read_lines(path)):
                if fault := _find_fault(start):
                    yield f"{path}: {fault}"
        elif path in _TABLES or path.parent == _CRON_D:
            yield from (f"{place}: {fault}" for place, fault in _look_at_lines(path) if fault)


def _find_cron_lines(judged: Collection[Path]) -> tuple[list[str], list[str]]:
    """Return where cron starts the agent, and where and why it fails to.

    The files that are `judged` already are left out.
    """
    others = (path for path in _cron_files() if path not in judged)
    seen = [found for path in others for found in _look_at_lines(path)]
    own = run_program(["crontab", "-l"]).stdout.splitlines()
    seen += [(f"this user's crontab:{number}", "") for number in upkeep.find_starts(own)]
    faults = [f"{place}: {fault}" for place, fault in seen if fault]
    return [place for place, fault in seen if not fault], faults


def _look_at_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield where a file of cron's starts the agent, and why that does not work, "" if it does."""
    lines = list(read_lines(path))
    search = starts.read_path(lines)
    has_user = path == _TABLES[0] or path.parent == _CRON_D
    for number in _starts(path):
        start = starts.parse_cron_line(lines[number - 1], search, has_user=has_user)
        is_script = path.parent in _PARTS  # its shell decides
        yield f"{path}:{number}", "" if start is None or is_script else _find_fault(start)


def _find_fault(start: starts.Start) -> str:
    if start.user is not None:
        try:
            pwd.getpwnam(start.user)
        except KeyError:
            return f"there is no user {start.user}"
    if shutil.which(start.program, path=start.path):
        return ""
    if "/" in start.program:
        return f"{start.program} is not there, or cannot be executed"
    return f"there is no {start.program} in its PATH, {start.path}"


def _cron_files() -> Iterator[Path]:
    """Yield what cron and anacron read."""
    yield from _TABLES
    for folder in (_CRON_D, *_PARTS):
        if folder.is_dir():
            yield from (path for path in sorted(folder.iterdir()) if upkeep.is_cron_name(path.name))


def _starts(path: Path) -> list[int]:
    """Return the lines that start the agent; cron passes over a file that is not root's alone."""
    seen = look_at(path)
    is_script = path.parent in _PARTS
    if seen.kind is not PathKind.FILE or seen.owner != "root" or seen.mode & 0o022:
        return []
    return [] if is_script and not seen.mode & 0o100 else upkeep.find_starts(read_lines(path))


def check_users(case: Case) -> Check:
    """Return whether users of this machine can get their files back, where that is possible."""
    if case.is_by_command:
        return not_needed("users", "backups are made by a command, so no files come back")
    if not BOOTED.is_dir():
        return not_needed("users", "without systemd, only root gets files back")
    place = Path(SOCKET_PATH)
    return upkeep.judge_broker(str(place), is_listening=place.is_socket())


def check_inetd(case: Case) -> Check:
    """Return whether something offers amandad to the network, where nothing needs that."""
    if case.is_by_command:
        return not_needed("inetd", "Amanda may reach this machine by it, as there is a `command`")
    return inetd.judge_inetd([*find_network_offers()])


def check_memory(case: Case, now: datetime) -> Check:
    """Return whether what asyncamanda remembers can be read."""
    _, damage = read_memory(case.plan.state, now)
    seen = look_at(case.plan.state / FILE_NAME)
    is_unreadable = damage is not None and not seen.may_read
    return upkeep.judge_memory(damage, seen.path, is_unreadable=is_unreadable, user=case.user)


def check_proof(case: Case, now: datetime) -> Check:
    """Return when the backup was last proved restorable."""
    if case.is_by_command:
        return not_needed("proof", "backups are made by a command, so no files come back")
    every = case.plan.prove_every
    if every is None:
        return not_needed("proof", "`prove_every` in client.toml is never")
    memory, _ = read_memory(case.plan.state, now)
    known = count_drills(read_proofs(case.plan.state).disks.values(), memory.proved)
    if memory.unproved:
        told = "; ".join(map(": ".join, memory.unproved.items()))
        return upkeep.judge_proof(BackupState.FAILED, f"by the server's drills: {printable(told)}")
    return upkeep.judge_proof(judge_proved(known, every, now), describe_standing(known, now))


def check_backup(case: Case, now: datetime) -> Check:
    """Return how old the last confirmed backup is. Raises what assess() raises."""
    assessment = assess(case.plan, now)
    if assessment.damage:
        return Check("backup", Health.SKIPPED, "not known: the memory is damaged")
    if assessment.differences and not assessment.is_stale and not case.is_by_command:
        # had the gate been reached, its word would be there by now
        return Check(
            "backup", Health.SKIPPED, f"not known: {explain_differences(assessment.differences)}"
        )
    policy = case.plan.policy
    summary = sum_up(
        assessment.decision,
        policy,
        is_stale=assessment.is_stale,
        now=assessment.now,
        witness=assessment.witness,
    )
    return upkeep.judge_backup(
        summary,
        is_due=isinstance(assessment.decision, Due),
        is_stale=assessment.is_stale,
    )
