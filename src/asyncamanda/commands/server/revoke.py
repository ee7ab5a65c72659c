"""asyncamanda server revoke: remove a client's access."""

import argparse

from asyncamanda.commands.server.options import (
    add_common,
    end_sessions,
    load_as_amanda_user,
    open_client_anew,
    unknown_client,
    warn,
)
from asyncamanda.errors import AsyncamandaError, Exit
from asyncamanda.report.json import render_json
from asyncamanda.server.enrol.registry import read_registry, registry_path, revoke


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "client",
        metavar="CLIENT",
        help="the client's name as `asyncamanda server clients` lists it",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Remove the client's lines from authorized_keys, and end the connections that it has.

    Raises BadDataError if there is no such client, and what registry.revoke() raises.
    """
    client = arguments.client
    config = load_as_amanda_user(arguments)
    path = registry_path(config.user)
    try:
        revoked = revoke(path, client)
    finally:
        ended = end_sessions(client)  # whatever else fails
    if not revoked:
        raise unknown_client(client, [entry.client for entry in read_registry(path)])
    try:
        open_client_anew(config, client, is_settling=False)
    except AsyncamandaError as error:
        warn(f"if {client} is enrolled again, it counts as the same machine: {error.message}")
    if arguments.json:
        keys = [entry.key.fingerprint for entry in revoked]
        value = {"outcome": "revoked", "client": client, "keys": keys, "connections_ended": ended}
        print(render_json(value))
        return Exit.OK
    removed = f"{len(revoked)} key{'s' if len(revoked) > 1 else ''} removed"
    ends = f", {ended} connection{'s' if ended > 1 else ''} ended" if ended else ""
    print(f"{client} revoked: {removed}{ends}")
    return Exit.OK
