"""The fleet in a table, and what one of its clients is: for people, and as JSON's values."""

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum

from asyncamanda.core.fleet.facts import ClientFacts
from asyncamanda.core.fleet.judging import ALARM_FREE, find_backed_up_at
from asyncamanda.core.fleet.standing import ClientState, ClientView
from asyncamanda.core.fleet.wording import say_exposure
from asyncamanda.core.values.interval import format_age
from asyncamanda.core.values.printable import clip, printable
from asyncamanda.report.stream import styled

HEADS = ("client", "state", "backup", "used", "seen", "why")
NAME, LEAST_WHY = 20, 20  # columns
RED, BOLD, GREEN = "bold red", "bold", "green"
_SAID = ("due, and away ", "due, and away: ", "due and here: ", "deferred ")  # as the state says
_ORDER = {state: place for place, state in enumerate(ClientState)}
_STYLES = {
    ClientState.FAILING: RED,
    ClientState.CUT: BOLD,
    ClientState.NEVER: BOLD,
    ClientState.PROTECTED: GREEN,
}


class FleetOrder(Enum):
    """By what the clients are ordered; those that need somebody first where nothing is said."""

    ALARM = "alarm"
    EXPOSURE = "exposure"
    NAME = "name"
    STATE = "state"
    SEEN = "seen"


def order_clients(clients: Iterable[ClientView], order: FleetOrder) -> list[ClientView]:
    """Return the clients in that order: the worst, or the one seen longest ago, first."""
    by_name = sorted(clients, key=lambda each: (each.facts.client, each.facts.amanda_config))
    match order:
        case FleetOrder.NAME:
            return by_name
        case FleetOrder.STATE:
            return sorted(by_name, key=lambda each: _ORDER[each.standing.state])
        case FleetOrder.SEEN:
            return sorted(by_name, key=_seen)
        case FleetOrder.EXPOSURE:
            return sorted(by_name, key=_used, reverse=True)
        case FleetOrder.ALARM:
            return sorted(
                by_name, key=lambda each: (not each.standing.alarm, _ORDER[each.standing.state])
            )


def _seen(client: ClientView) -> float:
    return client.facts.last_seen.timestamp() if client.facts.last_seen else 0.0


def _used(client: ClientView) -> float:
    used = client.facts.exposure.used
    return -1.0 if used is None else used.total_seconds()


def sum_up(clients: Iterable[ClientView]) -> str:
    """Return how many are protected, and the others by their states, in one line.

    Those that are lost or retired are none of the whole.
    """
    each = list(clients)
    counts = Counter(client.standing.state for client in each)
    members = sum(count for state, count in counts.items() if state not in ALARM_FREE)
    words = [f"{counts[ClientState.PROTECTED]} of {members} protected"]
    words += [
        f"{counts[state]} {state.value}"
        for state in ClientState
        if counts[state] and state is not ClientState.PROTECTED
    ]
    if exposed := sum(client.standing.is_exposed for client in each):
        words.append(f"{exposed} exposed")
    return ", ".join(words)


def describe_client(client: ClientView, now: datetime) -> tuple[str, ...]:
    """Return a row of HEADS, whole."""
    facts, standing = client.facts, client.standing
    backed_up_at = find_backed_up_at(facts)
    used = facts.exposure.used
    return (
        facts.client,
        standing.state.value,
        format_age(now - backed_up_at) if backed_up_at else "-",
        "-" if used is None else _short(say_exposure(facts.exposure)),
        _describe_seen(facts, now),
        _describe_why(client),
    )


def _describe_why(client: ClientView) -> str:
    """Return the alarm of who is exposed, else what the sentence says beside the other cells."""
    standing = client.standing
    if standing.is_exposed and standing.alarm:
        return standing.alarm
    said = standing.sentence
    if standing.state is ClientState.PROTECTED:
        return said.partition("; ")[2]  # such as a run in progress
    return next((said.removeprefix(each) for each in _SAID if said.startswith(each)), said)


def _short(words: str) -> str:
    return words.replace("at least ", "> ")


def _describe_seen(facts: ClientFacts, now: datetime) -> str:
    if facts.is_connected:
        return "now"
    return format_age(now - facts.last_seen) if facts.last_seen else "never"


def print_fleet(clients: Sequence[ClientView], now: datetime) -> None:
    """Print a line for each client, as wide as the terminal; whole lines where there is none."""
    from rich.console import Console  # noqa: PLC0415 - as in table.py
    from rich.text import Text  # noqa: PLC0415

    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns - 1 if is_terminal else sys.maxsize
    rows = [HEADS, *(describe_client(client, now) for client in clients)]
    states = [None, *(client.standing.state for client in clients)]
    console = Console(file=styled(sys.stdout), highlight=False, emoji=False, soft_wrap=True)
    for line, state in zip(lay_out(rows, width), states, strict=True):
        before, word, after = line
        style = _STYLES.get(state, "") if state else BOLD
        if is_terminal:
            console.print(Text.assemble((before, "" if state else BOLD), (word, style), after))
        else:
            print(f"{before}{word}{after}")  # noqa: T201 - the answer


def lay_out(rows: Sequence[Sequence[str]], width: int) -> list[tuple[str, str, str]]:
    """Return each row as a line of at most `width` columns: what is before its state, it, the rest.

    Names and reasons that do not fit are cut.
    """
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 - as above

    shown = [[printable(cell) for cell in row] for row in rows]
    narrow = [[_cut(row[0], NAME), *row[1:-1]] for row in shown]
    widths = [max(map(cell_len, column)) for column in zip(*narrow, strict=True)]
    room = max(width - sum(widths) - 2 * len(widths), LEAST_WHY)
    lines = []
    for row, whole in zip(narrow, shown, strict=True):
        cells = [set_cell_size(cell, each) for cell, each in zip(row, widths, strict=True)]
        why = whole[-1] if width == sys.maxsize else _cut(whole[-1], room)
        rest = "  ".join(["", *cells[2:], why]).rstrip()
        lines.append((f"{cells[0]}  ", cells[1], rest))
    return lines


def _cut(text: str, columns: int) -> str:
    """Return as much of `text` as so many columns hold, with dots for the rest."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 - as above

    if cell_len(text) <= columns:
        return text
    return f"{set_cell_size(clip(text, columns + 3), columns - 3).rstrip()}..."
