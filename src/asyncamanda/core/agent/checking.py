"""What a monitoring plugin says of this machine's backup.

As for notifications, a backup that fails or is stale is critical, and one that is only due is well:
a laptop waits for a better moment, or for its server. Limits that were asked for come to that.
"""

from datetime import datetime, timedelta

from asyncamanda.core.agent.due import BackupStanding, DiskVerdict
from asyncamanda.core.agent.summary import State, Status, Summary
from asyncamanda.core.values.plugin import (
    AlertReason,
    CheckLimits,
    PerfValue,
    PluginAnswer,
    PluginStatus,
    judge_span,
    rank,
    span_value,
    worst,
)

_STATUSES = {
    State.STALE: PluginStatus.CRITICAL,
    State.FAILING: PluginStatus.CRITICAL,
    State.PARKED: PluginStatus.WARNING,
}


def check_status(
    summary: Summary, status: Status, words: str, limits: CheckLimits, now: datetime
) -> PluginAnswer:
    """Return what is said of this machine; `words` tell its state."""
    waited_for = [
        verdict
        for verdict in status.decision.disks
        if verdict.standing not in {BackupStanding.PARKED, BackupStanding.FORGOTTEN}
    ]
    last_at = status.decision.last_at
    age = None if last_at is None else max(now - last_at, timedelta())
    proof_age = _measure_proofs(summary, waited_for, now)
    reasons = [AlertReason(_STATUSES.get(status.state, PluginStatus.OK), words)]
    reasons += judge_span(age, limits.age, "last backup {} ago")
    if age is None:
        reasons += judge_span(now - summary.since, limits.age, "no backup, known for {}")
    used = status.exposure.used
    reasons += judge_span(used, limits.exposure, "used for {} since its last backup")
    reasons += judge_span(proof_age, limits.proof, "last proved restorable {} ago")
    if limits.proof:
        reasons += [
            AlertReason(PluginStatus.WARNING, f"{verdict.disk.name} not proved restorable")
            for verdict in waited_for
            if verdict.disk.proof_fault
        ]
    reasons.sort(key=lambda reason: rank(reason.status), reverse=True)
    bad = [reason.words for reason in reasons if reason.status is not PluginStatus.OK]
    fresh = sum(verdict.standing is BackupStanding.FRESH for verdict in waited_for)
    return PluginAnswer(
        worst(reason.status for reason in reasons),
        "; ".join(bad) or words,
        (
            span_value("age", age, limits.age),
            span_value("exposure", used, limits.exposure),
            span_value("proof_age", proof_age, limits.proof),
            PerfValue("disks", float(len(waited_for))),
            PerfValue("fresh", float(fresh), most=float(len(waited_for))),
        ),
        (words,),
    )


def _measure_proofs(
    summary: Summary, verdicts: list[DiskVerdict], now: datetime
) -> timedelta | None:
    """Return how long ago the disk was proved whose proof is the oldest, by either side."""
    own = {last.proof.disk: last.good_at for last in summary.proofs}
    times = [
        max((at for at in (verdict.disk.proved_at, own.get(verdict.disk.name)) if at), default=None)
        for verdict in verdicts
    ]
    oldest = min((at for at in times if at), default=None)
    return None if oldest is None else max(now - oldest, timedelta())
