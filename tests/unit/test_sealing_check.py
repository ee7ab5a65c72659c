"""What the doctor says of what encrypts dumps."""

from dataclasses import replace

import pytest

from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.sealing import (
    PROGRAM,
    SEALED_DUMPTYPE,
    parse_recipient,
    render_definitions,
)
from asyncamanda.core.doctor.findings import Health
from asyncamanda.core.doctor.sealing import SealingSeen, judge_sealing
from asyncamanda.core.schedule.prove_units import render_prove_service
from asyncamanda.core.schedule.restore_units import render_broker
from asyncamanda.core.schedule.systemd import Starts
from asyncamanda.server.enrol.disklist import DUMPTYPE, choose_dumptype

GOOD = SealingSeen(is_sealing=True)
PUBLIC = "age1" + "q" * 58


@pytest.mark.parametrize(
    ("change", "health", "words"),
    [
        ({}, Health.OK, "only this machine's key"),
        ({"is_match": None}, Health.OK, "without being root"),
        ({"is_sealing": False}, Health.SKIPPED, "not encrypted"),
        ({"has_age": False}, Health.BAD, "/usr/bin/age"),
        ({"has_key": False}, Health.BAD, "identity is not here"),
        ({"is_private": False}, Health.BAD, "not root's alone"),
        ({"is_match": False}, Health.BAD, "not the public half"),
        ({"is_program": False}, Health.BAD, "was changed"),
        ({"fault": "does not work: x"}, Health.BAD, "does not work: x"),
        ({"is_confirmed": False}, Health.WARNING, "recovery sheet"),
    ],
)
def test_each_fault_is_said(change: dict[str, bool], health: Health, words: str) -> None:
    """With what fixes it."""
    check = judge_sealing(replace(GOOD, **change))  # type: ignore[arg-type]  # one is a str
    assert check.health is health
    assert words in check.found
    assert bool(check.fix) == (health in {Health.BAD, Health.WARNING})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{PUBLIC}\n", PUBLIC),
        (f"# a comment\n{PUBLIC}\n\n", PUBLIC),
        ("", None),
        (f"{PUBLIC}\n{PUBLIC}\n", None),
        ("ssh-ed25519 AAAA", None),
    ],
)
def test_a_recipient_is_one_key(text: str, found: str | None) -> None:
    """With more than one somebody else could read the dumps."""
    assert parse_recipient(text) == found


def test_what_the_server_needs_is_said_whole() -> None:
    """As it stands in our own configuration, and is named for others."""
    text = render_definitions()
    for line in ("encrypt client", "index no", 'client_decrypt_option "-d"', r'": \\./"'):
        assert line in text


def test_the_broker_is_roots_only_where_dumps_are_encrypted() -> None:
    """For it becomes the Amanda user's, and leaves to root what has the key."""
    starts = Starts(("/usr/bin/asyncamanda",), "backup", (), "/run/x")
    plain, sealed = render_broker(starts), render_broker(replace(starts, is_sealing=True))
    assert "User=backup" in plain
    assert "CapabilityBoundingSet=\n" in plain
    assert "CapabilityBoundingSet=CAP_SETUID CAP_SETGID\n" in sealed
    # systemd hands StateDirectory=, with all that is in it, to User=: it is the agent's memory
    assert "User=backup" in sealed
    assert "ExecStart=!/usr/bin/asyncamanda broker\n" in sealed
    assert "ExecStart=/usr/bin/asyncamanda broker\n" in plain


def test_a_proof_keeps_what_was_opened_where_dumps_are_encrypted() -> None:
    """Else every proof would have the beginning of each dump sent again."""
    starts = Starts(("/usr/bin/asyncamanda",), "backup", (), "/run/x")
    line = "ReadWritePaths=-/var/lib/asyncamanda\n"
    assert line in render_prove_service(replace(starts, is_sealing=True))
    assert line not in render_prove_service(starts)


def test_a_new_disk_is_encrypted_as_the_others_are() -> None:
    """Else its dump would be refused."""
    plain = Dle("laptop", "/home", filters=Filters())
    sealed = Dle("laptop", "/srv", filters=Filters("none", "", "client", PROGRAM, "-d"))
    assert choose_dumptype([]) == choose_dumptype([plain]) == DUMPTYPE
    assert choose_dumptype([plain, sealed]) == SEALED_DUMPTYPE
