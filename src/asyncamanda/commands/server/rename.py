"""asyncamanda server rename: let an enrolled client have another name; its history stays behind."""

import argparse

from asyncamanda.commands.server.clients_known import find_enrolled
from asyncamanda.commands.server.options import (
    add_common,
    end_sessions,
    load_as_amanda_user,
    open_client_anew,
)
from asyncamanda.commands.server.withdrawing import withdraw_codes
from asyncamanda.config.server import load_server_config
from asyncamanda.core.protocol.authority import check_client_name
from asyncamanda.errors import BadDataError, Exit, RefusedError, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
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
    parser.add_argument(
        "--disks-renamed",
        action="store_true",
        help="the disks of NEW in the disklist are this client's, renamed there already",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Rename the client in the disklist and then in the registry.

    Where only the first was done, --disks-renamed completes it.

    Raises UsageError for an invalid name, BadDataError for a client that is not enrolled, or a
    name that the disklist has, RefusedError for a client that is lost, and what
    DisklistFile.change() and registry.change() raise.
    """
    old, new = arguments.client, arguments.name
    try:
        check_client_name(new)
    except ValueError as error:
        raise UsageError("bad-name", f"NEW: {error}", "such as: larch") from error
    _, config = load_server_config(arguments.config)
    entry = find_enrolled(old, config.user)[0]
    if entry.lost_at:
        raise _refuse_lost(old)
    path = registry_path(config.user)
    check_change(path, lambda text: plan_rename(text, old, new))
    configured = read_configured(entry.amanda_config, config.user)
    check_name_free(configured, old, new, are_renamed=arguments.disks_renamed)
    disks = rename_disks(configured, old, new)
    load_as_amanda_user(arguments)
    withdraw_codes(path, old)
    open_client_anew(config, new, is_settling=False)  # of a client that had that name before
    change(path, lambda text: plan_rename(text, old, new))
    end_sessions(old)
    if arguments.json:
        value = {"outcome": "renamed", "client": new, "was": old, "disks": disks}
        print(render_json(value))
        return Exit.OK
    say_renamed(old, new, entry.amanda_config, disks)
    return Exit.OK


def _refuse_lost(old: str) -> RefusedError:
    return RefusedError(
        "lost",
        f"{old} is lost, and what is kept for its replacement is kept under that name",
        f"rename the replacement, once it is there; or first: asyncamanda server found {old}",
    )


def say_renamed(old: str, new: str, amanda_config: str, disks: list[str]) -> None:
    """Print what a new name means for a client's `disks` and for what was backed up before."""
    print_folded(f"{old} is {new} now, by the same key; its disks: {name_disks(disks) or 'none'}")
    print("  nothing has to be changed on the client; each disk starts with a full dump")
    print_folded(f"  what was backed up before stays under {old}, and {new} itself cannot see it:")
    print(f"  asyncamanda server list {old} --amanda-config {amanda_config}")


def rename_disks(configured: Configured, old: str, new: str) -> list[str]:
    """Rename the client in the disklist, if that is not done; return its disks.

    Raises what DisklistFile.change() raises.
    """
    dles = configured.of_host(old)
    if not dles:
        return [dle.disk for dle in configured.of_host(new)]
    Renaming(old, new).make(configured.disklist)
    return [dle.disk for dle in dles]


def check_name_free(
    configured: Configured, old: str, new: str, *, are_renamed: bool = False
) -> None:
    """Raise BadDataError if the disklist has disks of the new name: they are another host's.

    With `are_renamed` they are the client's own, if it has none of the old name.
    """
    hosts = {dle.host for dle in configured.dles}
    others = sorted(hosts - {old})
    taken = next((host for host in others if host.lower() == new.lower()), None)
    may_be_own = old not in hosts and taken == new
    if taken is None or (may_be_own and are_renamed):
        return
    name = configured.disklist.amanda_config
    hint = (
        f"choose another name; or first: asyncamanda server retire {taken} --amanda-config {name}"
    )
    if may_be_own:
        hint = (
            "choose another name; if they are its own, for the disklist was changed already: "
            f"asyncamanda server rename {old} {new} --disks-renamed"
        )
    raise BadDataError("name-in-use", f"the disklist has disks of {taken} already", hint)
