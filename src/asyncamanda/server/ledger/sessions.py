"""The clients' sessions in the ledger: who was connected, and when."""

from datetime import datetime

from sqlalchemy import func, select, update

from asyncamanda.core.protocol.authority import Identity
from asyncamanda.server.ledger.newest import walk
from asyncamanda.server.ledger.rows import insert_row
from asyncamanda.server.ledger.schema import sessions
from asyncamanda.server.ledger.strips import mark_session
from asyncamanda.server.ledger.transactions import Transactions


class Sessions:
    """The sessions, those that are over included."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def begin(self, client: str, amanda_config: str, at: datetime) -> int:
        """Return the number of a new session: the client is connected."""
        with self._transactions.writing() as connection:
            times = {"begun_at": at, "seen_at": at}
            who = {"client": client, "amanda_config": amanda_config}
            mark_session(connection, Identity(client, amanda_config), at, at)
            return insert_row(connection, sessions, who | times)

    def end(self, session_id: int, at: datetime, how: str) -> None:
        """Write down that the client went at `at`, and how."""
        is_it = (sessions.c.id == session_id, sessions.c.ended_at.is_(None))
        span = select(sessions.c.client, sessions.c.amanda_config, sessions.c.begun_at)
        with self._transactions.writing() as connection:
            for client, amanda_config, begun_at in connection.execute(span.where(*is_it)).all():
                mark_session(connection, Identity(client, amanda_config), begun_at, at)
            connection.execute(
                update(sessions).where(*is_it).values(ended_at=at, seen_at=at, how=how)
            )

    def end_all(self, at: datetime, how: str) -> int:
        """End what an earlier dispatcher left open, and return how many those were.

        When those clients went nobody knows: they count as last seen when they came.
        """
        with self._transactions.writing() as connection:
            done = connection.execute(
                update(sessions).where(sessions.c.ended_at.is_(None)).values(ended_at=at, how=how)
            )
            return done.rowcount

    def last_seen(self) -> dict[str, datetime]:
        """Return when each client was last known to be connected."""
        clients = walk(sessions.c.client)
        its = select(func.max(sessions.c.seen_at)).where(sessions.c.client == clients.c.value)
        query = select(clients.c.value, its.scalar_subquery()).where(clients.c.value.is_not(None))
        with self._transactions.reading() as connection:
            return {str(client): at for client, at in connection.execute(query)}
