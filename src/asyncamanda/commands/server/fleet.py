"""asyncamanda server fleet: who is protected, who is not, and why.

It shows, and exits with 0 whatever it shows; `asyncamanda server check` is for who has to act.
"""

import argparse
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asyncamanda.commands.server.options import (
    add_common,
    load_as_amanda_user,
    open_ledger_to_read,
    unknown_client,
    warn,
)
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.core.model import DleVerdict
from asyncamanda.errors import Exit
from asyncamanda.report.fleet import FleetOrder, order_clients, print_fleet, sum_up
from asyncamanda.report.fleet_client import (
    SHOWN,
    describe_chains,
    describe_days,
    describe_proofs,
    describe_runs,
    describe_sessions,
    introduce_client,
)
from asyncamanda.report.fleet_json import client_value, fleet_value
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.proofs import proof_value
from asyncamanda.system.clock import now as read_clock

if TYPE_CHECKING:
    from asyncamanda.server.ledger.ledger import Ledger

ORDERS = [order.value for order in FleetOrder]
STATES = [state.value for state in ClientState]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "client", metavar="CLIENT", nargs="?", help="show all that is known of one client"
    )
    parser.add_argument(
        "--sort",
        metavar="BY",
        choices=ORDERS,
        default=FleetOrder.ALARM.value,
        help=f"the order: {', '.join(ORDERS)} (default: those first that need somebody)",
    )
    parser.add_argument(
        "--state", metavar="STATE", choices=STATES, help=f"only clients in it: {', '.join(STATES)}"
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print a line for each client, or all that is known of one.

    Raises BadDataError for a client that is not there, RefusedError if authorized_keys cannot be
    read, and what options.open_ledger_to_read() raises.
    """
    from asyncamanda.server.fleet.gathering import gather_fleet  # noqa: PLC0415 - loads much

    config = load_as_amanda_user(arguments)
    with contextlib.ExitStack() as stack:
        if ledger := open_ledger_to_read(config):
            stack.callback(ledger.close)
        view = gather_fleet(config, ledger, read_clock())
        if arguments.client is not None:
            _show_one(view, ledger, arguments)
            return Exit.OK
    clients = [
        each for each in view.clients if arguments.state in {None, each.standing.state.value}
    ]
    _show_all(view, order_clients(clients, FleetOrder(arguments.sort)), arguments)
    return Exit.OK


def _show_all(
    view: FleetView, clients: Sequence[ClientView], arguments: argparse.Namespace
) -> None:
    if arguments.json:
        print(render_json(fleet_value(view, clients)))
        return
    for fault in view.faults:
        warn(fault)
    if not view.clients:
        print("no client is enrolled; see `asyncamanda server enroll --help`")
        return
    if clients:
        print_fleet(clients, view.at)
        print()
    print_folded(sum_up(view.clients))


def _show_one(view: FleetView, ledger: "Ledger | None", arguments: argparse.Namespace) -> None:
    """Print a client's page, for each Amanda configuration that it has."""
    own = [each for each in view.clients if each.facts.client == arguments.client]
    if not own:
        raise unknown_client(arguments.client, (each.facts.client for each in view.clients))
    values = []
    for each in own:
        name, client = each.facts.amanda_config, each.facts.client
        dumps = [row.verdict for row in ledger.verdicts.of_host(name, client)] if ledger else []
        proofs = ledger.proofs.list_recent(name, client, SHOWN) if ledger else []
        if arguments.json:
            proved = [proof_value(name, (row.host, row.disk), row) for row in proofs]
            values.append(client_value(each) | {"proofs": proved})
            continue
        for fault in view.faults:
            warn(fault)
        for line in [*introduce_client(each), *describe_chains(_wanted(each, dumps))]:
            print_folded(line)
        rest = describe_proofs(proofs) + describe_sessions(each.facts.sessions)
        for line in [*rest, *describe_runs(dumps), *describe_days(each, view.at)]:
            print_folded(line)
    if arguments.json:
        print(render_json(values))


def _wanted(client: ClientView, dumps: Sequence[DleVerdict]) -> list[DleVerdict]:
    """Return the dumps of the disks that the client has now."""
    disks = {disk.disk for disk in client.facts.disks}
    return [dump for dump in dumps if dump.disk in disks]
