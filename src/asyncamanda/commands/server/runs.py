"""asyncamanda server runs: list runs, and the result of each DLE."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.commands.server.options import (
    add_common,
    load_as_amanda_user,
    open_ledger_to_read,
)
from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.dispatch.records import RunRow
from asyncamanda.core.model import DleVerdict
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import BadDataError, Exit, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.server import (
    DLE_HEADS,
    RUN_HEADS,
    describe_dle,
    describe_run,
    dle_value,
    introduce_run,
    run_value,
)
from asyncamanda.report.table import print_table
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.processes import has_session, read_boot_id

SHOWN = 20
MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class RunWithVerdicts:
    """A run, the results of its DLEs, and whether something of it is still running."""

    row: RunRow
    verdicts: list[DleVerdict]
    is_alive: bool
    filters: dict[tuple[str, str, str], Filters]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "timestamp",
        metavar="TIMESTAMP",
        nargs="?",
        help="show one run, by its timestamp in the list",
    )
    parser.add_argument(
        "--amanda-config", metavar="NAME", help="list only this configuration's runs"
    )
    parser.add_argument(
        "-n",
        metavar="COUNT",
        dest="count",
        type=read_count,
        default=SHOWN,
        help="number of runs to list",
    )
    parser.add_argument(
        "--report", action="store_true", help="with TIMESTAMP: show Amanda's report of it"
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print a row for each of the last runs, the newest last; or one run with all its DLEs.

    Raises UsageError if it is not clear which run is meant, BadDataError if there is none such,
    and what options.open_ledger_to_read() raises.
    """
    if arguments.report and arguments.timestamp is None:
        raise UsageError(
            "usage",
            "--report needs one run's TIMESTAMP",
            "such as: server runs 20261124130000 --report",
        )
    found = _read(arguments)
    if arguments.timestamp is not None:
        _print_one(_choose(found, arguments), arguments)
    elif arguments.json:
        print(render_json([run_value(known.row, known.verdicts) for known in found]))
    elif not found:
        print("no run is known yet")
    else:
        _print_all(found)
    return Exit.OK


def _read(arguments: argparse.Namespace) -> list[RunWithVerdicts]:
    """Return what the ledger has of the runs that are meant, the oldest first."""
    ledger = open_ledger_to_read(load_as_amanda_user(arguments))
    if ledger is None:
        return []
    timestamp = arguments.timestamp
    try:
        if timestamp is None:
            rows = ledger.runs.list_recent(arguments.amanda_config, arguments.count)
        else:
            rows = ledger.runs.list_named(timestamp, arguments.amanda_config)
        return [
            RunWithVerdicts(
                row,
                ledger.verdicts.of_run(row.id),
                _is_alive(row),
                ledger.verdicts.filters_of_run(row.id),
            )
            for row in reversed(rows)
        ]
    finally:
        ledger.close()


def _is_alive(row: RunRow) -> bool:
    if row.ended_at is not None or row.pid is None or row.boot_id != read_boot_id():
        return False
    return has_session(row.pid, row.pid_started)


def _choose(found: list[RunWithVerdicts], arguments: argparse.Namespace) -> RunWithVerdicts:
    stamp = printable(arguments.timestamp)
    if not found:
        of = f" of {printable(arguments.amanda_config)}" if arguments.amanda_config else ""
        raise BadDataError(
            "no-such-run",
            f"no run {stamp}{of} is known",
            "a run's name has 14 digits; `asyncamanda server runs` lists the last ones",
        )
    if len(found) > 1:
        names = [printable(known.row.amanda_config) for known in found]
        raise UsageError(
            "several-runs",
            f"{' and '.join(names)} have a run {stamp} each",
            f"choose one: --amanda-config {names[0]}",
        )
    return found[0]


def _print_all(found: list[RunWithVerdicts]) -> None:
    """Print a table, or one for each Amanda configuration if there are several."""
    now = read_clock()
    names = sorted({known.row.amanda_config for known in found})
    for name in names:
        if len(names) > 1:
            print(f"\n{printable(name)}:")
        own = [known for known in found if known.row.amanda_config == name]
        rows = [describe_run(k.row, k.verdicts, now, is_alive=k.is_alive) for k in own]
        print_table(RUN_HEADS, rows)


def _print_one(known: RunWithVerdicts, arguments: argparse.Namespace) -> None:
    run, verdicts = known.row, known.verdicts
    report = _read_report(run) if arguments.report else None
    if arguments.json:
        value = {**run_value(run, verdicts), "dles": _dle_values(known)}
        print(render_json(value | ({"report_text": report} if arguments.report else {})))
        return
    for line in introduce_run(run, verdicts, read_clock(), is_alive=known.is_alive):
        print(line)
    if verdicts:
        print()
        print_table(DLE_HEADS, [describe_dle(verdict, run) for verdict in verdicts])
    if report is not None:
        print()
        for line in report.expandtabs().splitlines():
            print(printable(line))


def _dle_values(known: RunWithVerdicts) -> list[dict[str, object]]:
    return [
        dle_value(each, known.filters.get((each.host, each.disk, each.timestamp)))
        for each in known.verdicts
    ]


def _read_report(run: RunRow) -> str:
    """Return the text that is kept of a run. Raises BadDataError if there is none."""
    if run.report is None:
        raise BadDataError(
            "no-report",
            f"no report of the run {run.timestamp} is kept",
            "one is kept of each batch and flush in which something went wrong",
        )
    try:
        return Path(run.report).read_text("utf-8", "replace")
    except OSError as error:
        raise BadDataError(
            "no-report", f"{run.report} cannot be read: {error.strerror}", "was it deleted?"
        ) from error


def read_count(text: str) -> int:
    """Return how many rows to list. Raises ArgumentTypeError if that is no such number."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"not a number from 1 to {MOST}")
    return int(text)
