"""asyncamanda server reach: find how far back each client's backups go. The dispatcher calls it.

Whose, and where the ledger is, is on stdin (core/restore/reach_order.py).
"""

import argparse
from datetime import timedelta

from asyncamanda.commands.server.polite_work import do_alone, read_order
from asyncamanda.config.server import Restore, ServerConfig
from asyncamanda.core.restore.reach_order import ReachOrder, parse_reach_order
from asyncamanda.errors import AsyncamandaError, Exit
from asyncamanda.server.background.log import LOG
from asyncamanda.server.enrol.registry import read_registry, registry_path
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.reach_file import FOLDER, DiskReach, ReachFile, ReachFound
from asyncamanda.server.restore.reach import find_reaches
from asyncamanda.system.clock import now

PATIENCE = timedelta(seconds=60)  # with a ledger that is being written


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def run(arguments: argparse.Namespace) -> Exit:  # noqa: ARG001 - each command has it
    """Write down what is found. Raises UsageError if it is not said whose.

    Where another one does that already it ends at once.
    """
    order = read_order(parse_reach_order)
    name = order.amanda_config
    fault = "it is not known how far backups go back"
    write = ReachFile(name).write
    return do_alone("reach.log", FOLDER, name, fault, lambda: write(_look(order)))


def _look(order: ReachOrder) -> ReachFound:
    """Return how far back each client of the configuration goes; one that cannot be is left out."""
    looked_at, name = now(), order.amanda_config
    config = ServerConfig(ledger=order.ledger, restore=Restore(filters=order.allow_list))
    clients = {}
    ledger = Ledger.open(order.ledger, PATIENCE, is_owner=False)
    try:
        entries = read_registry(registry_path(order.user))
        names = [entry.client for entry in entries if entry.amanda_config == name]
        for client, reach in find_reaches(config, ledger, name, names).items():
            if isinstance(reach, AsyncamandaError):
                LOG.warning("%s: %s: %s", name, client, reach.message)
                continue
            clients[client] = {
                disk: DiskReach(since, reach.seen_until[disk])
                for disk, since in reach.disks.items()
            }
    finally:
        ledger.close()
    return ReachFound(looked_at, clients)
