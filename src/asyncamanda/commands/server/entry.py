"""The client that `server enroll` is to enroll, read from its arguments."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from asyncamanda.core.protocol.authority import check_amanda_config_name, check_client_name
from asyncamanda.core.ssh.publickey import PublicKey, parse_public_key
from asyncamanda.errors import UsageError
from asyncamanda.server.enrol.amanda_configs import choose_amanda_config
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.recognition import find_before

LONGEST_KEY = 65_536  # characters that are read of a key; parse_public_key() takes fewer


def read_entry(arguments: argparse.Namespace, everybody: Sequence[Enrolled]) -> Enrolled:
    """Return the client as the arguments name it; `everybody` is who is enrolled.

    A client that is enrolled keeps what is not said: its key, its Amanda configuration, how Amanda
    reaches it, whether it may restore. Raises UsageError for an invalid name, without a key where
    one is needed, and for several configurations or none where none is named, BadDataError for one
    that does not exist.
    """
    _check("CLIENT", arguments.client, check_client_name)
    if arguments.amanda_config is not None:
        _check("--amanda-config", arguments.amanda_config, check_amanda_config_name)
    given = None if arguments.key is None else read_key(arguments.key)
    before = find_before(everybody, arguments.client, given.key if given else None)
    if given is None:
        _check_keyless(arguments, before)
    if before is None:
        assert given
        name = choose_amanda_config(arguments.amanda_config, "--amanda-config NAME")
        entry = Enrolled(arguments.client, name, given)
    else:
        kept = before.key
        name = choose_amanda_config(arguments.amanda_config or before.amanda_config, "")
        key = given or read_key(f"{kept.key_type} {kept.key} {kept.comment}".strip())
        entry = replace(before, client=arguments.client, amanda_config=name, key=key)
    if arguments.is_direct is not None:
        entry = replace(entry, is_direct=arguments.is_direct)
    if arguments.may_restore is not None:
        entry = replace(entry, may_restore=arguments.may_restore)
    return entry


def _check_keyless(arguments: argparse.Namespace, before: Enrolled | None) -> None:
    """Raise UsageError if no key is given, and one is needed."""
    if before is None:
        raise UsageError(
            "no-key",
            f"{arguments.client} is not enrolled yet: its key is needed",
            "--key 'ssh-ed25519 AAAA...', as `asyncamanda setup` prints it on the client",
        )
    if arguments.replace:
        raise UsageError(
            "no-key",
            "--replace replaces the client's key by the one of --key, which is missing",
            "--key 'ssh-ed25519 AAAA...'. Another Amanda configuration needs --move, and which of "
            "two machines the client is, or how Amanda reaches it, neither: leave --replace out",
        )


def check_disks(disks: Sequence[str]) -> None:
    """Raise UsageError if one of the `disks` cannot stand in a disklist."""
    for disk in disks:
        if not disk or not disk.isprintable():
            raise UsageError("bad-disk", f"--disk: {disk!a} is no disk's name", "such as: /home")


def _check(option: str, name: str, check: Callable[[str], None]) -> None:
    try:
        check(name)
    except ValueError as error:
        raise UsageError(
            "bad-name", f"{option}: {error}", "use the name in Amanda's disklist"
        ) from error


def read_key(key: str) -> PublicKey:
    """Return the key that is given: the line, a file, or - for stdin. Raises UsageError."""
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
            "give the key as one argument, in quotes: --key 'ssh-ed25519 AAAA... comment'",
        ) from error
    try:
        return parse_public_key(text)
    except ValueError as error:
        raise UsageError(
            "bad-key",
            f"--key: {error}",
            "it is one line of the client's ~/.ssh/id_ed25519.pub: ssh-ed25519 AAAA... comment",
        ) from error
