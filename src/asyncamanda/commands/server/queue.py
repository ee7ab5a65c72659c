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
    ConfigView,
    LiveRun,
    WaitingClient,
    describe_config,
    describe_connected,
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
        print(
            render_json(answer or {"connected": [], "reachable": [], "configs": [], "faults": []})
        )
        return Exit.OK
    if answer is None:
        print("no dispatcher is running, so no client is waiting")
        return Exit.OK
    try:
        connected, configs = parse_view(answer)
        faults = [str(fault["reason"]) for fault in answer.get("faults", [])]
    except (KeyError, TypeError, ValueError) as error:
        raise not_understood() from error
    for fault in faults:
        print(printable(fault))
    _show(connected, configs, read_clock())
    return Exit.OK


def _show(connected: list[str], configs: list[ConfigView], now: datetime) -> None:
    if not configs:
        print("no client is waiting and nothing is running")
    for config in configs:
        for line in describe_config(config, now):
            print(line)
        if config.waiting:
            print()
            print_table(QUEUE_HEADS, [describe_waiting(one, now) for one in config.waiting])
        print()
    print(describe_connected(connected))


def parse_view(answer: dict[str, Any]) -> tuple[list[str], list[ConfigView]]:
    """Return who is connected, and the state of each Amanda configuration.

    `answer` is the dispatcher's to "view". Raises KeyError, TypeError or ValueError if it is not.
    """
    connected = [str(client) for client in answer["connected"]]
    return connected, [_parse_config(config) for config in answer["configs"]]


def _parse_config(config: dict[str, Any]) -> ConfigView:
    since = config["flush_due_since"]
    return ConfigView(
        amanda_config=str(config["amanda_config"]),
        waiting=tuple(_parse_waiting(one) for one in config["waiting"]),
        runs=tuple(_parse_run(one) for one in config["runs"]),
        has_others=bool(config["others"]),
        held=int(config["held_bytes"]),
        capacity=int(config["holding_bytes"]),
        flush_due_since=None if since is None else datetime.fromisoformat(since),
        fault=str(config.get("fault") or ""),
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
