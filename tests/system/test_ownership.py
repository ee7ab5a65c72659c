"""A ledger in a database server is one server's: another one is refused until it takes it over.

It is tried on the database whose URL is in $ASYNCAMANDA_TEST_DATABASE, which is emptied.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from asyncamanda.server.export.ledger_import import put_rows
from asyncamanda.server.ledger.ledger import Ledger, LedgerUnavailable
from asyncamanda.server.ledger.ownership import claim, read_machine
from asyncamanda.server.ledger.schema import METADATA

SERVER = os.environ.get("ASYNCAMANDA_TEST_DATABASE")
PATIENCE = timedelta(seconds=2)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OURS, OTHER = "a" * 32, "b" * 32

needs_server = pytest.mark.skipif(SERVER is None, reason="no database server is given")


@pytest.fixture
def shared() -> Iterator[Ledger]:
    """An empty ledger in the database server."""
    assert SERVER
    engine = create_engine(SERVER)
    METADATA.drop_all(engine)
    engine.dispose()
    ledger = Ledger.open(SERVER, PATIENCE)
    yield ledger
    ledger.close()


@needs_server
def test_a_second_server_is_refused_until_it_takes_the_ledger_over(shared: Ledger) -> None:
    """The first one is named; and it is refused itself from then on."""
    for _ in range(2):
        claim(shared.engine, OURS, NOON)
    with pytest.raises(LedgerUnavailable, match=r"another server.*since 2026-11-24") as caught:
        claim(shared.engine, OTHER, NOON)
    assert "--take-over-ledger" in caught.value.hint
    claim(shared.engine, OTHER, NOON, is_taking_over=True)
    claim(shared.engine, OTHER, NOON)
    with pytest.raises(LedgerUnavailable, match="another server"):
        claim(shared.engine, OURS, NOON)


@needs_server
def test_an_import_lets_the_server_that_is_made_of_it_be_the_owner(
    shared: Ledger, tmp_path: Path
) -> None:
    """Whether the database has rows already, or gets those of the export."""
    path = tmp_path / "ledger.sqlite"
    Ledger.open(str(path), PATIENCE).close()
    assert SERVER
    for _ in range(2):
        claim(shared.engine, OTHER, NOON, is_taking_over=True)
        put_rows(path, SERVER)
        claim(shared.engine, OURS, NOON)
        shared.requests.open("laptop", "daily", NOON)


def test_a_file_is_used_by_whoever_has_it(tmp_path: Path) -> None:
    """A machine may get another id, and a copy is another ledger."""
    ledger = Ledger.open(str(tmp_path / "ledger.sqlite"), PATIENCE)
    for machine in (OURS, OTHER, read_machine()):
        claim(ledger.engine, machine, NOON)
    ledger.close()


def test_a_machine_is_named_without_its_id() -> None:
    """Which is not to be known elsewhere (machine-id(5))."""
    assert len(read_machine()) == 32
    assert read_machine() == read_machine() not in Path("/etc/machine-id").read_text("ascii")
