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


def prepare(engine: Engine, *, is_owner: bool) -> None:
    """Make the tables if we own the ledger, and see that it is one we understand.

    An owner brings one that an older asyncamanda has begun to what this one has; who only reads
    does with what is there. Raises LedgerUnavailable if it is of another format, and as
    transaction() does.
    """
    is_sqlite = engine.url.get_backend_name() == "sqlite"
    with transaction(engine, is_writing=is_owner) as connection:
        if is_owner and is_sqlite:
            _check_pages(connection)
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


def _check_pages(connection: Connection) -> None:
    """Raise LedgerDamaged if SQLite finds a page that is invalid."""
    says = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
    if says != "ok":
        raise damaged(connection.engine.url.database or "", " ".join(says.split()))
