"""asyncamanda server refresh: update what shows the fleet. The dispatcher calls it, nobody else.

Where another one is at it this one ends at once, and says so to the dispatcher, which starts the
next one: the other may have looked before something changed.
"""

import argparse
from contextlib import closing
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

    Returns LATER if another process is at it, or the fleet could not be looked at. Raises
    ConfigurationError for every mistake in server.toml.
    """
    config = load_as_amanda_user(arguments)
    open_own_log(Path(ipc.STATE, "refresh.log"))
    try:
        if (ledger := open_ledger_to_read(config)) is not None:
            from asyncamanda.server.fleet.refreshing import refresh  # noqa: PLC0415 - loads much

            with closing(ledger):
                for fault in refresh(config, ledger, now()):
                    LOG.warning("%s", fault)
    except Held:
        return Exit.LATER
    except (OSError, AsyncamandaError) as error:
        LOG.warning("the fleet was not looked at: %s", error)
        return Exit.LATER
    finally:
        close_log()
    return Exit.OK
