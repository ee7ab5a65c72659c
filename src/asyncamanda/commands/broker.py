"""asyncamanda broker: answer one user of this machine, who is connected at stdin; for systemd."""

import argparse
import contextlib
import os
from functools import partial

from asyncamanda.client.restore.broker import serve
from asyncamanda.client.restore.voice import adopt_stdin
from asyncamanda.client.restore.way import open_gate
from asyncamanda.client.start.settings import plan_configured
from asyncamanda.errors import Exit, UsageError
from asyncamanda.system.interrupts import catch_stop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", metavar="FILE", help="the client's configuration")


def run(arguments: argparse.Namespace) -> Exit:
    """Answer, as the Amanda user. Raises UsageError where nobody is connected.

    Where dumps are encrypted root starts this, and only what has the key remains root's.

    What else is wrong only the user is told.
    """
    try:
        stdin = adopt_stdin()
    except OSError as error:
        raise UsageError(
            "usage",
            "this is started by systemd, for a user who wants files back",
            "`asyncamanda restore` asks it",
        ) from error
    with stdin as connection, catch_stop() as stop:
        named: str | None = arguments.config
        with contextlib.ExitStack() as stack:
            reach = partial(open_gate, named, stop)
            if os.geteuid() == 0:  # which it is no longer when there is a request
                opened = stack.enter_context(reach())
                reach = partial(contextlib.nullcontext, opened)
            serve(connection, lambda: plan_configured(named).state, reach, stop)
    return Exit.OK
