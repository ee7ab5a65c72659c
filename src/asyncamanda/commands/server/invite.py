"""asyncamanda server invite: make a code by which a new client enrolls itself."""

import argparse
from collections.abc import Callable, Iterable

from asyncamanda.commands.server.entry import check_disks
from asyncamanda.commands.server.invite_words import (
    add_terms,
    invitation_value,
    read_span,
    say_invitations,
    say_invited,
)
from asyncamanda.commands.server.options import add_common, load_as_amanda_user, warn
from asyncamanda.commands.server.preparing import set_up_server
from asyncamanda.config.server import ServerConfig, load_server_config
from asyncamanda.core.amanda.sealing import SEALED_DUMPTYPE
from asyncamanda.core.protocol.authority import check_amanda_config_name, check_client_name
from asyncamanda.errors import BadDataError, Exit, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.server.enrol.address import find_address
from asyncamanda.server.enrol.amanda_configs import choose_amanda_config
from asyncamanda.server.enrol.disklist import (
    DUMPTYPE,
    check_dumptype,
    check_new_disks,
    find_missing,
    read_configured,
)
from asyncamanda.server.enrol.disklist_file import check_users_own
from asyncamanda.server.enrol.invitation import MOST_USES, Invitation, check_names
from asyncamanda.server.enrol.invitations import invite, read_invitations, withdraw
from asyncamanda.server.enrol.registry import registry_path
from asyncamanda.server.enrol.setup import check_shell
from asyncamanda.server.enrol.sshd import ask_sshd, describe_hindrances
from asyncamanda.system.clock import now as read_clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("client", metavar="CLIENT", nargs="?", help="the new client's host name in the disklist")
    add("--names", metavar="PATTERN", help="for all new names that fit, such as 'lab-*'")
    add("--count", metavar="N", type=int, help="with --names: how many may join by the code")
    add(
        "--disk",
        metavar="DISK",
        action="append",
        default=[],
        help="what each of them has backed up; may be repeated (default: what its setup names)",
    )
    add(
        "--dumptype",
        metavar="NAME",
        help=f"dumptype for its disks (default: {DUMPTYPE}, or of a machine that encrypts "
        f"{SEALED_DUMPTYPE})",
    )
    add(
        "--amanda-config",
        metavar="NAME",
        help="the Amanda configuration to use (default: the only one)",
    )
    add_terms(parser)
    add("--setup", action="store_true", help="first do what `server setup --yes` does")
    add("--list", action="store_true", help="list invitations, and who joined by them")
    add("--withdraw", metavar="ID", help="withdraw an invitation, by its name or its client's")
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Make an invitation, or list them, or withdraw one.

    Raises UsageError for what does not fit together, BadDataError for an Amanda configuration, a
    dumptype or an invitation that there is not, and RefusedError for a client that is enrolled.
    """
    is_made = arguments.client is not None or arguments.names is not None
    if is_made + arguments.list + (arguments.withdraw is not None) != 1:
        raise UsageError(
            "usage",
            "one of these is needed: CLIENT, --names, --list, --withdraw",
            "asyncamanda server invite --help lists the options",
        )
    if arguments.list:
        config = load_as_amanda_user(arguments)
        found = read_invitations(registry_path(config.user))
        say_invitations(found, is_json=arguments.json)
    elif arguments.withdraw is not None:
        _withdraw(arguments)
    else:
        _invite(arguments)
    return Exit.OK


def _withdraw(arguments: argparse.Namespace) -> None:
    config = load_as_amanda_user(arguments)
    found = withdraw(registry_path(config.user), arguments.withdraw)
    if not found:
        raise BadDataError(
            "no-such-invitation",
            "there is no open invitation of this name",
            "asyncamanda server invite --list shows them",
        )
    if arguments.json:
        print(render_json([invitation_value(one) for one in found]))
        return
    for one in found:
        print_folded(f"withdrawn: {one.invitation}, for {one.names}")


def _invite(arguments: argparse.Namespace) -> None:
    wanted = _read_wanted(arguments)
    _, config = load_server_config(arguments.config)
    if arguments.setup:
        for what in set_up_server(config, is_default=not arguments.config):
            warn(f"changed: {what}")
    check_shell(config.user)
    _check_disks(wanted, config)
    for words in describe_hindrances(ask_sshd(config.user)):
        warn(words)
    address = find_address(config.user, arguments.server)
    load_as_amanda_user(arguments)
    invited = invite(registry_path(config.user), wanted, address)
    say_invited(invited, is_json=arguments.json)


def _read_wanted(arguments: argparse.Namespace) -> Invitation:
    """Return the invitation that is wanted, without its own name."""
    names, count = _read_names(arguments.client, arguments.names, arguments.count)
    check_disks(arguments.disk)
    check_new_disks(arguments.disk)
    if arguments.amanda_config is not None:
        _check("--amanda-config", arguments.amanda_config, check_amanda_config_name)
    now = read_clock()
    return Invitation(
        invitation="",
        names=names,
        amanda_config=choose_amanda_config(arguments.amanda_config, "--amanda-config NAME"),
        made_at=now,
        expires_at=now + read_span(arguments.expires),
        count=count,
        disks=_plain(arguments.disk),
        dumptype=arguments.dumptype or "",
    )


def _plain(disks: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(disk.rstrip("/") or disk for disk in disks))


def _read_names(client: str | None, names: str | None, count: int | None) -> tuple[str, int]:
    """Return for whom the code is to be, and how many may use it."""
    if (client is None) == (names is None) or (names is None and count is not None):
        raise UsageError(
            "usage",
            "CLIENT is one client, --names with --count several; not both",
            "such as: asyncamanda server invite larch",
        )
    if client is not None:
        _check("CLIENT", client, check_client_name)
        return client, 1
    assert names is not None
    _check("--names", names, check_names)
    if not {"*", "?"} & set(names):
        raise UsageError(
            "bad-name", "--names: no pattern: it has neither * nor ?", "such as: --names 'lab-*'"
        )
    if count is None or not 1 <= count <= MOST_USES:
        raise UsageError(
            "bad-count", f"--names needs --count, from 1 to {MOST_USES}", "such as: --count 20"
        )
    return names, count


def _check(option: str, name: str, check: Callable[[str], None]) -> None:
    try:
        check(name)
    except ValueError as error:
        raise UsageError("bad-name", f"{option}: {error}", "such as: larch") from error


def _check_disks(wanted: Invitation, config: ServerConfig) -> None:
    """Raise the error that a machine would meet when its disks are added to the disklist."""
    configured = read_configured(wanted.amanda_config, config.user)
    missing, told = find_missing(configured.of_host(wanted.names), wanted.disks)
    for words in told:
        warn(words)
    if missing:
        check_dumptype(configured, wanted.dumptype or DUMPTYPE)
        check_users_own(configured.disklist)
