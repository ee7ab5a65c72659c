"""The server's host key: what it offers, what is known of it, and pinning it.

All that touches the Amanda user's files runs as that user.
"""

import os
import pwd
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.core.ssh.argv import Target
from asyncamanda.core.ssh.publickey import PublicKey, parse_public_key
from asyncamanda.core.ssh.way import parse_way, plan_way
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import LaterError, RefusedError
from asyncamanda.system.account import do_as
from asyncamanda.system.programs import run_program

TYPES = ("ed25519", "ecdsa", "rsa")  # the first that is offered is pinned
SCAN_SECONDS = 10
SCANNED_WITHIN = 60.0  # seconds: each of the types may take that long
SYSTEM_KNOWN = Path("/etc/ssh/ssh_known_hosts")
_REVOKED = "@revoked"


@dataclass(frozen=True, slots=True)
class Place:
    """Where ssh finds the server, with its configuration, and under what name it is known."""

    host: str
    port: int
    known_as: str


@dataclass(frozen=True, slots=True)
class KnownHostKey:
    """What is known of the server's host key: the keys, and those that are revoked."""

    keys: tuple[PublicKey, ...]
    revoked: tuple[PublicKey, ...]


def find_place(target: Target, account: pwd.struct_passwd) -> Place:
    """Return where the Amanda user's ssh goes for `target`."""
    port = ["-p", str(target.port)] if target.port else []
    argv = plan_way(["ssh", *port, "--", target.host])
    way = parse_way(run_program(argv, account=account).stdout, target.host)
    return Place(way.host, way.port, way.known_as)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server says to whoever asks: its keys, in the order of TYPES, and its greeting."""

    keys: tuple[PublicKey, ...]
    banner: str


def scan_keys(place: Place) -> Offer:
    """Return what the server offers.

    Raises LaterError if it does not answer.
    """
    argv = ["ssh-keyscan", "-T", str(SCAN_SECONDS), "-t", ",".join(TYPES), "-p", str(place.port)]
    answer = run_program([*argv, "--", place.host], SCANNED_WITHIN)
    keys = tuple(_read_keys(answer.stdout))
    if not keys:
        complaints = (answer.stderr or answer.fault).splitlines()
        said = [line for line in complaints if line and line[0] != "#"]
        words = f" ({printable(said[-1])})" if said else ""
        raise LaterError(
            "unreachable",
            f"could not get a host key from {place.host}, port {place.port}{words}",
            "is the name right, the server up and this machine in its network? Then run the same "
            "command again"
            "",
        )
    banners = (line for line in answer.stderr.splitlines() if line.startswith("#"))
    return Offer(tuple(sorted(keys, key=_rank)), next(banners, ""))


def _read_keys(text: str) -> Iterator[PublicKey]:
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and line[0] != "#":
            try:
                yield parse_public_key(" ".join(words[1:3]))
            except ValueError:
                continue


def _rank(key: PublicKey) -> int:
    return next((n for n, kind in enumerate(TYPES) if kind in key.key_type), len(TYPES))


def find_known(place: Place, account: pwd.struct_passwd) -> KnownHostKey:
    """Return what the Amanda user's ssh knows of the server, by its files and the system's."""
    keys: list[PublicKey] = []
    revoked: list[PublicKey] = []
    for path in (_known_hosts(account), SYSTEM_KNOWN):
        argv = ["ssh-keygen", "-F", place.known_as, "-f", str(path)]
        found = run_program(argv, account=account).stdout
        for line in found.splitlines():
            if line.startswith(_REVOKED):
                revoked += _read_keys(line.removeprefix(_REVOKED))
            elif not line.startswith("@"):  # a certificate authority's key is not the host's
                keys += _read_keys(line)
    return KnownHostKey(tuple(keys), tuple(revoked))


def choose_key(
    offered: Sequence[PublicKey], known: KnownHostKey, place: Place, fingerprint: str | None
) -> tuple[PublicKey, bool]:
    """Return the key that counts, and whether it is known already.

    Raises RefusedError if another one is known, this one is revoked, or no key has the
    `fingerprint`.
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
            "nothing was changed. Ask its administrator. Only if the server was reinstalled, as "
            "the Amanda user:"
            f" ssh-keygen -R '{place.known_as}'",
        )
    candidates = trusted or offered
    if fingerprint is None:
        return candidates[0], bool(trusted)
    for key in candidates:
        if key.fingerprint == fingerprint:
            return key, bool(trusted)
    raise RefusedError(
        "wrong-fingerprint",
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
    """Add the key to the Amanda user's known_hosts. Raises OSError."""
    path = _known_hosts(account)

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


def _known_hosts(account: pwd.struct_passwd) -> Path:
    return Path(account.pw_dir, ".ssh", "known_hosts")
