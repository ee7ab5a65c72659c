"""Who may join by which code, decided on values; and what a machine may say."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.protocol.joining import (
    Joined,
    JoinRequest,
    encode_join,
    parse_join_request,
    parse_joined,
)
from asyncamanda.core.ssh.publickey import parse_public_key
from asyncamanda.errors import RefusedError
from asyncamanda.server.enrol.admitting import RESUMED_WITHIN, JoinAdmission, decide_admission
from asyncamanda.server.enrol.enrolled import Enrolled, parse_registry, render_line
from asyncamanda.server.enrol.invitation import (
    KEPT_AFTER,
    MOST_INVITATIONS,
    Invitation,
    Use,
    check_names,
    note_refusal,
    parse_invitations,
    plan_kept,
    render_invitations,
)

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEYS = [
    f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJsQ9nqRkGq0h5wD0u0bIu5Ckz4i2KpQ6s8dS0mZ0f{letter}G x"
    for letter in "ABC"
]
OWN, OTHER, THIRD = map(parse_public_key, KEYS)
ONE = Invitation("0011223344", "larch", "daily", NOW - HOUR, NOW + DAY)
MANY = replace(ONE, names="lab-*", count=2)
AGAIN = replace(ONE, is_again=True)
LARCH = Enrolled("larch", "daily", OTHER, may_restore=False)


def ask(client: str = "larch", key: str = KEYS[0], *, is_named: bool = False) -> JoinRequest:
    """Return what a machine says."""
    return JoinRequest(client, key, is_named)


def decide(
    invitation: Invitation, request: JoinRequest, *entries: Enrolled, now: datetime = NOW
) -> JoinAdmission:
    """Decide, with this one invitation."""
    return decide_admission([invitation], invitation.invitation, request, entries, now)


def refused(invitation: Invitation, request: JoinRequest, *entries: Enrolled) -> str:
    """Return the reference of the error that it is."""
    with pytest.raises(RefusedError) as caught:
        decide(invitation, request, *entries)
    return caught.value.reference


def test_a_code_for_one_name_gives_that_name() -> None:
    """Whatever the machine's host is called, unless somebody chose another name."""
    assert decide(ONE, ask("debian")).entry == Enrolled("larch", "daily", OWN)
    assert decide(ONE, ask("LARCH", is_named=True)).entry.client == "larch"
    assert refused(ONE, ask("oak", is_named=True)) == "code-other-name"


def test_a_pattern_holds_for_the_whole_name() -> None:
    """In any case of letters, as Amanda sees names."""
    assert decide(MANY, ask("lab-7")).entry.client == "lab-7"
    assert decide(MANY, ask("LAB-7")).entry.client == "LAB-7"
    for name in ("lab", "xlab-7", "larch"):
        assert refused(MANY, ask(name)) == "code-other-name"


@pytest.mark.parametrize(
    ("invitation", "reference"),
    [
        (replace(ONE, expires_at=NOW), "code-expired"),
        (replace(ONE, withdrawn_at=NOW), "code-withdrawn"),
        (
            replace(ONE, uses=(Use("larch", OTHER.fingerprint, NOW - DAY, is_done=True),)),
            "code-used",
        ),
        (replace(ONE, uses=(Use("larch", OTHER.fingerprint, NOW),)), "code-used"),
    ],
)
def test_what_is_over_is_over(invitation: Invitation, reference: str) -> None:
    """Each with its own word; and a code that nobody knows."""
    assert refused(invitation, ask()) == reference
    with pytest.raises(RefusedError) as caught:
        decide_admission([invitation], "ffffffffff", ask(), [], NOW)
    assert caught.value.reference == "code-unknown"


def test_a_name_that_is_somebodys_is_refused_but_for_its_own_next_machine() -> None:
    """Who is enrolled, in any case of letters, or just becomes that by another code."""
    assert refused(ONE, ask(), replace(LARCH, client="LARCH")) == "name-taken"
    begun = replace(
        MANY, invitation="other", uses=(Use("lab-1", OTHER.fingerprint, NOW - HOUR / 2),)
    )
    with pytest.raises(RefusedError) as caught:
        decide_admission([MANY, begun], MANY.invitation, ask("lab-1"), [], NOW)
    assert caught.value.reference == "name-taken"
    assert decide_admission([MANY, begun], MANY.invitation, ask("lab-2"), [], NOW)
    admission = decide(AGAIN, ask("debian"), LARCH)
    assert admission.entry == replace(LARCH, key=OWN)
    assert parse_registry(admission.plan(render_line(LARCH))) == (replace(LARCH, key=OWN),)
    revoked = decide(AGAIN, ask("debian"))
    assert parse_registry(revoked.plan("")) == (Enrolled("larch", "daily", OWN),)


