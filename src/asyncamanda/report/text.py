"""Verdicts and memories in words, for people."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from asyncamanda.core.agent.due import (
    BackupStanding,
    Decision,
    Disk,
    DiskVerdict,
    Due,
    NotDue,
    Witness,
    is_all_parked,
)
from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.core.conditions.judge import ConditionFinding
from asyncamanda.core.model import (
    Attempt,
    DiskRule,
    DleVerdict,
    DumpRecord,
    DumpState,
    Outcome,
    Policy,
)
from asyncamanda.core.protocol.messages import Queued, Running
from asyncamanda.core.values.interval import format_age, format_interval
from asyncamanda.core.values.printable import printable

NAMED = 5  # disks in one sentence; more are counted
PARKED = "left out by the server's configuration"


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


def explain_decision(
    decision: Decision, policy: Policy, now: datetime, witness: Witness = Witness.AMANDATES
) -> str:
    """Return the verdict with its reason, in one sentence; `witness` is who reports it."""
    if is_all_parked(decision):
        return _explain_parked(decision)
    parked = [v.disk.name for v in decision.disks if v.standing is BackupStanding.PARKED]
    beside = f"; {PARKED}: {name_disks(parked)}" if parked else ""
    return _explain_decision(decision, policy, now, witness) + beside


def _explain_parked(decision: Decision) -> str:
    """Return the sentence for a client of which nothing is backed up."""
    every = name_disks([v.disk.name for v in decision.disks])
    if isinstance(decision, NotDue):
        again = format_time(decision.until)
        return (
            f"not due: nothing is backed up: every disk is {PARKED} ({every}); "
            f"the server is asked again at {again}"
        )
    return f"due: the server has to be asked again, because every disk was {PARKED} ({every})"


def _explain_decision(decision: Decision, policy: Policy, now: datetime, witness: Witness) -> str:
    wanted_every = f"one is due every {format_interval(policy.interval)}"
    if isinstance(decision, NotDue):
        assert decision.last_at  # else all is parked
        ago = format_age(now - decision.last_at)
        newest = policy.watch is DiskRule.NEWEST
        what = (
            f"the newest dump is {ago} old" if newest else f"no disk's backup is older than {ago}"
        )
        by = " according to the server" if witness is Witness.SERVER else ""
        return f"not due: {what}{by}; the next is due at {format_time(decision.until)}"
    if witness is Witness.NOBODY:
        return "due: the server was never asked"
    if not decision.disks:
        return {
            Witness.AMANDATES: "due: never backed up: amandates lists no disk",
            Witness.SERVER: "due: the server's disklist has no disk of this client",
        }[witness]
    if policy.watch is DiskRule.NEWEST and decision.last_at:
        ago = format_age(now - decision.last_at)
        return f"due: the newest dump of any disk is {ago} old, and {wanted_every}"
    never = [v.disk.name for v in decision.disks if v.standing is BackupStanding.NEVER]
    overdue = [v.disk.name for v in decision.disks if v.standing is BackupStanding.OVERDUE]
    reasons = []
    if never:
        backup = "confirmed backup" if witness is Witness.SERVER else "backup that counts"
        reasons.append(f"{name_disks(never)} {'has' if len(never) == 1 else 'have'} no {backup}")
    if overdue:
        reasons.append(f"{name_disks(overdue)} not backed up for too long ({wanted_every})")
    if not reasons:
        return (
            "due: the server knows another machine with this key, and may have confirmed backups "
            "of that one"
        )
    return f"due: {'; '.join(reasons)}"


def explain_oddities(
    decision: Decision, rejected: Rejected, witness: Witness = Witness.AMANDATES
) -> list[str]:
    """Return a sentence for each thing in amandates that does not count, and why.

    In gate mode, that is a newer dump than the server has confirmed.
    """
    verdicts = decision.disks
    distrusted = (
        "from a failed run or for another server; not counted"
        if witness is Witness.AMANDATES
        else "newer than what the server has confirmed"
    )
    remarks = [
        *_remark("dated in the future, no evidence of a backup", _dates(verdicts, "in_future")),
        *_remark(distrusted, _dates(verdicts, "distrusted")),
    ]
    forgotten = [v.disk.name for v in verdicts if v.standing is BackupStanding.FORGOTTEN]
    if forgotten:
        remarks.append(
            f"no longer required, much older than the other disks: {name_disks(forgotten)}"
        )
    if rejected.count:
        first = rejected.lines[0]
        count = f"{rejected.count} line{'s' if rejected.count > 1 else ''}"
        remarks.append(f"{count} skipped, as Amanda does; line {first.number}: {first.fault}")
    return remarks


def explain_differences(differences: Sequence[str]) -> str:
    """Return what makes this another server or client than was remembered, in a sentence."""
    verb = "has" if len(differences) == 1 else "have"
    return f"what was remembered no longer counts: {' and '.join(differences)} {verb} changed"


def _dates(verdicts: Iterable[DiskVerdict], what: str) -> list[str]:
    dumps: list[DumpRecord | None] = [getattr(v.disk, what) for v in verdicts]
    return [f"{printable(d.disk)} at {format_time(d.started_at)}" for d in dumps if d]


def _remark(words: str, named: Sequence[str]) -> list[str]:
    if not named:
        return []
    return [f"{words}: {_listed(named)}"]


def describe_disk(verdict: DiskVerdict, now: datetime) -> tuple[str, str, str, str]:
    """Return a row: disk, its state, its last dump with its level, and its age."""
    disk: Disk = verdict.disk
    if disk.last is None:
        return printable(disk.name), verdict.standing.value, "-", "-"
    return (
        printable(disk.name),
        verdict.standing.value,
        f"{format_time(disk.last.started_at)} level {disk.last.level}",
        format_age(now - disk.last.started_at),
    )


def describe_finding(finding: ConditionFinding, now: datetime) -> tuple[str, str, str, str]:
    """Return a row: condition, what is found, whether it prevents a backup, when it is ignored."""
    word = "fine"
    if finding.holds:
        word = "is ignored" if finding.is_relaxed else "not met"
    at = finding.relaxes_at
    ignored = "never" if at is None else "has" if at <= now else format_time(at)
    return finding.condition.value, f"{finding.found} (wanted: {finding.wanted})", word, ignored


def describe_attempt(attempt: Attempt) -> str:
    """Return how an attempt ended, in one line; what was odd in a backup is a line of its own."""
    took = format_age(attempt.ended_at - attempt.started_at)
    if attempt.outcome is Outcome.BACKED_UP:
        dumps = [f"{printable(d.disk)} (level {d.level})" for d in attempt.dumps]
        remark = f"\n  {printable(attempt.detail)}" if attempt.detail else ""
        return f"backed up in {took}" + (f": {_listed(dumps)}" if dumps else "") + remark
    times = f" {attempt.times} times" if attempt.times > 1 else ""
    detail = printable(attempt.detail)
    if attempt.outcome is Outcome.DEFERRED:  # which the detail begins with
        return f"{detail.replace('deferred', f'deferred{times}', 1)}"
    return f"{attempt.outcome.value}{times}: {detail}"


def sum_up(
    decision: Decision,
    policy: Policy,
    *,
    is_stale: bool,
    now: datetime,
    witness: Witness = Witness.AMANDATES,
) -> str:
    """Return the state of the backup at one glance: a word, and after a colon what it means."""
    _, _, reason = explain_decision(decision, policy, now, witness).partition(": ")
    word = "overdue" if isinstance(decision, Due) else "all well"
    if is_all_parked(decision):
        word = "parked"
    if is_stale:
        at = decision.last_at
        age = f"the last backup is {format_age(now - at)} old; " if at else ""
        return f"STALE: {age}{reason}"
    return f"{word}: {reason}"


WAITS_FOR = {  # by what the server says; core/dispatch/batch.py::Hold has them all
    "collecting": "others to join",
    "starting": "another run to start",
    "runs": "a run to end",
    "others": "a run that others started",
    "flush": "a flush to end",
}


def describe_queued(queued: Queued) -> str:
    """Return a request's place, when its run starts if that is known, and what it waits for."""
    known = WAITS_FOR.get(queued.reason)
    waits_for = f"waits for {known}" if known else printable(queued.reason)
    soon = ""
    if queued.estimate is not None:
        soon = f", starts in about {format_interval(max(queued.estimate, timedelta(seconds=1)))}"
    return f"queued: {queued.place} of {queued.of}{soon} ({waits_for})"


def describe_running(running: Running) -> str:
    """Return which run goes on, and for how many clients."""
    name = f" {printable(running.run)}" if running.run else ""
    clients = "1 client" if running.clients == 1 else f"{running.clients} clients"
    return f"the run{name} is in progress on the server, for {clients}"


def describe_verdict(verdict: DleVerdict) -> str:
    """Return the result for a disk."""
    where = {
        DumpState.STORED: "dumped, and on a volume",
        DumpState.HELD: "dumped, and in the holding disk",
        DumpState.MISSING: "failed",
        DumpState.CLAIMED: "not backed up",
    }.get(verdict.state, verdict.state.value)
    reason = f": {printable(verdict.reason)}" if verdict.reason else ""
    level = f" (level {verdict.level})" if verdict.state.is_confirmed else ""
    return f"{printable(verdict.disk)}: {where}{level}{reason}"
