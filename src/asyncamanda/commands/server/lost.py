"""asyncamanda server lost: a client that was stolen or destroyed, until something replaces it."""

import argparse
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from asyncamanda.commands.server.clients_known import find_enrolled
from asyncamanda.commands.server.invite_words import (
    add_terms,
    invited_value,
    read_span,
    say_invited,
)
from asyncamanda.commands.server.options import (
    add_client,
    add_common,
    end_sessions,
    load_as_amanda_user,
    open_ledger_to_read,
    warn,
)
from asyncamanda.config.server import ServerConfig, load_server_config
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import AsyncamandaError, Exit, error_value
from asyncamanda.report.json import render_json, time_value
from asyncamanda.report.page import print_folded
from asyncamanda.report.restore import count_things
from asyncamanda.report.text import format_time, name_disks
from asyncamanda.server.enrol.address import Address, find_address
from asyncamanda.server.enrol.disklist import does_encrypt
from asyncamanda.server.enrol.enrolled import Enrolled, plan_lost
from asyncamanda.server.enrol.invitations import Invited, invite_again
from asyncamanda.server.enrol.registry import change, registry_path
from asyncamanda.server.restore.setting_aside import SetAside, set_aside
from asyncamanda.system.clock import now

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Loss:
    """What was done for a lost client: since when it is lost, and what is kept of its backups.

    `invited` is for its replacement. `faults` are why not all could be done.
    """

    client: str
    since: datetime
    ended: int
    kept: Sequence[SetAside]
    invited: Invited | None
    faults: Sequence[AsyncamandaError]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_client(parser)
    add_terms(parser)
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Refuse the client's key from now on, keep its newest backup, and invite its replacement.

    Again it goes on with what is not done yet, and makes another invitation. Raises UsageError,
    BadDataError if there is no such client, what registry.change() raises, and after all else is
    done the first of what set_aside(), find_address() and invite_again() raise.
    """
    client, span = arguments.client, read_span(arguments.expires)
    _, config = load_server_config(arguments.config)
    find_enrolled(client, config.user)
    faults: list[AsyncamandaError] = []
    address = _do(lambda: find_address(config.user, arguments.server), faults)  # root finds more
    load_as_amanda_user(arguments)
    path = registry_path(config.user)
    try:
        change(path, lambda text: plan_lost(text, client, now()))
    finally:
        ended = end_sessions(client)  # whatever else fails
    entries = find_enrolled(client, config.user)
    since = next(entry.lost_at for entry in entries if entry.lost_at)
    kept = _do(lambda: _keep(client, config), faults) or []
    invited = None
    if address is not None:
        invited = _do(lambda: _invite(entries[0], config, address, span), faults)
    loss = _Loss(client, since, ended, kept, invited, faults)
    if arguments.json:
        print(render_json(_value(loss)))
        return faults[0].exit if faults else Exit.OK
    _say(loss)
    if faults:
        raise faults[0]
    return Exit.OK


def _invite(entry: Enrolled, config: ServerConfig, address: Address, span: timedelta) -> Invited:
    is_encrypting = does_encrypt(entry.amanda_config, entry.client, config.user)
    path = registry_path(config.user)
    return invite_again(path, entry, address, span, is_encrypting=is_encrypting)


def _do(act: Callable[[], T], faults: list[AsyncamandaError]) -> T | None:
    """Return what comes of it, None where that is an error: then all else is done first."""
    try:
        return act()
    except AsyncamandaError as error:
        faults.append(error)
        return None


def _keep(client: str, config: ServerConfig) -> list[SetAside]:
    """Keep the newest backup of a client whose key is refused by now."""
    ledger = open_ledger_to_read(config)
    if ledger is None:
        return []
    names = dict.fromkeys(entry.amanda_config for entry in find_enrolled(client, config.user))
    with contextlib.closing(ledger):
        return [set_aside(config, ledger, name, client) for name in names]


def _say(loss: _Loss) -> None:
    client = loss.client
    ended = f"; {count_things(loss.ended, 'connection')} ended" if loss.ended else ""
    print_folded(f"{client} is lost since {format_time(loss.since)}: its key is refused{ended}")
    for kept in loss.kept:
        if kept.volumes:
            print_folded(f"  kept, since all of its backup is there: {name_disks(kept.volumes)}")
        elif kept.dumps:
            what = f"{count_things(kept.dumps, 'dump')}, {format_size(kept.size)}"
            print_folded(f"  set aside, so that it outlasts its volumes: {what}")
        if kept.lost_disks:
            warn(f"nothing is left of these disks' backups: {name_disks(kept.lost_disks)}")
    if not loss.faults and not any(kept.dumps for kept in loss.kept):
        warn(f"there is no backup of {client} to be kept")
    for fault in loss.faults[1:]:
        warn(f"{fault.message}; {fault.hint}")
    print(f"  its files can be seen here: asyncamanda server list {client}")
    print(f"  if it turns up again: asyncamanda server found {client}\n")
    if loss.invited:
        say_invited(loss.invited, is_json=False)
        print("  then, there, before its first backup: asyncamanda restore --all --to /")


def _value(loss: _Loss) -> dict[str, object]:
    return {
        "client": loss.client,
        "lost_at": time_value(loss.since),
        "connections_ended": loss.ended,
        "dumps": sum(kept.dumps for kept in loss.kept),
        "kept_bytes": sum(kept.size for kept in loss.kept),
        "kept_volumes": [label for kept in loss.kept for label in kept.volumes],
        "lost_disks": [disk for kept in loss.kept for disk in kept.lost_disks],
        "invitation": invited_value(loss.invited) if loss.invited else None,
        "faults": [error_value(fault) for fault in loss.faults],
    }
