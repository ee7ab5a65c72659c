"""The ledger knows what each channel was told, and an older asyncamanda's learns it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.system.test_restores_recorded import DATABASES, MINUTE, NOON, PATIENCE, place_of

from asyncamanda.core.fleet.changes import WELL, ToldState
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.ledger import Ledger

FAILING = ToldState("failing", NOON, 1)
OVER = ToldState(WELL, NOON + MINUTE, 2)


@pytest.fixture(params=DATABASES)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    opened = Ledger.open(place_of(request.param, tmp_path), PATIENCE)
    yield opened
    opened.close()


def test_each_channel_has_been_told_something_else(ledger: Ledger) -> None:
    """The last of each client stays; who is forgotten is new again."""
    told = ledger.told
    told.record("mail", {"laptop": FAILING, "tower\udce9": FAILING})
    told.record("ntfy 2", {"laptop": FAILING})
    told.record("mail", {"laptop": OVER})
    assert told.of_channel("mail") == {"laptop": OVER, "tower\udce9": FAILING}
    assert told.of_channel("ntfy 2") == {"laptop": FAILING}
    told.forget("mail", ["laptop"])
    assert told.of_channel("mail") == {"tower\udce9": FAILING}
    told.record_digest(NOON)
    told.forget_others(["ntfy 2"])
    assert (told.of_channel("mail"), told.of_channel("ntfy 2")) == ({}, {"laptop": FAILING})
    assert told.digest_at() == NOON


def test_two_hundred_clients_are_told_at_once(ledger: Ledger) -> None:
    """In one transaction."""
    many = {f"pc{number:03}": FAILING for number in range(200)}
    ledger.told.record("mail", many)
    assert ledger.told.of_channel("mail") == many


def test_an_older_asyncamanda_has_no_such_table(ledger: Ledger) -> None:
    """Nothing was told then; who tells something makes it."""
    with transaction(ledger.engine, is_writing=True) as connection:
        connection.execute(text("DROP TABLE told"))
    told = ledger.told
    assert (told.of_channel("mail"), told.digest_at()) == ({}, None)
    told.forget_others([])
    told.record("mail", {"laptop": FAILING})
    told.record_digest(NOON + timedelta(days=1))
    assert told.of_channel("mail") == {"laptop": FAILING}
    assert told.digest_at() == NOON + timedelta(days=1)
