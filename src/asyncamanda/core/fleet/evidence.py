"""What a client's state rests on: a line on each fact."""

from collections.abc import Sequence
from datetime import datetime

from asyncamanda.core.fleet.disks import DiskStanding
from asyncamanda.core.fleet.facts import ClientFacts
from asyncamanda.core.fleet.policy import FleetPolicy
from asyncamanda.core.fleet.wording import say_ago, say_because, say_exposure, say_moment
from asyncamanda.core.values.interval import format_interval


def list_evidence(
    facts: ClientFacts, disks: Sequence[DiskStanding], policy: FleetPolicy, now: datetime
) -> tuple[str, ...]:
    """Return a line on each fact, disks first; there is always one on the client's settings."""
    lines = [each.words for each in disks] or ["Amanda's disklist has no disk of this client"]
    lines.append(say_presence(facts, now))
    if facts.request and facts.request.state.is_open:
        place = f", waits for {facts.place}" if facts.place else ""
        asked = say_ago(facts.request.submitted_at, now)
        lines.append(f"asked for a backup {asked}: {facts.request.state.value}{place}")
    report = facts.report
    if report and report.deferred_at:
        because = say_because(report.deferred_reason)
        lines.append(f"its agent put a backup off {say_ago(report.deferred_at, now)}{because}")
    if facts.exposure.used is not None:
        as_of = f", as of {say_moment(facts.exposure.as_of, now)}" if facts.exposure.as_of else ""
        lines.append(f"used for {say_exposure(facts.exposure)} since its last backup{as_of}")
    return (*lines, _say_settings(facts, policy))


def say_presence(facts: ClientFacts, now: datetime) -> str:
    """Return whether a client is connected, or when it was last."""
    if facts.is_connected:
        return "connected now"
    if facts.last_seen is None:
        return "never connected"
    return f"last connected {say_ago(facts.last_seen, now)}"


def _say_settings(facts: ClientFacts, policy: FleetPolicy) -> str:
    report = facts.report
    interval = format_interval((report and report.interval) or policy.interval)
    stale = format_interval((report and report.stale_after) or policy.stale_after)
    if report is None:
        return (
            "its agent says nothing of its settings, so the server's apply: "
            f"due after {interval}, exposed after {stale}"
        )
    by_use = report.stale_after_use
    use = f", or after {format_interval(by_use)} of use" if by_use else ""
    return f"its settings: due after {interval}, exposed after {stale}{use}"