def test_the_same_machine_may_come_again() -> None:
    """Enrolled: nothing changes. Cut off: it goes on, for an hour, unless the code is withdrawn."""
    use = Use("larch", OWN.fingerprint, NOW)
    begun = replace(ONE, uses=(use,))
    done = replace(ONE, uses=(replace(use, is_done=True),))
    late = NOW + RESUMED_WITHIN
    assert decide(begun, ask()).is_resumed
    assert decide(done, ask(), Enrolled("larch", "daily", OWN), now=NOW + 9 * DAY).is_known
    assert refused(done, ask()) == "code-used"  # it was revoked
    assert refused(replace(begun, withdrawn_at=NOW), ask()) == "code-withdrawn"
    with pytest.raises(RefusedError):
        decide(begun, ask(), now=late)


def test_another_machines_key_is_nobodys_else() -> None:
    """A key identifies one client."""
    admission = decide(ONE, ask(key=KEYS[2]))
    with pytest.raises(RefusedError) as caught:
        admission.plan(render_line(Enrolled("oak", "daily", THIRD)))
    assert caught.value.reference == "key-in-use"


def test_what_ended_long_ago_is_forgotten_and_what_is_open_never() -> None:
    """Beyond so many, what ended first goes earlier."""
    old = replace(ONE, invitation="old", expires_at=NOW - KEPT_AFTER - HOUR)
    recent = replace(ONE, invitation="recent", expires_at=NOW - HOUR)
    used = replace(ONE, invitation="used", uses=(Use("larch", "SHA256:x", NOW - 9 * DAY, True),))
    assert plan_kept([old, recent, used, ONE], NOW) == (recent, ONE)
    ended = [
        replace(ONE, invitation=f"{n}", withdrawn_at=NOW - timedelta(minutes=n))
        for n in range(MOST_INVITATIONS)
    ]
    kept = plan_kept([*ended, ONE], NOW)
    assert (len(kept), kept[-1], ended[-1] in kept) == (MOST_INVITATIONS, ONE, False)


def test_the_file_holds_what_it_was_given() -> None:
    """And another version's is not taken for ours."""
    whole = [replace(MANY, uses=(Use("lab-1", "SHA256:x", NOW),), disks=("/home",), refused="é")]
    assert parse_invitations(render_invitations(whole)) == tuple(whole)
    assert parse_invitations("") == ()
    for text in ("{", "{}", '{"format": 2, "invitations": []}', "[" * 100_000):
        with pytest.raises(ValueError, match=r"."):
            parse_invitations(text)


def test_the_same_refusal_is_noted_once_a_minute() -> None:
    """Whoever has a code cannot fill the log, or keep the file being written."""
    noted = note_refusal(ONE, "x", NOW)
    assert (noted.refusals, noted.refused) == (1, "x")
    assert note_refusal(noted, "x", NOW + timedelta(seconds=59)) is noted
    assert note_refusal(noted, "x", NOW + timedelta(minutes=1)).refusals == 2
    assert note_refusal(noted, "y", NOW).refusals == 2


def test_patterns_are_names_with_gaps() -> None:
    """Nothing else that fnmatch() knows."""
    for names in ("larch", "lab-*", "*", "pc?.example.org"):
        check_names(names)
    for names in ("", "lab-[ab]", "a b", "../*", "-*x", "x" * 254):
        with pytest.raises(ValueError, match="name"):
            check_names(names)


def line(**said: object) -> bytes:
    """Return a request with this in it."""
    return json.dumps({"client": "larch", "key": KEYS[0], **said}).encode() + b"\n"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        line()[:-1],
        b"[" * 60_000 + b"\n",
        b" " * 70_000 + line(),
        b"\xff\n",
        line(client="x" * 254),
        line(client="../larch"),
        line(client="larch\n"),
        line(client="-larch"),
        line(client=None),
        line(is_named=1),
        line(key='restrict,command="id" ' + KEYS[0]),
        line(key=KEYS[0] + "\n" + KEYS[1]),
        line(key="ssh-ed25519 AAAA"),
        line(key="-----BEGIN OPENSSH PRIVATE KEY-----"),
        line(disks=["home"]),
        line(disks=["/a\nlarch /etc roaming"]),
        line(disks=["/" + "x" * 1000]),
        line(disks=[f"/{number}" for number in range(17)]),
    ],
)
def test_a_request_that_is_not_one_is_not_understood(said: bytes) -> None:
    """Nothing of it reaches a file."""
    with pytest.raises(ValueError, match=r"."):
        parse_join_request(said)


def test_both_lines_are_read_as_they_were_written() -> None:
    """And keys that are not known are passed over."""
    request = JoinRequest("larch", KEYS[0], is_named=True, disks=("/home", "/ä"))
    assert parse_join_request(encode_join(request).encode()) == request
    assert parse_join_request(line(more=1)) == JoinRequest("larch", KEYS[0])
    joined = Joined("larch", "daily", ("no disks",))
    assert parse_joined(encode_join(joined).encode()) == joined
