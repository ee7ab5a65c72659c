"""asyncamanda server lost: a client that was stolen or destroyed, until something replaces it."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncamanda.commands.server.clients_known import find_enrolled
from asyncamanda.commands.server.options import (
    add_client,
    add_common,
    end_sessions,
    load_as_amanda_user,
    open_ledger_to_read,
    warn,
)
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import AsyncamandaError, Exit, error_value
from asyncamanda.report.json import render_json, time_value
from asyncamanda.report.page import print_folded
from asyncamanda.report.restore import count_things
from asyncamanda.report.text import format_time, name_disks
from asyncamanda.server.enrol.enrolled import plan_lost
from asyncamanda.server.enrol.registry import change, registry_path
from asyncamanda.server.restore.setting_aside import SetAside, set_aside
from asyncamanda.system.clock import now


@dataclass(frozen=True, slots=True)
class _Loss:
    """What was done for a lost client: since when it is lost, and what is kept of its backups.

    `fault` is why not all could be kept.
    """

    client: str
    since: datetime
    ended: int
    kept: Sequence[SetAside]
    fault: AsyncamandaError | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_client(parser)
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Refuse the client's key from now on, and keep its newest backup; again it goes on with that.

    Raises BadDataError if there is no such client, what registry.change() raises, and what
    set_aside() raises, after all else is done.
    """
    config = load_as_amanda_user(arguments)
    client, path = arguments.client, registry_path(config.user)
    find_enrolled(client, config.user)
    try:
        change(path, lambda text: plan_lost(text, client, now()))
    finally:
        ended = end_sessions(client)  # whatever else fails
    loss = _keep(client, ended, config)
    if arguments.json:
        print(render_json(_value(loss)))
        return loss.fault.exit if loss.fault else Exit.OK
    _say(loss)
    if loss.fault:
        raise loss.fault
    return Exit.OK


def _keep(client: str, ended: int, config: ServerConfig) -> _Loss:
    """Keep the newest backup of a client whose key is refused by now."""
    entries = find_enrolled(client, config.user)
    since = next(entry.lost_at for entry in entries if entry.lost_at)
    kept: list[SetAside] = []
    fault: AsyncamandaError | None = None
    try:
        ledger = open_ledger_to_read(config)
        if ledger:
            try:
                names = dict.fromkeys(entry.amanda_config for entry in entries)
                kept = [set_aside(config, ledger, name, client) for name in names]
            finally:
                ledger.close()
    except AsyncamandaError as error:
        fault = error
    return _Loss(client, since, ended, kept, fault)


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
    if not loss.fault and not any(kept.dumps for kept in loss.kept):
        warn(f"there is no backup of {client} to be kept")
    print(f"to have its files here: asyncamanda server list {client}")
    print(f"if it turns up again: asyncamanda server found {client}")


def _value(loss: _Loss) -> dict[str, object]:
    return {
        "client": loss.client,
        "lost_at": time_value(loss.since),
        "connections_ended": loss.ended,
        "dumps": sum(kept.dumps for kept in loss.kept),
        "kept_bytes": sum(kept.size for kept in loss.kept),
        "kept_volumes": [label for kept in loss.kept for label in kept.volumes],
        "lost_disks": [disk for kept in loss.kept for disk in kept.lost_disks],
        "fault": error_value(loss.fault) if loss.fault else None,
    }
