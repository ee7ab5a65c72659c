"""What the server knows of each client, before anything is judged.

What nobody said is None, "" or empty here, and never zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum

from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.dispatch.records import RequestRow, RunRow
from asyncamanda.core.exposure.values import KEPT_DAYS, NOT_KNOWN, Exposure
from asyncamanda.core.model import DleVerdict

__all__ = ["Exposure"]  # which comes from there, for whoever needs the facts

MARKED_DAYS = KEPT_DAYS  # days of history that are kept of each client


class DayMark(Enum):
    """What a client's day was, the first of these that is true."""

    BACKED_UP = "b"  # a dump of it was confirmed
    FAILED = "f"  # a run was made for it, and a dump of it was not confirmed
    DEFERRED = "d"  # its agent put a due backup off
    HERE = "h"  # it was connected, and nothing was due
    AWAY = "a"  # it was not connected
    UNKNOWN = "-"  # it was not known yet


@dataclass(frozen=True, slots=True)
class ClientReport:
    """What a client said of itself when it was connected last, at `at`.

    `interval`, `stale_after` and `stale_after_use` are its settings; the last is None where it has
    no limit by use. `deferred_at` is since when a due backup has been put off, and
    `deferred_reason` says why. `use` has the seconds of use of each day, None where not known.
    """

    at: datetime
    software: str
    interval: timedelta | None = None
    stale_after: timedelta | None = None
    stale_after_use: timedelta | None = None
    deferred_at: datetime | None = None
    deferred_reason: str = ""
    use: Mapping[date, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """A disk of a client: its newest confirmed dump, its newest verdict, and its proofs.

    Either is None where there is none. `is_parked`: Amanda is configured to leave it out.
    `failing_since` is when the first run began, after the confirmed dump, that failed to dump it.
    """

    disk: str
    confirmed: DleVerdict | None
    last: DleVerdict | None
    proof: DiskProof
    is_parked: bool = False
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A time for which a client was connected; `ended_at` is None while it is.

    `how` says how it ended.
    """

    begun_at: datetime
    seen_at: datetime
    ended_at: datetime | None = None
    how: str = ""


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """All that is known of one client.

    `lost_at` and `retired_at` are since when it is no member of the fleet any more. `known_since`
    is when it was first heard of. `request` is its newest, open or not, and `place` says what it
    waits for while it is open. `sessions` are the last ones, oldest first, for habits and for the
    client's page. `days` has MARKED_DAYS marks, today's last.
    """

    client: str
    amanda_config: str
    known_since: datetime | None = None
    lost_at: datetime | None = None
    retired_at: datetime | None = None
    is_connected: bool = False
    last_seen: datetime | None = None
    request: RequestRow | None = None
    place: str = ""
    disks: tuple[DiskFacts, ...] = ()
    report: ClientReport | None = None
    exposure: Exposure = NOT_KNOWN
    sessions: tuple[SessionFacts, ...] = ()
    days: tuple[DayMark, ...] = (DayMark.UNKNOWN,) * MARKED_DAYS


@dataclass(frozen=True, slots=True)
class ConfigFacts:
    """What goes on in one Amanda configuration.

    `fault` says why it cannot be used, "" if it can. `waiting` is who waits, by place, and
    `going` the runs that go on. `held_bytes` of `holding_bytes` are full; None where not known.
    `volumes_free` of `volumes` may be written next, by Amanda's tapelist; None where not known.
    """

    name: str
    fault: str = ""
    waiting: tuple[str, ...] = ()
    going: tuple[RunRow, ...] = ()
    held_bytes: int | None = None
    holding_bytes: int | None = None
    flush_due_since: datetime | None = None
    volumes: int | None = None
    volumes_free: int | None = None


@dataclass(frozen=True, slots=True)
class FleetDay:
    """How the fleet was at the end of a day; the exposures are those of half, and of 95 %."""

    day: date
    clients: int
    protected: int
    half_exposed: timedelta | None = None
    most_exposed: timedelta | None = None
