"""asyncamanda server disk add: add disks of an enrolled client to the disklist."""

import argparse

from asyncamanda.commands.server.client_disks import add_disk_arguments, find_disks
from asyncamanda.commands.server.options import warn
from asyncamanda.errors import Exit
from asyncamanda.server.enrol.disklist import (
    DUMPTYPE,
    Addition,
    check_dumptype,
    check_new_disks,
    choose_dumptype,
    describe_kept,
    find_missing,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_disk_arguments(parser)
    parser.add_argument(
        "--dumptype",
        metavar="NAME",
        help=f"its dumptype (default: {DUMPTYPE}, or what encrypts its other disks)",
    )


def run(arguments: argparse.Namespace) -> Exit:
    """Add the lines, and say what follows.

    Raises what find_disks() and check_new_disks() raise, BadDataError for a dumptype that there is
    not or a disklist that Amanda would refuse, RefusedError if it cannot be written.
    """
    disks = find_disks(arguments)
    missing, told = find_missing(disks.configured.of_host(disks.entry.client), arguments.disks)
    added = {*missing, *(f"{disk}/" for disk in missing)}
    if arguments.dumptype and (kept := [disk for disk in arguments.disks if disk not in added]):
        told = (*told, describe_kept(disks.entry.client, kept, arguments.dumptype))
    for words in told:
        warn(words)
    if missing:
        dles = disks.configured.of_host(disks.entry.client)
        dumptype = arguments.dumptype or choose_dumptype(dles)
        check_new_disks(missing)
        check_dumptype(disks.configured, dumptype)
        Addition(disks.entry.client, missing, dumptype).make(disks.configured.disklist)
    disks.report("added", missing, as_json=arguments.json)
    if missing and not arguments.json:
        print("the client learns of it within a day; `asyncamanda doctor` there asks at once")
    return Exit.OK
