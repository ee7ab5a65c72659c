"""What the server has of one client, for serving.py: not there yet."""

from collections.abc import Iterator
from contextlib import contextmanager

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.errors import LaterError
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.restore.serving import Holdings


@contextmanager
def open_holdings(_: ServerConfig, __: Ledger, identity: Identity) -> Iterator[Holdings]:
    """Yield what there is of a client."""
    raise LaterError("not-yet", f"{identity.client}: nothing can be restored yet", "wait")
    yield
