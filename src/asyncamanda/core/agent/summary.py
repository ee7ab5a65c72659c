"""The state of this machine's backup: the facts, and what they amount to.

A summary is judged when somebody asks, so that time goes on for it: a machine whose agent has ended
for good becomes overdue and stale anyway.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from asyncamanda.core.agent.alerts import VERDICTS, standing_failure
from asyncamanda.core.agent.by_gate import asked_every, come_back_at
from asyncamanda.core.agent.due import (
    TOLERANCE,
    BackupStanding,
    Decision,
    Disk,
    DiskVerdict,
    NotDue,
    Witness,
    decide_due,
    is_all_parked,
    is_stale,
)
from asyncamanda.core.agent.remember import last_run, next_try_at, settles_at
from asyncamanda.core.agent.retry import retry_at
from asyncamanda.core.exposure.record import UseRecord, expose
from asyncamanda.core.exposure.values import NOT_KNOWN, Exposure
from asyncamanda.core.model import Attempt, DiskRule, Memory, Outcome, Policy
from asyncamanda.core.restore.proofs import LastProof, hide_names
from asyncamanda.errors import Exit

KEPT_DETAIL = 500  # characters of an attempt's
PROOF_FAILED = "the last proof failed; `asyncamanda status`, as root, says why"


class State(Enum):
    """The state of the backup, from the worst on: the first that is true is told first."""

    STALE = "stale"  # nothing was confirmed for longer than the policy allows
    FAILING = "failing"
    NEVER = "never"  # a disk has no backup yet
    OVERDUE = "overdue"
    DEFERRED = "deferred"  # overdue, and it waits for a better moment
    PARKED = "parked"  # the server is configured to leave out every disk: nothing is backed up
    WELL = "well"


@dataclass(frozen=True, slots=True)
class Summary:
    """The facts about this machine's backups; nothing in it is secret.

    `disks` are those that are judged, and `policy` is as decide_due() needs it for them. `attempts`
    are at least those that decide, oldest first. `since` is when the agent began to remember,
    `asked_at` when the gate's server last said the state of the disks, `not_before` when it said to
    come back. `retry_at` is the next try after an unsuccessful one, which lies `retry_within` at
    most ahead; None where there are no such waits. `proofs` are the last ones of the disks. `use`
    is for how long the machine was used, None where that is not known.
    """

    written_at: datetime
    since: datetime
    witness: Witness
    policy: Policy
    disks: tuple[Disk, ...]
    attempts: tuple[Attempt, ...]
    asked_at: datetime | None
    not_before: datetime | None
    retry_at: datetime | None
    retry_within: timedelta | None
    proofs: tuple[LastProof, ...] = ()
    use: UseRecord | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What a summary amounts to at one time.

    `failure` is the last verdict, if that was a failure that still stands; `last` is the last
    attempt and `last_run` the last that may have run at the server. The times are those until which
    a run is not tried, see Waits; None for each that keeps nobody.
    """

    state: State
    decision: Decision
    failure: Attempt | None
    last: Attempt | None
    last_run: Attempt | None
    settles_at: datetime | None
    next_try_at: datetime | None
    come_back_at: datetime | None
    retry_at: datetime | None
    exposure: Exposure = NOT_KNOWN

    @property
    def exit(self) -> Exit:
        """The code with which `status` ends."""
        return {State.STALE: Exit.STALE, State.FAILING: Exit.NOT_STORED}.get(self.state, Exit.OK)


def judge_summary(summary: Summary, now: datetime) -> Status:
    """Return the state of the backup at `now`."""
    policy, attempts = summary.policy, summary.attempts
    decision = decide_due(summary.disks, policy, now)
    memory = Memory(
        summary.since,
        attempts=attempts,
        asked_at=summary.asked_at,
        not_before=summary.not_before,
    )
    failure = standing_failure(memory, decision)
    is_by_command = summary.witness is Witness.AMANDATES
    within = summary.retry_within
    tried_every = policy.interval if is_by_command else asked_every(policy.interval)
    return Status(
        state=_find_state(summary, decision, failure, now),
        decision=decision,
        failure=failure,
        last=attempts[-1] if attempts else None,
        last_run=last_run(memory),
        settles_at=settles_at(memory, policy.settle, now) if is_by_command else None,
        next_try_at=next_try_at(memory, decision.wanted, tried_every, now),
        come_back_at=None if is_by_command else come_back_at(memory, now),
        retry_at=None if within is None else retry_at(summary.retry_at, now, within),
        exposure=expose(summary.use, decision.last_at),
    )


def _find_state(
    summary: Summary, decision: Decision, failure: Attempt | None, now: datetime
) -> State:
    """Return the worst that is true.

    A disk without a backup is a failure once a run was made for it that was unsuccessful. One that
    is new since the last run that went well has merely not had its turn.
    """
    exposure = expose(summary.use, decision.last_at)
    if is_stale(decision, summary.since, summary.policy, now, exposure):
        return State.STALE
    if failure:
        return State.FAILING
    if is_all_parked(decision):
        return State.PARKED
    if isinstance(decision, NotDue):
        return State.WELL
    if _is_never(decision, summary.policy):
        run = last_run(Memory(summary.since, attempts=summary.attempts))
        has_missed = run is not None and run.outcome is not Outcome.BACKED_UP
        return State.FAILING if has_missed else State.NEVER
    last = summary.attempts[-1:]
    is_deferred = bool(last) and last[0].outcome is Outcome.DEFERRED
    return State.DEFERRED if is_deferred else State.OVERDUE


def _is_never(decision: Decision, policy: Policy) -> bool:
    """Return whether something that is waited for was never backed up."""
    if decision.last_at is None:
        return True
    return policy.watch is DiskRule.EACH and bool(find_never(decision))


def find_never(decision: Decision) -> tuple[str, ...]:
    """Return the disks that are waited for and have no backup."""
    return tuple(v.disk.name for v in decision.disks if v.standing is BackupStanding.NEVER)


def _last_verdict(attempts: Iterable[Attempt]) -> Attempt | None:
    return next((each for each in reversed([*attempts]) if each.outcome in VERDICTS), None)


def due_at(verdict: DiskVerdict, policy: Policy) -> datetime | None:
    """Return when this disk becomes or became due; None where no such time is known."""
    if policy.watch is not DiskRule.EACH or verdict.disk.last is None:
        return None
    if verdict.standing not in {BackupStanding.FRESH, BackupStanding.OVERDUE}:
        return None
    return verdict.disk.last.started_at + policy.interval * (1 - TOLERANCE)


def summarize(summary: Summary) -> Summary:
    """Return the summary for everybody: with nothing more than the judgement needs."""
    attempts = summary.attempts
    run = last_run(Memory(summary.since, attempts=attempts))
    deciding = (_last_verdict(attempts), run, *attempts[-1:])
    kept = (each for each in attempts if any(each is one for one in deciding))
    return replace(
        summary,
        disks=tuple(map(_leave_out_names, summary.disks)),
        attempts=tuple(map(_shorten, kept)),
        proofs=tuple(map(hide_names, summary.proofs)),
        use=summary.use and replace(summary.use, days={}, marks=()),
    )


def _leave_out_names(disk: Disk) -> Disk:
    """Return a disk without what names files, which not every user may know of."""
    return replace(disk, proof_fault=PROOF_FAILED) if disk.proof_fault else disk


def _shorten(attempt: Attempt) -> Attempt:
    if len(attempt.detail) <= KEPT_DETAIL:
        return attempt
    return replace(attempt, detail=f"{attempt.detail[:KEPT_DETAIL]}...")
