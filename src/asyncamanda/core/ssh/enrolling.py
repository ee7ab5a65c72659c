"""The commands about a client for the server, as its administrator types or copies them."""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Enrolling:
    """The client to be enrolled: its name in the disklist, its disks, and its public key's line.

    Without an `amanda_config` the server takes the only one that it has. `largest` is about how
    much the largest of the disks holds, "" where that is not known. `is_replacing`: the key takes
    the place of another one, which the machine has lost. `is_encrypting`: only it is to read what
    its dumps hold.
    """

    client: str
    key: str
    disks: tuple[str, ...] = ()
    amanda_config: str | None = None
    largest: str = ""
    is_replacing: bool = False
    is_encrypting: bool = False


def render_enroll(enrolling: Enrolling, *, is_root: bool = False) -> str:
    """Return the command for a shell at the server, one line; `is_root`: no sudo is needed."""
    argv = [*_begin(is_root=is_root), "enroll", enrolling.client]
    if enrolling.amanda_config is not None:
        argv += ["--amanda-config", enrolling.amanda_config]
    for disk in enrolling.disks:
        argv += ["--disk", disk]
    if enrolling.largest:
        argv += ["--largest", enrolling.largest]
    if enrolling.is_replacing:
        argv.append("--replace")
    if enrolling.is_encrypting:
        argv.append("--encrypt")
    return shlex.join([*argv, "--setup", "--key", enrolling.key])


def render_rename(old: str, new: str, *, is_root: bool = False) -> str:
    """Return the command that gives a client another name there, as above."""
    return shlex.join([*_begin(is_root=is_root), "rename", old, new])


def _begin(*, is_root: bool) -> list[str]:
    return [*([] if is_root else ["sudo"]), "asyncamanda", "server"]
