"""A machine joins by a code: all that `server enroll` does, as the Amanda user.

What is written, in this order: that the machine uses the code, which decides between two that come
at once; its disks, in the disklist; its line in authorized_keys; that it is done. Killed between
any two, the same machine goes on with its next try, and no other can use what it has begun.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from asyncamanda.core.amanda.curinfo import sanitise_name
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.amanda.sealing import SEALED_DUMPTYPE
from asyncamanda.core.protocol.bounds import LONGEST_TEXT
from asyncamanda.core.protocol.joining import Joined, JoinRequest
from asyncamanda.core.values.printable import clip
from asyncamanda.errors import AsyncamandaError, LaterError, RefusedError
from asyncamanda.report.text import name_disks
from asyncamanda.server.amanda.commands import parse_settings, plan_config
from asyncamanda.server.amanda.hiding import is_there
from asyncamanda.server.background.log import LOG
from asyncamanda.server.enrol.admitting import JoinAdmission, decide_admission, name_taken
from asyncamanda.server.enrol.disklist import (
    Addition,
    Configured,
    check_dumptype,
    check_encryption,
    check_new_disks,
    choose_dumptype,
    describe_dles,
    find_missing,
    read_configured,
)
from asyncamanda.server.enrol.disklist_file import ask_amanda
from asyncamanda.server.enrol.invitation import (
    Invitation,
    drop_use,
    note_refusal,
    note_use,
)
from asyncamanda.server.enrol.invitations import (
    change_invitations,
    read_invitations,
    write_invitations,
)
from asyncamanda.server.enrol.registry import change, changing, read_registry, read_text
from asyncamanda.system.clock import now as read_clock


@dataclass(frozen=True, slots=True)
class JoinSite:
    """Where machines join: `path` is of authorized_keys, `user` the Amanda user.

    `was_seen` says whether the ledger knows of a client by that name. `open_anew` lets the next
    machine with a client's key be the client, `end_sessions` ends those of its former key.
    """

    path: Path
    user: str
    was_seen: Callable[[str], bool]
    open_anew: Callable[[str], object]
    end_sessions: Callable[[str], object]


def join(site: JoinSite, name: str, request: JoinRequest) -> Joined:
    """Enroll a machine that has come by the invitation `name`; return as whom.

    For a machine that this invitation has enrolled nothing is changed. Raises RefusedError, which
    is logged and listed, where code, name or key are not good for that, BadDataError for an
    Amanda configuration that cannot be used, and LaterError if somebody else is changing it.
    """
    try:
        return _join(site, name, request)
    except RefusedError as error:
        _tell_refusal(site, name, request, error)
        raise


def _join(site: JoinSite, name: str, request: JoinRequest) -> Joined:
    admission = _decide(site, name, request)
    configured = read_configured(admission.entry.amanda_config, site.user)
    wanted, warnings = _choose_disks(admission, request)
    dles = configured.of_host(admission.entry.client)
    missing, told = find_missing(dles, wanted)
    check_new_disks(missing)
    dumptype = _choose_dumptype(admission, request, dles)
    check_encryption(configured, (), is_wanted=request.is_encrypting)
    if missing:
        check_dumptype(configured, dumptype)
    is_begun = admission.is_known or admission.is_resumed
    if admission.invitation.is_pattern and not is_begun:
        _check_unheard_of(site, admission, configured)
    admission = _reserve(site, name, request)
    client = admission.entry.client
    if not admission.is_known:
        try:
            if missing:
                Addition(client, missing, dumptype).make(configured.disklist)
            if admission.invitation.is_again:
                site.open_anew(client)
            change(site.path, lambda text: _plan(site, admission, text))
        except LaterError:
            raise  # the same machine goes on with what it has begun
        except AsyncamandaError:
            _update(site, admission, lambda one: drop_use(one, admission.use))
            raise
    _finish(site, admission)
    configured = read_configured(admission.entry.amanda_config, site.user)
    dles = configured.of_host(client)
    warnings += check_encryption(configured, dles, is_wanted=request.is_encrypting)
    warnings += describe_dles(configured, client, is_direct=admission.entry.is_direct)
    said = tuple(clip(" ".join(words.split()), LONGEST_TEXT) for words in (*told, *warnings))
    return Joined(client, admission.entry.amanda_config, said)


def _choose_dumptype(admission: JoinAdmission, request: JoinRequest, dles: Sequence[Dle]) -> str:
    """Return the dumptype for new disks: the invitation's, or what the machine's others have."""
    usual = SEALED_DUMPTYPE if request.is_encrypting else choose_dumptype(dles)
    return admission.invitation.dumptype or usual


def _decide(site: JoinSite, name: str, request: JoinRequest) -> JoinAdmission:
    invitations, entries = read_invitations(site.path), read_registry(site.path)
    admission = decide_admission(invitations, name, request, entries, read_clock())
    if not admission.is_known:
        admission.plan(read_text(site.path))
    return admission


def _reserve(site: JoinSite, name: str, request: JoinRequest) -> JoinAdmission:
    """Decide again, and write down that the machine uses the code: nobody else does from now on."""
    with changing(site.path):
        admission = _decide(site, name, request)
        if not (admission.is_known or admission.is_resumed):
            changed = note_use(admission.invitation, admission.use)
            write_invitations(site.path, _replaced(read_invitations(site.path), changed))
    return admission


def _plan(site: JoinSite, admission: JoinAdmission, text: str) -> str:
    """Return authorized_keys with the machine. Raises RefusedError if the code is withdrawn now."""
    for one in read_invitations(site.path):
        if one.invitation == admission.invitation.invitation and one.withdrawn_at is not None:
            raise RefusedError(
                "code-withdrawn",
                "this code was withdrawn just now",
                "ask the server's administrator for another one: asyncamanda server invite CLIENT",
            )
    return admission.plan(text)


def _finish(site: JoinSite, admission: JoinAdmission) -> None:
    """End the sessions of who was this client before, and write down that the machine is in."""
    if admission.use.is_done:
        return
    client = admission.entry.client
    if admission.invitation.is_again:
        site.end_sessions(client)
    done = replace(admission.use, is_done=True)
    _update(site, admission, lambda one: note_use(one, done))
    key = admission.entry.key
    LOG.info(
        "%s has joined by the invitation %s: %s %s",
        client,
        admission.invitation.invitation,
        key.key_type,
        key.fingerprint,
    )


def _choose_disks(
    admission: JoinAdmission, request: JoinRequest
) -> tuple[tuple[str, ...], list[str]]:
    """Return the disks that the machine gets, and what is said about the others."""
    invitation = admission.invitation
    allowed = invitation.disks
    if not (invitation.is_again or allowed):
        return request.disks, []
    if not request.disks or set(request.disks) <= set(allowed):
        return allowed, []
    others = [disk for disk in request.disks if disk not in allowed]
    what = "keeps the disks that the server has of it" if invitation.is_again else "names the disks"
    return allowed, [f"the code {what}; not added: {name_disks(others)}"]


def _check_unheard_of(site: JoinSite, admission: JoinAdmission, configured: Configured) -> None:
    """Raise RefusedError if there was ever a client of this name: its files are not another's."""
    client, amanda_config = admission.entry.client, admission.entry.amanda_config
    if any(dle.host.lower() == client.lower() for dle in configured.dles):
        raise name_taken(client, "is in the disklist already")
    settings = parse_settings(amanda_config, ask_amanda(site.user, *plan_config(amanda_config)))
    if is_there(settings.infofile / sanitise_name(client)) or site.was_seen(client):
        raise name_taken(client, "was a client of this server before")


def _tell_refusal(site: JoinSite, name: str, request: JoinRequest, error: RefusedError) -> None:
    """Write into the log why a machine was refused, and into the list of invitations."""
    words, is_news = f"{request.client}: {error.message}", [True]

    def plan(before: tuple[Invitation, ...]) -> Sequence[Invitation]:
        after = [
            note_refusal(one, words, read_clock()) if one.invitation == name else one
            for one in before
        ]
        is_news[0] = tuple(after) != before or all(one.invitation != name for one in before)
        return after

    with suppress(AsyncamandaError):
        change_invitations(site.path, plan)
    if is_news[0]:
        LOG.warning("the invitation %s was refused to a machine that said it is %s", name, words)


def _update(
    site: JoinSite, admission: JoinAdmission, edit: Callable[[Invitation], Invitation]
) -> None:
    def plan(before: tuple[Invitation, ...]) -> Sequence[Invitation]:
        own = admission.invitation.invitation
        return [edit(one) if one.invitation == own else one for one in before]

    change_invitations(site.path, plan)


def _replaced(before: Sequence[Invitation], changed: Invitation) -> list[Invitation]:
    return [changed if one.invitation == changed.invitation else one for one in before]
