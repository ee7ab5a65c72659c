"""What `server disk add` and `server disk remove` have in common."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from asyncamanda.commands.server.clients_known import find_enrolled
from asyncamanda.commands.server.entry import check_disks
from asyncamanda.commands.server.options import add_client, add_common, warn
from asyncamanda.config.server import load_server_config
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.text import name_disks
from asyncamanda.server.enrol.disklist import Configured, describe_dles, read_configured
from asyncamanda.server.enrol.enrolled import Enrolled


@dataclass(frozen=True, slots=True)
class ClientDisks:
    """An enrolled client, what its Amanda configuration says of disks, and the Amanda user."""

    entry: Enrolled
    configured: Configured
    user: str

    def report(self, outcome: str, changed: Sequence[str], *, as_json: bool) -> None:
        """Print what was done, the disks that there are now, and what keeps them from a backup."""
        after = read_configured(self.entry.amanda_config, self.user)
        client = self.entry.client
        for words in describe_dles(after, client, is_direct=self.entry.is_direct):
            warn(words)
        disks = [dle.disk for dle in after.of_host(client)]
        outcome = outcome if changed else "unchanged"
        if as_json:
            value = {"outcome": outcome, "client": client, "changed": list(changed)}
            print(render_json({**value, "disks": disks}))
            return
        if changed:
            print_folded(f"{outcome}: {name_disks(changed)}")
        else:
            print("unchanged: the disklist has all of these")
        print_folded(f"disks of {client}: {name_disks(disks) or 'none'}")


def add_disk_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the client, its disks, and the options that each command has."""
    add_client(parser)
    parser.add_argument("disks", metavar="DISK", nargs="+", help="the disk, such as /home")
    add_common(parser)


def find_disks(arguments: argparse.Namespace) -> ClientDisks:
    """Return the client that the arguments name, and its disks.

    Raises UsageError for an invalid name, BadDataError for a client that there is not or a
    configuration that Amanda does not accept.
    """
    check_disks(arguments.disks)
    _, config = load_server_config(arguments.config)
    entry = find_enrolled(arguments.client, config.user)[0]
    return ClientDisks(entry, read_configured(entry.amanda_config, config.user), config.user)
