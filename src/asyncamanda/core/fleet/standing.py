"""Which state a client is in, since when, why, and whether somebody has to do something."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from asyncamanda.core.dispatch.records import RunRow
from asyncamanda.core.fleet.facts import ClientFacts, ConfigFacts, FleetDay


class ClientState(Enum):
    """The state of one client's backup, the ones that need somebody first."""

    FAILING = "failing"  # runs are made for it, and its backup is not confirmed
    CUT = "cut"  # its last dump was broken off, and there was no other since
    NEVER = "never"  # it has no backup yet
    RUNNING = "running"  # due, here, and in a run
    QUEUED = "queued"  # due, here, and waiting
    DEFERRED = "deferred"  # due, and its agent waits for a better moment
    AWAY = "away"  # due, and not connected
    UNKNOWN = "unknown"  # its agent is too old to say when a backup is due
    PROTECTED = "protected"
    LOST = "lost"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class ClientStanding:
    """A client's state, `since` when, and one `sentence` that says so, with its reason.

    `evidence` has a line on each fact that this rests on. `alarm` says in a few words why somebody
    has to do something, "" if nobody has. `is_exposed`: it was used for longer than its limit, or
    has been without a backup for longer, whatever else it is.
    """

    state: ClientState
    since: datetime | None
    sentence: str
    evidence: tuple[str, ...] = ()
    alarm: str = ""
    is_exposed: bool = False


@dataclass(frozen=True, slots=True)
class ClientView:
    """A client: what is known of it, and what follows."""

    facts: ClientFacts
    standing: ClientStanding


@dataclass(frozen=True, slots=True)
class FleetView:
    """The whole fleet at one moment, clients by name.

    `runs` are the last ones, newest first. `runs_total` counts all runs that the ledger has by how
    they ended. `days` are the last ones that were kept, oldest first. `faults` are sentences on
    what could not be looked at.
    """

    at: datetime
    clients: tuple[ClientView, ...]
    configs: tuple[ConfigFacts, ...] = ()
    runs: tuple[RunRow, ...] = ()
    runs_total: Mapping[str, int] = field(default_factory=dict)
    days: tuple[FleetDay, ...] = ()
    faults: tuple[str, ...] = ()
