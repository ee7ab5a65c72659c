"""The fleet as JSON: the shapes that docs/json.md promises."""

from collections import Counter
from collections.abc import Sequence

from asyncamanda.core.fleet.facts import ClientFacts, ConfigFacts, DiskFacts, SessionFacts
from asyncamanda.core.fleet.judging import find_backed_up_at
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.core.model import DleVerdict
from asyncamanda.report.json import exposure_value, time_value


def fleet_value(view: FleetView, clients: Sequence[ClientView]) -> dict[str, object]:
    """Return the fleet, with those of its clients that were asked for."""
    counts = Counter(each.standing.state for each in view.clients)
    return {
        "at": time_value(view.at),
        "states": {state.value: counts[state] for state in ClientState},
        "clients": [client_value(each) for each in clients],
        "configs": [_config_value(each) for each in view.configs],
        "faults": list(view.faults),
    }


def client_value(client: ClientView) -> dict[str, object]:
    """Return a client: its state with the evidence, and what is known of it."""
    facts = client.facts
    return {
        "client": facts.client,
        "amanda_config": facts.amanda_config,
        **standing_value(client),
        "known_since": time_value(facts.known_since),
        "is_connected": facts.is_connected,
        "last_seen_at": time_value(facts.last_seen),
        "disks": [_disk_value(disk) for disk in facts.disks],
        "settings": _settings_value(facts),
        "days": "".join(mark.value for mark in facts.days),
        "sessions": [_session_value(session) for session in facts.sessions],
    }


def standing_value(client: ClientView) -> dict[str, object]:
    """Return a client's state, its last backup and its exposure."""
    facts, standing = client.facts, client.standing
    return {
        "state": standing.state.value,
        "since": time_value(standing.since),
        "sentence": standing.sentence,
        "evidence": list(standing.evidence),
        "alarm": standing.alarm or None,
        "is_exposed": standing.is_exposed,
        "last_backup_at": time_value(find_backed_up_at(facts)),
        "exposure": exposure_value(facts.exposure),
    }


def _disk_value(disk: DiskFacts) -> dict[str, object]:
    return {
        "disk": disk.disk,
        "is_parked": disk.is_parked,
        "confirmed": _verdict_value(disk.confirmed),
        "last": _verdict_value(disk.last),
        "failing_since": time_value(disk.failing_since),
        "proved_at": time_value(disk.proof.proved_at),
        "proof_fault": disk.proof.fault or None,
    }


def _verdict_value(verdict: DleVerdict | None) -> dict[str, object] | None:
    if verdict is None:
        return None
    return {
        "run": verdict.timestamp,
        "at": time_value(verdict.dumped_at),
        "state": verdict.state.value,
        "level": verdict.level,
        "kilobytes": verdict.kilobytes or None,
        "reason": verdict.reason or None,
    }


def _settings_value(facts: ClientFacts) -> dict[str, object] | None:
    report = facts.report
    if report is None:
        return None
    spans = {
        "interval": report.interval,
        "stale_after": report.stale_after,
        "stale_after_use": report.stale_after_use,
    }
    return {
        "at": time_value(report.at),
        "software": report.software,
        **{name: None if span is None else span.total_seconds() for name, span in spans.items()},
        "deferred_at": time_value(report.deferred_at),
        "deferred_reason": report.deferred_reason or None,
    }


def _session_value(session: SessionFacts) -> dict[str, object]:
    return {
        "begun_at": time_value(session.begun_at),
        "seen_at": time_value(session.seen_at),
        "ended_at": time_value(session.ended_at),
        "how": session.how or None,
    }


def _config_value(config: ConfigFacts) -> dict[str, object]:
    return {
        "amanda_config": config.name,
        "fault": config.fault or None,
        "waiting": list(config.waiting),
        "runs": [run.timestamp for run in config.going],
        "held_bytes": config.held_bytes,
        "holding_bytes": config.holding_bytes,
        "flush_due_since": time_value(config.flush_due_since),
        "volumes": config.volumes,
        "volumes_free": config.volumes_free,
    }
