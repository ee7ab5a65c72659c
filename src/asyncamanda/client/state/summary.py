"""The summary for everybody: the state of the backup, in a file that every user may read.

The Amanda user writes it, in a folder of its own that root makes; nothing in it is secret. It is
replaced whole after each start that makes an assessment, so that after a crash it is the old one or
the new one. A reader trusts only its shape: every value has its bounds.
"""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from asyncamanda.client.notify import channels
from asyncamanda.client.notify.channels import Metrics
from asyncamanda.client.start.settings import Plan
from asyncamanda.client.state.assessment import Assessment
from asyncamanda.client.state.proof_record import decode_proof, encode_proof, read_proofs
from asyncamanda.client.state.stored import LATEST, read_text, read_time
from asyncamanda.client.state.use import decode_use, encode_use, keep_use
from asyncamanda.core.agent.due import Disk, Due, Witness
from asyncamanda.core.agent.starting import survey_waits
from asyncamanda.core.agent.summary import Summary, summarize
from asyncamanda.core.model import Attempt, DiskRule, DumpRecord, Outcome, Policy
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import BadDataError
from asyncamanda.report.json import attempt_value, dump_value, time_value
from asyncamanda.system.files import read_regular, write_whole

FORMAT = 1
LARGEST = 8 << 20  # bytes; thousands of disks with the longest names
LONGEST = timedelta(days=100 * 365)
HIGHEST_LEVEL = 399  # amandates.py
MOST = 10**15  # of anything that is counted

_UNDECODABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def summarize_assessment(plan: Plan, assessment: Assessment) -> Summary:
    """Return the summary of an assessment."""
    verdicts = assessment.decision.disks
    policy = plan.policy
    if plan.command is None:  # what the server has is waited for, however long
        policy = replace(policy, disks=tuple(verdict.disk.name for verdict in verdicts))
    patience = plan.patience
    return Summary(
        written_at=assessment.now,
        since=assessment.memory.since,
        witness=assessment.witness,
        policy=policy,
        disks=tuple(verdict.disk for verdict in verdicts),
        attempts=assessment.memory.attempts,
        asked_at=assessment.memory.asked_at,
        not_before=assessment.memory.not_before,
        retry_at=survey_waits(
            assessment.memory, assessment.decision, plan.policy, patience, assessment.now
        ).last_at,
        retry_within=max(patience.retry_within + patience.spread, plan.policy.interval),
        proofs=tuple(read_proofs(plan.state).disks.values()),
        use=assessment.use,
    )


def leave_summary(plan: Plan, assessment: Assessment) -> None:
    """Leave the summary of `assessment` for everybody.

    Failing to is no reason to fail: the old one stays, and says from when it is.
    """
    if plan.summary is None:
        return
    with suppress(OSError):
        write_whole(plan.summary, encode_summary(summarize(summarize_assessment(plan, assessment))))


def leave_attempt(plan: Plan, attempt: Attempt) -> None:
    """Add `attempt` to the summary that was left, where no assessment can be made for a new one."""
    if plan.summary is None:
        return
    with suppress(OSError, BadDataError):
        before = read_summary(plan.summary)
        if before:
            attempts = (*before.attempts, attempt)
            after = replace(before, written_at=attempt.ended_at, attempts=attempts)
            write_whole(plan.summary, encode_summary(summarize(after)))


def read_summary(path: Path) -> Summary | None:
    """Return the summary that was left at `path`, None if there is none.

    Raises BadDataError if it cannot be read, or is invalid.
    """
    try:
        return decode_summary(read_regular(path, LARGEST + 1))
    except FileNotFoundError:
        return None
    except (OSError, *_UNDECODABLE) as error:
        raise BadDataError(
            "summary-damaged",
            f"{path} cannot be read ({type(error).__name__}: {error})",
            "the agent's next start rewrites it; this needs none, as root: asyncamanda status",
        ) from error


def encode_summary(summary: Summary) -> str:
    """Return `summary` as JSON."""
    policy, within = summary.policy, summary.retry_within
    value = {
        "format": FORMAT,
        "written_at": time_value(summary.written_at),
        "since": time_value(summary.since),
        "witness": summary.witness.value,
        "watch": policy.watch.value,
        "waited_for": policy.disks,
        "interval": policy.interval.total_seconds(),
        "forget_after": policy.forget_after.total_seconds(),
        "stale_after": policy.stale_after.total_seconds(),
        "settle": policy.settle.total_seconds(),
        "stale_after_use": policy.stale_after_use and policy.stale_after_use.total_seconds(),
        "is_by_use": policy.is_by_use,
        "use": summary.use and encode_use(summary.use),
        "disks": [_encode_disk(disk) for disk in summary.disks],
        "attempts": [attempt_value(attempt) for attempt in summary.attempts],
        "asked_at": time_value(summary.asked_at),
        "not_before": time_value(summary.not_before),
        "retry_at": time_value(summary.retry_at),
        "retry_within": None if within is None else within.total_seconds(),
        "proofs": [encode_proof(one) for one in summary.proofs],
    }
    return json.dumps(value, indent=1) + "\n"


