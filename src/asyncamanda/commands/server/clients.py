"""asyncamanda server clients: list enrolled clients, and when each was last connected."""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from asyncamanda.commands.server.options import (
    add_common,
    load_as_amanda_user,
    open_ledger_to_read,
    warn,
)
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.protocol.tickets import Machine, describe_dispute
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError, Exit
from asyncamanda.report.fleet_json import standing_value
from asyncamanda.report.json import render_json, time_value
from asyncamanda.report.page import print_folded
from asyncamanda.report.proofs import proofs_value, tell_proofs
from asyncamanda.report.table import print_table
from asyncamanda.report.text import format_time
from asyncamanda.server.amanda.commands import read_settings_now
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.registry import read_registry, registry_path
from asyncamanda.system.clock import now

if TYPE_CHECKING:
    from asyncamanda.core.fleet.standing import ClientView
    from asyncamanda.server.ledger.ledger import Ledger
    from asyncamanda.server.restore.reach import Reach
    from asyncamanda.server.restore.setting_aside import Kept

HEADS = ("client", "amanda config", "restore", "last seen", "restorable since")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print a row for each client. Raises RefusedError if authorized_keys cannot be read."""
    config = load_as_amanda_user(arguments)
    entries = sorted(read_registry(registry_path(config.user)), key=lambda entry: entry.identity)
    last_seen, machines, reaches, proofs = _read_ledger(config, entries)
    kept = _find_kept(entries)
    if arguments.json:
        standings = _find_standings(config)
        values = [
            _value(entry, last_seen, machines, reaches.get(entry.identity))
            | _standing_value(standings.get(entry.identity))
            | _kept_value(kept.get(entry.identity))
            | {"proofs": proofs_value(proofs.get(entry.identity, {}))}
            for entry in entries
        ]
        print(render_json(values))
        return Exit.OK
    if not entries:
        print("no client is enrolled; see `asyncamanda server enroll --help`")
        return Exit.OK
    rows = [describe_row(entry, last_seen, reaches.get(entry.identity)) for entry in entries]
    print_table(HEADS, rows)
    _print_rest(entries, machines, kept, proofs)
    return Exit.OK


def _print_rest(
    entries: Sequence[Enrolled],
    machines: Mapping[str, Machine],
    kept: Mapping[Identity, "Kept"],
    proofs: Mapping[Identity, Mapping[str, DiskProof]],
) -> None:
    """Print what is below the table: what is kept, what was proved, who is disputed, and keys."""
    from asyncamanda.server.restore.reach import tell_volumes  # noqa: PLC0415 - loads much

    for line in _describe_kept(entries, kept):
        print_folded(line)
    for name in sorted({entry.amanda_config for entry in entries}):
        if said := tell_volumes(name):
            print_folded(f"{printable(name)}: {said}")
    for line in tell_proofs({entry.client: proofs.get(entry.identity, {}) for entry in entries}):
        print_folded(line)
    disputed = [machines[entry.client] for entry in entries if entry.client in machines]
    for machine in disputed:
        if machine.disputed_at:
            print_folded(f"{describe_dispute(machine)}; neither is backed up until you run:")
            print(f"  asyncamanda server enroll {machine.client}")
    print("\nkeys:")
    for entry in entries:
        print_folded(f"  {entry.client}: {entry.key.key_type} {entry.key.fingerprint}")
    print("\nwhether each is protected: asyncamanda server fleet")


def _describe_kept(entries: Sequence[Enrolled], kept: Mapping[Identity, "Kept"]) -> list[str]:
    """Return which clients are lost, and what is kept for them, or for those that replaced them."""
    lines = []
    for entry in entries:
        client = printable(entry.client)
        of_client = kept.get(entry.identity)
        is_kept = of_client is not None and of_client.is_any
        if entry.lost_at:
            what = "" if is_kept else "; WARNING: its newest backup is not kept"
            lines.append(f"{client} is lost since {format_time(entry.lost_at)}{what}")
        elif is_kept:
            lines.append(f"{client} was lost, and its backup of then is kept until you run:")
            lines.append(f"  asyncamanda server found {client}")
    return lines


def _find_kept(entries: Sequence[Enrolled]) -> "Mapping[Identity, Kept]":
    """Return what is kept for each client; Amanda is asked once for each configuration.

    One that cannot be used is left out: it is told where its clients' reach is looked for.
    """
    from asyncamanda.server.restore.setting_aside import find_kept  # noqa: PLC0415 - as below

    found = {}
    for name in {entry.amanda_config for entry in entries}:
        with suppress(AsyncamandaError):
            settings = read_settings_now(name)
            for entry in entries:
                if entry.amanda_config == name:
                    found[entry.identity] = find_kept(settings, entry.client)
    return found


def _find_standings(config: ServerConfig) -> "Mapping[Identity, ClientView]":
    """Return how each client stands; nothing where the ledger cannot be read, which is told."""
    from asyncamanda.server.fleet.gathering import gather_fleet  # noqa: PLC0415 - loads much

    try:
        with ExitStack() as stack:
            if ledger := open_ledger_to_read(config):
                stack.callback(ledger.close)
            view = gather_fleet(config, ledger, now())
    except AsyncamandaError as error:
        warn(f"whether clients are protected is not known: {error.message}")
        return {}
    return {Identity(each.facts.client, each.facts.amanda_config): each for each in view.clients}


def _standing_value(client: "ClientView | None") -> dict[str, object]:
    """Return a client's state and exposure, null where they are not known."""
    value = standing_value(client) if client else {}
    return {name: value.get(name) for name in ("state", "is_exposed", "exposure")}


