"""asyncamanda recovery-sheet: show again what opens this machine's encrypted dumps."""

import argparse
import os
import socket

from asyncamanda.client.setup import clienttoml
from asyncamanda.client.start import sealing
from asyncamanda.commands.asking import check_can_ask
from asyncamanda.commands.printing import see_to
from asyncamanda.commands.sealed.making import add_sheet, check_sheet_file, hand_over, make_sheet
from asyncamanda.errors import ConfigurationError, Exit, RefusedError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_sheet(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Show the sheet, and ask for some of it again.

    Raises RefusedError to everybody but root, ConfigurationError where nothing is encrypted, and
    what hand_over() raises.
    """
    if os.geteuid() != 0:
        raise RefusedError("not-root", "the key is root's alone", "run it as root")
    key, settings = sealing.read_key(), clienttoml.read_present()
    if key is None or settings is None:
        raise ConfigurationError(
            "not-encrypted",
            "this machine does not encrypt its dumps",
            "asyncamanda setup SERVER --encrypt makes it do so",
        )
    if arguments.recovery_sheet:
        check_sheet_file(arguments.recovery_sheet)
    else:
        check_can_ask("name a file for it: --recovery-sheet FILE")
    name = settings.name or socket.gethostname()
    hand_over(make_sheet(name, str(settings.server), key), arguments.recovery_sheet)
    see_to(sealing.plan_confirmed(key))
    return Exit.OK
