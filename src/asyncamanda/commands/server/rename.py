"""asyncamanda server rename: let an enrolled client have another name; its history stays behind."""

import argparse

from asyncamanda.commands.server.clients_known import find_enrolled
from asyncamanda.commands.server.options import (
    add_common,
    end_sessions,
    load_as_amanda_user,
    open_client_anew,
)
from asyncamanda.config.server import load_server_config
from asyncamanda.core.protocol.authority import check_client_name
from asyncamanda.errors import BadDataError, Exit, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.text import name_disks
from asyncamanda.server.enrol.disklist import Configured, read_configured
from asyncamanda.server.enrol.disklist_edits import Renaming
from asyncamanda.server.enrol.enrolled import plan_rename
from asyncamanda.server.enrol.registry import change, check_change, registry_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "client", metavar="OLD", help="the name as `asyncamanda server clients` lists it"
    )
    parser.add_argument("name", metavar="NEW", help="the new name, also in the disklist")
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Rename the client in the disklist and then in the registry; the same again completes it.

    Raises UsageError for an invalid name, BadDataError for a client that is not enrolled, or a
    name that the disklist has, and what DisklistFile.change() and registry.change() raise.
    """
    old, new = arguments.client, arguments.name
    try:
        check_client_name(new)
    except ValueError as error:
        raise UsageError("bad-name", f"NEW: {error}", "such as: larch") from error
    _, config = load_server_config(arguments.config)
    entry = find_enrolled(old, config.user)[0]
    path = registry_path(config.user)
    check_change(path, lambda text: plan_rename(text, old, new))
    configured = read_configured(entry.amanda_config, config.user)
    disks = rename_disks(configured, old, new)
    load_as_amanda_user(arguments)
    open_client_anew(config, new, is_settling=False)  # of a client that had that name before
    change(path, lambda text: plan_rename(text, old, new))
    end_sessions(old)
    if arguments.json:
        value = {"outcome": "renamed", "client": new, "was": old, "disks": disks}
        print(render_json(value))
        return Exit.OK
    say_renamed(old, new, entry.amanda_config, disks)
    return Exit.OK


def say_renamed(old: str, new: str, amanda_config: str, disks: list[str]) -> None:
    """Print what a new name means for a client's `disks` and for what was backed up before."""
    print(f"{old} is {new} now, by the same key; its disks: {name_disks(disks) or 'none'}")
    print("  nothing has to be changed on the client; each disk starts with a full dump")
    print(f"  what was backed up before stays under {old}, and {new} itself cannot see it:")
    print(f"  asyncamanda server list {old} --amanda-config {amanda_config}")


def rename_disks(configured: Configured, old: str, new: str) -> list[str]:
    """Rename the client in the disklist, if that is not done; return its disks.

    Raises BadDataError for a name that the disklist has, and what DisklistFile.change() raises.
    """
    check_name_free(configured, old, new)
    dles = configured.of_host(old)
    if not dles:
        return [dle.disk for dle in configured.of_host(new)]
    Renaming(old, new).make(configured.disklist)
    return [dle.disk for dle in dles]


def check_name_free(configured: Configured, old: str, new: str) -> None:
    """Raise BadDataError if the disklist has disks of the new name beside those of the old one."""
    hosts = {dle.host for dle in configured.dles}
    others = sorted(hosts - {old})
    taken = next((host for host in others if host.lower() == new.lower()), None)
    if old in hosts and taken is not None:
        raise BadDataError(
            "name-in-use",
            f"the disklist has disks of {taken} already",
            f"choose another name; or first: asyncamanda server retire {taken} --amanda-config "
            f"{configured.disklist.amanda_config}",
        )
