"""The invitations of this server: their file, and their lines in authorized_keys.

The file lies beside authorized_keys, and the same lock holds for both. It is written first, and
decides alone: a line without it lets nobody join. What has ended stays for a while, with its line,
so that who comes with it is told why it is refused, and the log has that.

All but find_address() is to be called as the account whose files these are.
"""

import hashlib
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda.core.ssh.invitation_code import SEED_BYTES, render_code
from asyncamanda.core.ssh.one_time_key import render_private_key
from asyncamanda.core.ssh.publickey import PublicKey, parse_public_key
from asyncamanda.core.values.shellwords import quote_words
from asyncamanda.errors import BadDataError, RefusedError
from asyncamanda.server.enrol.address import Address
from asyncamanda.server.enrol.enrolled import LINE_END, Enrolled
from asyncamanda.server.enrol.invitation import (
    DEFAULT_SPAN,
    MOST_INVITATIONS,
    Invitation,
    parse_invitations,
    plan_kept,
    render_invitations,
)
from asyncamanda.server.enrol.registry import changing, read_registry, read_text, write_text
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.files import write_whole
from asyncamanda.system.programs import refuse_failure, run_program

FILE = "asyncamanda-invitations.json"
ID_DIGITS = 10  # of the SHA-256 of the one-time public key, in hexadecimal
_LINE = re.compile(r'^restrict,command="asyncamanda gate join ([0-9a-f]+)" [^\n]*\n?', re.M)


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation that was made, and what is shown once: its code, and the client's command."""

    invitation: Invitation
    code: str
    command: str


def read_invitations(path: Path) -> tuple[Invitation, ...]:
    """Return those of the server whose authorized_keys is at `path`.

    Raises BadDataError if the file is damaged, RefusedError if it cannot be read.
    """
    place = path.with_name(FILE)
    try:
        return parse_invitations(read_text(place))
    except ValueError as error:
        raise BadDataError(
            "invitations-damaged",
            f"{place} cannot be understood: {error}",
            f"nobody can join by a code until it is moved away: mv {place} {place}.damaged; codes "
            "that were given away are refused then",
        ) from error


def change_invitations(
    path: Path, plan: Callable[[tuple[Invitation, ...]], Sequence[Invitation]]
) -> None:
    """Let `plan` say which invitations there are, and forget what ended long ago.

    Raises what `plan` raises, then nothing is changed, and what read_invitations() raises.
    """
    with changing(path):
        write_invitations(path, plan(read_invitations(path)))


def write_invitations(path: Path, invitations: Sequence[Invitation]) -> None:
    """Write them, for who holds the lock; lines of those that are not kept go away before."""
    kept = plan_kept(invitations, read_clock())
    _write_lines(path, {one.invitation for one in kept})
    place = path.with_name(FILE)
    before = read_text(place)
    if kept or before:
        write_text(place, before, render_invitations(kept))


def _write_lines(path: Path, names: Iterable[str]) -> None:
    """Remove the lines of other invitations than these."""
    before, known = read_text(path), set(names)
    after = _LINE.sub(lambda line: line[0] if line[1] in known else "", before)
    write_text(path, before, after)


def render_join_line(name: str, key: PublicKey) -> str:
    """Return the line, with its end, by which a one-time key may join, and nothing else."""
    return (
        f'restrict,command="asyncamanda gate join {name}" {key.key_type} {key.key} '
        f"asyncamanda-invitation-{name}{LINE_END}"
    )


# -- making


