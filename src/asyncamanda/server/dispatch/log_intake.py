"""Taking the logs of runs that have ended into the ledger, whoever started them."""

import asyncio
from contextlib import suppress

from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.amanda import commands
from asyncamanda.server.background.threads import apart
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.ledger.access import RETRY_SECONDS
from asyncamanda.server.ledger.ledger import LedgerBusy
from asyncamanda.server.ledger.log_import import take_in_all
from asyncamanda.server.ledger.log_watch import LogWatch
from asyncamanda.system.clock import now as read_clock


class LogIntake:
    """Takes in the logs of one Amanda configuration, once at a time."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turn = asyncio.Lock()
        self._aside: set[str] = set()  # logs that cannot be taken in
        self._watch = LogWatch(site.name)

    async def refresh(self) -> None:
        """Take in the logs of all runs that have ended."""
        async with self._turn:
            with suppress(AsyncamandaError):  # which is told to whom it concerns
                await self._site.read_anew()  # what dumps go through is recorded with them
            while not await self._take_in():
                await asyncio.sleep(RETRY_SECONDS)

    async def wait_and_read_anew(self) -> None:
        """Read the configuration again, after an intake in progress. Raises as read_anew() does."""
        async with self._turn:
            await self._site.read_anew()

    async def _take_in(self) -> bool:
        """Take in what there is; return whether that is through (False: the ledger is locked)."""
        site = self._site
        ledger, settings = site.access.ledger, site.settings
        try:
            now, filters = read_clock(), site.filters()
            lines = take_in_all(
                ledger,
                settings,
                commands.LiveRuns(),
                now,
                filters=filters,
                aside=self._aside,
                watch=self._watch,
            )
            while said := await apart(f"{site.name}: its logs", lambda: next(lines, None)):
                site.access.changes += 1
                if "cannot be read" in said or said.startswith("warning"):
                    site.log(said)
        except LedgerBusy as error:
            site.access.note_trouble(error)
            return False
        except OSError as error:
            site.log(f"{settings.logdir} cannot be read: {error}")
        return True
