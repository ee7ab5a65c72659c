"""Whether a machine that has come by an invitation may join, and as whom. Decided on values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from asyncamanda.core.protocol.joining import JoinRequest
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.errors import RefusedError
from asyncamanda.server.enrol.enrolled import Enrolled, plan_enroll, plan_rekey
from asyncamanda.server.enrol.invitation import Invitation, Use, is_meant

RESUMED_WITHIN = timedelta(hours=1)  # for a machine that was cut off while it joined


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
