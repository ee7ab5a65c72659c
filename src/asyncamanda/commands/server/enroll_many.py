"""`server enroll --from LIST`: many clients at once, by the keys that a list has."""

import argparse
import sys
from pathlib import Path

from asyncamanda.commands.server.options import load_as_amanda_user, warn
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.errors import Exit, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.text import name_disks
from asyncamanda.server.enrol.amanda_configs import choose_amanda_config
from asyncamanda.server.enrol.disklist import (
    check_dumptype,
    check_new_disks,
    find_missing,
    read_configured,
)
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.many import (
    LARGEST_LIST,
    ManyAdditions,
    parse_clients,
    plan_enroll_many,
)
from asyncamanda.server.enrol.registry import change, check_change, read_registry, registry_path

ALONE = ("client", "key", "replace", "move", "largest", "setup", "encrypt")


def enroll_many(arguments: argparse.Namespace, config: ServerConfig) -> Exit:
    """Enroll all clients of the list, or none of them.

    Raises UsageError for options that are about one client, BadDataError for a list that is none,
    and what plan_enroll_many() and the change of a disklist raise.
    """
    for name in ALONE:
        if getattr(arguments, name):
            said = "CLIENT" if name == "client" else f"--{name}"
            raise UsageError(
                "usage", f"{said} is about one client, and --from about many", "leave out one"
            )
    name = choose_amanda_config(arguments.amanda_config, "--amanda-config NAME")
    clients = parse_clients(_read_list(arguments.list))
    entries = [
        Enrolled(
            client,
            name,
            key,
            is_direct=bool(arguments.is_direct),
            may_restore=arguments.may_restore is not False,
        )
        for client, key in clients
    ]
    path = registry_path(config.user)
    before = {entry.client for entry in read_registry(path)}
    check_change(path, lambda text: plan_enroll_many(text, entries))
    added = _add_disks(arguments, name, [entry.client for entry in entries], config)
    load_as_amanda_user(arguments)
    change(path, lambda text: plan_enroll_many(text, entries))
    fresh = [entry.client for entry in entries if entry.client not in before]
    if arguments.json:
        value = {"enrolled": fresh, "unchanged": len(entries) - len(fresh), "disks_added": added}
        print(render_json({"amanda_config": name, **value}))
        return Exit.OK
    print(
        f"{len(fresh)} clients are enrolled, for {name}; {len(entries) - len(fresh)} were already"
    )
    if added:
        print(f"the disklist has {added} more disks: {name_disks(arguments.disk)} of each")
    return Exit.OK


def _read_list(place: str) -> str:
    try:
        if place == "-":
            return sys.stdin.read(LARGEST_LIST)
        with Path(place).open(encoding="utf-8", errors="surrogateescape") as file:
            return file.read(LARGEST_LIST)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            "list-unreadable",
            f"--from: {place!a} cannot be read ({reason})",
            "name a file, or - for stdin",
        ) from error


def _add_disks(
    arguments: argparse.Namespace, name: str, clients: list[str], config: ServerConfig
) -> int:
    """Add the disks that the disklist lacks, all at once; return how many those are."""
    if not arguments.disk:
        return 0
    configured = read_configured(name, config.user)
    known: dict[str, list[Dle]] = {client: [] for client in clients}
    for dle in configured.dles:
        if dle.host in known:
            known[dle.host].append(dle)
    disks = {}
    told: dict[str, None] = {}
    for client in clients:
        missing, said = find_missing(known[client], arguments.disk)
        told |= dict.fromkeys(said)
        if missing:
            disks[client] = missing
    for words in told:
        warn(words)
    if disks:
        check_new_disks(tuple(dict.fromkeys(disk for own in disks.values() for disk in own)))
        check_dumptype(configured, arguments.dumptype)
        ManyAdditions(disks, arguments.dumptype).make(configured.disklist)
    return sum(map(len, disks.values()))
