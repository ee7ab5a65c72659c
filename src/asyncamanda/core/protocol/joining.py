"""What a machine with an invitation says to the server, and what it hears: a line each way.

The one-time key's forced command is `asyncamanda gate join ID`. Whoever has the key reads at once
what is answered, and there is nothing else to be said. An error is the line that `--json` makes.
"""

import json
from dataclasses import dataclass

from asyncamanda.core.protocol.codec import read_record, write_record
from asyncamanda.core.ssh.publickey import PublicKey, parse_public_key
from asyncamanda.core.values.foreign import parse_json

JOIN = "asyncamanda gate join"  # all that the one-time key may ask for
LONGEST_LINE = 65_536  # bytes, its end included
MOST_DISKS = 16  # that a machine may ask for
LONGEST_DISK = 1000  # characters


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A machine that wants to join: as `client`, with `key`, a public key's line.

    `is_named`: somebody chose the name; else it is the host's, and the invitation's own counts.
    `disks` are those that it wants backed up. `is_encrypting`: only it is to read its dumps.
    """

    client: str
    key: str
    is_named: bool = False
    disks: tuple[str, ...] = ()
    is_encrypting: bool = False

    @property
    def public_key(self) -> PublicKey:
        """The key, taken apart."""
        return parse_public_key(self.key)


@dataclass(frozen=True, slots=True)
class Joined:
    """The machine is enrolled, as `client`; `warnings` are words for its user."""

    client: str
    amanda_config: str
    warnings: tuple[str, ...] = ()


def encode_join(record: JoinRequest | Joined) -> str:
    """Return the record as a line."""
    return json.dumps(write_record(record)) + "\n"


def parse_join_request(line: bytes) -> JoinRequest:
    """Return what a machine asks for. Raises ValueError, which quotes nothing of it."""
    request = read_record(JoinRequest, parse_json(_whole_line(line)), may_lack=True)
    if len(request.disks) > MOST_DISKS:
        raise ValueError(f"disks: more than {MOST_DISKS}")
    for disk in request.disks:
        if not disk.startswith("/") or not disk.isprintable() or len(disk) > LONGEST_DISK:
            raise ValueError("disks: one is not a path, such as /home")
    request.public_key  # noqa: B018 - that it is one
    return request


def parse_joined(line: bytes) -> Joined:
    """Return what the server answers. Raises ValueError."""
    return read_record(Joined, parse_json(_whole_line(line)), may_lack=True)


def _whole_line(line: bytes) -> bytes:
    if len(line) > LONGEST_LINE or not line.endswith(b"\n"):
        raise ValueError("no whole line")
    return line
