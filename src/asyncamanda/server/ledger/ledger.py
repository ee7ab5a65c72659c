"""What the server remembers: requests, runs, a verdict per dump, and who was there.

The dispatcher is the one that writes, but for restores and proofs, which who serves or makes them
writes down, and for what people were told; others may read meanwhile. Each method is one
transaction: after a crash at any moment all of it is there, or nothing. Each one raises
LedgerBusy if the ledger is locked for longer than `patience`, and LedgerUnavailable if it
cannot be read or written (LedgerDamaged: opening it again fixes that, as far as possible).
"""

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, delete, select

from asyncamanda.server.ledger import database
from asyncamanda.server.ledger.bad_rows import close_bad_rows
from asyncamanda.server.ledger.database import (
    LedgerBusy,
    LedgerDamaged,
    LedgerUnavailable,
)
from asyncamanda.server.ledger.fleet_rows import FleetRows
from asyncamanda.server.ledger.imported_logs import ImportedLogs
from asyncamanda.server.ledger.needed_protections import NeededProtections
from asyncamanda.server.ledger.preparing import prepare
from asyncamanda.server.ledger.proofs import Proofs, forget_proofs
from asyncamanda.server.ledger.recorded_verdicts import RecordedVerdicts
from asyncamanda.server.ledger.reports import Reports
from asyncamanda.server.ledger.requests import Requests
from asyncamanda.server.ledger.restores import Restores, forget_restores
from asyncamanda.server.ledger.runs import Runs
from asyncamanda.server.ledger.schema import (
    requests,
    sessions,
)
from asyncamanda.server.ledger.sessions import Sessions
from asyncamanda.server.ledger.strips import Strips
from asyncamanda.server.ledger.told import ToldStates
from asyncamanda.server.ledger.transactions import Transactions
from asyncamanda.system.clock import now

__all__ = ["Ledger", "LedgerBusy", "LedgerDamaged", "LedgerUnavailable"]


class Ledger:
    """An open ledger. `remark` says what opening it met with: a damaged one, set aside.

    `path` is that of SQLite's file. `bad_rows` has a line on each row that was invalid and was
    passed over.
    """

    def __init__(
        self, engine: Engine, path: Path | None, inode: tuple[int, int] | None, remark: str = ""
    ) -> None:
        self.engine = engine
        self.path = path
        self.inode = inode
        self.remark = remark
        self.is_checked = True  # whether all of its pages were looked at
        self._transactions = Transactions(engine)
        self.bad_rows = self._transactions.bad_rows
        self.requests = Requests(self._transactions)
        self.runs = Runs(self._transactions)
        self.verdicts = RecordedVerdicts(self._transactions)
        self.protections = NeededProtections(self._transactions)
        self.sessions = Sessions(self._transactions)
        self.logs = ImportedLogs(self._transactions)
        self.restores = Restores(self._transactions)
        self.proofs = Proofs(self._transactions)
        self.reports = Reports(self._transactions)
        self.told = ToldStates(self._transactions)
        self.strips = Strips(self._transactions)
        self.fleet = FleetRows(self._transactions)

    @classmethod
    def open(
        cls,
        url_or_path: str,
        patience: timedelta,
        *,
        is_owner: bool = True,
        is_checking_all: bool = False,
    ) -> "Ledger":
        """Return the ledger in a SQLite file, or in the database of a URL.

        Its owner makes what is missing, and sets a damaged file aside and begins a new one, which
        `remark` tells. Others change nothing. Of a large file only some pages are looked at, unless
        `is_checking_all`: see `is_checked`. Raises LedgerUnavailable, with the reason, if it
        cannot be used, is locked for longer than `patience`, or (for others) is not there.
        """
        url = database.read_url(url_or_path)
        is_file = url.get_backend_name() == "sqlite" and url.database
        path = Path(url.database) if is_file and url.database else None
        if path and not is_owner and not path.exists():
            raise database.missing(url)
        engine = database.make_engine(url, patience)
        try:
            remark, is_checked = _prepare(
                engine,
                path if is_owner else None,
                is_owner=is_owner,
                is_checking_all=is_checking_all,
            )
        except LedgerBusy as error:
            engine.dispose()
            raise LedgerUnavailable(error.reference, error.message, error.hint) from error
        except BaseException:
            engine.dispose()  # else its connection lives as long as the error does
            raise
        opened = cls(engine, path, _inode(path), remark)
        opened.is_checked = is_checked
        return opened

    @property
    def is_remote(self) -> bool:
        """Whether a server keeps it, which may not answer."""
        return database.is_remote(self.engine)

    def close(self) -> None:
        """Close the database."""
        self.engine.dispose()

    def is_gone(self) -> bool:
        """Return whether the file is gone, or another is there: it is to be opened again."""
        return _inode(self.path) != self.inode

    def set_bad_rows_aside(self, at: datetime) -> list[str]:
        """End the open requests and runs that cannot be read; return a line on each of them."""
        with self._transactions.writing() as connection:
            return close_bad_rows(connection, at)

    # -- upkeep

    def forget(self, before: datetime) -> int:
        """Drop requests, sessions, restores and proofs of before that; return how many those were.

        Each client's newest requests, sessions and proofs stay, and so do runs and verdicts, by
        which backups are judged.
        """
        forgotten = 0
        with self._transactions.writing() as connection:
            for table in (requests, sessions):
                later = table.alias("later")
                is_later = [later.c.client == table.c.client, later.c.id > table.c.id]
                has_later = select(later.c.id).where(*is_later).exists()
                old = delete(table).where(table.c.ended_at < before, has_later)
                forgotten += connection.execute(old).rowcount
            forgotten += forget_restores(connection, before)
            forgotten += forget_proofs(connection, before)
        return forgotten


def _prepare(
    engine: Engine, path: Path | None, *, is_owner: bool, is_checking_all: bool
) -> tuple[str, bool]:
    """Prepare the database; what is damaged at its owner's `path` is set aside first.

    Returns a remark on that, "" if nothing was damaged, and whether all pages were looked at.
    """
    try:
        is_checked = prepare(engine, is_owner=is_owner, is_checking_all=is_checking_all)
    except LedgerDamaged as error:
        if path is None:
            raise
        engine.dispose()
        aside = database.set_aside(path, now())
        prepare(engine, is_owner=True)
        return f"{error.message}: it is kept as {aside.name}, and a new one is started", True
    return "", is_checked


def _inode(path: Path | None) -> tuple[int, int] | None:
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status else None
