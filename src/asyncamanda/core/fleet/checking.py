"""What a monitoring plugin says of a client, and of the fleet.

A client's own state decides (core/fleet/standing.py): who has an alarm is critical, and a laptop
that is only away is not. Limits that were asked for come to that.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from asyncamanda.core.fleet.facts import ClientFacts, DiskFacts
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.core.values.plugin import (
    LONGEST,
    PREFIX,
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

GONE = frozenset({ClientState.LOST, ClientState.RETIRED})
TOLD = 20  # clients in lines of their own


@dataclass(frozen=True, slots=True)
class _Spans:
    """How old a client's backup is, for how long it was used since, how old its proof is."""

    age: timedelta | None
    exposure: timedelta | None
    proof: timedelta | None


def check_client(views: Sequence[ClientView], limits: CheckLimits, now: datetime) -> PluginAnswer:
    """Return what is said of one client; `views` has it once for each Amanda configuration."""
    answers = [_check_one(view, limits, now) for view in views]
    answers.sort(key=lambda answer: rank(answer.status), reverse=True)
    first, *others = answers
    lines = tuple(line for other in others for line in (other.text, *other.lines))
    return replace(first, lines=(*first.lines, *lines))


def _check_one(view: ClientView, limits: CheckLimits, now: datetime) -> PluginAnswer:
    facts, standing = view.facts, view.standing
    reasons = find_reasons(view, limits, now)
    spans = _measure(facts, now)
    text = f"{facts.client}: {'; '.join(each.words for each in reasons) or standing.sentence}"
    return PluginAnswer(
        worst(reason.status for reason in reasons),
        text,
        (
            span_value("age", spans.age, limits.age),
            span_value("exposure", spans.exposure, limits.exposure),
            span_value("proof_age", spans.proof, limits.proof),
        ),
        (text, f"{facts.amanda_config}: {standing.sentence}", *standing.evidence),
    )


def find_reasons(view: ClientView, limits: CheckLimits, now: datetime) -> tuple[AlertReason, ...]:
    """Return all that is wrong with a client, worst first; nothing of one that is gone."""
    facts, standing = view.facts, view.standing
    if standing.state in GONE:
        return ()
    reasons = [AlertReason(PluginStatus.CRITICAL, standing.alarm)] if standing.alarm else []
    if standing.state is ClientState.UNKNOWN and not standing.alarm and not limits:
        reasons.append(AlertReason(PluginStatus.UNKNOWN, standing.sentence))
    spans = _measure(facts, now)
    reasons += judge_span(spans.age, limits.age, "last backup {} ago")
    if spans.age is None and facts.known_since:
        reasons += judge_span(now - facts.known_since, limits.age, "no backup, known for {}")
    reasons += judge_span(spans.exposure, limits.exposure, "used for {} since its last backup")
    reasons += judge_span(spans.proof, limits.proof, "last proved restorable {} ago")
    if limits.proof:
        reasons += [
            AlertReason(
                PluginStatus.WARNING, f"{disk.disk} not proved restorable: {disk.proof.fault}"
            )
            for disk in _meant(facts)
            if disk.proof.fault
        ]
    return tuple(sorted(reasons, key=lambda reason: rank(reason.status), reverse=True))


def _meant(facts: ClientFacts) -> list[DiskFacts]:
    return [disk for disk in facts.disks if not disk.is_parked]


def _measure(facts: ClientFacts, now: datetime) -> _Spans:
    """Return the ages of the disk that is furthest behind; a disk without a backup has none."""
    disks = _meant(facts)
    dumped = [disk.confirmed.dumped_at for disk in disks if disk.confirmed]
    proved = [disk.proof.proved_at for disk in disks]
    return _Spans(_age_of_oldest(dumped, now), facts.exposure.used, _age_of_oldest(proved, now))


def _age_of_oldest(times: Sequence[datetime | None], now: datetime) -> timedelta | None:
    oldest = min((at for at in times if at), default=None)
    return None if oldest is None else max(now - oldest, timedelta())


def check_fleet(view: FleetView, limits: CheckLimits) -> PluginAnswer:
    """Return what is said of all clients: how many need somebody, and which."""
    present = [client for client in view.clients if client.standing.state not in GONE]
    judged = [(client.facts.client, find_reasons(client, limits, view.at)) for client in present]
    bad = [
        (name, reasons)
        for name, reasons in judged
        if reasons and reasons[0].status is not PluginStatus.UNKNOWN
    ]
    bad.sort(key=lambda each: -rank(each[1][0].status))
    lines = [
        f"{reasons[0].status.name} {name}: {'; '.join(each.words for each in reasons)}"
        for name, reasons in bad
    ]
    if len(lines) > TOLD:
        lines[TOLD:] = [f"and {len(lines) - TOLD} more"]
    statuses = [reasons[0].status for _, reasons in bad]
    if view.faults or not present:
        statuses.append(PluginStatus.UNKNOWN)
    status = worst(statuses)
    return PluginAnswer(
        status,
        _tell_fleet(status, len(present), [name for name, _ in bad], view.faults),
        _count(view, present, len(bad)),
        (*lines, *view.faults),
    )


def _tell_fleet(status: PluginStatus, count: int, bad: Sequence[str], faults: Sequence[str]) -> str:
    if not bad and faults:
        return faults[0]
    if not count:
        return "no client is enrolled"
    clients = "client" if count == 1 else "clients"
    if not bad:
        return f"{count} {clients}, none needs you"
    text = f"{len(bad)} of {count} {clients} need{'s' if len(bad) == 1 else ''} you: "
    return text + name_some(bad, LONGEST - len(f"{PREFIX} {status.name}: {text}"))


def name_some(names: Sequence[str], width: int) -> str:
    """Return as many of `names` as have room within `width`, and how many more there are."""
    most = max(min(len(names), width), 0)  # a name has a character at least
    for count in range(most, 0, -1):
        rest = len(names) - count
        text = ", ".join(names[:count]) + (f" +{rest}" if rest else "")
        if len(text) <= width:
            return text
    return names[0] if len(names) == 1 else f"{len(names)} of them"


def _count(view: FleetView, present: Sequence[ClientView], bad: int) -> tuple[PerfValue, ...]:
    most = float(len(present))
    states = Counter(client.standing.state for client in present)
    exposed = sum(client.standing.is_exposed for client in present)
    queued = [config for config in view.configs if not config.fault]
    return (
        PerfValue("clients", most),
        PerfValue("alarms", float(bad), most=most),
        PerfValue("exposed", float(exposed), most=most),
        *(
            PerfValue(state.value, float(states[state]), most=most)
            for state in ClientState
            if state not in GONE
        ),
        PerfValue("waiting", float(sum(len(each.waiting) for each in queued)) if queued else None),
    )
