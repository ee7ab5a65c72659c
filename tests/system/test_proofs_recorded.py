"""The ledger knows which disks were proved restorable, and an older asyncamanda's learns it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.system.test_restores_recorded import DATABASES, FILE, MINUTE, NOON, PATIENCE, place_of

from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.dispatch.records import ProofKind, ProofRow
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.proofs import LONGEST_WHAT, LastProofs
from asyncamanda.server.ledger.schema import proofs

DRILL, FULL, CLIENT = ProofKind.DRILL, ProofKind.FULL_DRILL, ProofKind.CLIENT


@pytest.fixture(params=DATABASES)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    opened = Ledger.open(place_of(request.param, tmp_path), PATIENCE)
    yield opened
    opened.close()


def proof(
    host: str = "laptop",
    disk: str = "/\udce9",
    kind: ProofKind = DRILL,
    after: timedelta = MINUTE,
    *,
    is_good: bool = True,
) -> ProofRow:
    """A proof of a level 1."""
    stamp, at = "20261120120000", NOON + after
    return ProofRow("daily", host, disk, kind, at, stamp, 1, is_good, "a/\udcff", 5_000_000_000)


def test_a_proof_is_kept_as_it_was_told(ledger: Ledger) -> None:
    """With names that are no UTF-8, and of what is too long as much as may be."""
    kept = ledger.proofs.record(proof())
    assert kept == replace(proof(), id=kept.id)
    assert ledger.proofs.list_recent("daily", "laptop", 9) == [kept]
    long = ledger.proofs.record(replace(proof(), what="x" * 9000, level=None, timestamp=""))
    (newest,) = ledger.proofs.list_recent("daily", None, 1)
    assert newest == long
    assert len(newest.what) == LONGEST_WHAT


def test_the_newest_proof_and_the_newest_good_one_of_each_disk_are_told(ledger: Ledger) -> None:
    """Of all hosts or of one, of all kinds or of some, and of no other configuration."""
    record = ledger.proofs.record
    good = record(proof(disk="/home", kind=FULL))
    failed = record(proof(disk="/home", is_good=False))
    bad = record(proof("tower", "/home", is_good=False))
    record(replace(proof(disk="/home"), amanda_config="weekly"))
    laptop = {("laptop", "/home"): LastProofs(failed, good)}
    assert ledger.proofs.of_dles("daily") == laptop | {("tower", "/home"): LastProofs(bad, None)}
    assert ledger.proofs.of_dles("daily", "laptop") == laptop
    of_kind = ledger.proofs.of_dles("daily", "laptop", [FULL])
    assert of_kind == {("laptop", "/home"): LastProofs(good, good)}
    assert ledger.proofs.of_dles("daily", kinds=[CLIENT]) == {}
    assert ledger.proofs.list_recent("daily", "laptop", 9) == [failed, good]


def test_what_all_proofs_say_is_told_by_host_and_disk(ledger: Ledger) -> None:
    """The drills' and the client's own of each disk together; of one host, or of all at once."""
    ledger.proofs.record(proof(disk="/home"))
    ledger.proofs.record(proof(disk="/home", kind=CLIENT, after=2 * MINUTE, is_good=False))
    ledger.proofs.record(proof("tower", "/srv", is_good=False))
    found = ledger.proofs.of_hosts("daily")
    laptop = {"/home": DiskProof(NOON + MINUTE, "a/\udcff")}
    assert found == {"laptop": laptop, "tower": {"/srv": DiskProof(None, "a/\udcff", "a/\udcff")}}
    assert ledger.proofs.of_disks("daily", "laptop") == laptop
    assert ledger.proofs.of_disks("daily", "nobody") == {}


def test_dates_are_bad_as_long_as_their_last_proof_failed(ledger: Ledger) -> None:
    """Of the disk, by the server's own drills."""
    other = replace(proof(is_good=False), timestamp="20261121120000")
    for row in (proof(is_good=False), proof(), other, proof("tower", is_good=False)):
        ledger.proofs.record(row)
    assert ledger.proofs.bad_dates("daily", "laptop", "/\udce9") == {other.timestamp}
    ledger.proofs.record(replace(other, kind=CLIENT, is_good=True))
    assert ledger.proofs.bad_dates("daily", "laptop", "/\udce9") == {other.timestamp}
    ledger.proofs.record(replace(other, is_good=True))
    assert ledger.proofs.bad_dates("daily", "laptop", "/\udce9") == set()


def test_it_is_known_since_when_drills_are_made(ledger: Ledger) -> None:
    """By the server, in that configuration; what clients prove is none."""
    assert ledger.proofs.drills_begun_at("daily") is None
    ledger.proofs.record(proof(kind=CLIENT, after=-MINUTE))
    assert ledger.proofs.drills_begun_at("daily") is None
    for minutes in (3, 2):
        ledger.proofs.record(proof(after=minutes * MINUTE))
    assert ledger.proofs.drills_begun_at("daily") == NOON + 2 * MINUTE
    assert ledger.proofs.drills_begun_at("weekly") is None


def test_old_proofs_are_forgotten_but_for_the_last_of_each(ledger: Ledger) -> None:
    """Of each disk, kind and verdict: a disk that has not been there for long is judged by it."""
    for minute in range(3):
        for is_good in (True, False):
            ledger.proofs.record(proof(after=(minute - 9) * MINUTE, is_good=is_good))
    client = ledger.proofs.record(proof(kind=CLIENT, after=-9 * MINUTE))
    ledger.proofs.record(proof())
    assert ledger.forget(NOON) == 5
    left = ledger.proofs.list_recent("daily", None, 9)
    assert [row.id for row in left] == [client.id + 1, client.id, client.id - 1]


@pytest.mark.parametrize("database", DATABASES)
def test_a_ledger_that_an_older_version_began_takes_proofs(database: str, tmp_path: Path) -> None:
    """Whoever proves the first one makes the table; until then there are none, and no error."""
    place = place_of(database, tmp_path)
    Ledger.open(place, PATIENCE).close()
    engine = create_engine(f"sqlite:///{place}" if database == FILE else place)
    proofs.drop(engine)
    engine.dispose()
    prover = Ledger.open(place, PATIENCE, is_owner=False)
    assert prover.proofs.list_recent("daily", None, 9) == []
    assert prover.proofs.of_dles("daily") == {}
    kept = prover.proofs.record(proof())
    assert prover.proofs.list_recent("daily", None, 9) == [kept]
    prover.close()


def test_a_proof_that_makes_no_sense_hides_no_other(ledger: Ledger) -> None:
    """It is named."""
    for _ in range(2):
        ledger.proofs.record(proof())
    with transaction(ledger.engine, is_writing=True) as connection:
        connection.execute(text("UPDATE proofs SET proved_at = 'x' WHERE id = 1"))
    assert [row.id for row in ledger.proofs.list_recent("daily", None, 9)] == [2]
    assert "proofs is invalid" in " ".join(ledger.bad_rows)
