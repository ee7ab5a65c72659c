"""asyncamanda server refresh: update what shows the fleet. The dispatcher calls it, nobody else.

Where another one is at it this one ends at once: what has changed meanwhile starts the next.
"""

import argparse
from contextlib import closing, suppress
from pathlib import Path

from asyncamanda.commands.server.options import (
    add_config,
    load_as_amanda_user,
    open_ledger_to_read,
)
from asyncamanda.errors import AsyncamandaError, Exit
from asyncamanda.server.background.log import LOG, close_log, open_own_log
from asyncamanda.server.gate import ipc
from asyncamanda.system.clock import now
from asyncamanda.system.locks import Held


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Do all that server.toml asks for; what failed is in refresh.log.

    Raises ConfigurationError for every mistake in server.toml.
    """
    config = load_as_amanda_user(arguments)
    open_own_log(Path(ipc.STATE, "refresh.log"))
    try:
        if (ledger := open_ledger_to_read(config)) is not None:
            from asyncamanda.server.fleet.refreshing import refresh  # noqa: PLC0415 - loads much

            with closing(ledger), suppress(Held):
                for fault in refresh(config, ledger, now()):
                    LOG.warning("%s", fault)
    except (OSError, AsyncamandaError) as error:
        LOG.warning("the fleet was not looked at: %s", error)
    finally:
        close_log()
    return Exit.OK