def _kept_value(kept: "Kept | None") -> dict[str, object]:
    return {
        "kept_bytes": kept.size if kept else 0,
        "kept_volumes": list(kept.volumes) if kept else [],
    }


def _read_ledger(
    config: ServerConfig, entries: Sequence[Enrolled]
) -> tuple[
    Mapping[str, datetime],
    Mapping[str, Machine],
    Mapping[Identity, "Reach"],
    Mapping[Identity, Mapping[str, DiskProof]],
]:
    """Return when each client was last connected, which machine it is, and how far back it goes.

    And what the proofs of its disks say. What is not known is left out.
    """
    try:
        ledger = open_ledger_to_read(config)
    except AsyncamandaError as error:
        warn(error.message)
        return {}, {}, {}, {}
    if ledger is None:
        return {}, {}, {}, {}
    from asyncamanda.server.ledger.machines import read_machines  # noqa: PLC0415 - loads much

    try:
        reaches = _find_reaches(config, ledger, entries)
        names = {entry.amanda_config for entry in entries}
        of_hosts = {name: ledger.proofs.of_hosts(name) for name in names}
        proofs = {
            entry.identity: keep_meant(
                of_hosts[entry.amanda_config].get(entry.client, {}), reaches.get(entry.identity)
            )
            for entry in entries
        }
        return ledger.sessions.last_seen(), read_machines(ledger), reaches, proofs
    finally:
        ledger.close()


def keep_meant(proofs: Mapping[str, DiskProof], reach: "Reach | None") -> Mapping[str, DiskProof]:
    """Return the proofs of those disks that are backed up; of all where that is not known.

    What was wrong with one that nobody backs up any more stays so.
    """
    return {disk: one for disk, one in proofs.items() if reach is None or disk in reach.disks}


def _find_reaches(
    config: ServerConfig, ledger: "Ledger", entries: Sequence[Enrolled]
) -> dict[Identity, "Reach"]:
    from asyncamanda.server.restore.reach import find_reaches  # noqa: PLC0415 - as above

    found: dict[Identity, Reach] = {}
    for name in dict.fromkeys(entry.amanda_config for entry in entries):
        clients = [entry.client for entry in entries if entry.amanda_config == name]
        try:
            reaches = find_reaches(config, ledger, name, clients)
        except AsyncamandaError as error:
            warn(f"{name}: {error.message}")
            continue
        faults: dict[str, list[str]] = {}
        for client, reach in reaches.items():
            if isinstance(reach, AsyncamandaError):
                faults.setdefault(reach.message, []).append(client)
            else:
                found[Identity(client, name)] = reach
        for message, names in faults.items():
            warn(f"{', '.join(names)}: {message}")
    return found


def describe_row(
    entry: Enrolled, last_seen: Mapping[str, datetime], reach: "Reach | None"
) -> Sequence[str]:
    """Return what HEADS name of a client. Its key would not fit beside it."""
    seen = last_seen.get(entry.client)
    return (
        entry.client,
        entry.amanda_config,
        entry.restore,
        format_time(seen) if seen else "never",
        format_time(reach.since) if reach and reach.since else "-",
    )


def _value(
    entry: Enrolled,
    last_seen: Mapping[str, datetime],
    machines: Mapping[str, Machine],
    reach: "Reach | None",
) -> dict[str, object]:
    machine = machines.get(entry.client)
    second = None
    if machine and machine.disputed_at:
        second = {"host": machine.other_host_name, "at": time_value(machine.disputed_at)}
    return {
        "client": entry.client,
        "amanda_config": entry.amanda_config,
        "key_type": entry.key.key_type,
        "fingerprint": entry.key.fingerprint,
        "comment": entry.key.comment,
        "restore": entry.restore,
        "last_seen_at": time_value(last_seen.get(entry.client)),
        "restorable_since": time_value(reach.since if reach else None),
        "host": machine.host_name if machine and machine.ticket else None,
        "second_machine": second,
        "lost_at": time_value(entry.lost_at),
    }
