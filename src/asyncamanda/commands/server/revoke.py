"""asyncamanda server revoke: remove a client's access."""

import argparse

from asyncamanda.commands.server.options import (
    add_client,
    add_common,
    end_sessions,
    load_as_amanda_user,
    open_client_anew,
    unknown_client,
    warn,
)
from asyncamanda.commands.server.withdrawing import withdraw_codes
from asyncamanda.config.server import ServerConfig
from asyncamanda.errors import AsyncamandaError, BadDataError, Exit
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.text import name_disks
from asyncamanda.server.enrol.disklist import read_configured
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.registry import read_registry, registry_path, revoke


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_client(parser)
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Remove the client's lines from authorized_keys, and end the connections that it has.

    What stays in the disklist is told. Raises BadDataError if there is no such client, and what
    registry.revoke() raises.
    """
    client = arguments.client
    config = load_as_amanda_user(arguments)
    revoked, ended = revoke_client(client, config)
    if not revoked:
        entries = read_registry(registry_path(config.user))
        raise unknown_client(client, [entry.client for entry in entries])
    disks = _find_disks(client, revoked, config.user)
    if arguments.json:
        print(render_json(revoked_value("revoked", client, revoked, ended, disks)))
        return Exit.OK
    print_folded(f"{client} revoked: {describe_revoked(revoked, ended)}")
    if disks:
        print_folded(f"still in the disklist: {name_disks(disks)}")
        print("an amdump of all clients fails for these; if the client does not come back:")
        print(f"  asyncamanda server retire {client} --amanda-config {revoked[0].amanda_config}")
    return Exit.OK


def revoke_client(client: str, config: ServerConfig) -> tuple[tuple[Enrolled, ...], int]:
    """Revoke a client, as the Amanda user; return how it was enrolled, and how many sessions ended.

    Invitations for it are withdrawn. Nothing is returned of one that was not enrolled. Raises what
    registry.revoke() raises.
    """
    path = registry_path(config.user)
    try:
        withdraw_codes(path, client)
        revoked = revoke(path, client)
    finally:
        ended = end_sessions(client)  # whatever else fails
    if revoked:
        try:
            open_client_anew(config, client, is_settling=False)
        except AsyncamandaError as error:
            warn(f"if {client} is enrolled again, it counts as the same machine: {error.message}")
    return revoked, ended


def revoked_value(
    outcome: str, client: str, revoked: tuple[Enrolled, ...], ended: int, disks: list[str]
) -> dict[str, object]:
    """Return what --json says of what was removed and ended, and of the client's disks."""
    return {
        "outcome": outcome,
        "client": client,
        "keys": [entry.key.fingerprint for entry in revoked],
        "connections_ended": ended,
        "disks": disks,
    }


def describe_revoked(revoked: tuple[Enrolled, ...], ended: int) -> str:
    """Return in words what was removed and ended."""
    removed = f"{len(revoked)} key{'s' if len(revoked) > 1 else ''} removed"
    return removed + (f", {ended} connection{'s' if ended > 1 else ''} ended" if ended else "")


def _find_disks(client: str, revoked: tuple[Enrolled, ...], user: str) -> list[str]:
    disks: list[str] = []
    for name in dict.fromkeys(entry.amanda_config for entry in revoked):
        try:
            disks += [dle.disk for dle in read_configured(name, user).of_host(client)]
        except BadDataError as error:
            warn(error.message)
    return disks
