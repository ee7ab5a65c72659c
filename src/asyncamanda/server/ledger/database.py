"""Opening the ledger's database, and what may be wrong with it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
)
from sqlalchemy.pool import NullPool

from asyncamanda.errors import LaterError
from asyncamanda.server.background.deadline import bind, deadline
from asyncamanda.server.ledger.schema import complete_for_postgresql
from asyncamanda.system.files import find_free, sync_folder

IS_WRITING = "is_writing"  # the execution option by which a transaction says so
WRITERS_LOCK = 20_140_624  # PostgreSQL's advisory lock that whoever writes here holds
CONNECT_SECONDS, STATEMENT_SECONDS = 4, 8  # PostgreSQL's
ANSWER_SECONDS = 10.0  # of its for a whole transaction
BESIDE = ("-wal", "-shm")  # SQLite's own files beside its database

_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED_STATES = {"55P03", "40001", "40P01"}  # PostgreSQL: lock_timeout, serialization, deadlock
_OUR_BUGS = (ProgrammingError, IntegrityError, DataError)


class LedgerUnavailable(LaterError):  # noqa: N818 - it says what is the matter
    """The ledger cannot be read or written; the message says why."""


class LedgerBusy(LaterError):  # noqa: N818 - it says what is the matter
    """Somebody else holds the ledger for longer than we are patient; nothing was changed."""


class LedgerDamaged(LedgerUnavailable):
    """The file is there, and is not, or no longer, a database."""


def read_url(url_or_path: str) -> URL:
    """Return the database that is meant: a path is a SQLite file. Raises LedgerUnavailable."""
    if "://" not in url_or_path:
        return URL.create("sqlite", database=url_or_path)
    try:
        url = make_url(url_or_path)
        backend = url.get_backend_name()
    except ArgumentError as error:
        raise _unusable("the URL of the ledger cannot be read") from error
    if backend not in {"sqlite", "postgresql"}:
        raise _unusable(f"a ledger cannot be kept in {backend}")
    return url


def _unusable(message: str) -> LedgerUnavailable:
    return LedgerUnavailable(
        "ledger-url", message, "it is a path, or postgresql://user@host/database"
    )


def make_engine(url: URL, patience: timedelta) -> Engine:
    """Return the way to the database, on which no lock is waited for longer than `patience`.

    There is one writer at a time: it waits for the others before it reads, so that what it has
    read stays true until it writes. Raises LedgerUnavailable if PostgreSQL's driver is missing.
    """
    seconds = patience.total_seconds()
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": seconds})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = create_engine(url, connect_args=plan_connection(url, patience), poolclass=NullPool)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise LedgerUnavailable(
            "ledger-driver", f"no driver for {url.drivername}: {error}", "pip install psycopg"
        ) from error
    complete_for_postgresql()
    event.listen(engine, "do_connect", _connect_postgresql)
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def plan_connection(url: URL, patience: timedelta) -> dict[str, str]:
    """Return libpq's settings for a connection on which nothing is waited for without a bound.

    What the URL itself sets counts, but for the server's own bounds. A server that hangs while it
    is asked is none of TCP's affair: see deadline.py.
    """
    bounds = {
        "lock_timeout": max(1, round(patience.total_seconds() * 1000)),
        "statement_timeout": STATEMENT_SECONDS * 1000,
    }
    own = {
        "connect_timeout": str(CONNECT_SECONDS),
        "keepalives_idle": "5",
        "keepalives_interval": "2",
        "keepalives_count": "3",
        "tcp_user_timeout": str(STATEMENT_SECONDS * 1000),
    }
    options = " ".join(f"-c {name}={value}" for name, value in bounds.items())
    return {name: value for name, value in own.items() if name not in url.query} | {
        "options": options
    }


def _connect_postgresql(dialect: Any, _record: object, words: Any, settings: Any) -> Any:
    connection = dialect.connect(*words, **settings)
    bind(connection.fileno())
    return connection


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # else a text that is damaged would end the reading of all rows (bad_rows.py)
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    is_writing = connection.get_execution_options().get(IS_WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get(IS_WRITING):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")


@contextlib.contextmanager
def transaction(engine: Engine, *, is_writing: bool) -> Iterator[Connection]:
    """Do all that is done on the connection, or nothing of it.

    Raises LedgerBusy if somebody else holds the database, LedgerUnavailable if it cannot be
    read or written, or its server does not answer, and LedgerDamaged if it is none any more.
    """
    with ExitStack() as stack:
        bound = stack.enter_context(deadline(ANSWER_SECONDS)) if is_remote(engine) else None
        try:
            with engine.execution_options(**{IS_WRITING: is_writing}).begin() as connection:
                yield connection
        except _OUR_BUGS:
            raise
        except DBAPIError as error:
            if bound and bound.was_silent(CONNECT_SECONDS):
                raise silent(engine.url) from error
            raise _explain(error, engine.url) from error


def is_remote(engine: Engine) -> bool:
    """Return whether another process keeps the database, so that it may not answer."""
    return engine.url.get_backend_name() != "sqlite"


def silent(url: URL) -> LedgerUnavailable:
    """Return the error for a server that does not answer."""
    return LedgerUnavailable(
        "ledger-silent",
        f"the database server of {url.database} does not answer",
        "is it stopped, does it hang, or is the way to it cut?",
    )


def _explain(error: DBAPIError, url: URL) -> LaterError:
    """Return what the driver's error means."""
    origin = error.orig
    code = getattr(origin, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF  # the rest says which kind of it
    where = url.database or url.render_as_string()
    says = " ".join(str(origin).split())
    state = getattr(origin, "sqlstate", None) or getattr(
        origin, "pgcode", None
    )  # psycopg, psycopg2
    if primary in _LOCKED or state in _LOCKED_STATES:
        hint = f"`fuser -v {where}` names it" if primary is not None else "pg_locks shows by which"
        return LedgerBusy("ledger-busy", f"{where} is locked by another program", hint)
    if primary in _DAMAGED:
        return damaged(where, says)
    return LedgerUnavailable(
        "ledger-unavailable",
        f"{where} cannot be used: {says}",
        "is its folder there, is it the Amanda user's, and is there room?"
        if primary is not None
        else "does the database server run, and does it accept the login?",
    )


def damaged(where: str, says: str) -> LedgerDamaged:
    """Return the error for a file that is no database."""
    return LedgerDamaged(
        "ledger-damaged",
        f"{where} is damaged ({says})",
        "the dispatcher sets it aside when it starts, and starts a new one",
    )


def missing(url: URL) -> LedgerUnavailable:
    """Return the error for who only reads a ledger that nobody has begun."""
    return LedgerUnavailable(
        "ledger-missing",
        f"there is no ledger in {url.database} yet",
        "the dispatcher makes it when the first client connects",
    )


def set_aside(path: Path, at: datetime) -> Path:
    """Keep a damaged file beside its place, to be looked at, with what SQLite keeps beside it.

    Returns its new name. Raises LedgerUnavailable if that cannot be.
    """
    aside = find_free(path.with_name(f"{path.name}.damaged-{at:%Y%m%dT%H%M%SZ}"))
    try:
        for end in BESIDE:
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + end).replace(aside.with_name(aside.name + end))
        path.replace(aside)
        sync_folder(path.parent)
    except OSError as error:
        raise LedgerUnavailable(
            "ledger-damaged",
            f"{path} is damaged, and cannot be set aside: {error.strerror}",
            "move it away by hand",
        ) from error
    return aside
