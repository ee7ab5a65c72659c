"""Verdicts and memories as JSON: the shapes that docs/json.md promises."""

import json
from datetime import datetime

from asyncamanda.core.amandates import Rejected
from asyncamanda.core.due import Decision, DiskVerdict, NotDue
from asyncamanda.core.model import Attempt, DumpRecord


def render_json(value: object) -> str:
    """Return `value` as one JSON text; times are RFC 3339 in UTC."""
    return json.dumps(value, indent=2)


def decision_value(decision: Decision, rejected: Rejected, reason: str) -> dict[str, object]:
    """Return a verdict: is it due, why, until when not, and how each disk stands."""
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
    }


def dump_value(dump: DumpRecord | None) -> dict[str, object] | None:
    """Return a dump, or None for none."""
    if dump is None:
        return None
    return {"disk": dump.disk, "level": dump.level, "started_at": time_value(dump.started_at)}


def time_value(moment: datetime | None) -> str | None:
    """Return a time, or None for none."""
    return moment.isoformat() if moment else None
