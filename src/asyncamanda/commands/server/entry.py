"""The client that `server enroll` is to enroll, read from its arguments."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from asyncamanda.core.protocol.authority import check_amanda_config_name, check_client_name
from asyncamanda.core.ssh.publickey import PublicKey, parse_public_key
from asyncamanda.errors import UsageError
from asyncamanda.server.enrol.amanda_configs import choose_amanda_config
from asyncamanda.server.enrol.enrolled import Enrolled

LONGEST_KEY = 65_536  # characters that are read of a key; parse_public_key() takes fewer


def read_entry(
    client: str, amanda_config: str | None, key: str, *, is_direct: bool, may_restore: bool
) -> Enrolled:
    """Return whom the arguments name; without an `amanda_config` for the only one there is.

    Raises UsageError for an invalid name or key, and for several configurations or none where none
    is named, BadDataError for one that does not exist.
    """
    _check("CLIENT", client, check_client_name)
    if amanda_config is not None:
        _check("--amanda-config", amanda_config, check_amanda_config_name)
    public = read_key(key)
    name = choose_amanda_config(amanda_config, "--amanda-config NAME")
    return Enrolled(client, name, public, is_direct, may_restore)


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
