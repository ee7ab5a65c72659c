"""asyncamanda server found: a client that was lost is back, or its replacement has all it needs."""

import argparse
import contextlib

from asyncamanda.commands.server.options import (
    add_client,
    add_common,
    load_as_amanda_user,
    open_ledger_to_read,
    unknown_client,
)
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import Exit, RefusedError
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.text import name_disks
from asyncamanda.server.amanda.commands import read_settings_now
from asyncamanda.server.enrol.amanda_configs import find_amanda_configs
from asyncamanda.server.enrol.enrolled import plan_found
from asyncamanda.server.enrol.invitations import withdraw
from asyncamanda.server.enrol.modernising import force_full
from asyncamanda.server.enrol.registry import change, read_registry, registry_path
from asyncamanda.server.restore.setting_aside import Kept, find_cut_off, find_kept, release


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_client(parser)
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Serve the client's key again, if it is still enrolled with that, and keep nothing for it.

    Raises BadDataError if there is no such client, and nothing is kept for one; RefusedError if
    Amanda cannot be told what follows; and what registry.change() and release() raise.
    """
    config = load_as_amanda_user(arguments)
    client, path = arguments.client, registry_path(config.user)
    everybody = read_registry(path)
    own = [entry for entry in everybody if entry.client == client]
    names = list(dict.fromkeys(entry.amanda_config for entry in own)) or find_amanda_configs()
    settings = [read_settings_now(name) for name in names]
    is_kept = any(find_kept(each, client).is_any for each in settings)
    if not own and not is_kept:
        raise unknown_client(client, sorted({entry.client for entry in everybody}))
    # before it can be dumped: whenever this is killed, no dump builds on what is gone
    full = [disk for name in names for disk in _force_fulls(config, name, client)] if own else []
    kept = [release(each, client) for each in settings]
    withdraw(path, client)  # or whoever has its code would be this client
    is_back = change(path, lambda text: plan_found(text, client))
    if arguments.json:
        value = _value(client, kept, is_served=bool(own), is_back=is_back)
        print(render_json({**value, "full": full}))
        return Exit.OK
    if is_back:
        print_folded(f"{client} is served again, by the key that it had")
    elif own:
        print_folded(f"{client} is not lost: it is served by the key that it has now")
    else:
        print_folded(f"{client} is not enrolled any more")
    for each in kept:
        if each.size:
            print_folded(f"  no longer set aside: {format_size(each.size)} of its backup of then")
        if each.volumes:
            print_folded(f"  may be used again by Amanda: {name_disks(each.volumes)}")
    if full:
        print_folded(f"  start with a full dump, since others used its volumes: {name_disks(full)}")
    return Exit.OK


def _force_fulls(config: ServerConfig, amanda_config: str, client: str) -> list[str]:
    """Force a full dump of each disk of which the volumes have no whole backup; return these."""
    ledger = open_ledger_to_read(config)
    if ledger is None:
        return []
    with contextlib.closing(ledger):
        disks = find_cut_off(config, ledger, amanda_config, client)
    for disk in disks:
        if fault := force_full(amanda_config, config.user, client, disk):
            raise RefusedError(
                "not-forced",
                f"the next dump of {client} {disk} has to be a full one, and Amanda cannot be told "
                f"so: {fault}",
                "nothing was changed; the same command tries again",
            )
    return disks


def _value(client: str, kept: list[Kept], *, is_served: bool, is_back: bool) -> dict[str, object]:
    return {
        "client": client,
        "outcome": "found" if is_back else "unchanged",
        "is_served": is_served,
        "released_bytes": sum(each.size for each in kept),
        "released_volumes": [label for each in kept for label in each.volumes],
    }
