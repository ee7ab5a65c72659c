"""What the ledger has of the fleet, read at once: nothing is asked for each client."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.dispatch.records import RequestRow
from asyncamanda.core.exposure.values import Exposure
from asyncamanda.core.fleet.facts import ClientReport, SessionFacts
from asyncamanda.core.fleet.strips import Strip
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.server.ledger.fleet_rows import DleRows
from asyncamanda.server.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class FleetRecords:
    """What is recorded: of each DLE and its proofs by configuration, of each client by name."""

    dles: Mapping[str, Mapping[str, Mapping[str, DleRows]]] = field(default_factory=dict)
    proofs: Mapping[str, Mapping[str, Mapping[str, DiskProof]]] = field(default_factory=dict)
    requests: Mapping[str, RequestRow] = field(default_factory=dict)
    sessions: Mapping[str, tuple[SessionFacts, ...]] = field(default_factory=dict)
    first_seen: Mapping[str, datetime] = field(default_factory=dict)
    reports: Mapping[str, ClientReport] = field(default_factory=dict)
    exposures: Mapping[str, Exposure] = field(default_factory=dict)
    strips: Mapping[Identity, Strip] = field(default_factory=dict)


def read_recorded(ledger: Ledger | None, names: Iterable[str], now: datetime) -> FleetRecords:
    """Return what the ledger has of the configurations `names`. Raises what the ledger raises."""
    if ledger is None:
        return FleetRecords()
    configs = list(names)
    return FleetRecords(
        {name: _by_host(ledger, name, now) for name in configs},
        {name: ledger.proofs.of_hosts(name) for name in configs},
        ledger.fleet.requests(),
        ledger.fleet.sessions(),
        ledger.fleet.first_seen(),
        ledger.reports.of_clients(),
        ledger.reports.exposures(),
        ledger.strips.of_clients(),
    )


def _by_host(ledger: Ledger, amanda_config: str, now: datetime) -> dict[str, dict[str, DleRows]]:
    found: dict[str, dict[str, DleRows]] = {}
    for (host, disk), rows in ledger.fleet.dles(amanda_config, now).items():
        found.setdefault(host, {})[disk] = rows
    return found
