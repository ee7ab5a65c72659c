"""Whose ledger it is, where more than one server could reach it: a database server's.

A second dispatcher would adopt the runs of the first, whose processes it cannot see, and end its
sessions. So the first one's machine is written down, and another one is refused, until somebody
says that it takes the ledger over. A SQLite file has no such mark: the dispatcher's lock is beside
it, a copy of it on another machine is another ledger, and a machine may get another id.
"""

import hashlib
import socket
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, insert, select

from asyncamanda.core.values.printable import printable
from asyncamanda.server.ledger.database import LedgerUnavailable, is_remote, transaction
from asyncamanda.server.ledger.schema import ledger_owner

MACHINE_ID = Path("/etc/machine-id")


def read_machine() -> str:
    """Return what names this machine in the ledger: its id is not to be known elsewhere as it is.

    As machine-id(5) wants it: hashed, with a word of our own. Without one it is the host's name.
    """
    try:
        known = MACHINE_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        known = ""
    return hashlib.sha256(f"asyncamanda {known or socket.gethostname()}".encode()).hexdigest()[:32]


def claim(engine: Engine, machine: str, at: datetime, *, is_taking_over: bool = False) -> None:
    """Be the server that writes this ledger; a SQLite file asks for nothing.

    Raises LedgerUnavailable if another one is, unless `is_taking_over`, and as transaction() does.
    """
    if not is_remote(engine):
        return
    with transaction(engine, is_writing=True) as connection:
        owner = connection.execute(select(ledger_owner)).mappings().first()
        if owner and owner["machine"] == machine:
            return
        if owner and not is_taking_over:
            raise LedgerUnavailable(
                "ledger-owned",
                f"{engine.url.database} is the ledger of another server: "
                f"{printable(owner['host_name'])}, since {owner['since']:%Y-%m-%d}",
                "if that one is gone for good, as root: asyncamanda server dispatch "
                "--take-over-ledger",
            )
        release(connection)
        values = {"id": 1, "machine": machine, "host_name": socket.gethostname(), "since": at}
        connection.execute(insert(ledger_owner).values(values))


def release(connection: Connection) -> None:
    """Let the next server be the owner."""
    connection.execute(delete(ledger_owner))
