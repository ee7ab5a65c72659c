"""Which server a start would connect to, and as whom: what ssh would use, read from its files.

ssh itself is asked which those are, and which host keys it knows, but only where a file differs
from what it was when that was remembered: both take longer than the rest of an assessment.
"""

import functools
import hashlib
import os
import pwd
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from asyncamanda import quick
from asyncamanda.client.start.probing import ask_ssh
from asyncamanda.client.start.settings import Plan
from asyncamanda.core.agent.peer import name_key, read_host_keys
from asyncamanda.core.model import Peer
from asyncamanda.core.ssh.argv import SshOptions, Target
from asyncamanda.system.programs import run_program

HOST_NAME = "/etc/hostname"
_CONFIGS = ("~/.ssh/config", "/etc/ssh/ssh_config")
_FURTHER_CONFIGS = "/etc/ssh/ssh_config.d"  # of Debian, which its ssh_config includes


def find_peer(plan: Plan, remembered: Peer | None) -> tuple[Peer, list[str]]:
    """Return the peer that a start would have, and glimpses, taken before, of what that rests on.

    Where ssh cannot say (its configuration is broken) what is `remembered` stays: a start that has
    to connect will report it.
    """
    bare = Peer(
        address=str(plan.target),
        command=_digest([os.fsencode(plan.command)]) if plan.command else "",
        amandates=str(plan.amandates) if plan.command else "",
    )
    glimpses: list[str] = []
    if remembered:
        glimpses = [quick.glimpse(path) for path in remembered.files]
        is_alike = _configure(remembered, bare) == remembered
        if is_alike and _digest(map(_read, remembered.files)) == remembered.digest:
            return remembered, glimpses
    found = _ask_ssh(plan.target, plan.options)
    if found is None:
        return _configure(remembered or bare, bare), glimpses
    peer, seen = found
    return _configure(peer, bare), [*seen]


def _configure(peer: Peer, bare: Peer) -> Peer:
    """Return `peer` with what the configuration says of it, as it stands in `bare`."""
    return replace(peer, address=bare.address, command=bare.command, amandates=bare.amandates)


@functools.cache  # one start assesses several times
def _ask_ssh(target: Target, options: SshOptions) -> tuple[Peer, tuple[str, ...]] | None:
    """Return the peer according to ssh and its files, and glimpses of these; None if unknown."""
    _, way = ask_ssh(target, options)
    if way is None:
        return None
    known_hosts = [_expand(path) for path in way.known_hosts]
    keys = [_choose_half(_expand(path)) for path in way.keys]
    configs = [*map(_expand, _CONFIGS), _FURTHER_CONFIGS, *_list(_FURTHER_CONFIGS)]
    files = (*configs, HOST_NAME, *known_hosts, *keys)
    glimpses = tuple(quick.glimpse(path) for path in files)
    digest = _digest(map(_read, files))  # before ssh-keygen reads them: a change shows next time
    peer = Peer(
        address=str(target),
        host_keys=_find_host_keys(way.known_as, known_hosts),
        keys=tuple(name_key(content) for path in keys if (content := _read(path))),
        name=os.fsdecode(_read(HOST_NAME).strip()),
        files=files,
        digest=digest,
    )
    return peer, glimpses


def _find_host_keys(known_as: str, files: Iterable[str]) -> tuple[str, ...]:
    """Return what names each key, or authority, by which `files` know the server."""
    found: set[str] = set()
    for path in files:
        if _read(path):
            known = run_program(["ssh-keygen", "-F", known_as, "-f", path])
            found |= read_host_keys(known.stdout)
    return tuple(sorted(found))


def _choose_half(path: str) -> str:
    """Return the file of a key's public half; where there is none, the key's own."""
    public = f"{path}.pub"
    return path if not Path(public).exists() and Path(path).exists() else public


def _expand(path: str) -> str:
    """Return `path` as ssh takes it: the account's home, whatever HOME says."""
    if path != "~" and not path.startswith("~/"):
        return path
    return pwd.getpwuid(os.geteuid()).pw_dir + path[1:]


def _read(path: str) -> bytes:
    """Return what a file holds, a folder's names, and nothing of what cannot be read."""
    try:
        if Path(path).is_file():
            return Path(path).read_bytes()
        return "\n".join(_list(path)).encode("utf-8", "surrogateescape")
    except OSError:
        return b""


def _list(folder: str) -> list[str]:
    """Return the paths in `folder`, none if it is no folder or cannot be read."""
    try:
        return sorted(str(path) for path in Path(folder).iterdir())
    except OSError:
        return []


def _digest(pieces: Iterable[bytes]) -> str:
    """Return a digest of all `pieces`, and of where each ends."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(b"%d:" % len(piece))
        digest.update(piece)
    return digest.hexdigest()
