"""What a client says of its proofs: it is written down, and a failure forces a full, once a day."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system.test_restores_recorded import DATABASES, MINUTE, NOON, PATIENCE, place_of

from asyncamanda.core.dispatch.records import ProofKind, ProtectionKind
from asyncamanda.core.protocol.messages import Proof
from asyncamanda.server.dispatch.proof_intake import (
    FORCED_EVERY,
    PROOFS,
    describe_proof,
    note_proof,
)
from asyncamanda.server.ledger.ledger import Ledger

STAMP = "20261120120000"
GOOD = Proof(0, STAMP, True, 3, 4096, "")
FAILED = Proof(0, STAMP, False, 2, 10, "/home/ana/x: it came back with other contents")
DAY = timedelta(days=1)


@pytest.fixture(params=DATABASES)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    opened = Ledger.open(place_of(request.param, tmp_path), PATIENCE)
    yield opened
    opened.close()


def note(
    ledger: Ledger, proof: Proof, after: timedelta = timedelta(0), disk: str = "/home"
) -> bool:
    """Write a proof of the laptop's down; return whether a full was forced."""
    return note_proof(ledger, describe_proof("daily", "laptop", disk, proof, NOON + after))


def forced(ledger: Ledger) -> list[tuple[str, str, ProtectionKind]]:
    """Return the disks for which something is forced."""
    return [(p.host, p.disk, p.kind) for p in ledger.protections.list_pending("daily")]


def test_a_good_proof_is_written_down_and_forces_nothing(ledger: Ledger) -> None:
    """By its client and disk, as a client's."""
    assert note(ledger, GOOD) is False
    (row,) = ledger.proofs.list_recent("daily", "laptop", 9)
    assert (row.kind, row.is_good, row.timestamp, row.size) == (
        ProofKind.CLIENT,
        True,
        STAMP,
        4096,
    )
    assert row.what == "3 files came back as they are there"
    assert forced(ledger) == []


def test_a_failed_one_forces_a_full_of_that_disk_once_a_day(ledger: Ledger) -> None:
    """Whatever else the client says meanwhile; and each disk for itself."""
    assert note(ledger, FAILED) is True
    assert ledger.proofs.list_recent("daily", "laptop", 9)[0].what == FAILED.reason
    assert forced(ledger) == [("laptop", "/home", ProtectionKind.FORCE)]
    for minute in range(1, 30):
        assert note(ledger, GOOD, minute * MINUTE) is False
        assert note(ledger, FAILED, minute * MINUTE) is False
    assert note(ledger, FAILED, 30 * MINUTE, "/srv") is True
    assert note(ledger, FAILED, DAY + 28 * MINUTE) is False  # the last one was within a day
    assert note(ledger, FAILED, 3 * DAY) is True


def test_many_proofs_hide_no_full_that_was_forced_today(ledger: Ledger) -> None:
    """As many as a client may report in a day."""
    assert note(ledger, FAILED) is True
    per_day = PROOFS.burst + int(FORCED_EVERY / PROOFS.per)
    for number in range(per_day - 2):
        note(ledger, GOOD, timedelta(minutes=number))
    assert note(ledger, FAILED, timedelta(hours=23)) is False


def test_a_drill_that_failed_is_another_matter(ledger: Ledger) -> None:
    """It has forced a full by itself, or not; what the client says counts as before."""
    row = describe_proof("daily", "laptop", "/home", FAILED, NOON)
    ledger.proofs.record(replace(row, kind=ProofKind.DRILL))
    assert note_proof(ledger, row) is True
