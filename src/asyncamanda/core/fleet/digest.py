"""What a digest says about a fleet: how it is, what changed, who needs somebody, what to do."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from asyncamanda.core.fleet.changes import WELL, ToldState, choose_views, name_alarm
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView

MONDAY = 0
FULL = 0.9  # of a holding disk
_WORKING = frozenset({ClientState.RUNNING, ClientState.QUEUED, ClientState.DEFERRED})


@dataclass(frozen=True, slots=True)
class Digest:
    """A fleet from `since` to `at`, in the reader's time zone.

    `states` counts the members by state. `protected_before` is how many were protected at `since`,
    None where that was not kept. `alarms` are the clients that need somebody, the newest alarms
    first, `new` those of them with an alarm since then, and `recovered` those that had one.
    `runs` ended since then, `failed` of them badly. `advice` has what to do, a line each: a command
    with a comment behind it, or a sentence.
    """

    server: str
    since: datetime
    at: datetime
    states: Counter[ClientState]
    alarms: tuple[ClientView, ...] = ()
    new: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    runs: int = 0
    failed: int = 0
    protected_before: int | None = None
    advice: tuple[str, ...] = ()

    @property
    def clients(self) -> int:
        """How many members the fleet has."""
        return sum(self.states.values())


def make_digest(
    fleet: FleetView, since: datetime, at: datetime, told: Mapping[str, ToldState], server: str
) -> Digest:
    """Return the digest of `fleet`, which is as it was `at`.

    `told` is what one channel was told, by client, and when: since when an alarm stands. Both times
    are in the reader's zone.
    """
    members = choose_views(fleet.clients)
    alarms = [each for each in members.values() if name_alarm(each) != WELL]
    begun = {view.facts.client: _find_begin(view, told) for view in alarms}
    alarms.sort(key=lambda view: (_reverse(begun[view.facts.client]), view.facts.client))
    well = [name for name, each in told.items() if each.state == WELL and each.at > since]
    runs = [run for run in fleet.runs if run.ended_at and run.ended_at > since]
    before = [day.protected for day in fleet.days if day.day == since.date()]
    return Digest(
        server,
        since,
        at,
        Counter(view.standing.state for view in members.values()),
        tuple(alarms),
        tuple(view.facts.client for view in alarms if _is_after(begun[view.facts.client], since)),
        tuple(sorted(name for name in well if name in members and name not in begun)),
        len(runs),
        sum(run.has_failed for run in runs),
        before[-1] if before else None,
        tuple(_advise(fleet, alarms)),
    )


def is_digest_due(at: time, *, is_weekly: bool, last: datetime, now: datetime) -> bool:
    """Return whether a digest is to be sent `now`, in local time, after the one at `last`.

    It is for each day at the time `at`, or for each Monday; and later where nobody looked then.
    """
    moment = datetime.combine(now.date(), at, now.tzinfo)
    if moment > now:
        moment -= timedelta(days=1)
    if is_weekly:
        moment -= timedelta(days=(moment.weekday() - MONDAY) % 7)
    return last < moment


def _find_begin(view: ClientView, told: Mapping[str, ToldState]) -> datetime | None:
    """Return when the client's alarm began: when it was told, or else by its state."""
    last = told.get(view.facts.client)
    return last.at if last and last.state != WELL else view.standing.since


def _is_after(moment: datetime | None, since: datetime) -> bool:
    return moment is not None and moment > since


def _reverse(moment: datetime | None) -> float:
    """Return by what later moments sort first."""
    return -moment.timestamp() if moment else 0.0


def _advise(fleet: FleetView, alarms: Sequence[ClientView]) -> Iterable[str]:
    """Yield what to do, what concerns most clients first."""
    yield from fleet.faults
    for config in fleet.configs:
        if config.fault and not any(config.fault in fault for fault in fleet.faults):
            yield f"asyncamanda server doctor  # {config.name}: {config.fault}"
        if config.volumes_free == 0:
            yield f"asyncamanda server doctor  # {config.name} has no volume to write to"
        if config.holding_bytes and (config.held_bytes or 0) >= FULL * config.holding_bytes:
            yield f"asyncamanda server flush {config.name}  # its holding disk is full"
    by_group: dict[str, list[str]] = {}
    for view in alarms:
        by_group.setdefault(_group(view), []).append(view.facts.client)
    for group, words in _WORDS.items():
        if names := by_group.get(group):
            others = f"; {len(names) - 1} more like it" if len(names) > 1 else ""
            yield f"asyncamanda server doctor {names[0]}  # {words}{others}"
    if names := by_group.get(_AWAY):
        yield f"ask users to connect: {_name(names)}"


_AWAY = "away"
_WORDS = {  # what a group of clients has in common, whose first one is to be looked at
    "fault": "its backup fails",
    "never": "no backup yet",
    "here": "here, and not backed up",
}


def _group(view: ClientView) -> str:
    state = view.standing.state
    if state is ClientState.NEVER:
        return "never"
    if state in {ClientState.FAILING, ClientState.CUT}:
        return "fault"
    return "here" if view.facts.is_connected or state in _WORKING else _AWAY


def _name(names: Sequence[str]) -> str:
    if len(names) <= 2:
        return " and ".join(names)
    return f"{names[0]}, {names[1]} and {len(names) - 2} more"
