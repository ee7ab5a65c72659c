"""asyncamanda server retire: a client that is gone for good; its dumps stay for a while."""

import argparse
from datetime import date

from asyncamanda.commands.server.options import add_common, load_as_amanda_user, unknown_client
from asyncamanda.commands.server.revoke import describe_revoked, revoke_client, revoked_value
from asyncamanda.config.server import load_server_config
from asyncamanda.core.amanda.disklist_lines import RETIRED
from asyncamanda.core.protocol.authority import check_amanda_config_name, check_client_name
from asyncamanda.errors import Exit, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.text import name_disks
from asyncamanda.server.enrol.amanda_configs import choose_amanda_config
from asyncamanda.server.enrol.disklist import read_configured
from asyncamanda.server.enrol.disklist_edits import DiskRemoval
from asyncamanda.server.enrol.registry import read_registry, registry_path
from asyncamanda.system.clock import now


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("client", metavar="CLIENT", help="the client's name in the disklist")
    parser.add_argument(
        "--amanda-config",
        metavar="NAME",
        help="the Amanda configuration, for a client that is not enrolled any more (default: the "
        "only one)",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Comment the client's disks out, and remove its key; the same again completes it.

    Raises UsageError for an invalid name, BadDataError for a client that neither registry nor
    disklist has, and what revoke_client() and DiskRemoval.make() raise.
    """
    client = arguments.client
    _, config = load_server_config(arguments.config)
    entries = read_registry(registry_path(config.user))
    own = [entry.amanda_config for entry in entries if entry.client == client]
    names = list(dict.fromkeys(own)) or [_choose(client, arguments.amanda_config)]
    day = now().astimezone().date()
    removed = {name: _remove_disks(client, name, config.user, day) for name in names}
    disks = [disk for found in removed.values() for disk in found]
    if not own and not disks:
        raise unknown_client(client, sorted({entry.client for entry in entries}))
    load_as_amanda_user(arguments)
    revoked, ended = revoke_client(client, config)
    if arguments.json:
        print(render_json(revoked_value("retired", client, revoked, ended, disks)))
        return Exit.OK
    what = describe_revoked(revoked, ended) if revoked else "it was not enrolled any more"
    print_folded(f"{client} retired: {what}")
    print_folded(f"its lines of the disklist are comments now: {name_disks(disks) or 'none'}")
    print("its dumps stay until their volumes are reused; until then:")
    print(f"  asyncamanda server list {client} --amanda-config {names[0]}")
    return Exit.OK


def _choose(client: str, amanda_config: str | None) -> str:
    try:
        check_client_name(client)
        if amanda_config is not None:
            check_amanda_config_name(amanda_config)
    except ValueError as error:
        raise UsageError("bad-name", str(error), "use the names in Amanda's disklist") from error
    return choose_amanda_config(amanda_config, "--amanda-config NAME")


def _remove_disks(client: str, amanda_config: str, user: str, day: date) -> list[str]:
    configured = read_configured(amanda_config, user)
    disks = [dle.disk for dle in configured.of_host(client)]
    if disks:
        DiskRemoval(client, frozenset(disks), RETIRED, day).make(configured.disklist)
    return disks
