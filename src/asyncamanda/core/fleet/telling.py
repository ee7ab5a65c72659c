"""The words in which changes of clients are told."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from asyncamanda.core.agent.alerts import Alert, AlertKind
from asyncamanda.core.fleet.changes import EXPOSED, WELL, ClientChange, choose_views, name_alarm
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.core.values.interval import format_age
from asyncamanda.core.values.printable import clip, printable

LISTED = 40  # clients that a message names
LONGEST_REASON = 160
SILENT = timedelta(hours=1)  # nobody connected for this long: perhaps nobody can
ALL = "on the server, as root: asyncamanda server fleet"


def word_change(change: ClientChange, fleet: FleetView, server: str) -> Alert:
    """Return the message about one client; `server` is the name of the machine that tells it."""
    facts, standing = change.view.facts, change.view.standing
    if not change.is_alarm:
        return Alert(
            AlertKind.RECOVERED,
            server,
            fleet.at,
            f"{facts.client} is backed up again",
            sentence_of(change.view),
        )
    evidence = "\n".join(line for line in standing.evidence if line)
    is_exposed = change.told.state == EXPOSED  # which is no fault that a doctor would find
    return Alert(
        AlertKind.STALE if is_exposed else AlertKind.FAILED,
        server,
        fleet.at,
        f"{facts.client}: {name_reason(change.view)}",
        evidence or sentence_of(change.view),
        f"on the server, as root: asyncamanda server {'fleet' if is_exposed else 'doctor'} "
        f"{facts.client}",
    )


def word_folded(changes: Sequence[ClientChange], fleet: FleetView, server: str) -> Alert:
    """Return the message about several clients, the alarms first."""
    alarms = [each for each in changes if each.is_alarm]
    ended = [each for each in changes if not each.is_alarm]
    parts = []
    if alarms:
        kinds = Counter(each.told.state for each in alarms)
        which = ", ".join(f"{count} {state}" for state, count in kinds.most_common())
        needs = "client needs" if len(alarms) == 1 else "clients need"
        parts.append(f"{len(alarms)} {needs} attention ({which})")
    if ended:
        are = "client is" if len(ended) == 1 else "clients are"
        parts.append(f"{len(ended)} {are} backed up again")
    lines = [f"{each.view.facts.client}: {name_reason(each.view)}" for each in alarms]
    lines += [f"{each.view.facts.client}: backed up again" for each in ended]
    if len(lines) > LISTED:
        lines = [*lines[:LISTED], f"and {len(lines) - LISTED} more"]
    if silence := explain_silence(fleet):
        lines = [silence, *lines]
    kind = AlertKind.RECOVERED
    if alarms:
        is_only_exposed = all(each.told.state == EXPOSED for each in alarms)
        kind = AlertKind.STALE if is_only_exposed else AlertKind.FAILED
    hint = ALL if alarms else ""
    return Alert(kind, server, fleet.at, "; ".join(parts), "\n".join(lines), hint)


def explain_silence(fleet: FleetView) -> str:
    """Return a sentence if no client at all is connected for long, "" otherwise."""
    seen = [view.facts.last_seen for view in fleet.clients if view.facts.last_seen]
    if any(view.facts.is_connected for view in fleet.clients) or not seen:
        return ""
    span = fleet.at - max(seen)
    if span < SILENT:
        return ""
    return (
        f"No client at all is connected, the last one was {format_age(span)} ago: "
        "if that is unusual, check this server's network first."
    )


def name_reason(view: ClientView) -> str:
    """Return in a few words why somebody has to do something."""
    standing = view.standing
    return clip(printable(standing.alarm or f"exposed: {standing.sentence}"), LONGEST_REASON)


def sentence_of(view: ClientView) -> str:
    """Return the client's state, as a line that a terminal may show."""
    return printable(view.standing.sentence)


def summarise_fleet(fleet: FleetView) -> str:
    """Return how the fleet is, in a line; what could not be looked at in lines of their own."""
    members = choose_views(fleet.clients).values()
    protected = sum(view.standing.state is ClientState.PROTECTED for view in members)
    alarms = sum(name_alarm(view) != WELL for view in members)
    line = f"{protected} of {len(members)} clients are protected, {alarms} need attention"
    return "\n".join([line, *fleet.faults])
