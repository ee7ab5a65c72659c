"""asyncamanda server rekey: give an enrolled client another key; all else stays as it is."""

import argparse
import sys
from dataclasses import replace

from asyncamanda.commands.asking import ask
from asyncamanda.commands.server.clients_known import find_enrolled
from asyncamanda.commands.server.entry import read_key
from asyncamanda.commands.server.options import (
    add_client,
    add_common,
    end_sessions,
    load_as_amanda_user,
    open_client_anew,
)
from asyncamanda.errors import Exit, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.server.enrol.enrolled import plan_rekey
from asyncamanda.server.enrol.registry import change, check_change, registry_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_client(parser)
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="its new public key: the line itself, a file, or - for stdin (default: it is asked "
        "for)",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Replace the client's key; its configuration, way and permission to restore stay.

    Raises BadDataError if there is no such client, UsageError for an invalid key or without one
    and a terminal, and what registry.change() and open_client_anew() raise.
    """
    config = load_as_amanda_user(arguments)
    known = find_enrolled(arguments.client, config.user)
    entry = replace(known[0], key=read_key(_get_key(arguments.key)))
    path = registry_path(config.user)
    check_change(path, lambda text: plan_rekey(text, entry.client, entry.key))
    is_other = any(one.key.key != entry.key.key for one in known)
    if is_other:  # first, for the same command has to fix what is cut off between the two
        open_client_anew(config, entry.client, is_settling=False)
    change(path, lambda text: plan_rekey(text, entry.client, entry.key))
    if is_other:
        end_sessions(entry.client)
    outcome = "replaced" if is_other else "unchanged"
    if arguments.json:
        value = {
            "outcome": outcome,
            "client": entry.client,
            "key_type": entry.key.key_type,
            "fingerprint": entry.key.fingerprint,
        }
        print(render_json(value))
    elif is_other:
        print_folded(
            f"{entry.client} has another key: {entry.key.key_type} {entry.key.fingerprint}"
        )
        print("  the next machine that connects with it is this client")
        print("  each of its disks starts with a full dump, since it may be another machine")
    else:
        print_folded(f"{entry.client} has this key already")
    return Exit.OK


def _get_key(key: str | None) -> str:
    if key is not None:
        return key
    if sys.stdin.isatty():
        return ask("The client's new public key (its `asyncamanda setup` prints it):")
    raise UsageError(
        "no-key", "the new key is needed", "--key 'ssh-ed25519 AAAA...', or --key - for stdin"
    )
