"""The state of the backup, for people: the worst first, what to do, and a line for each disk."""

from datetime import datetime

from asyncamanda.core.agent.due import (
    BackupStanding,
    Disk,
    DiskVerdict,
    Due,
    NotDue,
    Witness,
)
from asyncamanda.core.agent.summary import State, Status, Summary, due_at, find_never
from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.core.model import Attempt, DiskRule, Outcome, Policy
from asyncamanda.core.restore.retention import find_reach
from asyncamanda.core.values.interval import format_interval, format_rough
from asyncamanda.core.values.printable import printable
from asyncamanda.core.values.size import format_size
from asyncamanda.report.exposure import describe_overuse
from asyncamanda.report.json import attempt_value, decision_value, exposure_value, time_value
from asyncamanda.report.text import (
    NAMED,
    describe_attempt,
    explain_decision,
    format_time,
    name_disks,
)

_RUNS = {
    Outcome.FAILED: "the run {ago} failed",
    Outcome.INCOMPLETE: "the run {ago} left something out",
    Outcome.KILLED: "the run {ago} was killed on the server",
    Outcome.REFUSED: "refused, {ago}",
}
_NOW = "`asyncamanda run`, as root, makes it now"
_DOCTOR = "`asyncamanda doctor`, as root, checks everything a backup needs"
_ADVICE = {
    State.STALE: _DOCTOR,
    State.FAILING: _DOCTOR,
    State.NEVER: f"the next start makes the backup; {_NOW}",
    State.OVERDUE: f"the next start makes the backup; {_NOW}",
    State.DEFERRED: "`asyncamanda check` shows each condition; `asyncamanda run --force`, as root, "
    "backs up anyway",
    State.PARKED: "the server's administrator has parked them, and can say why",
    State.WELL: "",
}
_AFTER = {
    Outcome.FAILED: "it is tried again when it is due; `asyncamanda run --force`, as root, tries "
    "at once; amreport on the server shows more, and in gate mode `asyncamanda server runs`",
    Outcome.INCOMPLETE: "is each disk still in the server's disklist? If not, list those that are "
    "in `disks` in client.toml",
    Outcome.KILLED: "ask the server's administrator who ended it; the next start backs up again",
    Outcome.REFUSED: "`asyncamanda doctor`, as root, shows what is refused and how to fix it",
}
_ORDER = (
    BackupStanding.NEVER,
    BackupStanding.OVERDUE,
    BackupStanding.FRESH,
)  # the worst first, then all others


def format_when(moment: datetime, now: datetime) -> str:
    """Return `moment` in the reader's own time zone, by its day where that is near."""
    here = moment.astimezone()
    days = (here.date() - now.astimezone().date()).days
    day = {-1: "yesterday", 0: "today", 1: "tomorrow"}.get(days)
    return f"{day} {here:%H:%M}" if day else format_time(moment)


def format_ago(moment: datetime, now: datetime) -> str:
    """Return how long `moment` is ago, roughly: "2 hours ago"."""
    return f"{format_rough(now - moment)} ago"


def tell_state(summary: Summary, status: Status, now: datetime) -> str:
    """Return the state of the backup at one glance: a word, and after a colon what it means."""
    match status.state:
        case State.WELL:
            told = f"all well: {_tell_well(summary, status, now)}"
        case State.PARKED:
            every = name_disks([verdict.disk.name for verdict in status.decision.disks])
            told = f"parked: nothing is backed up; the server is configured to leave out {every}"
        case State.STALE:
            told = f"STALE: {_tell_stale(summary, status, now)}{_last_try(status, now)}"
        case State.FAILING:
            told = f"FAILING: {_tell_failing(status, now)}"
        case State.NEVER:
            told = f"no backup known: {_tell_never(summary, status, now)}{_last_try(status, now)}"
        case State.DEFERRED:
            assert status.last  # which was deferred
            because = printable(status.last.detail.removeprefix("deferred, "))
            told = f"deferred: {because}; overdue: {_tell_overdue(summary.policy, status, now)}"
        case State.OVERDUE:
            overdue = _tell_overdue(summary.policy, status, now)
            told = f"overdue: {overdue}{_last_try(status, now)}"
    return told


