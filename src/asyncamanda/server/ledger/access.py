"""The ledger, for a process in which everybody would wait while it waits for a lock."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from asyncamanda.errors import LaterError
from asyncamanda.server.background.tasks import write_log, write_trouble
from asyncamanda.server.background.threads import begin_apart
from asyncamanda.server.ledger.database import silent
from asyncamanda.server.ledger.ledger import (
    Ledger,
    LedgerBusy,
    LedgerDamaged,
    LedgerUnavailable,
)
from asyncamanda.system.clock import now as read_clock

RETRY_SECONDS = 0.5
LOOK_SECONDS = 0.5
SILENT_SECONDS = 3.0
WAITED = timedelta(seconds=2)  # by who waits, at least
LOCKED_FOR = timedelta(seconds=25)  # a client waits for a minute
BROKEN_FOR = timedelta(seconds=5)

T = TypeVar("T")


class LedgerAccess:
    """The open ledger. It can be exchanged, for somebody may take its file away or damage it.

    `changes` counts what was written.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.is_damaged = False
        self.changes = 0
        self._trouble: LaterError | None = None
        self._troubled_at: datetime | None = None
        self._kept_waiting = 0  # how many wait for what has failed
        self._bad_rows: set[str] = set()
        self._turn = asyncio.Lock()

    async def read(self, action: Callable[[Ledger], T]) -> T:
        """Return what `action`, which changes nothing, returns, as soon as the ledger can be read.

        It waits for no writer, which may wait for room on the disk.
        """
        return await self._do(action, is_reading=True)

    async def write(self, action: Callable[[Ledger], T]) -> T:
        """Return what `action` returns, as soon as the ledger can be used.

        It may be locked by somebody else, or its disk be full: what is to be remembered is
        kept back until then, and so is whatever may only be done when it is remembered.
        """
        async with self._turn:  # of many who wait, one tries
            done = await self._do(action, is_reading=False)
            self.changes += 1
            return done

    async def _do(self, action: Callable[[Ledger], T], *, is_reading: bool) -> T:
        while True:
            try:
                done = await self._ask(action)
            except (LedgerBusy, LedgerUnavailable) as error:
                self.is_damaged |= isinstance(error, LedgerDamaged)
                self.note_trouble(error)
                self._kept_waiting += 1
                try:
                    await asyncio.sleep(RETRY_SECONDS)
                finally:
                    self._kept_waiting -= 1
            else:
                if not is_reading:  # what can be read can perhaps not be written
                    self._trouble = self._troubled_at = None
                self._note_bad_rows()
                return done

    async def _ask(self, action: Callable[[Ledger], T]) -> T:
        """Return what `action` returns, and keep nobody else waiting for it.

        A file answers at once. A server may not: it is asked apart, and not asked again before it
        has answered, or was given up (database.py): else things could be done twice.
        """
        ledger = self.ledger
        if not ledger.is_remote:
            return action(ledger)
        try:
            answer = begin_apart("the ledger", partial(action, ledger))
        except LaterError as error:
            raise LedgerUnavailable(error.reference, error.message, error.hint) from error
        self._kept_waiting += 1
        try:
            while not (await asyncio.wait({answer}, timeout=SILENT_SECONDS))[0]:
                self.note_trouble(silent(ledger.engine.url))
            return answer.result()
        finally:
            self._kept_waiting -= 1
            answer.cancel()

    def _note_bad_rows(self) -> None:
        """Write into the log which rows were passed over, once each."""
        for words in {*list(self.ledger.bad_rows)} - self._bad_rows:  # a thread may add to them
            self._bad_rows.add(words)
            write_log(words)

    def note_trouble(self, error: LaterError) -> None:
        """Remember what keeps the ledger from being used, and write it into the log, once."""
        if self._trouble is None:
            self._troubled_at = read_clock()
        if self._trouble is None or self._trouble.message != error.message:
            write_trouble(error)
        self._trouble = error

    def find_lasting_trouble(self, now: datetime) -> LaterError | None:
        """Return what has kept the ledger from being written for so long that nobody should wait.

        A lock of somebody else's is waited for longer than anything else.
        """
        if self._trouble is None or self._troubled_at is None:
            return None
        self._troubled_at = min(self._troubled_at, now)  # the clock may be set back
        bound = LOCKED_FOR if isinstance(self._trouble, LedgerBusy) else BROKEN_FOR
        return self._trouble if now - self._troubled_at >= bound else None

    def find_hindrance(self, now: datetime) -> LaterError | None:
        """Return the lasting trouble, if anything is kept waiting by it just now."""
        return self.find_lasting_trouble(now) if self._kept_waiting else None

    async def unless_troubled(self, doing: Coroutine[Any, Any, T]) -> T:
        """Return what `doing` returns; end it, and raise the ledger's trouble, if that lasts."""
        running = asyncio.get_running_loop().create_task(doing)
        begun_at = read_clock()
        try:
            while True:
                done, _ = await asyncio.wait({running}, timeout=LOOK_SECONDS)
                if done:
                    return running.result()
                now = read_clock()
                trouble = self.find_lasting_trouble(now)
                if trouble and not begun_at <= now < begun_at + WAITED:
                    raise trouble
        finally:
            running.cancel()
