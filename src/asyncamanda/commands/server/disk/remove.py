"""asyncamanda server disk remove: turn the lines of a client's disks into comments."""

import argparse

from asyncamanda.commands.server.client_disks import add_disk_arguments, find_disks
from asyncamanda.errors import Exit
from asyncamanda.report.page import print_folded
from asyncamanda.server.enrol.disklist_edits import DiskRemoval, find_disk
from asyncamanda.system.clock import now


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_disk_arguments(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Turn the lines into comments, and say what follows.

    Raises what find_disks() raises, BadDataError for a disk that there is not, RefusedError if the
    disklist cannot be written.
    """
    disks = find_disks(arguments)
    client = disks.entry.client
    dles = disks.configured.of_host(client)
    meant = [find_disk(dles, client, disk) for disk in arguments.disks]
    DiskRemoval(client, set(meant), "removed", now().astimezone().date()).make(
        disks.configured.disklist
    )
    disks.report("removed", meant, as_json=arguments.json)
    if not arguments.json:
        print_folded(
            "its lines are comments now, with the date; its dumps stay until their volumes are "
            "reused"
        )
    return Exit.OK
