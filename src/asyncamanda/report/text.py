"""Verdicts and memories in words, for people."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from asyncamanda.core.amandates import Rejected
from asyncamanda.core.due import Decision, Disk, DiskVerdict, Due, NotDue, Standing
from asyncamanda.core.interval import format_age, format_interval
from asyncamanda.core.model import Attempt, DumpRecord, Outcome, Policy, Watch

NAMED = 5  # disks in one sentence; more are counted


def format_time(moment: datetime) -> str:
    """Return `moment` in the reader's own time zone, to the minute."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def name_disks(names: Sequence[str]) -> str:
    """Return `names` as a list in a sentence, with what cannot be printed escaped."""
    return _listed([printable(name) for name in names])


def _listed(words: Sequence[str]) -> str:
    """Return the first of `words`, and how many more there are."""
    more = len(words) - NAMED
    return ", ".join(words[:NAMED]) + (f" and {more} more" if more > 0 else "")


def printable(name: str) -> str:
    """Return `name` without anything that a terminal would act on."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name)


def explain_decision(decision: Decision, policy: Policy, now: datetime) -> str:
    """Return the verdict with its reason, in one sentence."""
    wanted_every = f"one is wanted every {format_interval(policy.interval)}"
    if isinstance(decision, NotDue):
        ago = format_age(now - decision.last_at)
        newest = policy.watch is Watch.NEWEST
        what = (
            f"the newest dump is {ago} old" if newest else f"no disk's backup is older than {ago}"
        )
        return f"not due: {what}; the next is due at {format_time(decision.until)}"
    if not decision.disks:
        return "due: never backed up, for amandates lists no disk"
    if policy.watch is Watch.NEWEST and decision.last_at:
        ago = format_age(now - decision.last_at)
        return f"due: the newest dump of any disk is {ago} old, and {wanted_every}"
    never = [v.disk.name for v in decision.disks if v.standing is Standing.NEVER]
    overdue = [v.disk.name for v in decision.disks if v.standing is Standing.OVERDUE]
    reasons = []
    if never:
        reasons.append(f"{name_disks(never)} without a backup that counts")
    if overdue:
        reasons.append(f"{name_disks(overdue)} not backed up for too long, for {wanted_every}")
    return f"due: {'; '.join(reasons)}"


def explain_oddities(decision: Decision, rejected: Rejected) -> list[str]:
    """Return a sentence for each thing in amandates that does not count, and why."""
    verdicts = decision.disks
    remarks = [
        *_remark("dated in the future, no evidence of a backup", _dates(verdicts, "in_future")),
        *_remark("from a run that did not end well, not counted", _dates(verdicts, "distrusted")),
    ]
    forgotten = [v.disk.name for v in verdicts if v.standing is Standing.FORGOTTEN]
    if forgotten:
        remarks.append(
            f"no longer waited for, long behind the other disks: {name_disks(forgotten)}"
        )
    if rejected.count:
        first = rejected.lines[0]
        count = f"{rejected.count} line{'s' if rejected.count > 1 else ''}"
        remarks.append(f"{count} skipped, as Amanda does; line {first.number}: {first.fault}")
    return remarks


def _dates(verdicts: Iterable[DiskVerdict], what: str) -> list[str]:
    dumps: list[DumpRecord | None] = [getattr(v.disk, what) for v in verdicts]
    return [f"{printable(d.disk)} at {format_time(d.started_at)}" for d in dumps if d]


def _remark(words: str, named: Sequence[str]) -> list[str]:
    if not named:
        return []
    return [f"{words}: {_listed(named)}"]


def describe_disk(verdict: DiskVerdict, now: datetime) -> tuple[str, str, str, str]:
    """Return a row: disk, how it stands, its last dump with its level, and its age."""
    disk: Disk = verdict.disk
    if disk.last is None:
        return printable(disk.name), verdict.standing.value, "-", "-"
    return (
        printable(disk.name),
        verdict.standing.value,
        f"{format_time(disk.last.started_at)} level {disk.last.level}",
        format_age(now - disk.last.started_at),
    )


def describe_attempt(attempt: Attempt) -> str:
    """Return how an attempt ended, in one line."""
    took = format_age(attempt.ended_at - attempt.started_at)
    if attempt.outcome is Outcome.BACKED_UP:
        dumps = [f"{printable(d.disk)} (level {d.level})" for d in attempt.dumps]
        remark = f" {attempt.detail}" if attempt.detail else ""
        return f"backed up in {took}{remark}: {_listed(dumps)}"
    times = f" {attempt.times} times" if attempt.times > 1 else ""
    return f"{attempt.outcome.value}{times}: {printable(attempt.detail)}"


def sum_up(decision: Decision, policy: Policy, *, is_stale: bool, now: datetime) -> str:
    """Return the state of the backup at one glance."""
    _, _, reason = explain_decision(decision, policy, now).partition(": ")
    if is_stale:
        return f"STALE: {reason}"
    return f"{'overdue' if isinstance(decision, Due) else 'all well'}: {reason}"
