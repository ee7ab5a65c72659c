"""What Amanda is still to be told, so that no dump builds on what the server lacks."""

from datetime import datetime

from sqlalchemy import update

from asyncamanda.core.dispatch.records import Protection
from asyncamanda.server.ledger.schema import protections
from asyncamanda.server.ledger.transactions import Transactions
from asyncamanda.server.ledger.verdicts import read_protections


class NeededProtections:
    """The protections that DLEs need."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def list_pending(self, amanda_config: str) -> list[Protection]:
        """Return what Amanda is still to be told, by host and disk."""
        with self._transactions.reading() as connection:
            needs = read_protections(connection, amanda_config)
        return [need for need in needs if need.made_at is None]

    def note_made(self, amanda_config: str, made: Protection, at: datetime) -> bool:
        """Write down that Amanda was told. Returns False if something else is needed by now."""
        with self._transactions.writing() as connection:
            done = connection.execute(
                update(protections)
                .where(
                    protections.c.amanda_config == amanda_config,
                    protections.c.host == made.host,
                    protections.c.disk == made.disk,
                    protections.c.timestamp == made.timestamp,
                    protections.c.kind == made.kind,
                )
                .values(made_at=at)
            )
            return done.rowcount == 1
