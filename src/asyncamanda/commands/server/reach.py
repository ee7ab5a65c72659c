"""asyncamanda server reach: find how far back each client's backups go. The dispatcher calls it.

Whose, and where the ledger is, is on stdin (core/restore/reach_order.py).
"""

import argparse
import resource
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from asyncamanda.config.server import Restore, ServerConfig
from asyncamanda.core.protocol.authority import check_amanda_config_name
from asyncamanda.core.restore.reach_order import ReachOrder, parse_reach_order
from asyncamanda.errors import AsyncamandaError, Exit, UsageError
from asyncamanda.server.background.log import LOG, close_log, open_own_log
from asyncamanda.server.enrol.registry import read_registry, registry_path
from asyncamanda.server.gate import ipc
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.reach_file import FOLDER, DiskReach, ReachFile, ReachFound
from asyncamanda.server.restore.reach import find_reaches
from asyncamanda.system.clock import now
from asyncamanda.system.locks import Held, hold_lock

MEMORY = 1 << 30  # bytes
PATIENCE = timedelta(seconds=60)  # with a ledger that is being written


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def run(arguments: argparse.Namespace) -> Exit:  # noqa: ARG001 - each command has it
    """Write down what is found. Raises UsageError if it is not said whose.

    Where another one does that already it ends at once.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    order = _read_order()
    open_own_log(Path(ipc.STATE, "reach.log"))
    try:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        with suppress(Held), hold_lock(FOLDER / f"{order.amanda_config}.lock", now()):
            ReachFile(order.amanda_config).write(_look(order))
    except (OSError, AsyncamandaError) as error:
        LOG.warning("%s: it is not known how far backups go back: %s", order.amanda_config, error)
    finally:
        close_log()
    return Exit.OK


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


def _read_order() -> ReachOrder:
    try:
        order = parse_reach_order(sys.stdin.read())
        check_amanda_config_name(order.amanda_config)
    except ValueError as error:
        raise UsageError("usage", str(error), "the dispatcher calls this by itself") from error
    return order
