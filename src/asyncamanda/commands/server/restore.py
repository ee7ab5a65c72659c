"""asyncamanda server restore: files of a client's backups into a folder of this server."""

import argparse

from asyncamanda.commands import restore as restore_command
from asyncamanda.commands.all_disks import add_all
from asyncamanda.commands.dates import add_date
from asyncamanda.commands.images import add_images
from asyncamanda.commands.server.back import add_client, find_names, naming_here, plan_way
from asyncamanda.commands.server.options import add_common
from asyncamanda.errors import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_client(parser)
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="a file or folder, by its whole path on the client"
    )
    add_date(parser)
    parser.add_argument("--to", metavar="DIR", required=True, help="the new folder for it")
    add_all(parser)
    add_images(parser)
    parser.add_argument("--dry-run", action="store_true", help="only show what would come back")
    parser.add_argument(
        "--resume", action="store_true", help="go on with a restore that was cut or stopped"
    )
    add_common(parser)
    parser.set_defaults(in_place=False, overwrite=None)


def run(arguments: argparse.Namespace) -> Exit:
    """Bring files back, and say what was done.

    Raises what plan_way() and the client's `restore` raise.
    """
    way = plan_way(arguments)
    with naming_here(arguments):
        return restore_command.run_over(arguments, way.open, find_names)
