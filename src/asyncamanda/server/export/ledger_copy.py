"""A copy of the ledger as it is at one moment, while others write it.

SQLite's is made by its own way of backup. Of a database server's the rows are read, in one
transaction, and written into a SQLite file; the way back is the same.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO
from urllib.parse import quote

from sqlalchemy import (
    Boolean,
    Connection,
    Engine,
    Table,
    column,
    delete,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy import table as plain_table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import TableClause

from asyncamanda.errors import RefusedError
from asyncamanda.server.ledger.database import make_engine, read_url
from asyncamanda.server.ledger.preparing import prepare
from asyncamanda.server.ledger.schema import METADATA, ledger, ledger_owner, ledger_steps

ROWS = 500  # at a time
PATIENCE = timedelta(seconds=30)
NO_MEMORY = {"ledger", "ledger_steps", "ledger_owner", "log_looks"}  # of what has happened


@contextmanager
def copy_ledger(ledger: str, scratch: Path) -> Iterator[IO[bytes] | None]:
    """Yield the copy, open to be read; None if there is no ledger yet.

    `scratch` is a folder for it, made and removed here. Raises RefusedError if it cannot be copied,
    and as database.read_url().
    """
    if ledger.startswith("/") and not Path(ledger).exists():
        yield None
        return
    _remove(scratch)
    try:
        scratch.mkdir(mode=0o700)
        path = scratch / "ledger.sqlite"
        if ledger.startswith("/"):
            file = _copy_file(Path(ledger), path)
        else:
            file = _copy_rows(ledger, path)
        with file:
            yield file
    except (sqlite3.Error, DBAPIError) as error:
        words = " ".join(str(error).split())
        raise RefusedError(
            "ledger-not-copied",
            f"the ledger cannot be copied: {words}",
            "does `asyncamanda server runs` work? is there room in /var/lib/asyncamanda?",
        ) from error
    finally:
        _remove(scratch)


def _remove(scratch: Path) -> None:
    if scratch.exists():
        shutil.rmtree(scratch)


def _copy_file(ledger: Path, path: Path) -> IO[bytes]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with (
        closing(sqlite3.connect(f"file:{quote(str(ledger))}?mode=rw", uri=True)) as source,
        closing(sqlite3.connect(path, isolation_level=None)) as target,
    ):
        source.execute("PRAGMA busy_timeout = 30000")
        for pragma in ("journal_mode=OFF", "synchronous=OFF"):
            target.execute(f"PRAGMA {pragma}")
        path.unlink()  # it lives as long as it is open, and a kill leaves nothing of it
        source.backup(target)
    return open(file, "rb")  # noqa: PTH123 - a descriptor


def _copy_rows(url: str, path: Path) -> IO[bytes]:
    source = make_engine(read_url(url), PATIENCE)
    target = make_engine(read_url(str(path)), PATIENCE)
    try:
        prepare(source, is_owner=False)
        copy_rows(source, target)
    finally:
        source.dispose()
        target.dispose()
    close_journal(path)
    file = path.open("rb")
    path.unlink()
    return file


def close_journal(path: Path) -> None:
    """Bring all that SQLite keeps beside its file into it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def copy_rows(source: Engine, target: Engine) -> None:
    """Copy every row of one ledger into another, which has none; all of them, or nothing.

    As they are kept, so that one that is damaged is copied as well.
    """
    isolated = source
    if source.url.get_backend_name() != "sqlite":
        isolated = source.execution_options(isolation_level="REPEATABLE READ")
    with isolated.connect() as reading, target.begin() as writing:
        METADATA.create_all(writing)
        for table in (ledger, ledger_steps):  # as the target's own program has begun it
            writing.execute(delete(table))
        for table in METADATA.sorted_tables:
            if table is ledger_owner or not inspect(reading).has_table(table.name):
                continue
            plain = _plain(table)
            rows = reading.execute(select(plain))
            for some in rows.mappings().partitions(ROWS):
                writing.execute(insert(plain), [dict(row) for row in some])
            if target.url.get_backend_name() != "sqlite":
                _set_sequence(writing, table)


def has_rows(engine: Engine) -> bool:
    """Return whether a ledger is there that remembers anything."""
    with engine.connect() as connection:
        there = [
            table for table in METADATA.sorted_tables if inspect(connection).has_table(table.name)
        ]
        return any(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in there
            if table.name not in NO_MEMORY
        )


def _plain(table: Table) -> TableClause:
    """Return a table whose values go through as they are kept; truth values differ by database."""
    columns = [
        column(each.name, Boolean()) if isinstance(each.type, Boolean) else column(each.name)
        for each in table.columns
    ]
    return plain_table(table.name, *columns)


def _set_sequence(connection: Connection, table: Table) -> None:
    """Let the next number of a row follow those that were copied."""
    if "id" in table.columns:
        connection.exec_driver_sql(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) "  # noqa: S608 - our own names
            f"FROM {table.name} HAVING max(id) IS NOT NULL"
        )
