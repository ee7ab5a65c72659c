"""asyncamanda server drills: make the drills that are due. The dispatcher calls it, nobody else.

Whose disks, and how often, is on stdin (core/restore/drill_order.py).
"""

import argparse
import os
from datetime import timedelta
from functools import partial

from asyncamanda.commands.server.polite_work import do_alone, read_order
from asyncamanda.core.dispatch.drills import DRILLS, DrillPolicy, plan_drills
from asyncamanda.core.dispatch.records import ProofKind
from asyncamanda.core.restore.drill_order import DrillOrder, parse_drill_order
from asyncamanda.errors import Exit
from asyncamanda.server.enrol.registry import read_registry, registry_path
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.restore.drills import FOLDER, Drills
from asyncamanda.server.restore.source import Source, read_stock
from asyncamanda.system.clock import now

PATIENCE = timedelta(seconds=60)  # with a ledger that is being written
LOG_FILE = "drill.log"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def run(arguments: argparse.Namespace) -> Exit:  # noqa: ARG001 - each command has it
    """Prove the disks whose turn it is. Raises UsageError if it is not said whose.

    Where another one does that already it ends at once.
    """
    order = read_order(parse_drill_order)
    name = order.amanda_config
    fault = "the drills that are due are not made"
    return do_alone(LOG_FILE, FOLDER, name, fault, partial(_drill, order))


def _drill(order: DrillOrder) -> None:
    name, began_at = order.amanda_config, now()
    policy = DrillPolicy(
        every=timedelta(seconds=order.every), full_every=timedelta(seconds=order.full_every)
    )
    ledger = Ledger.open(order.ledger, PATIENCE, is_owner=False)
    try:
        entries = read_registry(registry_path(order.user))
        hosts = {entry.client for entry in entries if entry.amanda_config == name}
        stock = read_stock(name)
        dumped = {host: _list_dumped(ledger, name, host) for host in hosts}
        dles = [
            (host, dle.disk)
            for host in sorted(hosts)
            for dle in stock.dles.get(host, ())
            if not dle.is_parked and dle.disk in dumped[host]
        ]
        drills, wholes = (
            {dle: last.newest for dle, last in ledger.proofs.of_dles(name, kinds=kinds).items()}
            for kinds in (DRILLS, (ProofKind.FULL_DRILL,))
        )
        due = plan_drills(dles, drills, wholes, policy, began_at)

        def read_source(host: str) -> Source:
            return stock.find_source(ledger, host, order.allow_list)

        count = Drills(ledger, name, read_source, order.sample).drill_due(due)
        if count or (dles and not (due.order and due.most)):  # else soon there is something to do
            looked, at = FOLDER / f"{name}.looked", began_at.timestamp()
            looked.touch(mode=0o600)
            os.utime(looked, (at, at))  # however long it took
    finally:
        ledger.close()


def _list_dumped(ledger: Ledger, name: str, host: str) -> set[str]:
    """Return the disks of a host that the server had a dump of at any time."""
    dumps = [dump.verdict for dump in ledger.verdicts.of_host(name, host)]
    return {verdict.disk for verdict in dumps if verdict.state.is_confirmed}
