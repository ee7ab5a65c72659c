"""The exports that are made by themselves: one a day, of which some are kept."""

import os
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.export.daily import (
    ExportOrder,
    LastExport,
    decide_wait,
    name_export,
    parse_last,
    plan_pruning,
    render_last,
)
from asyncamanda.errors import AsyncamandaError, LaterError
from asyncamanda.server.background.log import LOG
from asyncamanda.server.export.exporting import export_to
from asyncamanda.server.export.sources import ServerSources, find_places
from asyncamanda.server.gate.ipc import STATE
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.schema import runs
from asyncamanda.system.clock import local_zone
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.files import read_regular, write_whole

NOTE = Path(STATE, "last-export.json")
LARGEST_NOTE = 100_000  # bytes
POLL = 20.0  # seconds: the wall clock is looked at, for machines sleep
PATIENCE = timedelta(seconds=30)


def read_last() -> LastExport | None:
    """Return how the last one ended, None if there was none or that cannot be read."""
    with suppress(OSError, ValueError):
        return parse_last(read_regular(NOTE, LARGEST_NOTE).decode("ascii"))
    return None


def find_newest_end(ledger: str) -> datetime | None:
    """Return when the last run ended, None if none has. Raises LedgerUnavailable, LedgerBusy."""
    opened = Ledger.open(ledger, PATIENCE, is_owner=False)
    try:
        with transaction(opened.engine, is_writing=False) as connection:
            found: datetime | None = connection.execute(
                select(func.max(runs.c.ended_at, type_=runs.c.ended_at.type))
            ).scalar_one()
            return found
    finally:
        opened.close()


def export_when_due(order: ExportOrder) -> None:
    """Make the day's export, if one is needed, and not sooner than it may be made.

    How it went is written into a note, and into the log if it failed. Raises LaterError if the
    ledger cannot be read, and OSError if the note cannot be written.
    """
    wait = decide_wait(read_last(), find_newest_end(order.ledger), read_clock())
    if wait < timedelta():
        return
    until = read_clock() + wait
    while (left := until - read_clock()) > timedelta():
        time.sleep(min(POLL, left.total_seconds()))
    begun_at = read_clock()
    try:
        path = _export(order, begun_at)
    except (AsyncamandaError, OSError) as error:
        LOG.warning("this server was not exported: %s", error)
        if not isinstance(error, LaterError):
            write_whole(NOTE, render_last(LastExport(begun_at, "", str(error))), 0o600)
        return
    write_whole(NOTE, render_last(LastExport(begun_at, str(path))), 0o600)


def _export(order: ExportOrder, at: datetime) -> Path:
    """Export, and remove what is not kept; return the file."""
    host, folder = os.uname().nodename, Path(order.folder)
    local = at.astimezone(local_zone() or UTC)
    path = folder / name_export(host, local, is_encrypted=bool(order.encrypt_to))
    config = ServerConfig(user=order.user, ledger=order.ledger)
    sources = ServerSources(config, find_places(order.user), {}, with_heads=False)
    export_to(path, sources, order.encrypt_to, at)
    for name in plan_pruning(os.listdir(folder), host, order.keep):  # noqa: PTH208 - names
        (folder / name).unlink(missing_ok=True)
    return path
