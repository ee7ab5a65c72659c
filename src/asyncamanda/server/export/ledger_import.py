"""The ledger that an export brings: prepared beside its place, and put there whole.

A client has perhaps got another ticket since the export was made: it is known by its number
(core/protocol/tickets.py), and nothing has to be done for it.
"""

from contextlib import suppress
from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from asyncamanda.errors import BadDataError
from asyncamanda.server.export.ledger_copy import PATIENCE, close_journal, copy_rows, has_rows
from asyncamanda.server.ledger.database import BESIDE, make_engine, read_url
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.ownership import release
from asyncamanda.server.ledger.schema import ledger_owner

KEPT = "the ledger that the database server has is kept: it is newer than the export"


def prepare_ledger(path: Path) -> None:
    """See that this server can go on with the exported ledger in `path`.

    Raises BadDataError if it is none, and what Ledger.open() raises.
    """
    ledger = Ledger.open(str(path), PATIENCE)
    ledger.close()
    if ledger.remark:
        raise BadDataError("bad-export", f"its ledger: {ledger.remark}", "take another copy")
    close_journal(path)


def put_file(path: Path, place: Path) -> None:
    """Put a prepared ledger in its place. Raises OSError."""
    for end in BESIDE:
        with suppress(FileNotFoundError):
            place.with_name(place.name + end).unlink()
    path.replace(place)


def put_rows(path: Path, url: str) -> str:
    """Copy a prepared ledger to a database server that has none; return a sentence on that.

    Raises LedgerUnavailable, and BadDataError if the server does not take it.
    """
    source = make_engine(read_url(str(path)), PATIENCE)
    target = make_engine(read_url(url), PATIENCE)
    try:
        is_there = has_rows(target)
        if not is_there:
            copy_rows(source, target)
        with target.begin() as connection:  # this server is the one that goes on
            if inspect(connection).has_table(ledger_owner.name):
                release(connection)
        if is_there:
            return KEPT
    except DBAPIError as error:
        words = " ".join(str(error.orig).split())
        raise BadDataError(
            "ledger-not-written",
            f"the ledger cannot be written into {target.url.database}: {words}",
            "does the database server run, and does it accept the login? then import again",
        ) from error
    finally:
        source.dispose()
        target.dispose()
    return "the ledger was written into its database"
