"""asyncamanda server enroll: let a client in, by its public key."""

import argparse
import asyncio
import difflib
import os
import sys
from dataclasses import replace
from pathlib import Path

from asyncamanda.commands.server.options import add_common, end_sessions, load_as_amanda_user, warn
from asyncamanda.core.authority import DIRECT, check_amanda_config_name, check_client_name
from asyncamanda.core.publickey import PublicKey, parse_public_key
from asyncamanda.errors import BadDataError, Exit, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.text import name_disks
from asyncamanda.server import amanda
from asyncamanda.server.newconfig import AMANDA_FOLDER
from asyncamanda.server.registry import Enrolled, enroll, read_registry, registry_path

LONGEST_KEY = 65_536  # characters that are read of a key; parse_public_key() takes fewer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("client", metavar="CLIENT", help="its host name in Amanda's disklist")
    parser.add_argument(
        "--amanda-config", metavar="NAME", required=True, help="what it is backed up with"
    )
    parser.add_argument(
        "--key",
        metavar="KEY",
        required=True,
        help="its public key: the line itself, a file that holds it, or - for stdin",
    )
    parser.add_argument(
        "--replace", action="store_true", help="let this key in instead of the client's last"
    )
    parser.add_argument(
        DIRECT,
        action="store_true",
        help="Amanda calls it as if asyncamanda were not there, not back through its connection",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Write the client's line into authorized_keys, and say what is still missing.

    Raises UsageError for a name or key that is none, BadDataError for an Amanda configuration
    that does not exist, and what registry.enroll() raises.
    """
    entry = _read_entry(arguments.client, arguments.amanda_config, arguments.key)
    entry = replace(entry, is_direct=arguments.direct)
    config = load_as_amanda_user(arguments)
    _check_amanda_config(entry.amanda_config)
    path = registry_path(config.user)
    was_known = entry.client in {known.client for known in read_registry(path)}
    is_changed = enroll(path, entry, is_replacing=arguments.replace)
    if was_known and is_changed:
        end_sessions(entry.client)  # of the key that was replaced
    disks, trouble = _find_disks(entry)
    outcome = ("replaced" if was_known else "enrolled") if is_changed else "unchanged"
    _say(entry, outcome, disks, is_json=arguments.json)
    if trouble:
        warn(trouble)
    return Exit.OK


def _read_entry(client: str, amanda_config: str, key: str) -> Enrolled:
    for check, option, name in (
        (check_client_name, "CLIENT", client),
        (check_amanda_config_name, "--amanda-config", amanda_config),
    ):
        try:
            check(name)
        except ValueError as error:
            raise UsageError(
                "bad-name", f"{option}: {error}", "it is the name that Amanda knows it by"
            ) from error
    return Enrolled(client, amanda_config, _read_key(key))


def _read_key(key: str) -> PublicKey:
    text = key
    try:
        if key == "-":
            text = sys.stdin.read(LONGEST_KEY)
        elif not key.startswith(("ssh-", "ecdsa-", "sk-")) and " " not in key:
            with Path(key).open(encoding="utf-8", errors="surrogateescape") as file:
                text = file.read(LONGEST_KEY)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            "key-unreadable",
            f"--key is neither a public key nor a file that can be read ({reason})",
            "the key is in one piece, in quotes: --key 'ssh-ed25519 AAAA... comment'",
        ) from error
    try:
        return parse_public_key(text)
    except ValueError as error:
        raise UsageError(
            "bad-key",
            f"--key: {error}",
            "it is one line of the client's ~/.ssh/id_ed25519.pub: ssh-ed25519 AAAA... comment",
        ) from error


def _check_amanda_config(name: str) -> None:
    if os.access(AMANDA_FOLDER / name / "amanda.conf", os.R_OK):
        return
    known = sorted(path.parent.name for path in AMANDA_FOLDER.glob("*/amanda.conf"))
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise BadDataError(
        "no-amanda-config",
        f"there is no {AMANDA_FOLDER / name / 'amanda.conf'}",
        f"{hint}known here: {', '.join(known) or 'none'}",
    )


def _find_disks(entry: Enrolled) -> tuple[list[str], str]:
    """Return the client's disks in the disklist, and what is wrong with them, if anything."""
    argv = ["amadmin", entry.amanda_config, "dles"]
    try:
        answer = asyncio.run(amanda.ask(argv))
    except OSError as error:
        return [], f"{argv[0]} cannot be run: {error.strerror}"
    if answer.status != 0:
        said = (answer.stderr or answer.stdout).strip().splitlines()
        return [], f"{' '.join(argv)} fails: {said[0] if said else answer.status}"
    disks = [disk for host, disk in amanda.parse_dles(answer.stdout) if host == entry.client]
    if disks:
        return disks, ""
    disklist = AMANDA_FOLDER / entry.amanda_config / "disklist"
    return [], (
        f"{disklist} has no disk of {entry.client}; nothing is backed up before it has a line "
        f"such as\n  {entry.client} /home roaming"
    )


def _say(entry: Enrolled, outcome: str, disks: list[str], *, is_json: bool) -> None:
    if is_json:
        value = {
            "outcome": outcome,
            "client": entry.client,
            "amanda_config": entry.amanda_config,
            "key_type": entry.key.key_type,
            "fingerprint": entry.key.fingerprint,
            "direct": entry.is_direct,
            "disks": disks,
        }
        print(render_json(value))
        return
    words = {
        "enrolled": "is enrolled",
        "replaced": "is enrolled anew; what let it in before is gone",
        "unchanged": "is enrolled already",
    }
    print(f"{entry.client} {words[outcome]}, for {entry.amanda_config}")
    print(f"  key: {entry.key.key_type} {entry.key.fingerprint}")
    way = "directly" if entry.is_direct else "back through its own connection"
    print(f"  Amanda calls it {way}")
    if disks:
        print(f"  disks: {name_disks(disks)}")
