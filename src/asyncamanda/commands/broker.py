"""asyncamanda broker: answer one user of this machine, who is connected at stdin; for systemd."""

import argparse

from asyncamanda.client.restore.broker import serve
from asyncamanda.client.restore.line import open_own_line
from asyncamanda.client.restore.voice import adopt_stdin
from asyncamanda.client.start.settings import plan_configured
from asyncamanda.errors import Exit, UsageError
from asyncamanda.system.interrupts import catch_stop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", metavar="FILE", help="the client's configuration")


def run(arguments: argparse.Namespace) -> Exit:
    """Answer, as the Amanda user. Raises UsageError where nobody is connected.

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
        serve(
            connection,
            lambda: plan_configured(named).state,
            lambda: open_own_line(named, stop),
            stop,
        )
    return Exit.OK
