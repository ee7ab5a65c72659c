"""asyncamanda server disk modernise: let amgtar back up disks that GNUTAR does."""

import argparse
from collections.abc import Sequence

from asyncamanda.commands.asking import is_agreed
from asyncamanda.commands.server.clients_known import find_amanda_config
from asyncamanda.commands.server.entry import check_disks
from asyncamanda.commands.server.options import add_common, warn
from asyncamanda.config.server import load_server_config
from asyncamanda.core.amanda.disklist import GNUTAR, Dle
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import BadDataError, Exit
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.server.enrol.disklist import Configured, read_configured
from asyncamanda.server.enrol.modernising import move_to_amgtar

_UNASKED = "--yes changes it without asking, --dry-run only shows what would be changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("client", metavar="CLIENT", help="the client's name in the disklist")
    parser.add_argument(
        "disks", metavar="DISK", nargs="*", help="its disks (default: all that GNUTAR backs up)"
    )
    parser.add_argument(
        "--amanda-config",
        metavar="NAME",
        help="the Amanda configuration to use (default: the one that the client is enrolled for)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be changed")
    parser.add_argument("--yes", action="store_true", help="change it without asking")
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Change the disklist's entries of these disks, and let their next dumps be full ones.

    Raises BadDataError for a disk that the disklist does not have, and what check_disks(),
    find_amanda_config(), read_configured() and move_to_amgtar() raise.
    """
    check_disks(arguments.disks)
    _, config = load_server_config(arguments.config)
    name = find_amanda_config(arguments.client, arguments.amanda_config, config.user)
    configured = read_configured(name, config.user)
    dles = _choose(configured, arguments.client, arguments.disks)
    meant = [dle for dle in dles if dle.program == GNUTAR]
    outcome = "unchanged"
    if meant:
        if not arguments.json:
            _announce(name, meant)
        if arguments.dry_run:
            outcome = "shown"
        elif arguments.yes or is_agreed("change it?", _UNASKED):
            for fault in move_to_amgtar(configured.disklist, meant):
                warn(fault)
            outcome = "changed"
    disks = [dle.disk for dle in meant]
    if arguments.json:
        value = {"outcome": outcome, "client": arguments.client, "amanda_config": name}
        print(render_json({**value, "disks": disks}))
    elif not meant:
        print_folded(
            f"nothing to change: GNUTAR backs up no such disk of {printable(arguments.client)}"
        )
    elif outcome == "changed":
        print_folded(
            f"changed: {configured.disklist.path}; the next dump of each of these disks is full"
        )
    else:
        print("nothing was changed")
    return Exit.OK


def _choose(configured: Configured, client: str, disks: Sequence[str]) -> list[Dle]:
    """Return the client's DLEs that are meant."""
    own = {dle.disk: dle for dle in configured.of_host(client)}
    unknown = next((f"disk {printable(disk)}" for disk in disks if disk not in own), "")
    if unknown or not own:
        raise BadDataError(
            "no-such-disk",
            f"the disklist has no {unknown or 'disk'} of {printable(client)}",
            f"it has {', '.join(map(printable, own)) or 'none'}; `asyncamanda server clients` "
            "lists the clients",
        )
    return [own[disk] for disk in dict.fromkeys(disks)] if disks else list(own.values())


def _announce(name: str, dles: Sequence[Dle]) -> None:
    print_folded(
        f"These disks in the disklist of {name} will be backed up by amgtar instead of GNUTAR:"
    )
    for dle in dles:
        print_folded(f"  {printable(dle.host)} {printable(dle.disk)}")
    print_folded(
        "The next dump of each is a full one: all of it crosses the client's line once. Then "
        "another device number of the file system (btrfs, LVM, LUKS) no longer makes a full of an "
        "incremental dump, and extended attributes and access lists are kept."
    )
