"""asyncamanda server daily: export this server. The dispatcher calls it, nobody else.

What to do is on stdin (core/export/daily.py). It may wait for an hour before it begins.
"""

import argparse
from contextlib import suppress
from pathlib import Path

from asyncamanda.commands.server.polite_work import read_order
from asyncamanda.core.export.daily import parse_export_order
from asyncamanda.errors import AsyncamandaError, Exit
from asyncamanda.server.background.log import LOG, close_log, open_own_log
from asyncamanda.server.export.daily import export_when_due
from asyncamanda.server.gate import ipc
from asyncamanda.system.clock import now
from asyncamanda.system.locks import Held, hold_lock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def run(arguments: argparse.Namespace) -> Exit:  # noqa: ARG001 - each command has it
    """Export if that is due. Raises UsageError if it is not said to where.

    Where another one waits to do that already it ends at once.
    """
    order = read_order(parse_export_order)
    open_own_log(Path(ipc.STATE, "export.log"))
    try:
        with suppress(Held), hold_lock(Path(ipc.STATE, "daily.lock"), now()):
            export_when_due(order)
    except (OSError, AsyncamandaError) as error:
        LOG.warning("this server was not exported: %s", error)
    finally:
        close_log()
    return Exit.OK
