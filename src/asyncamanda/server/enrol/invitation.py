"""Invitations: who may join by a code, how often and until when. Decided here, on values."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from asyncamanda.core.protocol.authority import check_client_name
from asyncamanda.core.protocol.codec import read_record, write_record, write_value
from asyncamanda.core.protocol.joining import JoinRequest
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import RefusedError
from asyncamanda.server.enrol.enrolled import Enrolled, plan_enroll, plan_rekey

FORMAT = 1
DEFAULT_SPAN, LONGEST_SPAN = timedelta(days=7), timedelta(days=366)
MOST_USES = 1000  # of one code
MOST_INVITATIONS = 200  # that are kept
KEPT_AFTER = timedelta(days=7)  # its end, so that who comes with it is told why it is refused
RESUMED_WITHIN = timedelta(hours=1)  # for a machine that was cut off while it joined
TOLD_EVERY = timedelta(minutes=1)  # the same refusal of the same code
_WILD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class Use:
    """A machine that joined: as whom, the fingerprint of its key. Not `is_done`: it began to."""

    client: str
    fingerprint: str
    at: datetime
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a code is good for. Neither the code nor the seed in it is kept.

    `invitation` names it, by its one-time public key. `names` is one name, or a pattern. `is_again`
    lets the machine take the place of one that is, or was, enrolled by that name. `disks` are those
    that it gets; without any it may name its own. `refused` is why it was last refused to somebody.
    """

    invitation: str
    names: str
    amanda_config: str
    made_at: datetime
    expires_at: datetime
    count: int = 1
    disks: tuple[str, ...] = ()
    dumptype: str = ""
    is_again: bool = False
    is_direct: bool = False
    may_restore: bool = True
    withdrawn_at: datetime | None = None
    uses: tuple[Use, ...] = ()
    refusals: int = 0
    refused_at: datetime | None = None
    refused: str = ""

    @property
    def is_pattern(self) -> bool:
        """Whether it is for all names that fit."""
        return bool(_WILD.search(self.names))

    @property
    def left(self) -> int:
        """How many machines may still join with it."""
        return max(0, self.count - len(self.uses))

    def state(self, now: datetime) -> str:
        """Return in a word whether it is open, and else why not."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        if not self.left:
            return "used"
        return "open" if now < self.expires_at else "expired"

    def ended_at(self, now: datetime) -> datetime | None:
        """Return when it ceased to be of use to anybody; None while it is open."""
        match self.state(now):
            case "withdrawn":
                return self.withdrawn_at
            case "used":
                return max((use.at for use in self.uses), default=self.made_at)
            case "expired":
                return self.expires_at
        return None


@dataclass(frozen=True, slots=True)
class _Kept:
    format: int
    invitations: tuple[Invitation, ...]


def parse_invitations(text: str) -> tuple[Invitation, ...]:
    """Return those in the text of the file, none if it is empty. Raises ValueError."""
    if not text:
        return ()
    kept = read_record(_Kept, parse_json(text), may_lack=True)
    if kept.format != FORMAT:
        raise ValueError("it is of another version of asyncamanda")
    return kept.invitations


def render_invitations(invitations: Iterable[Invitation]) -> str:
    """Return the text of the file that holds these."""
    kept = _Kept(FORMAT, tuple(invitations))
    return json.dumps(write_record(kept), default=write_value, indent=1) + "\n"


def plan_kept(invitations: Sequence[Invitation], now: datetime) -> tuple[Invitation, ...]:
    """Return those that are worth keeping: not those that ended long ago.

    Where there are too many, those that ended first go earlier.
    """
    ended = [(at, one.invitation) for one in invitations if (at := one.ended_at(now))]
    gone = {name for at, name in ended if now - at > KEPT_AFTER}
    surplus = len(invitations) - len(gone) - MOST_INVITATIONS
    rest = sorted(end for end in ended if end[1] not in gone)
    gone |= {name for _, name in rest[: max(0, surplus)]}
    return tuple(one for one in invitations if one.invitation not in gone)


def check_names(names: str) -> None:
    """Raise ValueError unless `names` can be a client's name, or a pattern of such names."""
    check_client_name(_WILD.sub("x", names))


def is_meant(invitation: Invitation, client: str) -> bool:
    """Return whether an invitation is for this name; the case of letters does not count."""
    return fnmatchcase(client.lower(), invitation.names.lower())


# -- joining


@dataclass(frozen=True, slots=True)
class JoinAdmission:
    """A machine that may join: as whom, with which key.

    `use` is what is written down of it. `is_known`: it is enrolled so already. `is_resumed`: it
    began to join before, and nothing about its name is to be checked again.
    """

    invitation: Invitation
    entry: Enrolled
    use: Use
    is_known: bool = False
    is_resumed: bool = False

    def plan(self, text: str) -> str:
        """Return authorized_keys with the machine in it. Raises what plan_enroll() raises."""
        entry = self.entry
        if self.invitation.is_again:
            text = plan_rekey(text, entry.client, entry.key)
        return plan_enroll(text, entry)


