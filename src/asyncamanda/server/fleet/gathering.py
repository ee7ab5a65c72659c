"""The fleet at one moment: who is enrolled, what the ledger has, what goes on, what Amanda says."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.fleet.facts import ClientFacts
from asyncamanda.core.fleet.judging import judge_client
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.report.server import ConfigView
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.registry import read_registry, registry_path
from asyncamanda.server.fleet.amanda_facts import AmandaFacts, look_at_amanda
from asyncamanda.server.fleet.describing import (
    Sources,
    describe_client,
    describe_config,
    describe_retired,
)
from asyncamanda.server.fleet.live import ask_what_goes_on
from asyncamanda.server.fleet.recorded import read_recorded
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.system.clock import local_zone

RUNS = 20  # that are shown
LEARNED = 120  # sessions, from which is learned when a client usually comes
NO_LEDGER = "there is no ledger yet: the dispatcher makes it when the first client connects"


@dataclass(frozen=True, slots=True)
class FleetLook:
    """What was looked at beside the ledger: who is enrolled, what goes on, what Amanda says.

    `faults` say what could not be looked at. The rest is as in Sources.
    """

    entries: tuple[Enrolled, ...]
    amanda: Mapping[str, AmandaFacts]
    registered_at: datetime | None = None
    connected: frozenset[str] = frozenset()
    live: Mapping[str, ConfigView] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def gather_fleet(config: ServerConfig, ledger: Ledger | None, now: datetime) -> FleetView:
    """Return the whole fleet as it is `now`.

    What cannot be looked at is a sentence in its `faults`. Raises RefusedError if authorized_keys
    cannot be read, and what the ledger raises.
    """
    path = registry_path(config.user)
    entries = read_registry(path)
    connected, live, silence = ask_what_goes_on()
    names = sorted({entry.amanda_config for entry in entries} | {*live})
    amanda = {name: look_at_amanda(name) for name in names}
    faults = [f"{name}: {facts.fault}" for name, facts in amanda.items() if facts.fault]
    faults += [silence] * bool(silence)
    look = FleetLook(entries, amanda, _changed_at(path), connected, live, tuple(faults))
    return assemble_fleet(config, ledger, look, now)


def assemble_fleet(
    config: ServerConfig, ledger: Ledger | None, look: FleetLook, now: datetime
) -> FleetView:
    """Return the fleet by what was looked at and what the ledger has. Raises what that raises."""
    now = now.astimezone(local_zone())
    recorded = read_recorded(ledger, look.amanda, now)
    sources = Sources(recorded, look.amanda, look.connected, look.live, look.registered_at, now)
    enrolled = _each_once(look.entries)
    facts = [describe_client(sources, each.identity, each.lost_at) for each in enrolled]
    facts += describe_retired(sources, {entry.client for entry in look.entries})
    clients = _judge(config, ledger, facts, now)
    going = ledger.runs.list_live() if ledger else []
    bad_rows = tuple(ledger.bad_rows) if ledger else (NO_LEDGER,)
    return FleetView(
        now,
        tuple(sorted(clients, key=lambda each: (each.facts.client, each.facts.amanda_config))),
        tuple(describe_config(name, sources, going) for name in look.amanda),
        tuple(ledger.runs.list_recent(limit=RUNS)) if ledger else (),
        ledger.fleet.runs_total() if ledger else {},
        ledger.fleet.days() if ledger else (),
        (*look.faults, *bad_rows),
    )


def _each_once(entries: Iterable[Enrolled]) -> Iterable[Enrolled]:
    """Return each client once for each configuration: with the key that is not lost, if any is."""
    found: dict[Identity, Enrolled] = {}
    for entry in entries:
        known = found.get(entry.identity)
        if known is None or known.lost_at:
            found[entry.identity] = entry
    return found.values()


def _changed_at(path: Path) -> datetime | None:
    """Return when the registry was changed last: all who are enrolled were so by then."""
    with contextlib.suppress(OSError):
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return None


def _judge(
    config: ServerConfig, ledger: Ledger | None, facts: list[ClientFacts], now: datetime
) -> list[ClientView]:
    """Return how each client stands; of those that are away it is learned when they come back."""
    clients = [ClientView(each, judge_client(each, config.fleet, now)) for each in facts]
    away = {each.facts.client for each in clients if each.standing.state is ClientState.AWAY}
    if not away or ledger is None:
        return clients
    sessions = ledger.fleet.sessions(LEARNED, away)
    for place, each in enumerate(clients):
        if own := sessions.get(each.facts.client):
            longer = replace(each.facts, sessions=own)
            standing = judge_client(longer, config.fleet, now)
            clients[place] = ClientView(each.facts, standing)
    return clients
