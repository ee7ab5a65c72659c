"""The command that enrolls a client at the server, as its administrator types or copies it."""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Enrolling:
    """The client to be enrolled: its name in the disklist, its disks, and its public key's line.

    Without an `amanda_config` the server takes the only one that it has. `largest` is about how
    much the largest of the disks holds, "" where that is not known.
    """

    client: str
    key: str
    disks: tuple[str, ...] = ()
    amanda_config: str | None = None
    largest: str = ""


def render_enroll(enrolling: Enrolling, *, is_root: bool = False) -> str:
    """Return the command for a shell at the server, one line; `is_root`: no sudo is needed."""
    argv = [] if is_root else ["sudo"]
    argv += ["asyncamanda", "server", "enroll", enrolling.client]
    if enrolling.amanda_config is not None:
        argv += ["--amanda-config", enrolling.amanda_config]
    for disk in enrolling.disks:
        argv += ["--disk", disk]
    if enrolling.largest:
        argv += ["--largest", enrolling.largest]
    return shlex.join([*argv, "--setup", "--key", enrolling.key])