def invite(path: Path, invitation: Invitation, address: Address) -> Invited:
    """Make an invitation, whose own name is given here, and return it with its code.

    Earlier ones for the same name alone are withdrawn. Raises RefusedError for a name that is
    enrolled, unless it is to be that again, or if there are too many invitations.
    """
    seed = secrets.token_bytes(SEED_BYTES)
    key = _make_public_key(seed)
    invitation = replace(invitation, invitation=_name_key(key))

    def plan(before: tuple[Invitation, ...]) -> list[Invitation]:
        if not (invitation.is_again or invitation.is_pattern):
            _check_new(invitation.names, read_registry(path))
        now = read_clock()
        kept = [
            one
            if one.is_pattern or one.names.lower() != invitation.names.lower()
            else _withdraw(one, now)
            for one in before
        ]
        if sum(one.state(now) == "open" for one in kept) >= MOST_INVITATIONS:
            raise RefusedError(
                "too-many-invitations",
                f"there are {MOST_INVITATIONS} invitations that nobody has used",
                "asyncamanda server invite --list shows them, --withdraw takes one back",
            )
        return [*kept, invitation]

    with changing(path):
        write_invitations(path, plan(read_invitations(path)))
        before = read_text(path)
        ended = before if not before or before.endswith(LINE_END) else f"{before}{LINE_END}"
        write_text(path, before, ended + render_join_line(invitation.invitation, key))
    code = render_code(address.fingerprint, seed)
    command = quote_words(["asyncamanda", "setup", address.server, "--code", code])
    return Invited(invitation, code, command)


def invite_again(
    path: Path,
    entry: Enrolled,
    address: Address,
    expires_after: timedelta = DEFAULT_SPAN,
    *,
    is_encrypting: bool = False,
) -> Invited:
    """Return an invitation for the machine that takes the place of `entry`, with a new key.

    `is_encrypting`: that one has encrypted its dumps. It gets that one's name, disks, Amanda
    configuration, way and permission to restore, whether `entry` is still enrolled when it joins or
    was revoked meanwhile. Raises what invite() raises.
    """
    now = read_clock()
    wanted = Invitation(
        invitation="",
        names=entry.client,
        amanda_config=entry.amanda_config,
        made_at=now,
        expires_at=now + expires_after,
        is_again=True,
        is_direct=entry.is_direct,
        may_restore=entry.may_restore,
    )
    invited = invite(path, wanted, address)
    more = " --encrypt" if is_encrypting else ""
    return replace(invited, command=invited.command + more)


def withdraw(path: Path, name: str) -> tuple[Invitation, ...]:
    """Withdraw the invitations that are called `name`, or are for that client alone.

    Those are meant that are open, or by which a machine has only begun to join. Returns them.
    Raises what change_invitations() raises.
    """
    found: list[Invitation] = []

    def plan(before: tuple[Invitation, ...]) -> list[Invitation]:
        now = read_clock()
        found.extend(
            one
            for one in before
            if one.admits(now)
            and (one.invitation == name or (not one.is_pattern and one.names == name))
        )
        return [_withdraw(one, now) if one in found else one for one in before]

    change_invitations(path, plan)
    return tuple(found)


def _withdraw(one: Invitation, now: datetime) -> Invitation:
    return replace(one, withdrawn_at=now) if one.admits(now) else one


def _check_new(name: str, entries: Iterable[Enrolled]) -> None:
    for one in entries:
        if one.client.lower() == name.lower():
            raise RefusedError(
                "enrolled-already",
                f"{one.client} is enrolled already",
                "if that machine has lost its key, or another one takes its place: asyncamanda "
                f"server rekey {one.client} --invite",
            )


def _make_public_key(seed: bytes) -> PublicKey:
    """Return the public half of a seed's key, by ssh-keygen. Raises RefusedError if it fails."""
    with tempfile.TemporaryDirectory(prefix="asyncamanda-") as folder:
        place = Path(folder, "key")
        write_whole(place, render_private_key(seed), 0o600)
        answer = run_program(["ssh-keygen", "-y", "-f", str(place)])
    hint = "apt install openssh-client"
    refuse_failure(answer, "ssh-keygen cannot make a one-time key", hint)
    return parse_public_key(answer.stdout)


def _name_key(key: PublicKey) -> str:
    return hashlib.sha256(key.key.encode()).hexdigest()[:ID_DIGITS]
