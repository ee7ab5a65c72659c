"""asyncamanda server keep: keep the heads of dumps. The dispatcher calls it, nobody else.

What to do is on stdin (core/restore/keep_order.py). It gets on, whatever it reads: what takes too
long, or too much memory, is left.
"""

import argparse
from functools import partial

from asyncamanda.commands.server.polite_work import do_alone, read_order
from asyncamanda.core.restore.keep_order import KeepOrder, parse_order
from asyncamanda.errors import AsyncamandaError, Exit
from asyncamanda.server.amanda.commands import read_settings_now
from asyncamanda.server.background.log import LOG
from asyncamanda.server.restore.aside import list_aside
from asyncamanda.server.restore.dump_files import WantedDump
from asyncamanda.server.restore.heads import HEADS, HeadStore
from asyncamanda.server.restore.keep import Keeper, bound_reading
from asyncamanda.system.programs import run_program

WITHIN = 6 * 3600  # seconds, for one dump: it is not read again where that does not do
FIND_WITHIN = 600.0  # seconds: it reads the logs of all runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def run(arguments: argparse.Namespace) -> Exit:  # noqa: ARG001 - each command has it
    """Keep what is new, and remove what is old. Raises UsageError if that is not said.

    Where another one does that already it ends at once.
    """
    order = read_order(parse_order)
    name = order.amanda_config
    return do_alone("keep.log", HEADS, name, "heads are not kept", partial(_keep, order))


def _keep(order: KeepOrder) -> None:
    name = order.amanda_config
    keeper = Keeper(
        order,
        HeadStore(name),
        lambda words: LOG.warning("%s: %s", name, words),
        partial(bound_reading, WITHIN),
    )
    answer = run_program(["amadmin", name, "find"], FIND_WITHIN, encoding="utf-8")
    found = answer.stdout if answer.status == 0 else None
    aside: list[WantedDump] = []
    try:
        aside = [*list_aside(read_settings_now(name))]
    except AsyncamandaError as error:
        LOG.warning("%s: %s", name, error.message)
        found = None
    if found is None:
        LOG.warning("%s: old heads are kept on: %s", name, answer.first_line)
    else:
        keeper.remove_old(found, aside)
    keeper.keep_new()
    if found is not None:
        keeper.remove_old(found, aside)
