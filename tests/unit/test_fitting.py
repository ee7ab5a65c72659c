"""What a server says is never more than its client takes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.model import DleProgress, DleVerdict, DumpState
from asyncamanda.core.protocol.fitting import encode_answer
from asyncamanda.core.protocol.messages import (
    LARGEST_FROM_SERVER,
    DleState,
    Finished,
    Later,
    Progress,
    Refused,
    ServerMessage,
    Welcome,
)
from asyncamanda.core.protocol.wire import encode, server_decoder

NOW = datetime(2026, 11, 24, 15, 15, 4, tzinfo=UTC)
RUN = "20261124151504"
SECOND = timedelta(seconds=1)


def finished(disks: list[str], reason: str = "") -> Finished:
    """Return the end of a run in which all `disks` failed for that reason."""
    verdicts = (DleVerdict("h", d, RUN, DumpState.FAILED, 0, reason, 9) for d in disks)
    return Finished(RUN, NOW, tuple(verdicts))


def welcome(disks: list[str], last: Finished | None = None) -> Welcome:
    """Return how a client stands that has `disks`."""
    dles = tuple(DleState(disk, DumpState.HELD, 0, NOW) for disk in disks)
    return Welcome(1, "asyncamanda", "h", "daily", NOW, 15 * SECOND, dles, "idle", last)


def hear(message: ServerMessage) -> ServerMessage:
    """Return what the client hears when the server says `message`."""
    line, refused = encode_answer(message)
    assert len(line) <= LARGEST_FROM_SERVER + 1
    (heard,) = server_decoder().feed(line)
    assert refused == (heard if isinstance(heard, Refused) else None)
    assert not isinstance(heard, type(None))
    return heard  # type: ignore[return-value]  # a BadLine would equal nothing below


FEW = [f"/{number}" for number in range(3)]
MANY = [f"/srv/projects/{number:04}" for number in range(500)]
LONG = [f"/srv/{number}-{'x' * 3000}" for number in range(40)]


@pytest.mark.parametrize(
    "message",
    [
        welcome(FEW),
        welcome(FEW, finished(FEW, "r" * 1000)),
        welcome(MANY, finished(MANY, "[data timeout, or one of Amanda's other reasons]")),
        welcome(LONG, finished(LONG, "no")),
        finished(MANY, "r" * 1000),
        Later(SECOND, "later"),
    ],
)
def test_what_real_servers_have_to_say_is_said_whole(message: ServerMessage) -> None:
    """Five hundred disks of a file server's, or forty with names of three thousand characters."""
    assert hear(message) == message
    assert encode_answer(message) == (encode(message), None)


def test_a_reason_is_cut() -> None:
    """A log's line may be as long as it likes."""
    assert hear(finished(FEW, "r" * 2_000_000)) == finished(FEW, "r" * 997 + "...")
    assert hear(Later(SECOND, "r" * 2_000_000)) == Later(SECOND, "r" * 997 + "...")


def test_many_reasons_are_cut_further() -> None:
    """First to a line, then to nothing; the verdicts stay."""
    disks = [f"/{number}" for number in range(1500)]
    shorter = "r" * 97 + "..."
    assert hear(finished(disks, "r" * 1000)) == finished(disks, shorter)
    odd = "\N{FLOPPY DISK}" * 1000  # twelve bytes each, as JSON has it
    assert hear(finished(disks, odd)) == finished(disks, "")
    assert hear(welcome(disks, finished(disks, "r" * 1000))) == welcome(
        disks, finished(disks, shorter)
    )


def test_how_the_last_run_ended_is_left_out_where_that_is_too_much() -> None:
    """How the disks stand is what counts."""
    disks = [f"/{number}-{'x' * 3000}" for number in range(200)]
    assert hear(welcome(disks, finished(disks))) == welcome(disks)


def test_what_a_client_does_without_goes_first() -> None:
    """Since when a disk can be restored, and what dumps it: its state is needed."""
    plain = welcome([f"/{number:03}-{'x' * 1500}" for number in range(500)])
    dles = tuple(
        replace(dle, restorable_since=NOW, program="GNUTAR", device="/d" * 900, proof_fault="x")
        for dle in plain.dles
    )
    assert hear(replace(plain, dles=dles)) == plain
    few = replace(welcome(FEW), dles=dles[:1])
    assert hear(few) == few


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (welcome([f"/{'x' * 4000}{number}" for number in range(300)]), "there is too much of it"),
        (welcome(["/", "d" * 4097]), "dles: disk: no text of at most 4096 characters"),
        (welcome([f"/{number}" for number in range(2001)]), "dles: a list of more than 2000"),
        (replace(welcome(FEW), amanda_config=""), "amanda_config: "),
    ],
)
def test_a_client_that_cannot_be_told_how_it_stands_is_told_that(
    message: ServerMessage, words: str
) -> None:
    """By an error that a person can fix, and not by a line that nobody understands."""
    heard = hear(message)
    assert isinstance(heard, Refused)
    assert (heard.reference, heard.exit) == ("too-much-to-say", 78)
    assert words in heard.message
    assert "disklist" in heard.hint


def test_a_disk_that_only_a_log_claims_does_not_silence_the_others() -> None:
    """A name that no disklist can have; in a verdict, in the last run's, in the progress."""
    claimed = "d" * 4097
    assert hear(finished([*FEW, claimed])) == finished(FEW)
    assert hear(welcome(FEW, finished([claimed, *FEW]))) == welcome(FEW, finished(FEW))
    rows = tuple(DleProgress("h", disk, 0, "done", 1, 1) for disk in [claimed, *FEW])
    assert hear(Progress(RUN, rows)) == Progress(RUN, rows[1:])


def test_progress_that_cannot_be_said_is_not() -> None:
    """Nobody needs it."""
    rows = tuple(DleProgress("h", f"/{n}", 0, "done", 1, 1) for n in range(2001))
    assert encode_answer(Progress(RUN, rows)) == (b"", None)
    assert encode_answer(Progress("last night", ())) == (b"", None)
