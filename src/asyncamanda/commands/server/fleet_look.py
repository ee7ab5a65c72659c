"""The fleet as it is now, for commands that show it."""

from datetime import datetime
from typing import TYPE_CHECKING

from asyncamanda.commands.server.options import open_ledger_to_read
from asyncamanda.config.server import ServerConfig
from asyncamanda.errors import BadDataError

if TYPE_CHECKING:
    from asyncamanda.core.fleet.standing import FleetView


def look_at_fleet(config: ServerConfig, now: datetime) -> "FleetView":
    """Return what is known of all clients, and what follows.

    Raises BadDataError without a ledger, and what open_ledger_to_read() and gather_fleet() raise.
    """
    ledger = open_ledger_to_read(config)
    if ledger is None:
        raise BadDataError(
            "no-ledger",
            f"there is no ledger yet: {config.ledger}",
            "the dispatcher makes it when the first client connects; is this the server?",
        )
    from asyncamanda.server.fleet.gathering import gather_fleet  # noqa: PLC0415 - loads much

    try:
        return gather_fleet(config, ledger, now)
    finally:
        ledger.close()
