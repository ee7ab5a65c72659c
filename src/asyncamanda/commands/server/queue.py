"""asyncamanda server queue: show waiting clients and current runs."""

import argparse
from datetime import datetime, timedelta
from typing import Any

from asyncamanda.commands.server.options import (
    add_common,
    ask_dispatcher,
    load_as_amanda_user,
    not_understood,
)
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import Exit
from asyncamanda.report.json import render_json
from asyncamanda.report.server import (
    QUEUE_HEADS,
    DeskView,
    LiveRun,
    WaitingClient,
    describe_connected,
    describe_desk,
    describe_waiting,
)
from asyncamanda.report.table import print_table
from asyncamanda.system.clock import now as read_clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print what the dispatcher says. Raises what options.ask_dispatcher() raises."""
    config = load_as_amanda_user(arguments)
    answer = ask_dispatcher(config.user, "view")
    if arguments.json:
        print(render_json(answer or {"connected": [], "reachable": [], "desks": [], "faults": []}))
        return Exit.OK
    if answer is None:
        print("no dispatcher is running, so no client is waiting")
        return Exit.OK
    try:
        connected, desks = parse_view(answer)
        faults = [str(fault["reason"]) for fault in answer.get("faults", [])]
    except (KeyError, TypeError, ValueError) as error:
        raise not_understood() from error
    for fault in faults:
        print(printable(fault))
    _show(connected, desks, read_clock())
    return Exit.OK


def _show(connected: list[str], desks: list[DeskView], now: datetime) -> None:
    if not desks:
        print("no client is waiting and nothing is running")
    for desk in desks:
        for line in describe_desk(desk, now):
            print(line)
        if desk.waiting:
            print()
            print_table(QUEUE_HEADS, [describe_waiting(one, now) for one in desk.waiting])
        print()
    print(describe_connected(connected))


def parse_view(answer: dict[str, Any]) -> tuple[list[str], list[DeskView]]:
    """Return who is connected, and the state of each Amanda configuration.

    `answer` is the dispatcher's to "view". Raises KeyError, TypeError or ValueError if it is not.
    """
    connected = [str(client) for client in answer["connected"]]
    return connected, [_parse_desk(desk) for desk in answer["desks"]]


def _parse_desk(desk: dict[str, Any]) -> DeskView:
    since = desk["flush_due_since"]
    return DeskView(
        amanda_config=str(desk["amanda_config"]),
        waiting=tuple(_parse_waiting(one) for one in desk["waiting"]),
        runs=tuple(_parse_run(one) for one in desk["runs"]),
        has_others=bool(desk["others"]),
        held=int(desk["held_bytes"]),
        capacity=int(desk["holding_bytes"]),
        flush_due_since=None if since is None else datetime.fromisoformat(since),
        fault=str(desk.get("fault") or ""),
    )


def _parse_waiting(row: dict[str, Any]) -> WaitingClient:
    seconds = row["estimate_seconds"]
    return WaitingClient(
        client=str(row["client"]),
        submitted_at=datetime.fromisoformat(row["submitted_at"]),
        is_present=bool(row["present"]),
        place=int(row["place"]),
        waits_for=str(row["waits_for"]),
        estimate=None if seconds is None else timedelta(seconds=seconds),
    )


def _parse_run(row: dict[str, Any]) -> LiveRun:
    stamp = row["run"]
    return LiveRun(
        timestamp=None if stamp is None else str(stamp),
        kind=str(row["kind"]),
        clients=tuple(map(str, row["clients"])),
        begun_at=datetime.fromisoformat(row["begun_at"]),
        unfinished=tuple(map(str, row["unfinished"])),
    )
