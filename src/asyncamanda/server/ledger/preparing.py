"""Making the ledger's tables, and seeing that the ledger is one that this program understands."""

from typing import Any

from sqlalchemy import Connection, Engine, inspect, select

from asyncamanda.server.ledger.database import (
    LedgerUnavailable,
    damaged,
    missing,
    transaction,
)
from asyncamanda.server.ledger.migrations import make_new, migrate
from asyncamanda.server.ledger.schema import FORMAT, ledger

# A larger file is checked while clients are served (LedgerCare), and its small tables at once
CHECKED_AT_ONCE = 8 << 20  # bytes: that takes about as long as the rest of a start
CHECKED_FIRST = ("ledger", "ledger_steps", "machines", "protections")


def prepare(engine: Engine, *, is_owner: bool, is_checking_all: bool = False) -> bool:
    """Make the tables if we own the ledger, and see that it is one we understand.

    An owner brings one that an older asyncamanda has begun to what this one has; who only reads
    does with what is there. An owner also checks SQLite's pages: all of a small file, and of any
    if `is_checking_all`. Returns whether that is all of it: else check_all() is left to be done.
    Raises LedgerUnavailable if it is of another format, and as transaction() does.
    """
    is_sqlite = engine.url.get_backend_name() == "sqlite"
    is_checked = True
    with transaction(engine, is_writing=is_owner) as connection:
        if is_owner and is_sqlite:
            is_checked = is_checking_all or _count_bytes(connection) <= CHECKED_AT_ONCE
            for what in ("1",) if is_checked else CHECKED_FIRST:
                _check_pages(connection, what)
        found = _read_format(connection)
        if found is None:
            if not is_owner:
                raise missing(engine.url)
            make_new(connection, FORMAT)
        elif found != FORMAT:
            raise LedgerUnavailable(
                "ledger-format",
                f"{engine.url.database} was made by another asyncamanda (format {found})",
                f"this one reads format {FORMAT}: {_explain_format(found)}",
            )
    if is_owner:
        migrate(engine)
    return is_checked


def _read_format(connection: Connection) -> Any:
    """Return the number in the ledger, None where nobody has begun one."""
    if not inspect(connection).has_table(ledger.name):
        return None
    return connection.execute(select(ledger.c.format)).scalar_one_or_none()


def _explain_format(found: object) -> str:
    """Return what to do about a ledger of the format `found`, which is not this program's."""
    if isinstance(found, int) and found > FORMAT:
        return "install the newer asyncamanda again"
    return (
        "install the older asyncamanda again, or move this ledger away: the dispatcher then makes "
        "a new one, and reads Amanda's logs into it"
    )


def check_all(engine: Engine) -> None:
    """Raise LedgerDamaged if SQLite finds a page of the file that is invalid.

    It reads all of it, and keeps nobody from writing meanwhile.
    """
    with transaction(engine, is_writing=False) as connection:
        _check_pages(connection, "1")


def _check_pages(connection: Connection, what: str) -> None:
    """Raise LedgerDamaged if SQLite finds a page of a table, or of all ("1"), that is invalid."""
    if not (what == "1" or inspect(connection).has_table(what)):
        return
    says = str(connection.exec_driver_sql(f"PRAGMA quick_check({what})").scalar())
    if says != "ok":
        raise damaged(connection.engine.url.database or "", " ".join(says.split()))


def _count_bytes(connection: Connection) -> int:
    """Return how large the file is to be, by its header."""
    pages, each = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_count", "page_size")
    )
    return pages * each
