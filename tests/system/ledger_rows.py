"""What a ledger has of all DLEs, which nothing but tests asks."""

from __future__ import annotations

from asyncamanda.core.model import DleVerdict
from asyncamanda.server.ledger import newest
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.ledger import Ledger


def read_newest(ledger: Ledger, amanda_config: str) -> dict[newest.Dle, DleVerdict]:
    """Return the newest verdict on each (host, disk), also where it is a failure."""
    with transaction(ledger.engine, is_writing=False) as connection:
        dles = newest.list_dles(connection, amanda_config)
        return newest.newest_verdicts(connection, amanda_config, dles)


def read_backups(ledger: Ledger, amanda_config: str) -> dict[newest.Dle, DleVerdict]:
    """Return the newest dump of each (host, disk) that the server has and that is a backup."""
    with transaction(ledger.engine, is_writing=False) as connection:
        return newest.find_backups(connection, amanda_config)
