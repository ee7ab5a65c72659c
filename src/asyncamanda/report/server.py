"""What goes on at the server, and the results of its runs: in words, as rows, as JSON's values."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.dispatch.records import RunKind, RunRow
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.values.interval import format_age, format_interval
from asyncamanda.core.values.printable import printable
from asyncamanda.core.values.size import format_size
from asyncamanda.report.json import time_value
from asyncamanda.report.text import WAITS_FOR, format_time

WIDTH = 60  # characters for names in a line, so that it fits into 80 columns
CELL = 20  # ... and in a table's cell

QUEUE_HEADS = ("place", "client", "waited", "is", "waits for", "starts in")
RUN_HEADS = ("run", "kind", "clients", "begun", "took", "outcome")
DLE_HEADS = ("client", "disk", "level", "size", "outcome")


@dataclass(frozen=True, slots=True)
class WaitingClient:
    """A client that waits: its place from 1, and what for, by the name that the dispatcher uses.

    `estimate` is how long it is until its run starts, None where that cannot be known.
    """

    client: str
    submitted_at: datetime
    is_present: bool
    place: int
    waits_for: str
    estimate: timedelta | None


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run of the dispatcher's that goes on; `unfinished` are those who wait for its end."""

    timestamp: str | None
    kind: str
    clients: tuple[str, ...]
    begun_at: datetime
    unfinished: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigView:
    """The state of one Amanda configuration.

    `has_others`: a run that is not the dispatcher's goes on. `held` of `capacity` bytes of the
    holding disk are in use. `flush_due_since` is None where no flush is due. `fault` is why the
    configuration cannot be used now, "" if it can.
    """

    amanda_config: str
    waiting: tuple[WaitingClient, ...]
    runs: tuple[LiveRun, ...]
    has_others: bool
    held: int
    capacity: int
    flush_due_since: datetime | None
    fault: str = ""


def fold_names(names: Sequence[str], width: int = WIDTH) -> str:
    """Return as many of `names` as `width` characters hold, at least one, and how many more."""
    shown = [printable(name) for name in names]
    for count in range(len(shown), 0, -1):
        more = len(shown) - count
        text = ", ".join(shown[:count]) + (f" and {more} more" if more else "")
        if len(text) <= width or count == 1:
            return text
    return "-"


# -- what goes on


def describe_config(config: ConfigView, now: datetime) -> list[str]:
    """Return a line on the whole, then one or two for each run, and one for the holding disk.

    Who waits is only counted; each has a row of its own.
    """
    runs = len(config.runs) + config.has_others
    going = _count(runs, "run in progress", "runs in progress") if runs else "no run in progress"
    waiting = len(config.waiting)
    queue = _count(waiting, "client waiting", "clients waiting") if waiting else "no client waiting"
    lines = [f"{printable(config.amanda_config)}: {going}, {queue}"]
    if config.fault:
        lines.append(f"  no run is started: {printable(config.fault)}")
    for run in config.runs:
        lines += _describe_live_run(run, now)
    if config.has_others:
        lines.append("  a run that somebody else started")
    lines.append(f"  {_describe_holding(config, now)}")
    return lines


def _describe_live_run(run: LiveRun, now: datetime) -> list[str]:
    name = f" {printable(run.timestamp)}" if run.timestamp else ""
    head = f"  {printable(run.kind)}{name}, {format_age(now - run.begun_at)} so far"
    if not run.clients:
        return [head]
    lines = [head, f"    clients: {fold_names(run.clients)}"]
    if not run.unfinished:
        lines[0] += "; all are done"
    elif set(run.clients) <= set(run.unfinished):
        lines[0] += "; none is done yet"
    else:
        lines.append(f"    not done yet: {fold_names(run.unfinished, WIDTH - 2)}")
    return lines


def _describe_holding(config: ConfigView, now: datetime) -> str:
    held = f"{format_size(config.held)} held"
    if config.capacity:
        filled = 100 * config.held / config.capacity
        held = f"{filled:.0f} % of {format_size(config.capacity)} filled"
    since = config.flush_due_since
    due = f"a flush has been due for {format_age(now - since)}" if since else "no flush is due"
    return f"holding disk: {held}; {due}"


def describe_waiting(waiting: WaitingClient, now: datetime) -> tuple[str, ...]:
    """Return a row of QUEUE_HEADS. A client that is away waits for nothing but its return."""
    estimate = waiting.estimate if waiting.is_present else None
    waits_for = WAITS_FOR.get(waiting.waits_for, printable(waiting.waits_for))
    return (
        str(waiting.place),
        printable(waiting.client),
        format_age(now - waiting.submitted_at),
        "present" if waiting.is_present else "away",
        waits_for if waiting.is_present else "its return",
        "-" if estimate is None else format_interval(max(estimate, timedelta(seconds=1))),
    )


