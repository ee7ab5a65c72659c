"""What a server offers to whoever asks, by the way that ssh goes: its host keys, and its version.

Asked by ssh itself as the Amanda user starts it, with all of its configuration: ssh-keyscan knows
neither a jump host nor an alias.
"""

import json
import pwd
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.client.setup.hostkey import KnownHostKey, Place, read_keys
from asyncamanda.core.ssh.argv import Target, plan_look
from asyncamanda.core.ssh.fault import Fault, interpret_connect_failure
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import LaterError, RefusedError
from asyncamanda.system.account import ask_as
from asyncamanda.system.programs import run_program

LOOK_SECONDS = 10
LOOKED_WITHIN = 45.0  # seconds: a jump host takes its time, too
# of each type that is pinned, the first offered: ssh's names of the algorithms
ALGORITHMS = {
    "ed25519": ("ssh-ed25519",),
    "ecdsa": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
_VERSION = re.compile(r"^debug1: Remote protocol version \S+ remote software version (.+)$", re.M)


@dataclass(frozen=True, slots=True)
class Offer:
    """A server's host keys, the best first, and how it greets."""

    keys: tuple[PublicKey, ...]
    banner: str


def look_at_offer(
    target: Target,
    place: Place,
    account: pwd.struct_passwd,
    known: KnownHostKey,
    fingerprint: str | None,
) -> Offer:
    """Return what the server offers: the key of a type that is known, else the best.

    Where that has not the `fingerprint`, the keys of the other types as well. Raises LaterError if
    the server does not answer, RefusedError if ssh's configuration revokes its key.
    """
    names = sorted(ALGORITHMS, key=lambda name: not _has_type(known.keys, name))
    offer = _look(target, place, account, names)
    if fingerprint is None or any(key.fingerprint.startswith(fingerprint) for key in offer.keys):
        return offer
    keys = list(offer.keys)
    for name in names:
        if not _has_type(keys, name):
            try:
                keys += _look(target, place, account, [name]).keys
            except LaterError:  # it has none of that type
                continue
    return Offer(tuple(keys), offer.banner)


def _has_type(keys: Sequence[PublicKey], name: str) -> bool:
    return any(name in key.key_type for key in keys)


def _look(target: Target, place: Place, account: pwd.struct_passwd, names: Sequence[str]) -> Offer:
    """Return what one connection shows; it ends before anything is offered to the server."""
    algorithms = [algorithm for name in names for algorithm in ALGORITHMS[name]]
    # all of it as that user: root would follow a link that lies where ssh is to write
    seen = ask_as(account.pw_name, lambda: json.dumps(_connect(target, algorithms)))
    noted, said, beside = parse_json(seen)
    keys = tuple(read_keys(noted))
    version = _VERSION.search(said)
    if keys:
        return Offer(keys[:1], f"SSH-2.0-{version[1]}" if version else "")
    own = "".join(_own_lines(said))
    fault = interpret_connect_failure(own, beside)
    if fault.fault is Fault.HOST_KEY_REVOKED:
        raise RefusedError(
            "host-key-revoked",
            f"THE HOST KEY OF {place.host} IS REVOKED: it may not be your server "
            f"(ssh: {fault.line})",
            "nothing was changed. Ask its administrator",
        )
    words = "; ".join((*fault.warnings, fault.line.removeprefix("ssh: ")))
    raise LaterError(
        "unreachable",
        f"could not get a host key from {place.host}, port {place.port} (ssh: {words})",
        "is the name right, the server up and this machine in its network? Then run the same "
        "command again"
        "",
    )


def _connect(target: Target, algorithms: Sequence[str]) -> tuple[str, str, str]:
    """Return what ssh writes into its known_hosts and into its log, and prints beside them."""
    with tempfile.TemporaryDirectory(prefix="asyncamanda-") as folder:
        known_hosts, log = Path(folder, "known_hosts"), Path(folder, "log")
        argv = plan_look(target, algorithms, str(known_hosts), str(log), LOOK_SECONDS)
        answer = run_program(argv, LOOKED_WITHIN)
        return _read(known_hosts), _read(log), answer.stderr or answer.fault


def _own_lines(log: str) -> Iterator[str]:
    """Yield the lines of ssh's log that it would have without being asked for more."""
    for line in log.splitlines(keepends=True):
        if not line.startswith(("debug1: ", "OpenSSH_")):
            yield line


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:  # none was written, or it is not that user's any more
        return ""
