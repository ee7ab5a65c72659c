"""Each client's facts, and each configuration's, out of all that was read for the whole fleet."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.dispatch.records import RunRow
from asyncamanda.core.exposure.values import NOT_KNOWN
from asyncamanda.core.fleet.facts import ClientFacts, ConfigFacts, DiskFacts, SessionFacts
from asyncamanda.core.fleet.strips import find_known_since, show_days
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.report.server import ConfigView
from asyncamanda.server.fleet.amanda_facts import AmandaFacts
from asyncamanda.server.fleet.recorded import FleetRecords


@dataclass(frozen=True, slots=True)
class Sources:
    """All that the clients' facts are made of; `now` is in the server's local time zone.

    `registered_at` is when the registry was changed last: all who are enrolled were so by then.
    """

    recorded: FleetRecords
    amanda: Mapping[str, AmandaFacts]
    connected: frozenset[str]
    live: Mapping[str, ConfigView]
    registered_at: datetime | None
    now: datetime


def describe_client(
    sources: Sources,
    who: Identity,
    lost_at: datetime | None = None,
    retired_at: datetime | None = None,
) -> ClientFacts:
    """Return what is known of a client; since when it is lost or retired, if it is."""
    recorded, client = sources.recorded, who.client
    sessions = recorded.sessions.get(client, ())
    strip = recorded.strips.get(who)
    is_connected = client in sources.connected
    marked = find_known_since(strip) if strip else None
    known = [
        recorded.first_seen.get(client),
        _begin(marked, sources.now) if marked else None,
        sources.registered_at,
    ]
    live = sources.live.get(who.amanda_config)
    waiting = {each.client: each for each in live.waiting} if live else {}
    request = recorded.requests.get(client)
    return ClientFacts(
        client,
        who.amanda_config,
        known_since=min((each for each in known if each), default=None),
        lost_at=lost_at,
        retired_at=retired_at,
        is_connected=is_connected,
        last_seen=sources.now if is_connected else _last_seen(sessions),
        request=request if request and request.amanda_config == who.amanda_config else None,
        place=waiting[client].waits_for if client in waiting else "",
        disks=_describe_disks(sources, who, is_retired=retired_at is not None),
        report=recorded.reports.get(client),
        exposure=recorded.exposures.get(client, NOT_KNOWN),
        sessions=sessions,
        days=show_days(strip, sources.now.date(), is_here=is_connected),
    )


def describe_retired(sources: Sources, enrolled: Collection[str]) -> list[ClientFacts]:
    """Return what is known of those whose disks were taken out of a disklist for good."""
    return [
        describe_client(sources, Identity(host, name), retired_at=_begin(day, sources.now))
        for name, said in sources.amanda.items()
        for host, day in said.retired.items()
        if host not in enrolled and not (said.dles or {}).get(host)
    ]


def _begin(day: date, now: datetime) -> datetime:
    """Return when a local day began."""
    return datetime.combine(day, time(), now.tzinfo)


def _last_seen(sessions: Iterable[SessionFacts]) -> datetime | None:
    return max((each.seen_at for each in sessions), default=None)


def _describe_disks(sources: Sources, who: Identity, *, is_retired: bool) -> tuple[DiskFacts, ...]:
    """Return the disks that Amanda is to back up; those of the ledger where it does not say."""
    known = sources.recorded.dles.get(who.amanda_config, {}).get(who.client, {})
    proofs = sources.recorded.proofs.get(who.amanda_config, {}).get(who.client, {})
    dles = sources.amanda[who.amanda_config].dles
    parked = dict.fromkeys(known, False)  # as of one that is retired
    if dles is not None and not is_retired:
        parked = {dle.disk: dle.is_parked for dle in dles.get(who.client, ())}
    found = []
    for disk, is_parked in parked.items():
        rows = known.get(disk)
        found.append(
            DiskFacts(
                disk,
                rows.confirmed if rows else None,
                rows.last if rows else None,
                proofs.get(disk, DiskProof()),
                is_parked,
                rows.failing_since if rows else None,
            )
        )
    return tuple(found)


def describe_config(name: str, sources: Sources, going: Iterable[RunRow]) -> ConfigFacts:
    """Return what goes on in a configuration; the holding disk as it is known last."""
    said, live = sources.amanda[name], sources.live.get(name)
    held, room = (said.holding.held, said.holding.capacity) if said.holding else (None, None)
    return ConfigFacts(
        name,
        said.fault or (live.fault if live else ""),
        tuple(each.client for each in live.waiting) if live else (),
        tuple(run for run in going if run.amanda_config == name),
        held_bytes=live.held if live else held,
        holding_bytes=live.capacity if live else room,
        flush_due_since=live.flush_due_since if live else None,
        volumes=said.volumes,
        volumes_free=said.volumes_free,
    )
