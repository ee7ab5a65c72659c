"""asyncamanda server keep: keep the heads of dumps. The dispatcher calls it, nobody else.

What to do is on stdin (core/restore/keep_order.py). It gets on, whatever it reads: what takes too
long, or too much memory, is left.
"""

import argparse
import resource
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from asyncamanda.core.protocol.authority import check_amanda_config_name
from asyncamanda.core.restore.keep_order import KeepOrder, parse_order
from asyncamanda.errors import Exit, UsageError
from asyncamanda.server.background.log import LOG, close_log, open_own_log
from asyncamanda.server.gate import ipc
from asyncamanda.server.restore.heads import HEADS, HeadStore
from asyncamanda.server.restore.keep import Keeper, bound_reading
from asyncamanda.system.clock import now
from asyncamanda.system.locks import Held, hold_lock
from asyncamanda.system.programs import run_program

WITHIN = 6 * 3600  # seconds, for one dump: it is not read again where that does not do
MEMORY = 1 << 30  # bytes
FIND_WITHIN = 600.0  # seconds: it reads the logs of all runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def run(arguments: argparse.Namespace) -> Exit:  # noqa: ARG001 - each command has it
    """Keep what is new, and remove what is old. Raises UsageError if that is not said.

    Where another one does that already it ends at once.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    order = _read_order()
    open_own_log(Path(ipc.STATE, "keep.log"))
    try:
        HEADS.mkdir(mode=0o700, exist_ok=True)
        with suppress(Held), hold_lock(HEADS / f"{order.amanda_config}.lock", now()):
            _keep(order)
    except OSError as error:
        LOG.warning("%s: heads are not kept: %s", order.amanda_config, error)
    finally:
        close_log()
    return Exit.OK


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
    if found is None:
        LOG.warning("%s: old heads are kept on: %s", name, answer.first_line)
    else:
        keeper.remove_old(found)
    keeper.keep_new()
    if found is not None:
        keeper.remove_old(found)


def _read_order() -> KeepOrder:
    try:
        order = parse_order(sys.stdin.read())
        check_amanda_config_name(order.amanda_config)
    except ValueError as error:
        raise UsageError("usage", str(error), "the dispatcher calls this by itself") from error
    return order
