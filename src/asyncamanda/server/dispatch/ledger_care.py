"""The dispatcher's ledger: opened, and replaced by a new one where it is lost or damaged."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from asyncamanda.config.server import ServerConfig
from asyncamanda.errors import LaterError
from asyncamanda.server.background.tasks import write_log
from asyncamanda.server.background.threads import begin_apart
from asyncamanda.server.dispatch.coordinator import Coordinator
from asyncamanda.server.dispatch.new_ledger import take_on
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.ledger.ledger import (
    Ledger,
    LedgerBusy,
    LedgerDamaged,
    LedgerUnavailable,
)
from asyncamanda.server.ledger.ownership import claim, read_machine
from asyncamanda.server.ledger.preparing import check_all
from asyncamanda.system.clock import now as read_clock

CHECK_EVERY = timedelta(days=1)
PATIENCE = timedelta(milliseconds=200)  # everybody waits meanwhile, so it is tried again
OPEN_TRIES, OPEN_AGAIN_SECONDS = 4, 1.0
OPEN_SECONDS = 15.0  # after so many it is not tried again: a gate waits for forty


class LedgerCare:
    """Replaces the ledger when it is gone, by one that has all that is open.

    `coordinators` and `sessions` return what holds its numbers.
    """

    def __init__(
        self,
        config: ServerConfig,
        access: LedgerAccess,
        coordinators: Callable[[], Iterable[Coordinator]],
        sessions: Collection[ClientSession],
    ) -> None:
        self._config = config
        self._access = access
        self._coordinators = coordinators
        self._sessions = sessions
        self._checked_at: datetime | None = None

    def is_check_due(self, now: datetime) -> bool:
        """Return whether all pages are to be looked at: soon after the start, then once a day."""
        if self._checked_at is None and self._access.ledger.is_checked:
            self._checked_at = now
        last = self._checked_at
        return last is None or not last <= now < last + CHECK_EVERY

    async def check(self, now: datetime) -> None:
        """Check every page of SQLite's file, in a thread; damage is noted as it is in use."""
        self._checked_at = now
        access, ledger = self._access, self._access.ledger
        if ledger.is_remote:
            return
        try:
            await begin_apart("the ledger's pages", partial(check_all, ledger.engine))
        except LedgerDamaged as error:
            if access.ledger is ledger:
                access.is_damaged = True
                access.note_trouble(error)
        except LaterError as error:  # it may be gone, or locked: that is found elsewhere
            write_log(error.message)

    def is_lost(self) -> bool:
        """Return whether the ledger is to be replaced."""
        return self._access.is_damaged or self._access.ledger.is_gone()

    async def replace(self) -> None:
        """Write what is open into another ledger, and go on with that; a log line if it fails."""
        try:
            fresh = open_ledger(self._config, is_checking_all=self._access.is_damaged)
        except LedgerUnavailable as error:
            write_log(error.message)
            return
        coordinators = list(self._coordinators())
        try:
            taken = take_on(
                fresh,
                [row for coordinator in coordinators for row in coordinator.batches.open_rows()],
                [row for coordinator in coordinators for row in coordinator.queue.open_rows()],
            )
        except (LedgerUnavailable, LedgerBusy) as error:
            fresh.close()
            write_log(error.message)
            return
        write_log("the ledger was lost; a new one is made from Amanda's logs")
        self._access.ledger.close()
        self._access.ledger, self._access.is_damaged = fresh, False
        for coordinator in coordinators:
            coordinator.batches.go_on_as(taken.runs)
            coordinator.queue.go_on_as(taken.requests)
        for session in self._sessions:
            session.session_id = None  # a number of the old one
        for coordinator in coordinators:
            await coordinator.refresh()


def open_ledger(config: ServerConfig, *, is_checking_all: bool = False) -> Ledger:
    """Return the ledger. Raises LedgerUnavailable."""
    ledger = Ledger.open(config.ledger, PATIENCE, is_checking_all=is_checking_all)
    try:
        claim(ledger.engine, read_machine(), read_clock())
    except LedgerBusy as error:
        ledger.close()
        raise LedgerUnavailable(error.reference, error.message, error.hint) from error
    except BaseException:
        ledger.close()
        raise
    if ledger.remark:
        write_log(ledger.remark)
    return ledger


def take_over_ledger(config: ServerConfig) -> None:
    """Let this server be the one that writes the ledger. Raises LedgerUnavailable or LedgerBusy."""
    ledger = Ledger.open(config.ledger, PATIENCE)
    try:
        claim(ledger.engine, read_machine(), read_clock(), is_taking_over=True)
    finally:
        ledger.close()


async def open_ledger_soon(config: ServerConfig) -> Ledger:
    """Return the ledger; it may be locked, or without room, for a moment. Raises LedgerUnavailable.

    Clients wait meanwhile, and whoever started this is to hear the reason.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + OPEN_SECONDS
    for _ in range(OPEN_TRIES - 1):
        if loop.time() > give_up_at:
            break
        with suppress(LedgerUnavailable):
            return open_ledger(config)
        await asyncio.sleep(OPEN_AGAIN_SECONDS)
    return open_ledger(config)
