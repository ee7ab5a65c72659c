"""Which machine a client is, by its ticket: a copy is found out, a crash harms nobody."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.protocol.tickets import (
    Claim,
    Machine,
    MachineFinding,
    clean_host_name,
    decide_machine,
    describe_dispute,
    dispute,
    make_ticket,
    read_number,
    refuse_second,
    renew,
    take_in,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NUMBER = int(NOW.timestamp())
RANDOM, OTHER_RANDOM = "0123456789abcdef" * 2, "fedcba9876543210" * 2
NEWEST, BEFORE, OLD = f"{NUMBER}-{RANDOM}", f"{NUMBER - 9}-{RANDOM}", f"{NUMBER - 99}-{RANDOM}"
FORGED, NEWER = f"{NUMBER}-{OTHER_RANDOM}", f"{NUMBER + 9}-{RANDOM}"
KNOWN = Machine("laptop", 1, NEWEST, BEFORE, True, "larch", NOW)
UNWRITTEN = replace(KNOWN, is_written=False)
DISPUTED = dispute(KNOWN, "copy", NOW)
OPEN = renew(DISPUTED)


@pytest.mark.parametrize(
    ("known", "ticket", "found"),
    [
        # nobody is known
        (None, "", MachineFinding.FIRST),
        (None, NEWEST, MachineFinding.UNKNOWN),
        (None, "nonsense", MachineFinding.UNKNOWN),
        # the same machine
        (KNOWN, NEWEST, MachineFinding.SAME),
        (UNWRITTEN, NEWEST, MachineFinding.SAME),
        # a crash
        (UNWRITTEN, BEFORE, MachineFinding.CUT),
        (KNOWN, "", MachineFinding.LOST),
        (UNWRITTEN, "", MachineFinding.LOST),
        # the ledger was put back to an earlier state
        (KNOWN, NEWER, MachineFinding.UNKNOWN),
        (UNWRITTEN, NEWER, MachineFinding.UNKNOWN),
        # a second machine
        (KNOWN, BEFORE, MachineFinding.SECOND),
        (KNOWN, OLD, MachineFinding.SECOND),
        (UNWRITTEN, OLD, MachineFinding.SECOND),
        (KNOWN, FORGED, MachineFinding.SECOND),
        (KNOWN, "nonsense", MachineFinding.SECOND),
        (KNOWN, f"{NUMBER + 9}-short", MachineFinding.SECOND),
        # until it is settled, either
        *((DISPUTED, ticket, MachineFinding.SECOND) for ticket in (NEWEST, BEFORE, OLD, NEWER, "")),
        # and then whoever comes
        *((OPEN, ticket, MachineFinding.FIRST) for ticket in (NEWEST, BEFORE, OLD, NEWER, "")),
    ],
)
def test_who_comes_is_told_by_the_ticket(
    known: Machine | None, ticket: str, found: MachineFinding
) -> None:
    """Where no other line of the client is open, and where the one that is does not answer."""
    assert decide_machine(known, ticket) is found
    assert decide_machine(known, ticket, is_elsewhere=False) is found


@pytest.mark.parametrize(
    ("known", "ticket", "unasked", "found"),
    [
        (
            KNOWN,
            NEWEST,
            MachineFinding.SAME,
            MachineFinding.SAME,
        ),  # killed, or on another network by now
        (UNWRITTEN, BEFORE, MachineFinding.ASK, MachineFinding.SECOND),
        (KNOWN, "", MachineFinding.ASK, MachineFinding.SECOND),
        (KNOWN, NEWER, MachineFinding.ASK, MachineFinding.SECOND),
        (KNOWN, OLD, MachineFinding.SECOND, MachineFinding.SECOND),
        (DISPUTED, NEWEST, MachineFinding.SECOND, MachineFinding.SECOND),
        (None, "", MachineFinding.FIRST, MachineFinding.FIRST),
        (OPEN, OLD, MachineFinding.FIRST, MachineFinding.FIRST),
    ],
)
def test_a_machine_that_lives_elsewhere_meanwhile_is_another(
    known: Machine | None, ticket: str, unasked: MachineFinding, found: MachineFinding
) -> None:
    """Only where the ticket leaves it open, the other line is asked first."""
    assert decide_machine(known, ticket, is_elsewhere=None) is unasked
    assert decide_machine(known, ticket, is_elsewhere=True) is found


def come(known: Machine | None, ticket: str, at: datetime) -> Machine:
    """Return what the ledger has after a hello with `ticket` that is served."""
    finding = decide_machine(known, ticket)
    assert finding.is_served, finding
    return take_in(known, "laptop", Claim(ticket, "larch"), finding, at, RANDOM)


def test_a_client_that_writes_nothing_down_stays_the_same() -> None:
    """Its disk is full: it comes with its old ticket again and again, which is said once."""
    machine = come(None, "", NOW)
    first = machine.ticket
    notes = []
    for number in range(5):
        machine = come(machine, first, NOW + number * SECOND)
        notes.append(machine.noted)
    assert notes == ["", *[MachineFinding.CUT.value] * 4]
    assert come(machine, machine.ticket, NOW).noted == ""


def test_of_two_copies_the_second_is_found_out_whatever_was_lost() -> None:
    """Also where the ledger was lost, or put back, between the two, and clocks were set back."""
    for at in (NOW - timedelta(days=300), NOW, NOW + timedelta(days=300)):
        for known in (None, KNOWN, OPEN):
            for held in (NEWEST, NEWER, ""):
                machine = replace(come(known, held, at), is_written=True)
                assert decide_machine(machine, machine.ticket) is MachineFinding.SAME
                if held:
                    assert decide_machine(machine, held) is MachineFinding.SECOND


def test_who_has_the_key_alone_is_found_out_by_the_clients_next_start() -> None:
    """It has no ticket, and so is taken for the client, until that comes with its own."""
    for is_written in (True, False):
        thief = replace(come(KNOWN, "", NOW), is_written=is_written)
        assert thief.noted == MachineFinding.LOST.value
        assert decide_machine(thief, KNOWN.ticket) is MachineFinding.SECOND
        assert decide_machine(dispute(thief, "larch", NOW), thief.ticket) is MachineFinding.SECOND


def test_a_ticket_is_later_than_all_before() -> None:
    """By its number, though the clock may have been set back."""
    assert make_ticket(("",), NOW, RANDOM) == NEWEST
    later = make_ticket((NEWER, OLD, "nonsense"), NOW, RANDOM)
    assert read_number(later) == NUMBER + 10
    assert len(make_ticket((f"{'9' * 12}-{RANDOM}",), NOW, RANDOM)) <= 100


@pytest.mark.parametrize(
    "text", ["", "7", "-7-" + RANDOM, f"7-{RANDOM}0", f"7-{RANDOM.upper()}", f"\u0667-{RANDOM}"]
)
def test_what_no_server_made_has_no_number(text: str) -> None:
    """It counts as older than any ticket."""
    assert read_number(text) == -1


def test_the_first_dispute_counts() -> None:
    """Whoever comes later, and however often."""
    assert (DISPUTED.disputed_at, DISPUTED.other_host_name) == (NOW, "copy")
    assert dispute(DISPUTED, "third", NOW + SECOND) == DISPUTED


def test_who_is_settled_anew_is_another_machine() -> None:
    """Nothing of the dispute is left, and what was carried before is another's."""
    assert OPEN.lineage == DISPUTED.lineage + 1
    assert (OPEN.ticket, OPEN.disputed_at, OPEN.noted) == ("", None, "")
    assert come(OPEN, OLD, NOW).lineage == OPEN.lineage


def test_both_are_named_and_told_what_to_do() -> None:
    """The same to both: names, times, and what to do at either place."""
    said = describe_dispute(DISPUTED)
    assert said == (
        "two machines use the key of laptop: larch (last here 2026-11-24 12:00 UTC) and copy "
        "(came 2026-11-24 12:00 UTC)"
    )
    refused = refuse_second(DISPUTED)
    assert (refused.reference, refused.exit) == ("second-machine", 77)
    assert refused.message.startswith(said)
    assert "asyncamanda setup SERVER --name ANOTHER-NAME --new-key" in refused.hint
    assert "asyncamanda server enroll laptop" in refused.hint
    nameless = dispute(replace(KNOWN, host_name=""), "", NOW)
    assert describe_dispute(nameless).count("one without a name") == 2


def test_a_host_name_is_what_can_be_shown() -> None:
    """The server takes no other."""
    assert clean_host_name("larch\x1b[2J\udce9\n") == r"larch\x1b[2J\udce9\x0a"
    assert clean_host_name("x" * 999) == "x" * 200
