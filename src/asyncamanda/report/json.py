"""Verdicts, memories and a run's events as JSON: the shapes that docs/json.md promises."""

import json
from datetime import datetime
from typing import assert_never

from asyncamanda.core.agent.due import Decision, DiskVerdict, NotDue
from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.core.conditions.judge import ConditionFinding, Deferred
from asyncamanda.core.exposure.values import Exposure
from asyncamanda.core.model import Attempt, DumpRecord
from asyncamanda.core.protocol.messages import Progress, Queued, Running


def render_json(value: object) -> str:
    """Return `value` as one JSON text; times are RFC 3339 in UTC."""
    return json.dumps(value, indent=2)


def render_event(name: str, value: dict[str, object]) -> str:
    """Return an event as one line of JSON."""
    return json.dumps({"event": name, **value})


def event_value(message: Queued | Running | Progress) -> dict[str, object]:
    """Return what the gate's server said of a request or its run; spans are seconds."""
    match message:
        case Queued(place, of, estimate, reason):
            starts_in = None if estimate is None else estimate.total_seconds()
            return {"place": place, "of": of, "starts_in": starts_in, "reason": reason}
        case Running(run, since, clients):
            return {"run": run or None, "since": time_value(since), "clients": clients}
        case Progress(run, dles):
            return {
                "run": run or None,
                "dles": [
                    {
                        "disk": dle.disk,
                        "level": dle.level,
                        "phase": dle.phase,
                        "done_kilobytes": dle.done_kilobytes,
                        "total_kilobytes": dle.total_kilobytes,
                    }
                    for dle in dles
                ],
            }
        case _:
            assert_never(message)


def decision_value(decision: Decision, rejected: Rejected, reason: str) -> dict[str, object]:
    """Return a verdict: is it due, why, until when not, and the state of each disk."""
    return {
        "due": not isinstance(decision, NotDue),
        "reason": reason,
        "due_at": time_value(decision.until) if isinstance(decision, NotDue) else None,
        "last_backup_at": time_value(decision.last_at),
        "disks": [_disk_value(verdict) for verdict in decision.disks],
        "rejected_lines": {
            "count": rejected.count,
            "first": [
                {"number": line.number, "text": line.text, "fault": line.fault}
                for line in rejected.lines
            ],
        },
    }


def _disk_value(verdict: DiskVerdict) -> dict[str, object]:
    disk = verdict.disk
    return {
        "disk": disk.name,
        "standing": verdict.standing.name.lower(),
        "last": dump_value(disk.last),
        "in_future": dump_value(disk.in_future),
        "distrusted": dump_value(disk.distrusted),
        "restorable_since": time_value(disk.restorable_since),
        "proved_at": time_value(disk.proved_at),
        "proof_fault": disk.proof_fault or None,
    }


def exposure_value(exposure: Exposure) -> dict[str, object]:
    """Return for how many seconds a machine was used since its last backup began."""
    return {
        "used_seconds": None if exposure.used is None else round(exposure.used.total_seconds()),
        "is_least": exposure.is_least,
        "as_of": time_value(exposure.as_of),
    }


def attempt_value(attempt: Attempt) -> dict[str, object]:
    """Return an attempt."""
    return {
        "started_at": time_value(attempt.started_at),
        "ended_at": time_value(attempt.ended_at),
        "outcome": attempt.outcome.value,
        "detail": attempt.detail,
        "exit_status": attempt.exit_status,
        "dumps": [dump_value(dump) for dump in attempt.dumps],
        "times": attempt.times,
        "run": attempt.run or None,
    }


def deferred_value(deferred: Deferred) -> dict[str, object]:
    """Return why a moment is not a good one, and until when by time alone."""
    return {
        "because": [finding_value(finding) for finding in deferred.reasons],
        "until": time_value(deferred.until),
    }


def finding_value(finding: ConditionFinding) -> dict[str, object]:
    """Return what one condition finds."""
    return {
        "condition": finding.condition.value,
        "found": finding.found,
        "wanted": finding.wanted,
        "prevents": finding.holds and not finding.is_relaxed,
        "is_ignored": finding.is_relaxed,
        "ignored_from": time_value(finding.relaxes_at),
    }


def dump_value(dump: DumpRecord | None) -> dict[str, object] | None:
    """Return a dump, or None for none."""
    if dump is None:
        return None
    return {
        "disk": dump.disk,
        "level": dump.level,
        "started_at": time_value(dump.started_at),
        "kilobytes": dump.kilobytes or None,
    }


def time_value(moment: datetime | None) -> str | None:
    """Return a time, or None for none."""
    return moment.isoformat() if moment else None
