"""What a client needs to find this server, and to know it: its address, and its host key."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.core.ssh.argv import parse_target
from asyncamanda.core.ssh.publickey import PublicKey, parse_public_key
from asyncamanda.core.ssh.sshd_settings import parse_settings, plan_sshd
from asyncamanda.errors import BadDataError, UsageError
from asyncamanda.system.programs import run_program

CLIENTS_USER = "backup"  # as whom a client logs in where nothing else is said
SSH_PORT = 22
_KINDS = ("ed25519", "ecdsa", "rsa")  # as the client prefers them
_KEYS = tuple(f"/etc/ssh/ssh_host_{kind}_key" for kind in _KINDS)
_LARGEST = 65_536  # bytes of a public key's file


@dataclass(frozen=True, slots=True)
class Address:
    """The server as the client is to name it, and the whole fingerprint of its host key."""

    server: str
    fingerprint: str


def find_address(user: str, server: str | None) -> Address:
    """Return where clients find this server, whose Amanda user is `user`.

    `server` is what an administrator says of it, [user@]host[:port]; without that it is this
    machine's name. Only root learns of a host key or a port that sshd_config names.

    Raises UsageError for a `server` that cannot be one, BadDataError without a host key.
    """
    settings = {}
    if os.geteuid() == 0:
        settings = dict(parse_settings(run_program(plan_sshd(user, "client")).stdout))
    files = settings.get("hostkey") or _KEYS
    keys = sorted(_read_keys(files), key=_rank)
    if not keys:
        raise BadDataError(
            "no-host-key",
            f"no public half of a host key is beside one of these: {', '.join(files)}",
            "as root: ssh-keygen -A",
        )
    if server is None:
        port = next(iter(settings.get("port", ())), str(SSH_PORT))
        server = socket.gethostname() + (f":{port}" if port != str(SSH_PORT) else "")
    try:
        target = parse_target(server)
    except ValueError as error:
        raise UsageError(
            "bad-server", f"--server: {error}", "such as: --server backup.example.org"
        ) from error
    if target.password:
        raise UsageError("bad-server", "--server: no password belongs there", "leave it out")
    is_usual = target.user is not None or user == CLIENTS_USER
    return Address(server if is_usual else f"{user}@{server}", keys[0].fingerprint)


def _read_keys(files: tuple[str, ...]) -> Iterator[PublicKey]:
    for file in files:
        try:
            with Path(f"{file}.pub").open("rb") as opened:
                yield parse_public_key(opened.read(_LARGEST).decode("utf-8"))
        except (OSError, ValueError):
            continue


def _rank(key: PublicKey) -> int:
    return next((at for at, kind in enumerate(_KINDS) if kind in key.key_type), len(_KINDS))
