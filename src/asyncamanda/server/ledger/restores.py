"""The restores in the ledger: who got which files back, of which dump."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, inspect, select, update

from asyncamanda.core.dispatch.records import RestoreRow
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.rows import insert_row
from asyncamanda.server.ledger.schema import restores
from asyncamanda.server.ledger.transactions import Transactions

MOST_PATHS = 20  # that are kept of what was asked for
LONGEST_KEPT = 400  # characters of each of them


@dataclass(frozen=True, slots=True)
class RestoreBegun:
    """What is known of a restore before its first byte; the fields are RestoreRow's."""

    amanda_config: str
    client: str
    who: str
    disk: str
    run: str
    begun_at: datetime
    pid: int
    pid_started: int
    boot_id: str
    paths: tuple[str, ...] = ()
    more_paths: int = 0


def shorten_paths(paths: Sequence[bytes]) -> tuple[tuple[str, ...], int]:
    """Return as much of the paths as the ledger keeps, and how many more there are.

    Of one that is too long the end is kept.
    """
    kept = tuple(_shorten(path) for path in paths[:MOST_PATHS])
    return kept, len(paths) - len(kept)


def _shorten(path: bytes) -> str:
    text = path.decode("utf-8", "surrogateescape")
    return text if len(text) <= LONGEST_KEPT else f"...{text[3 - LONGEST_KEPT :]}"


class Restores:
    """The restores, those that are under way included."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def begin(self, begun: RestoreBegun) -> int:
        """Return the number of a new restore."""
        with self._transactions.writing() as connection:
            restores.create(connection, checkfirst=True)
            return insert_row(connection, restores, asdict(begun))

    def end(self, restore_id: int, at: datetime, files: int, size: int, outcome: str) -> None:
        """Write down what was sent, and how it ended."""
        values = {"ended_at": at, "files": files, "size": size, "outcome": outcome}
        with self._transactions.writing() as connection:
            connection.execute(update(restores).where(restores.c.id == restore_id).values(values))

    def count_since(self, client: str, since: datetime) -> int:
        """Return how many a client itself has begun since then."""
        query = select(func.count()).where(
            restores.c.client == client,
            restores.c.who == "client",
            restores.c.begun_at >= since,
        )
        with self._transactions.reading() as connection:
            return connection.execute(query).scalar_one() if has_restores(connection) else 0

    def list_recent(self, client: str | None, count: int) -> list[RestoreRow]:
        """Return the last `count` restores, of one client or of all, the newest first."""
        query = select(restores).order_by(restores.c.begun_at.desc(), restores.c.id.desc())
        if client is not None:
            query = query.where(restores.c.client == client)
        with self._transactions.reading() as connection:
            if not has_restores(connection):
                return []
            return read_each(connection, query.limit(count), RestoreRow, "restores")


def has_restores(connection: Connection) -> bool:
    """Return whether the table is there: an older asyncamanda has not made it."""
    return inspect(connection).has_table(restores.name)


def forget_restores(connection: Connection, before: datetime) -> int:
    """Drop the restores that began before that; return how many those were."""
    return connection.execute(delete(restores).where(restores.c.begun_at < before)).rowcount
