"""How the doctor judges ssh's side: its configuration, the key, and the server's host key."""

from collections.abc import Sequence
from dataclasses import dataclass

from asyncamanda.core.doctor.findings import Check, Health, not_needed, well
from asyncamanda.core.doctor.rights import (
    OTHERS_READ,
    OTHERS_WRITE,
    PathKind,
    Seen,
    quoted,
)
from asyncamanda.core.ssh.way import SshWay
from asyncamanda.core.values.shellwords import as_user
from asyncamanda.errors import Exit


def judge_ssh(status: int | None, said: str) -> Check:
    """Return whether ssh accepts its configuration, by how `ssh -G` ended."""
    why = "the server is reached by the system's ssh, which starts with no other configuration"
    if status is None:
        return Check("ssh", Health.BAD, said, why, "as root: apt install openssh-client")
    if status != 0:
        fix = "correct that file: it has to be the Amanda user's or root's, others may not write"
        return Check("ssh", Health.BAD, f"ssh: {said}", why, fix)
    return well("ssh", "accepts its configuration")


# -- the key


@dataclass(frozen=True, slots=True)
class Key:
    """A private key's file, the folder it lies in, and what ssh-keygen says of it.

    `said` is the public half where `is_open`, else why there is none. `has_agent`: an agent is
    there, with keys.
    """

    seen: Seen
    folder: Seen
    is_open: bool
    said: str
    has_agent: bool = False


def judge_key(keys: Sequence[Key], user: str, *, is_configured: bool, has_password: bool) -> Check:
    """Return whether there is a private key that ssh uses without asking anybody."""
    there = [key for key in keys if key.seen.kind is not PathKind.NOTHING]
    if not there and has_password and not is_configured:
        return not_needed("key", "there is a password_file")
    if not there:
        return _missing(keys, user, is_configured=is_configured)
    faults = [fault for key in there if (fault := _find_fault(key, user))]
    # ssh tries one after the other, so one good key is enough
    if len(faults) == len(there) or (faults and faults[0].exit is Exit.CONFIGURATION):
        return faults[0]
    good = next(key for key in there if not _find_fault(key, user))
    return well("key", good.seen.path)


def _missing(keys: Sequence[Key], user: str, *, is_configured: bool) -> Check:
    first = keys[0].seen if keys else None
    why = "the server knows this machine by its key alone"
    if first is None or not is_configured:
        first = next((key.seen for key in keys if "ed25519" in key.seen.path), first)
    path = first.path if first else "~/.ssh/id_ed25519"
    found = f"{path}: {first.error}" if is_configured and first else f"{user} has none, such as "
    if not is_configured or not first:
        found += path
    make = as_user(user, f"ssh-keygen -t ed25519 -N '' -f {quoted(path)}")
    fix = f"{make}; then enroll its .pub"
    return Check("key", Health.BAD, found, why, fix, exit=Exit.REFUSED)


def _find_fault(key: Key, user: str) -> Check | None:
    seen, path = key.seen, quoted(key.seen.path)
    owned = f"as root: chown {user} {path} && chmod 600 {path}"
    if seen.kind is not PathKind.FILE:
        found = f"{seen.path} is {seen.kind.value}"
        return Check("key", Health.BAD, found, "it is not a key", f"correct `key`, or move {path}")
    if seen.owner != user or not seen.may_read:
        found = f"{seen.path} is {seen.owner}'s, mode {seen.mode:04o}, and not {user}'s own"
        return Check("key", Health.BAD, found, "only its owner may read it", owned)
    if seen.mode & OTHERS_READ:
        found = f"{seen.path} has mode {seen.mode:04o}: others can use it"
        return Check("key", Health.BAD, found, "ssh ignores such a key", owned)
    folder = key.folder
    if folder.mode & OTHERS_WRITE or folder.owner not in {user, "root"}:
        found = f"the folder {folder.path} is {folder.owner}'s, mode {folder.mode:04o}"
        why = "whoever can write there can substitute another key or another server"
        fix = f"as root: chown {user} {quoted(folder.path)} && chmod 700 {quoted(folder.path)}"
        return Check("key", Health.BAD, found, why, fix)
    return None if key.is_open else _explain_closed(key, user)


def _explain_closed(key: Key, user: str) -> Check:
    path = quoted(key.seen.path)
    if "passphrase" not in key.said:
        found = f"{key.seen.path} is no private key: {key.said}"
        make = as_user(user, f"ssh-keygen -t ed25519 -N '' -f {path}")
        fix = f"move it away; {make}; enroll its .pub"
        return Check("key", Health.BAD, found, "ssh cannot use it", fix, exit=Exit.REFUSED)
    found = f"{key.seen.path} is protected by a passphrase"
    why = "a timer cannot type it"
    fix = as_user(user, f"ssh-keygen -p -N '' -f {path}")
    if key.has_agent:
        why += "; an ssh-agent helps only the user who started it"
        return Check("key", Health.WARNING, found, why, fix)
    return Check("key", Health.BAD, found, why, fix, exit=Exit.REFUSED)


# -- the server's host key


def judge_host_key(way: SshWay, lines: Sequence[str], user: str) -> Check:
    """Return whether the server's host key is known, by the `lines` of known_hosts that name it."""
    revoked = [line for line in lines if line.startswith("@revoked")]
    known = [line for line in lines if line not in revoked]
    if known:
        kinds = sorted({_kind_of(line) for line in known})
        return well("host-key", f"{way.known_as} is known by {', '.join(kinds)}")
    if way.has_command:
        return well("host-key", "left to KnownHostsCommand")
    port = f"-p {way.port} " if way.port != 22 else ""
    words = "is revoked" if revoked else "is not known"
    return Check(
        "host-key",
        Health.BAD,
        f"the host key of {way.known_as} {words} here",
        "nothing is sent to a server that could be another",
        "compare the fingerprint with the server's, "
        + as_user(user, f"ssh {port}{quoted(way.host)} true"),
        exit=Exit.REFUSED,
    )


def _kind_of(line: str) -> str:
    words = line.split()
    return "an authority" if words[0] == "@cert-authority" else words[1]
