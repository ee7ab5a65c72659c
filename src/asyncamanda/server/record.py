"""The ledger, for a process in which everybody would wait while it waits for a lock."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from asyncamanda.errors import LaterError
from asyncamanda.server.background import write_log
from asyncamanda.server.ledger import Ledger, LedgerBusy, LedgerDamaged, LedgerUnavailable

RETRY_SECONDS = 0.5

T = TypeVar("T")


class Record:
    """The open ledger. It can be exchanged, for somebody may take its file away or damage it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.is_damaged = False
        self._trouble = ""
        self._bad_rows: set[str] = set()
        self._turn = asyncio.Lock()

    async def write(self, action: Callable[[Ledger], T]) -> T:
        """Return what `action` returns, as soon as the ledger can be used.

        It may be locked by somebody else, or its disk be full: what is to be remembered is
        kept back until then, and so is whatever may only be done when it is remembered.
        """
        async with self._turn:  # of many who wait, one tries
            return await self._write(action)

    async def _write(self, action: Callable[[Ledger], T]) -> T:
        while True:
            try:
                done = action(self.ledger)
            except (LedgerBusy, LedgerUnavailable) as error:
                self.is_damaged |= isinstance(error, LedgerDamaged)
                self.note_trouble(error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._trouble = ""
                self._note_bad_rows()
                return done

    def _note_bad_rows(self) -> None:
        """Write into the diary which rows were passed over, once each."""
        for words in self.ledger.bad_rows.keys() - self._bad_rows:
            self._bad_rows.add(words)
            write_log(words)

    def note_trouble(self, error: LaterError) -> None:
        """Write into the diary what keeps the ledger from being used, once."""
        if self._trouble != error.message:
            self._trouble = error.message
            write_log(f"{error.message} (hint: {error.hint})")
