"""asyncamanda server queue: show waiting clients and current runs."""

import argparse
from datetime import datetime

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
    describe_config,
    describe_connected,
    describe_waiting,
)
from asyncamanda.report.table import print_table
from asyncamanda.server.fleet.live import parse_view
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