def describe_connected(clients: Sequence[str]) -> str:
    """Return who is connected, in one line."""
    if not clients:
        return "no client is connected"
    connected = _count(len(clients), "client is connected", "clients are connected")
    return f"{connected}: {fold_names(clients, WIDTH - 6)}"


# -- the runs

_KINDS = {
    RunKind.BATCH: "a batch",
    RunKind.FLUSH: "a flush",
    RunKind.OTHER: "started by somebody else",
}


def describe_outcome(run: RunRow, verdicts: Iterable[DleVerdict], *, is_alive: bool) -> str:
    """Return in a few words the result of a run's dumps, and whether more may come.

    `is_alive` says whether something of it runs still.
    """
    states = Counter(verdict.state for verdict in verdicts)
    counts = [f"{states[state]} {state.value}" for state in DumpState if states[state]]
    if run.ended_at is None:
        return ", ".join(["in progress" if is_alive else "ended, not evaluated yet", *counts])
    if not counts:
        return printable(run.remark) or "no dump"
    return ", ".join(counts) + ("" if run.is_clean else ", with errors")


def describe_run(
    run: RunRow, verdicts: Collection[DleVerdict], now: datetime, *, is_alive: bool
) -> tuple[str, ...]:
    """Return a row of RUN_HEADS. How long ago it began; when exactly is in its name."""
    outcome = describe_outcome(run, verdicts, is_alive=is_alive)
    volumes = f"; {_describe_volumes(run.labels, CELL)}" if run.labels else ""
    return (
        run.timestamp or "-",
        run.kind.value,
        fold_names(run.hosts, CELL),
        f"{format_age(now - run.begun_at)} ago",
        format_age((run.ended_at or now) - run.begun_at),
        f"{outcome}{volumes}",
    )


def introduce_run(
    run: RunRow, verdicts: Collection[DleVerdict], now: datetime, *, is_alive: bool
) -> list[str]:
    """Return what is shown of a run before its DLEs: whose it is, when, how it went."""
    clients = f" for {fold_names(run.hosts, WIDTH - 25)}" if run.hosts else ""
    took = format_age((run.ended_at or now) - run.begun_at)
    times = f"begun {format_time(run.begun_at)}, {'took' if run.ended_at else 'for'} {took}"
    status = "" if run.exit_status is None else f", exit status {run.exit_status}"
    lines = [
        f"run {run.timestamp} of {printable(run.amanda_config)}, {_KINDS[run.kind]}{clients}",
        f"{times}{status}: {describe_outcome(run, verdicts, is_alive=is_alive)}",
    ]
    if run.labels:
        lines.append(_describe_volumes(run.labels, WIDTH))
    if run.remark:
        lines.append(f"remark: {printable(run.remark)}")
    if run.report:
        lines.append(f"report: {printable(run.report)}")
    return lines


def _describe_volumes(labels: Sequence[str], width: int) -> str:
    return f"{'volume' if len(labels) == 1 else 'volumes'} {fold_names(labels, width)}"


def describe_dle(verdict: DleVerdict, run: RunRow) -> tuple[str, ...]:
    """Return a row of DLE_HEADS. A dump that `run` did not make, only moved, is told as such."""
    words = verdict.state.value
    if verdict.timestamp != run.timestamp:
        words += f" (the dump of {printable(verdict.timestamp)})"
    if verdict.is_strange:
        words += ", with strange messages"
    if verdict.reason:
        words += f": {printable(verdict.reason)}"
    return (
        printable(verdict.host),
        printable(verdict.disk),
        "-" if verdict.level is None else str(verdict.level),
        format_size(verdict.kilobytes * 1024) if verdict.kilobytes else "-",
        words,
    )


# -- for JSON


def run_value(run: RunRow, verdicts: Iterable[DleVerdict]) -> dict[str, object]:
    """Return a run, and how many of its dumps are in each state."""
    states = Counter(verdict.state for verdict in verdicts)
    return {
        "run": run.timestamp,
        "amanda_config": run.amanda_config,
        "kind": run.kind.value,
        "clients": list(run.hosts),
        "begun_at": time_value(run.begun_at),
        "ended_at": time_value(run.ended_at),
        "exit_status": run.exit_status,
        "is_clean": run.is_clean,
        "dumps": {state.value: states[state] for state in DumpState},
        "volumes": list(run.labels),
        "remark": run.remark or None,
        "report": run.report,
    }


def dle_value(verdict: DleVerdict, filters: Filters | None = None) -> dict[str, object]:
    """Return the result of a DLE; `run` is the timestamp of the run that made the dump.

    `filters` are what it went through, None where that is not recorded.
    """
    return {
        "client": verdict.host,
        "disk": verdict.disk,
        "run": verdict.timestamp,
        "state": verdict.state.value,
        "level": verdict.level,
        "kilobytes": verdict.kilobytes or None,
        "is_strange": verdict.is_strange,
        "reason": verdict.reason or None,
        "filters": filters and asdict(filters),
    }


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
