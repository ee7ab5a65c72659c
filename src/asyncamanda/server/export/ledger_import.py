"""The ledger that an export brings: prepared beside its place, and put there whole.

What happened after the export was made is not in it, so each client is opened again: the next
machine with its key is it, and its next dumps are full ones (server/ledger/machines.py). By the
ticket that it was given since then it would be taken for a second machine.
"""

from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from asyncamanda.errors import BadDataError
from asyncamanda.server.export.ledger_copy import PATIENCE, close_journal, copy_rows, has_rows
from asyncamanda.server.ledger.database import BESIDE, make_engine, read_url
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.machines import open_anew, read_machines

KEPT = "the ledger that the database server has is kept: it is newer than the export"


def prepare_ledger(path: Path) -> None:
    """Make of the exported ledger in `path` one that this server goes on with.

    Raises BadDataError if it is none, and what Ledger.open() raises.
    """
    ledger = Ledger.open(str(path), PATIENCE)
    try:
        if ledger.remark:
            raise BadDataError("bad-export", f"its ledger: {ledger.remark}", "take another copy")
        for client in read_machines(ledger):
            open_anew(ledger, client, is_settling=False)
    finally:
        ledger.close()
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
        if has_rows(target):
            return KEPT
        copy_rows(source, target)
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
