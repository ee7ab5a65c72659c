"""asyncamanda server list: what can be restored of a client's backups, for the administrator."""

import argparse

from asyncamanda.commands import list as list_command
from asyncamanda.commands.server.back import (
    adapt_here,
    add_client,
    find_names,
    naming_here,
    plan_way,
)
from asyncamanda.commands.server.options import add_common
from asyncamanda.errors import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_client(parser)
    list_command.add_listing(parser)
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print what there is. Raises what plan_way() and the client's `list` raise."""
    way = plan_way(arguments)
    get_images = adapt_here(arguments, "the whole images: asyncamanda restore --raw {} --to DIR/")
    with naming_here(arguments):
        return list_command.run_over(arguments, way.open, find_names, get_images)