def _tell_well(summary: Summary, status: Status, now: datetime) -> str:
    decision = status.decision
    assert isinstance(decision, NotDue)
    assert decision.last_at  # or all would be parked
    age = format_rough(now - decision.last_at)
    following = f"the next is due {format_when(decision.until, now)}"
    if summary.policy.watch is DiskRule.NEWEST:
        return f"the newest backup is {age} old; {following}"
    confirms = " confirmed by the server" if summary.witness is Witness.SERVER else ""
    is_all = all(verdict.standing is BackupStanding.FRESH for verdict in decision.disks)
    every = "every disk" if is_all else "every required disk"
    return f"{every} has a backup{confirms}, the oldest {age} old; {following}"


def _tell_stale(summary: Summary, status: Status, now: datetime) -> str:
    decision, policy = status.decision, summary.policy
    if decision.last_at is None:
        return f"no backup since this client was set up {format_ago(summary.since, now)}"
    names = "any disk"
    if policy.watch is DiskRule.EACH:
        names = name_disks(
            [v.disk.name for v in decision.disks if _is_behind(v, now - policy.stale_after)]
        )
    is_old = now - decision.last_at > policy.stale_after
    names = names or (
        "any disk, for all are parked," if is_old else name_disks(_overdue(status)) or "any disk"
    )
    by_use = describe_overuse(policy, status.exposure)
    return f"no backup of {names} for {format_rough(now - decision.last_at)}{by_use}"


def _is_behind(verdict: DiskVerdict, limit: datetime) -> bool:
    """Return whether a disk that is waited for has no backup since `limit`."""
    last = verdict.disk.last
    if verdict.standing is BackupStanding.NEVER:
        return True
    return (
        verdict.standing is BackupStanding.OVERDUE and last is not None and last.started_at < limit
    )


def _tell_failing(status: Status, now: datetime) -> str:
    if failure := status.failure:
        words = _RUNS[failure.outcome].format(ago=format_ago(failure.ended_at, now))
        return f"{words}: {printable(failure.detail)}" if failure.detail else words
    assert status.last_run  # which did not bring what was never backed up
    names = name_disks(find_never(status.decision))
    return (
        f"{names} was never backed up, though a run was made; "
        f"the last one, {_describe(status.last_run, now)}"
    )


def _tell_never(summary: Summary, status: Status, now: datetime) -> str:
    never = find_never(status.decision)
    if not never or summary.witness is Witness.NOBODY:
        because = explain_decision(status.decision, summary.policy, now, summary.witness)
        return because.removeprefix("due: ")
    overdue = _overdue(status)
    return name_disks(never) + (f"; overdue: {name_disks(overdue)}" if overdue else "")


def _tell_overdue(policy: Policy, status: Status, now: datetime) -> str:
    last_at = status.decision.last_at
    assert last_at  # or there would be no backup known
    wanted, age = f"one is due every {format_interval(policy.interval)}", now - last_at
    if policy.watch is DiskRule.NEWEST:
        return f"the newest backup is {format_rough(age)} old, and {wanted}"
    names = name_disks(_overdue(status))
    return f"{names} ({wanted}); the oldest backup is {format_rough(age)} old"


def _overdue(status: Status) -> list[str]:
    return [v.disk.name for v in status.decision.disks if v.standing is BackupStanding.OVERDUE]


def _last_try(status: Status, now: datetime) -> str:
    """Return the last attempt's result, for the end of a sentence, where it was not a backup."""
    last = status.last
    if last is None or last.outcome is Outcome.BACKED_UP:
        return ""
    return f"; the last try, {_describe(last, now)}"


def _describe(attempt: Attempt, now: datetime) -> str:
    return f"{format_ago(attempt.ended_at, now)}: {describe_attempt(attempt)}"


def advise(status: Status) -> str:
    """Return what to do about the state, "" where nothing is to be done."""
    if status.state is State.FAILING and status.failure:
        return _AFTER[status.failure.outcome]
    return _ADVICE[status.state]


def describe_disks(status: Status, policy: Policy, now: datetime) -> list[str]:
    """Return a line for each disk, the worst first: "/home: full, 36 MB, 2 hours ago; next ..."."""
    verdicts = sorted(status.decision.disks, key=lambda verdict: _rank(verdict.standing))
    return [_describe_disk(verdict, policy, now) for verdict in verdicts]


