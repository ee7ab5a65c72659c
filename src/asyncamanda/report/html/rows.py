"""What the fleet's page says: a fleet's view turned into plain values, all names made visible.

Nothing in here changes with the time of day alone, so that equal fleets make equal pages.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from asyncamanda.core.dispatch.records import RunKind, RunRow
from asyncamanda.core.fleet.facts import ConfigFacts, FleetDay
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.core.values.size import format_size
from asyncamanda.report.html.curves import Curve, draw_exposure, draw_share
from asyncamanda.report.html.files import page_path
from asyncamanda.report.html.strips import StripPicture, draw_strip, spell_days
from asyncamanda.report.html.words import (
    HOUR,
    ShownTime,
    count,
    show_exposure,
    show_name,
    show_span,
    show_text,
    show_time,
)

MOST_ALARMS = 8  # in the list at the top; all are in the table
MOST_NAMES = 12
MOST_RUNS = 12
GONE = frozenset({ClientState.LOST, ClientState.RETIRED})
ORDER = {state: place for place, state in enumerate(ClientState)}


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client in the list. `seen` is None while it is connected, or never was.

    `used` is its exposure in hours, -1 where that is not known: a browser sorts by it.
    """

    name: str
    amanda_config: str
    page: str
    state: str
    alarm: str
    is_exposed: bool
    sentence: str
    since: ShownTime | None
    exposure: str
    used: int
    backed_up: ShownTime | None
    is_connected: bool
    seen: ShownTime | None
    strip: StripPicture


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many clients are in a state, and the part of a bar's hundred from `start` on."""

    state: str
    clients: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run of Amanda in words; `tone` is "good", "bad" or "open"."""

    name: str
    kind: str
    clients: str
    begun: ShownTime
    took: str
    result: str
    tone: str


@dataclass(frozen=True, slots=True)
class ConfigCard:
    """What goes on in one Amanda configuration, in words; `filled` is a share in per cent."""

    name: str
    fault: str
    waiting: str
    going: tuple[ShownRun, ...]
    held: str
    filled: int | None
    volumes: str
    flush_due: ShownTime | None


@dataclass(frozen=True, slots=True)
class FleetPage:
    """All that the fleet's page says, but for when it was made."""

    headline: str
    is_well: bool
    lead: str
    faults: tuple[str, ...]
    alarms: tuple[ClientRow, ...]
    more_alarms: int
    states: tuple[StateCount, ...]
    curves: tuple[Curve, ...]
    configs: tuple[ConfigCard, ...]
    runs: tuple[ShownRun, ...]
    runs_total: str
    days: tuple[FleetDay, ...]
    rows: tuple[ClientRow, ...]
    has_many_configs: bool


def tell_fleet(view: FleetView) -> FleetPage:
    """Return what the page says of a fleet: who needs somebody comes first."""
    ordered = sorted(view.clients, key=_urgency)
    rows = tuple(_tell_row(each) for each in ordered)
    alarms = tuple(row for row in rows if row.alarm)
    faults = tuple(show_text(fault) for fault in view.faults)
    headline, lead = _headline(view, len(alarms))
    curves = (draw_share(view.days), draw_exposure(view.days))
    return FleetPage(
        headline,
        not alarms and not faults,
        lead,
        faults,
        alarms[:MOST_ALARMS],
        len(alarms[MOST_ALARMS:]),
        _count_states(view.clients),
        tuple(curve for curve in curves if curve),
        tuple(_tell_config(config) for config in view.configs),
        tuple(tell_run(run) for run in view.runs[:MOST_RUNS]),
        ", ".join(f"{number:,} {show_name(how)}" for how, number in view.runs_total.items()),
        view.days,
        rows,
        len({row.amanda_config for row in rows}) > 1,
    )


def _urgency(view: ClientView) -> tuple[bool, bool, int, int, str]:
    standing = view.standing
    return (
        not standing.alarm,
        not standing.is_exposed,
        ORDER[standing.state],
        -_hours_used(view),
        view.facts.client,
    )


def _hours_used(view: ClientView) -> int:
    """Return the exposure in whole hours, -1 where it is not known."""
    used = view.facts.exposure.used
    return -1 if used is None else used // HOUR


