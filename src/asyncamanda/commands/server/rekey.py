"""asyncamanda server rekey: give an enrolled client another key; all else stays as it is."""

import argparse
import sys
from dataclasses import replace

from asyncamanda.commands.asking import ask
from asyncamanda.commands.server.clients_known import find_enrolled
from asyncamanda.commands.server.entry import read_key
from asyncamanda.commands.server.invite_words import add_terms, read_span, say_invited
from asyncamanda.commands.server.options import (
    add_client,
    add_common,
    end_sessions,
    load_as_amanda_user,
    open_client_anew,
)
from asyncamanda.commands.server.withdrawing import withdraw_codes
from asyncamanda.config.server import load_server_config
from asyncamanda.errors import Exit, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.server.enrol.address import find_address
from asyncamanda.server.enrol.disklist import does_encrypt
from asyncamanda.server.enrol.enrolled import plan_rekey
from asyncamanda.server.enrol.invitations import invite_again
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
    parser.add_argument(
        "--invite",
        action="store_true",
        help="make a code instead: the machine that joins with it takes the client's place",
    )
    add_terms(parser)
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Replace the client's key; its configuration, way and permission to restore stay.

    Raises BadDataError if there is no such client, UsageError for an invalid key or without one
    and a terminal, and what registry.change(), open_client_anew() and invite_again() raise.
    """
    if arguments.invite:
        return _invite(arguments)
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
        withdraw_codes(path, entry.client)
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


def _invite(arguments: argparse.Namespace) -> Exit:
    """Make a code for the client's next machine; its key counts until that has joined."""
    if arguments.key is not None:
        raise UsageError("usage", "--key and --invite exclude each other", "choose one of them")
    _, config = load_server_config(arguments.config)
    entry = find_enrolled(arguments.client, config.user)[0]
    span, address = read_span(arguments.expires), find_address(config.user, arguments.server)
    load_as_amanda_user(arguments)
    invited = invite_again(
        registry_path(config.user),
        entry,
        address,
        span,
        is_encrypting=does_encrypt(entry.amanda_config, entry.client, config.user),
    )
    say_invited(invited, is_json=arguments.json)
    return Exit.OK


def _get_key(key: str | None) -> str:
    if key is not None:
        return key
    if sys.stdin.isatty():
        return ask("The client's new public key (its `asyncamanda setup` prints it):")
    raise UsageError(
        "no-key", "the new key is needed", "--key 'ssh-ed25519 AAAA...', or --key - for stdin"
    )
