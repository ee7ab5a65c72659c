"""asyncamanda server disk: add a disk of an enrolled client to the disklist, or remove it."""

import argparse
from datetime import date

from asyncamanda.commands.server.clients_known import find_enrolled
from asyncamanda.commands.server.entry import check_disks
from asyncamanda.commands.server.options import add_common, warn
from asyncamanda.config.server import load_server_config
from asyncamanda.errors import Exit
from asyncamanda.report.json import render_json
from asyncamanda.report.text import name_disks
from asyncamanda.server.enrol.disklist import (
    DUMPTYPE,
    Addition,
    Configured,
    check_dumptype,
    describe_dles,
    find_missing,
    read_configured,
)
from asyncamanda.server.enrol.disklist_edits import Removal, find_disk
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.system.clock import now

_DONE = {"add": "added", "remove": "removed"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("what", choices=("add", "remove"), help="what to do")
    parser.add_argument(
        "client",
        metavar="CLIENT",
        help="the client's name as `asyncamanda server clients` lists it",
    )
    parser.add_argument("disks", metavar="DISK", nargs="+", help="the disk, such as /home")
    parser.add_argument(
        "--dumptype",
        metavar="NAME",
        default=DUMPTYPE,
        help="add: the dumptype (default: %(default)s)",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Change the disklist, and say what follows.

    Raises UsageError for an invalid name, BadDataError for a client, a disk or a dumptype that
    there is not, or a disklist that Amanda would refuse, RefusedError if it cannot be written.
    """
    check_disks(arguments.disks)
    _, config = load_server_config(arguments.config)
    entry = find_enrolled(arguments.client, config.user)[0]
    configured = read_configured(entry.amanda_config, config.user)
    if arguments.what == "add":
        changed = _add(configured, entry, arguments)
    else:
        changed = _remove(configured, entry, arguments.disks, now().astimezone().date())
    after = read_configured(entry.amanda_config, config.user)
    for words in describe_dles(after, entry.client, is_direct=entry.is_direct):
        warn(words)
    outcome = _DONE[arguments.what] if changed else "unchanged"
    disks = [dle.disk for dle in after.of_host(entry.client)]
    if arguments.json:
        value = {"outcome": outcome, "client": entry.client, "changed": changed, "disks": disks}
        print(render_json(value))
    else:
        _say(outcome, entry.client, changed, disks)
    return Exit.OK


def _say(outcome: str, client: str, changed: list[str], disks: list[str]) -> None:
    if outcome == "unchanged":
        print("unchanged: the disklist has all of these")
    else:
        print(f"{outcome}: {name_disks(changed)}")
    print(f"disks of {client}: {name_disks(disks) or 'none'}")
    if outcome == "added":
        print("the client learns of it within a day; `asyncamanda doctor` there asks at once")
    if outcome == "removed":
        print("its lines are comments now, with the date; its dumps stay until their volumes are")
        print("reused")


def _add(configured: Configured, entry: Enrolled, arguments: argparse.Namespace) -> list[str]:
    missing, told = find_missing(configured.of_host(entry.client), arguments.disks)
    for words in told:
        warn(words)
    if not missing:
        return []
    check_dumptype(configured, arguments.dumptype)
    Addition(entry.client, missing, arguments.dumptype).make(configured.disklist)
    return list(missing)


def _remove(configured: Configured, entry: Enrolled, disks: list[str], day: date) -> list[str]:
    dles = configured.of_host(entry.client)
    meant = [find_disk(dles, entry.client, disk) for disk in disks]
    Removal(entry.client, set(meant), "removed", day).make(configured.disklist)
    return meant
