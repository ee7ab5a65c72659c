"""The file of invitations and their lines in authorized_keys: real files, and a real ssh-keygen."""

import multiprocessing
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncamanda.core.ssh.invitation_code import parse_code
from asyncamanda.core.ssh.one_time_key import render_private_key
from asyncamanda.core.ssh.publickey import parse_public_key
from asyncamanda.errors import BadDataError, RefusedError
from asyncamanda.server.enrol.address import Address
from asyncamanda.server.enrol.enrolled import Enrolled, parse_registry, plan_enroll, render_line
from asyncamanda.server.enrol.invitation import MOST_INVITATIONS, Invitation, Use, note_use
from asyncamanda.server.enrol.invitations import (
    FILE,
    change_invitations,
    invite,
    invite_again,
    read_invitations,
    withdraw,
)
from asyncamanda.system.programs import run_program

ADDRESS = Address("amanda", "SHA256:XS0mrUJ9WtsgbpR3Wy0kBmPqYR94KPhZ7K3yrRVQ1dc")
KEY = parse_public_key(
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJsQ9nqRkGq0h5wD0u0bIu5Ckz4i2KpQ6s8dS0mZ0fAG x"
)
LARCH = Enrolled("larch", "daily", KEY)
# what administrators have in such a file, and what has to stay as it is
FOREIGN = (
    '# restrict,command="asyncamanda gate join 0011223344" not ours\n'
    'from="192.0.2.1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJsQ9nqRkGq0h5wD0u0bIu5Ckz4i2KpQ6s8d'
    "S0mZ0fBG \x85\u2028\udcff\n"
    ' restrict,command="id" ssh-rsa AAAA'
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where an authorized_keys would be, in a folder of its own."""
    return tmp_path / "authorized_keys"


def wanted(names: str = "oak", **more: object) -> Invitation:
    """Return what is wanted of an invitation."""
    now = datetime.now(UTC)
    plain = Invitation("", names, "daily", now, now + timedelta(days=1))
    return replace(plain, **more)  # type: ignore[arg-type]


def write(path: Path, text: str) -> None:
    """Write a file with whatever bytes."""
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def read(path: Path) -> str:
    """Read it again."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def test_the_line_is_for_the_codes_key_and_gate_join_alone(path: Path) -> None:
    """ssh-keygen makes the same public key of the code, on the client as well; no seed is kept."""
    write(path, FOREIGN)
    invited = invite(path, wanted(), ADDRESS)
    place = path.with_name("key")
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT, 0o600)
    code = parse_code(invited.code)
    os.write(descriptor, render_private_key(code.seed).encode())
    os.close(descriptor)
    public = run_program(["ssh-keygen", "-y", "-f", str(place)]).stdout.split()
    name = invited.invitation.invitation
    line = f'restrict,command="asyncamanda gate join {name}" {" ".join(public[:2])} '
    assert read(path) == f"{FOREIGN}\n{line}asyncamanda-invitation-{name}\n"
    assert parse_registry(read(path)) == ()
    assert invited.command == f"asyncamanda setup amanda --code {invited.code}"
    kept = read(path) + read(path.with_name(FILE))
    assert invited.code.replace("-", "") not in kept.replace("-", "")
    assert code.seed.hex() not in kept
    assert {path.stat().st_mode & 0o777, path.with_name(FILE).stat().st_mode & 0o777} == {0o600}
    with pytest.raises(RefusedError):  # nor does it become a client's
        plan_enroll(read(path), replace(LARCH, key=parse_public_key(" ".join(public[:2]))))


def test_a_name_has_one_open_code_and_an_enrolled_one_none_but_for_its_next_machine(
    path: Path,
) -> None:
    """A second code for a name withdraws the first."""
    write(path, render_line(LARCH))
    with pytest.raises(RefusedError, match="larch is enrolled already"):
        invite(path, wanted("LARCH"), ADDRESS)
    first = invite_again(path, LARCH, ADDRESS)
    second = invite_again(path, LARCH, ADDRESS)
    states = {one.invitation: one.state(datetime.now(UTC)) for one in read_invitations(path)}
    assert states[first.invitation.invitation] == "withdrawn"
    assert states[second.invitation.invitation] == "open"
    invite(path, wanted("l*", count=9), ADDRESS)
    assert [one.names for one in withdraw(path, "larch")] == ["larch"]
    assert withdraw(path, "larch") == ()
    assert read(path).startswith(render_line(LARCH))


def test_a_code_by_which_somebody_has_only_begun_to_join_can_be_withdrawn(path: Path) -> None:
    """Or who was revoked meanwhile would be enrolled a moment later; one who is in is in."""
    for is_done in (False, True):
        invite(path, wanted(), ADDRESS)
        use_last(path, Use("oak", KEY.fingerprint, datetime.now(UTC), is_done=is_done))
        assert bool(withdraw(path, "oak")) is not is_done
        expected = "used" if is_done else "withdrawn"
        assert read_invitations(path)[-1].state(datetime.now(UTC)) == expected


def use_last(path: Path, use: Use) -> None:
    """Let somebody use the invitation that was made last."""
    *others, one = read_invitations(path)
    change_invitations(path, lambda _: [*others, note_use(one, use)])


def test_lines_of_what_ended_long_ago_go_and_nothing_else(path: Path) -> None:
    """Byte for byte."""
    write(path, FOREIGN + "\n")
    kept = invite(path, wanted("oak"), ADDRESS).invitation
    gone = invite(path, wanted("elm"), ADDRESS).invitation
    write(path, read(path) + render_line(LARCH))
    long_ago = datetime.now(UTC) - timedelta(days=30)
    change_invitations(
        path,
        lambda all_: [
            replace(one, withdrawn_at=long_ago) if one.names == "elm" else one for one in all_
        ],
    )
    assert [one.invitation for one in read_invitations(path)] == [kept.invitation]
    assert gone.invitation not in read(path)
    assert read(path).startswith(FOREIGN + "\n")
    assert read(path).endswith(render_line(LARCH))
    assert len(re.findall("gate join", read(path))) == 2  # the comment's, and oak's


def test_many_at_once_lose_nothing_and_there_is_a_bound(path: Path) -> None:
    """Each process has its turn; beyond so many open ones there are no more."""
    context = multiprocessing.get_context("spawn")
    programs = [
        context.Process(target=invite, args=(path, wanted(f"pc-{n}"), ADDRESS)) for n in range(6)
    ]
    for program in programs:
        program.start()
    for program in programs:
        program.join(60)
    assert [program.exitcode for program in programs] == 6 * [0]
    found = read_invitations(path)
    assert sorted(one.names for one in found) == sorted(f"pc-{n}" for n in range(6))
    assert all(f"gate join {one.invitation}" in read(path) for one in found)
    more = [wanted(f"x-{n}", invitation=f"{n:010x}") for n in range(MOST_INVITATIONS - 6)]
    change_invitations(path, lambda before: [*before, *more])
    with pytest.raises(RefusedError, match="that nobody has used"):
        invite(path, wanted(), ADDRESS)


def test_a_damaged_file_lets_nobody_in_and_is_said(path: Path) -> None:
    """It is not overwritten either."""
    place = path.with_name(FILE)
    for text in ("{", '{"format": 9, "invitations": []}', "\udcff"):
        write(place, text)
        with pytest.raises(BadDataError, match="cannot be understood"):
            invite(path, wanted(), ADDRESS)
        assert read(place) == text
    assert not path.exists()