def _encode_disk(disk: Disk) -> dict[str, object]:
    return {
        "disk": disk.name,
        "last": dump_value(disk.last),
        "in_future": dump_value(disk.in_future and _bound(disk.in_future)),
        "distrusted": dump_value(disk.distrusted),
        "is_parked": disk.is_parked,
        "restorable_since": time_value(disk.restorable_since),
        "proved_at": time_value(disk.proved_at),
        "proof_fault": disk.proof_fault,
    }


def _bound(dump: DumpRecord) -> DumpRecord:
    """Return a dump of the future, no later than decode_summary() takes it."""
    return replace(dump, started_at=min(dump.started_at, LATEST))


def decode_summary(raw: bytes) -> Summary:
    """Return the summary that `raw` holds. Raises one of _UNDECODABLE if it holds none."""
    if len(raw) > LARGEST:
        raise ValueError("it is too large")
    value = parse_json(raw)
    if value["format"] != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    return Summary(
        written_at=read_time(value["written_at"]),
        since=read_time(value["since"]),
        witness=Witness(value["witness"]),
        policy=Policy(
            interval=_span(value["interval"]),
            watch=DiskRule(value["watch"]),
            disks=tuple(read_text(name) for name in value["waited_for"]),
            forget_after=_span(value["forget_after"]),
            stale_after=_span(value["stale_after"]),
            settle=_span(value["settle"]),
            stale_after_use=_span_or_none(value.get("stale_after_use")),  # as below
            is_by_use=value.get("is_by_use") is True,
        ),
        disks=tuple(_decode_disk(disk) for disk in value["disks"]),
        attempts=tuple(_decode_attempt(attempt) for attempt in value["attempts"]),
        asked_at=_time_or_none(value["asked_at"]),
        not_before=_time_or_none(value["not_before"]),
        retry_at=_time_or_none(value["retry_at"]),
        retry_within=_span_or_none(value["retry_within"]),
        proofs=tuple(decode_proof(one) for one in value.get("proofs", ())),  # as above
        use=decode_use(value["use"]) if value.get("use") else None,
    )


def _decode_disk(value: dict[str, Any]) -> Disk:
    return Disk(
        read_text(value["disk"]),
        _dump_or_none(value["last"]),
        _dump_or_none(value["in_future"]),
        _dump_or_none(value["distrusted"]),
        bool(value["is_parked"]),
        # an older version's summary has none of these
        _time_or_none(value.get("restorable_since")),
        _time_or_none(value.get("proved_at")),
        read_text(value.get("proof_fault", "")),
    )


def _dump_or_none(value: dict[str, Any] | None) -> DumpRecord | None:
    return None if value is None else _decode_dump(value)


def _decode_dump(value: dict[str, Any]) -> DumpRecord:
    return DumpRecord(
        read_text(value["disk"]),
        _whole(value["level"], HIGHEST_LEVEL),
        read_time(value["started_at"]),
        _whole(value["kilobytes"] or 0, MOST),
    )


def _decode_attempt(value: dict[str, Any]) -> Attempt:
    status = value["exit_status"]
    return Attempt(
        started_at=read_time(value["started_at"]),
        ended_at=read_time(value["ended_at"]),
        outcome=Outcome(value["outcome"]),
        detail=read_text(value["detail"]),
        exit_status=None if status is None else _whole(status, MOST, least=-MOST),
        dumps=tuple(_decode_dump(dump) for dump in value["dumps"]),
        times=_whole(value["times"], MOST),
        run=read_text(value["run"] or ""),
    )


def _whole(value: object, most: int, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("no whole number")
    if not least <= value <= most:
        raise ValueError(f"a number is not within {least} and {most}")
    return value


def _span(value: object) -> timedelta:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError("no number of seconds")
    span = timedelta(seconds=value)
    if not timedelta(0) <= span <= LONGEST:
        raise ValueError("a span is out of bounds")
    return span


def _span_or_none(value: object) -> timedelta | None:
    return None if value is None else _span(value)


def _time_or_none(value: object) -> datetime | None:
    return None if value is None else read_time(value)


def show_standing(plan: Plan, assessment: Assessment) -> None:
    """Write down the state of the backup: for everybody here, and for Prometheus if wanted.

    And for how long the machine was used until then.
    """
    keep_use(plan, assessment.use)
    leave_summary(plan, assessment)
    channels.write_textfile(plan.notify, _standing(assessment))


def _standing(assessment: Assessment) -> Metrics:
    """Return what Prometheus is told."""
    disks = {v.disk.name: v.disk.last.started_at for v in assessment.decision.disks if v.disk.last}
    last = assessment.memory.attempts[-1] if assessment.memory.attempts else None
    is_due = isinstance(assessment.decision, Due)
    return Metrics(
        looked_at=assessment.now,
        confirmed=disks,
        exposure=assessment.exposure.used,
        is_stale=assessment.is_stale,
        is_overdue=is_due,
        is_deferred=is_due and last is not None and last.outcome is Outcome.DEFERRED,
        attempted_at=last.ended_at if last else None,
        outcome=last.outcome if last else None,
        success_at=assessment.decision.last_at,
    )
