"""One client's page of the fleet, in lines: its state, disks, proofs, sessions and dumps."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from asyncamanda.core.dispatch.records import ProofRow
from asyncamanda.core.fleet.facts import SessionFacts
from asyncamanda.core.fleet.standing import ClientView
from asyncamanda.core.model import DleVerdict
from asyncamanda.core.values.interval import format_age
from asyncamanda.core.values.printable import clip, printable
from asyncamanda.core.values.size import format_size
from asyncamanda.report.text import format_time

SHOWN = 5  # of each kind
LONGEST = 200  # characters of a reason


def introduce_client(client: ClientView) -> list[str]:
    """Return the client's state and all that it rests on."""
    facts, standing = client.facts, client.standing
    lines = [f"{facts.client} ({facts.amanda_config}): {standing.state.value}"]
    lines.append(f"  {standing.sentence}")
    if standing.alarm:
        lines.append(f"  ALARM: {standing.alarm}")
    return [*lines, "evidence:", *(f"  {line}" for line in standing.evidence)]


def describe_chains(dumps: Sequence[DleVerdict]) -> list[str]:
    """Return for each disk the levels of its dumps since the last full; `dumps` by their age."""
    chains: dict[str, list[DleVerdict]] = {}
    for dump in dumps:
        if dump.state.is_confirmed:
            chain = chains.setdefault(dump.disk, [])
            if dump.level in {0, None}:
                chain.clear()
            chain.append(dump)
    lines = []
    for disk, chain in sorted(chains.items()):
        levels = " ".join("?" if each.level is None else str(each.level) for each in chain)
        since = f", full of {format_time(chain[0].dumped_at)}" if chain[0].dumped_at else ""
        size = format_size(sum(each.kilobytes for each in chain) * 1024)
        lines.append(f"  {disk}: levels {levels}{since}, {size}")
    return ["dumps since the last full:", *lines] if lines else []


def describe_proofs(proofs: Sequence[ProofRow]) -> list[str]:
    """Return the last proofs, the newest first."""
    lines = [
        f"  {format_time(each.proved_at)}  {each.disk}: {each.kind.value}, "
        f"{'proved restorable' if each.is_good else 'NOT PROVED RESTORABLE'}: "
        f"{clip(each.what, LONGEST)}"
        for each in proofs[:SHOWN]
    ]
    return ["last proofs:", *lines] if lines else []


def describe_sessions(sessions: Sequence[SessionFacts]) -> list[str]:
    """Return the last sessions, the newest first."""
    lines = []
    for each in list(reversed(sessions))[:SHOWN]:
        lasted = format_age((each.ended_at or each.seen_at) - each.begun_at)
        end = f"for {lasted}, {each.how or 'ended'}" if each.ended_at else "until now"
        lines.append(f"  {format_time(each.begun_at)}  {end}")
    return ["last sessions:", *lines] if lines else []


def describe_runs(dumps: Iterable[DleVerdict]) -> list[str]:
    """Return what the last runs brought of the client's disks, the newest run first."""
    runs: dict[str, list[DleVerdict]] = {}
    for dump in dumps:
        runs.setdefault(dump.timestamp, []).append(dump)
    lines = []
    for stamp, own in list(reversed(runs.items()))[:SHOWN]:
        at = next((each.dumped_at for each in own if each.dumped_at), None)
        when = format_time(at) if at else stamp
        lines.append(f"  {when}  {'; '.join(map(_describe_dump, own))}")
    return ["last runs:", *lines] if lines else []


def _describe_dump(dump: DleVerdict) -> str:
    level = "" if dump.level is None else f" level {dump.level}"
    why = f" ({clip(dump.reason, LONGEST)})" if dump.reason else ""
    return f"{dump.disk} {dump.state.value}{level}{why}"


def describe_days(client: ClientView, at: datetime) -> list[str]:
    """Return the last days as letters, with what they mean."""
    days = "".join(mark.value for mark in client.facts.days)
    return [
        f"last {len(days)} days, until {at:%Y-%m-%d} (b backed up, f failed, d deferred, h here, "
        "a away, - unknown):",
        f"  {printable(days[: len(days) // 2])}",
        f"  {printable(days[len(days) // 2 :])}",
    ]