def _rank(standing: BackupStanding) -> int:
    return _ORDER.index(standing) if standing in _ORDER else len(_ORDER)


def _describe_disk(verdict: DiskVerdict, policy: Policy, now: datetime) -> str:
    name, last = printable(verdict.disk.name), verdict.disk.last
    if last is None:
        never = verdict.standing is BackupStanding.NEVER
        return f"{name}: {'no backup known' if never else verdict.standing.value}"
    parts = [f"level {last.level}" if last.level else "full"]
    if last.kilobytes:
        parts.append(format_size(last.kilobytes * 1024))
    parts.append(format_ago(last.started_at, now))
    line = f"{name}: {', '.join(parts)}"
    if due := due_at(verdict, policy):
        word = "next" if verdict.standing is BackupStanding.FRESH else "due since"
        return f"{line}; {word} {format_when(due, now)}"
    if verdict.standing in {BackupStanding.FRESH, BackupStanding.OVERDUE}:  # where any disk counts
        return line
    return f"{line}; {verdict.standing.value}"


def describe_waits(status: Status, now: datetime) -> list[str]:
    """Return a line for whatever keeps a run waiting."""
    lines = [
        f"waiting until {format_when(until, now)}: {why}"
        for until, why in (
            (status.next_try_at, "the last run did not include it"),
            (status.settles_at, "a run may still be in progress"),
            (status.come_back_at, "the server said so"),
        )
        if until
    ]
    if status.retry_at and isinstance(status.decision, Due):
        when = format_when(status.retry_at, now)
        lines.append(f"next try: at the first start after {when}, or when power or network changes")
    return lines


def describe_reach(status: Status, asked_at: datetime | None, now: datetime) -> str:
    """Return since when disks can be restored, as the server said; "" where it did not say."""
    disks = meant_disks(status)
    known = [disk for disk in disks if disk.restorable_since]
    if not known or asked_at is None:
        return ""
    dates = {format_time(disk.restorable_since) for disk in known if disk.restorable_since}
    if len(known) == len(disks) and len(dates) == 1:
        told = f" since {dates.pop()}"
    else:
        each = [
            f"{printable(disk.name)} since {format_time(disk.restorable_since)}"
            for disk in known[:NAMED]
            if disk.restorable_since
        ]
        more = len(known) - len(each)
        told = f": {', '.join(each)}{f' and {more} more' if more else ''}"
        if unknown := [disk.name for disk in disks if not disk.restorable_since]:
            told += f"; not known: {name_disks(unknown)}"
    return f"files can be restored{told} (as of the last connection, {format_ago(asked_at, now)})"


def describe_excludes(patterns: tuple[str, ...], *, is_read: bool) -> str:
    """Return what client.toml leaves out; `is_read`: there is a list that Amanda may read."""
    names = ", ".join(map(printable, patterns))
    if not names:
        return ""
    if not is_read:
        why = "`exclude` has no effect in this client.toml, and no backup is made with it"
        return f"not left out: {names}; {why}"
    beside = "if the dumptype reads that list; beside what the server leaves out"
    return f"left out by client.toml: {names}, {beside}"


def meant_disks(status: Status) -> list[Disk]:
    """Return the disks that are meant to be backed up."""
    return [v.disk for v in status.decision.disks if v.standing is not BackupStanding.PARKED]


def status_value(
    summary: Summary, status: Status, rejected: Rejected, now: datetime
) -> dict[str, object]:
    """Return it all for JSON."""
    reason = explain_decision(status.decision, summary.policy, now, summary.witness)
    since = {disk.name: disk.restorable_since for disk in meant_disks(status)}
    return {
        "state": status.state.value,
        "message": tell_state(summary, status, now).partition(": ")[2],
        "hint": advise(status) or None,
        "exit": int(status.exit),
        **decision_value(status.decision, rejected, reason),
        "stale": status.state is State.STALE,
        "exposure": exposure_value(status.exposure),
        "settles_at": time_value(status.settles_at),
        "asked_at": time_value(summary.asked_at),
        "restorable_since": time_value(find_reach(since, since)),
        "come_back_at": time_value(status.come_back_at),
        "retry_at": time_value(status.retry_at),
        "last_attempt": status.last and attempt_value(status.last),
        "failure": status.failure and attempt_value(status.failure),
    }
