"""Transactions of the ledger: after a crash at any moment all of one is there, or nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from asyncamanda.server.ledger.bad_rows import take_noted
from asyncamanda.server.ledger.database import transaction


class Transactions:
    """Begins them, and collects in `bad_rows` a line on each row that is invalid."""

    def __init__(self, engine: Engine) -> None:
        self.bad_rows: dict[str, None] = {}
        self._engine = engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that reads."""
        with transaction(self._engine, is_writing=False) as connection:
            yield connection
            self.bad_rows.update(dict.fromkeys(take_noted(connection)))

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection that writes; all of it is written when the block ends."""
        with transaction(self._engine, is_writing=True) as connection:
            yield connection
            self.bad_rows.update(dict.fromkeys(take_noted(connection)))
