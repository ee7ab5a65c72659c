"""What people were told: by each channel, of each client; and when the last digest was sent."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, inspect, select

from asyncamanda.core.fleet.changes import ToldState
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.fleet_tables import told
from asyncamanda.server.ledger.transactions import Transactions

DIGEST = ""  # as a channel and as a client: none is called so


@dataclass(frozen=True, slots=True)
class _Row:
    client: str
    state: str
    at: datetime
    times: int


class ToldStates:
    """What was told. Who tells it writes it down, after it was sent."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def of_channel(self, channel: str) -> dict[str, ToldState]:
        """Return what the channel was told last about each client."""
        query = select(told.c.client, told.c.state, told.c.at, told.c.times)
        query = query.where(told.c.channel == channel)
        with self._transactions.reading() as connection:
            if not _has_told(connection):
                return {}
            rows = read_each(connection, query, _Row, "told states")
        return {row.client: ToldState(row.state, row.at, row.times) for row in rows}

    def record(self, channel: str, states: Mapping[str, ToldState]) -> None:
        """Write down what the channel was told about these clients."""
        with self._transactions.writing() as connection:
            told.create(connection, checkfirst=True)
            _delete(connection, channel, states)
            rows = [
                {
                    "client": client,
                    "channel": channel,
                    "state": each.state,
                    "at": each.at,
                    "times": each.times,
                }
                for client, each in states.items()
            ]
            if rows:
                connection.execute(insert(told), rows)

    def forget(self, channel: str, clients: Collection[str]) -> None:
        """Forget what the channel was told about these clients."""
        if clients:
            with self._transactions.writing() as connection:
                _delete(connection, channel, clients)

    def forget_others(self, channels: Iterable[str]) -> None:
        """Forget all channels but these: who comes back is told again what stands then."""
        kept = (*channels, DIGEST)
        with self._transactions.reading() as connection:
            if not _has_told(connection):
                return
            others = connection.execute(
                select(told.c.channel).where(told.c.channel.not_in(kept)).limit(1)
            )
            if others.first() is None:
                return
        with self._transactions.writing() as connection:
            connection.execute(delete(told).where(told.c.channel.not_in(kept)))

    def digest_at(self) -> datetime | None:
        """Return when the last digest was made, None if there was none."""
        last = self.of_channel(DIGEST).get(DIGEST)
        return last.at if last else None

    def record_digest(self, at: datetime) -> None:
        """Write down that a digest was made at `at`."""
        self.record(DIGEST, {DIGEST: ToldState("digest", at)})


def _delete(connection: Connection, channel: str, clients: Iterable[str]) -> None:
    for client in clients:  # by the primary key; a list of them could be too long for a statement
        connection.execute(delete(told).where(told.c.client == client, told.c.channel == channel))


def _has_told(connection: Connection) -> bool:
    """Return whether the table is there: an older asyncamanda has not made it."""
    return inspect(connection).has_table(told.name)