def _headline(view: FleetView, alarms: int) -> tuple[str, str]:
    members = [each for each in view.clients if each.standing.state not in GONE]
    protected = sum(each.standing.state is ClientState.PROTECTED for each in members)
    exposed = sum(each.standing.is_exposed for each in members)
    if not view.clients:
        return "No client is enrolled yet", ""
    lead = f"{protected:,} of {count(len(members), 'client')} protected"
    if exposed:
        lead += f", {exposed:,} above the limit of use or of age"
    if alarms:
        verb = "needs" if alarms == 1 else "need"
        return f"{count(alarms, 'client')} {verb} attention", lead
    return "No client needs attention", lead


def _count_states(clients: Sequence[ClientView]) -> tuple[StateCount, ...]:
    counts = Counter(each.standing.state for each in clients)
    shown, start = [], 0.0
    for state in ClientState:
        if counts[state]:
            width = 100 * counts[state] / len(clients)
            shown.append(StateCount(state.value, counts[state], round(start, 2), round(width, 2)))
            start += width
    return tuple(shown)


def _tell_row(view: ClientView) -> ClientRow:
    facts, standing = view.facts, view.standing
    dumps = [disk.confirmed.dumped_at for disk in facts.disks if disk.confirmed]
    newest = max((at for at in dumps if at), default=None)
    return ClientRow(
        show_name(facts.client),
        show_name(facts.amanda_config),
        page_path(facts.amanda_config, facts.client),
        standing.state.value,
        show_text(standing.alarm),
        standing.is_exposed,
        show_text(standing.sentence),
        show_time(standing.since),
        show_exposure(facts.exposure),
        _hours_used(view),
        show_time(newest),
        facts.is_connected,
        None if facts.is_connected else show_time(facts.last_seen),
        draw_strip(spell_days(facts.days)),
    )


def tell_run(run: RunRow) -> ShownRun:
    """Return a run in words; of one that goes on nothing that changes each minute."""
    result, tone = _judge_run(run)
    return ShownRun(
        show_name(run.timestamp or f"number {run.id}"),
        run.kind.value,
        name_some(run.hosts) if run.hosts else ("-" if run.kind is RunKind.FLUSH else "nobody"),
        _known(show_time(run.begun_at)),
        "" if run.ended_at is None else show_span(max(run.ended_at - run.begun_at, timedelta())),
        result + (f": {show_text(run.remark)}" if run.remark and run.ended_at else ""),
        tone,
    )


def _judge_run(run: RunRow) -> tuple[str, str]:
    if run.ended_at is None:
        return "goes on", "open"
    if not run.has_failed:
        return "clean", "good"
    return f"exit status {run.exit_status}" if run.exit_status else "not clean", "bad"


def _known(time: ShownTime | None) -> ShownTime:
    assert time
    return time


def name_some(names: Sequence[str]) -> str:
    """Return the first of `names`, and how many more there are."""
    more = len(names) - MOST_NAMES
    shown = ", ".join(show_name(name) for name in names[:MOST_NAMES])
    return shown + (f" and {more:,} more" if more > 0 else "")


def _tell_config(config: ConfigFacts) -> ConfigCard:
    held, filled = "unknown", None
    if config.held_bytes is not None:
        held = format_size(config.held_bytes)
        if config.holding_bytes:
            filled = min(100, round(100 * config.held_bytes / config.holding_bytes))
            held += f" of {format_size(config.holding_bytes)}, {filled} %"
    waiting = "nobody waits"
    if config.waiting:
        waiting = f"{count(len(config.waiting), 'client')}: {name_some(config.waiting)}"
    return ConfigCard(
        show_name(config.name),
        show_text(config.fault),
        waiting,
        tuple(tell_run(run) for run in config.going),
        held,
        filled,
        _tell_volumes(config),
        show_time(config.flush_due_since),
    )


def _tell_volumes(config: ConfigFacts) -> str:
    if config.volumes is None and config.volumes_free is None:
        return "unknown"
    if config.volumes_free is None:
        return f"{config.volumes:,} in all"
    of = "" if config.volumes is None else f" of {config.volumes:,}"
    return f"{config.volumes_free:,}{of} may be written next"