def decide_admission(
    invitations: Sequence[Invitation],
    name: str,
    request: JoinRequest,
    entries: Sequence[Enrolled],
    now: datetime,
) -> JoinAdmission:
    """Return as whom the machine joins by the invitation `name`; `entries` is who is enrolled.

    Raises RefusedError, whose reference says what is wrong with the code or the name.
    """
    invitation = next((one for one in invitations if one.invitation == name), None)
    if invitation is None:
        raise _refuse("code-unknown", "the server knows nothing of this code any more")
    key = request.public_key
    before = next((use for use in invitation.uses if use.fingerprint == key.fingerprint), None)
    if before:
        known = _find_again(invitation, before, key, entries, now)
        if known:
            return known
    _check_open(invitation, now)
    client = _choose_name(invitation, request)
    if not invitation.is_again:
        _check_free(client, entries, invitations, now)
    entry = _make_entry(invitation, client, key, entries)
    return JoinAdmission(invitation, entry, Use(client, key.fingerprint, now))


def _find_again(
    invitation: Invitation,
    before: Use,
    key: PublicKey,
    entries: Sequence[Enrolled],
    now: datetime,
) -> JoinAdmission | None:
    """Return what becomes of a machine that has used the code `before`; None: as of a new one."""
    entry = _make_entry(invitation, before.client, key, entries)
    if any((one.client, one.key.key) == (entry.client, key.key) for one in entries):
        return JoinAdmission(invitation, entry, before, is_known=True)
    is_recent = abs(now - before.at) < RESUMED_WITHIN
    if before.is_done or not is_recent or invitation.withdrawn_at is not None:
        return None
    return JoinAdmission(invitation, entry, before, is_resumed=True)


def _make_entry(
    invitation: Invitation, client: str, key: PublicKey, entries: Sequence[Enrolled]
) -> Enrolled:
    if invitation.is_again:
        for one in entries:
            if one.client == client:
                return replace(one, key=key)
    return Enrolled(
        client, invitation.amanda_config, key, invitation.is_direct, invitation.may_restore
    )


def _check_open(invitation: Invitation, now: datetime) -> None:
    match invitation.state(now):
        case "withdrawn":
            raise _refuse("code-withdrawn", "this code was withdrawn")
        case "used":
            raise _refuse(
                "code-used",
                "this code was used already"
                + (f", by {invitation.uses[-1].client}" if invitation.uses else ""),
            )
        case "expired":
            raise _refuse("code-expired", f"this code expired at {_name_time(invitation)}")


def _name_time(invitation: Invitation) -> str:
    return f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC"


def _choose_name(invitation: Invitation, request: JoinRequest) -> str:
    if not invitation.is_pattern and not request.is_named:
        return invitation.names
    if not is_meant(invitation, request.client):
        kind = "names such as " if invitation.is_pattern else ""
        raise RefusedError(
            "code-other-name",
            f"this code is for {kind}{invitation.names}, not for {request.client}",
            "--name chooses this machine's name; a code for another one is the administrator's to "
            "give",
        )
    return request.client if invitation.is_pattern else invitation.names


def _check_free(
    client: str, entries: Sequence[Enrolled], invitations: Sequence[Invitation], now: datetime
) -> None:
    """Raise RefusedError if the name is somebody's already, or just becomes that."""
    taken = [one.client for one in entries]
    for one in invitations:
        taken += [
            use.client for use in one.uses if not use.is_done and now - use.at < RESUMED_WITHIN
        ]
    if client.lower() in {name.lower() for name in taken}:
        raise name_taken(client, "is enrolled already, with another key")


def name_taken(client: str, why: str) -> RefusedError:
    """Return the error for a name that a new machine cannot have."""
    return RefusedError(
        "name-taken",
        f"{client} {why}, and this code is for new clients",
        "--name chooses another name; for a machine that has lost its key the administrator makes "
        f"a code on the server: asyncamanda server rekey {client} --invite",
    )


def _refuse(reference: str, message: str) -> RefusedError:
    return RefusedError(
        reference,
        message,
        "ask the server's administrator for another one: asyncamanda server invite CLIENT",
    )


def note_use(invitation: Invitation, use: Use) -> Invitation:
    """Return the invitation with this use, in the place of what it had of the same key."""
    others = tuple(one for one in invitation.uses if one.fingerprint != use.fingerprint)
    return replace(invitation, uses=(*others, use))


def drop_use(invitation: Invitation, use: Use) -> Invitation:
    """Return the invitation without a use that came to nothing."""
    kept = tuple(one for one in invitation.uses if one.fingerprint != use.fingerprint)
    return replace(invitation, uses=kept)


def note_refusal(invitation: Invitation, words: str, now: datetime) -> Invitation:
    """Return the invitation with a refusal; the same one if that was noted just now."""
    at = invitation.refused_at
    if words == invitation.refused and at is not None and abs(now - at) < TOLD_EVERY:
        return invitation
    count = min(invitation.refusals + 1, 10**6)
    return replace(invitation, refusals=count, refused_at=now, refused=words[:300])
