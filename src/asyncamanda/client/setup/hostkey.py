"""The server's host key: what it offers, what is known of it, and pinning it.

All that touches the Amanda user's files runs as that user.
"""

import os
import pwd
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.core.ssh.argv import SshOptions, Target, plan_master
from asyncamanda.core.ssh.publickey import PublicKey, parse_public_key
from asyncamanda.core.ssh.way import parse_way, plan_way
from asyncamanda.errors import ConfigurationError, RefusedError
from asyncamanda.system.account import do_as
from asyncamanda.system.programs import run_program

TYPES = ("ed25519", "ecdsa", "rsa")  # the first that is offered is pinned
SYSTEM_KNOWN = "/etc/ssh/"
WRONG_FINGERPRINT = "wrong-fingerprint"
_REVOKED = "@revoked"


@dataclass(frozen=True, slots=True)
class Place:
    """Where ssh finds the server, with its configuration, and under what name it is known.

    `known_hosts` are the files in which it looks for that name.
    """

    host: str
    port: int
    known_as: str
    known_hosts: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class KnownHostKey:
    """What is known of the server's host key: the keys, and those that are revoked."""

    keys: tuple[PublicKey, ...]
    revoked: tuple[PublicKey, ...]


def find_place(target: Target, account: pwd.struct_passwd) -> Place:
    """Return where the Amanda user's ssh goes for `target`."""
    argv = plan_way(plan_master(target, SshOptions(), "none"))
    way = parse_way(run_program(argv, account=account).stdout, target.host)
    home = Path(account.pw_dir)
    files = (
        home / name[2:] if name.startswith("~/") else Path(name.replace("%d", str(home)))
        for name in way.known_hosts
    )
    return Place(way.host, way.port, way.known_as, tuple(files))


def read_keys(text: str) -> Iterator[PublicKey]:
    """Yield the keys in the text of a known_hosts, without its marks."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and line[0] != "#":
            try:
                yield parse_public_key(" ".join(words[1:3]))
            except ValueError:
                continue


def find_known(place: Place, account: pwd.struct_passwd) -> KnownHostKey:
    """Return what the Amanda user's ssh knows of the server, by its files and the system's."""
    keys: list[PublicKey] = []
    revoked: list[PublicKey] = []
    for path in place.known_hosts:
        argv = ["ssh-keygen", "-F", place.known_as, "-f", str(path)]
        found = run_program(argv, account=account).stdout
        for line in found.splitlines():
            if line.startswith(_REVOKED):
                revoked += read_keys(line.removeprefix(_REVOKED))
            elif not line.startswith("@"):  # a certificate authority's key is not the host's
                keys += read_keys(line)
    return KnownHostKey(tuple(keys), tuple(revoked))


def choose_key(
    offered: Sequence[PublicKey],
    known: KnownHostKey,
    place: Place,
    fingerprint: str | None,
    user: str = "backup",
) -> tuple[PublicKey, bool]:
    """Return the key that counts, and whether it is known to the Amanda user `user` already.

    Of the `fingerprint` the beginning is enough. Raises RefusedError if another one is known, this
    one is revoked, or no key has that.
    """
    if any(key.key == bad.key for key in offered for bad in known.revoked):
        raise RefusedError(
            "host-key-revoked",
            f"THE HOST KEY OF {place.host} IS REVOKED: it may not be your server",
            "nothing was changed. Ask its administrator",
        )
    trusted = [key for key in offered if any(key.key == old.key for old in known.keys)]
    if known.keys and not trusted:
        raise RefusedError(
            "host-key-changed",
            f"THE HOST KEY OF {place.host} HAS CHANGED: it may not be your server. It has "
            f"{offered[0].fingerprint}, and known is {known.keys[0].fingerprint}",
            "nothing was changed. Ask its administrator. Only if the server was reinstalled, "
            f"as root: runuser -u {user} -- ssh-keygen -R '{place.known_as}'",
        )
    candidates = trusted or offered
    if fingerprint is None:
        return candidates[0], bool(trusted)
    for key in candidates:
        if key.fingerprint.startswith(fingerprint):
            return key, bool(trusted)
    raise RefusedError(
        WRONG_FINGERPRINT,
        f"{place.host} has another host key than the fingerprint given: "
        f"{candidates[0].fingerprint}",
        "nothing was changed. Compare with what ssh-keygen -lf prints on the server; if they "
        "differ, the connection is intercepted"
        "",
    )


def show_key(key: PublicKey, place: Place) -> str:
    """Return the key's size, fingerprint, name and type, as `ssh-keygen -lf` prints them."""
    text = f"{key.key_type} {key.key} {place.host}\n"
    return run_program(["ssh-keygen", "-lf", "-"], text=text).stdout.strip() or key.fingerprint


def name_file(key: PublicKey) -> str:
    """Return where sshd has the public half of such a key."""
    kind = next((kind for kind in TYPES if kind in key.key_type), TYPES[0])
    return f"/etc/ssh/ssh_host_{kind}_key.pub"


def render_known(key: PublicKey, known_as: str) -> str:
    """Return the line of known_hosts, with its end."""
    return f"{known_as} {key.key_type} {key.key}\n"


def pin_key(key: PublicKey, place: Place, account: pwd.struct_passwd) -> None:
    """Add the key to the first known_hosts that is not the system's.

    Raises ConfigurationError if ssh looks into no such file, and OSError.
    """
    own = [path for path in place.known_hosts if not str(path).startswith(SYSTEM_KNOWN)]
    if not own:
        raise ConfigurationError(
            "no-known-hosts",
            f"ssh's configuration has no UserKnownHostsFile for {place.host}",
            f"take it away in {account.pw_dir}/.ssh/config or /etc/ssh/ssh_config",
        )
    path = own[0]

    def append() -> None:
        line = render_known(key, place.known_as).encode()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            is_open = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, (b"\n" if is_open else b"") + line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    do_as(account.pw_name, append)
