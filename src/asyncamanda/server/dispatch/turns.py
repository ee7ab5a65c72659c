"""What must not overlap is done in turns: a start, a flush, tidying up; what failed waits."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from asyncamanda.core.dispatch.setback import Setback, bear_failure
from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.background.tasks import write_trouble
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.system.clock import now as read_clock


class Turns:
    """One thing at a time of one Amanda configuration; `is_taken` while one is done."""

    def __init__(self, site: Site) -> None:
        self.is_taken = False
        self._site = site
        self._setbacks: dict[str, Setback] = {}

    def take(
        self, what: str, doing: Callable[[], Coroutine[Any, Any, None]], now: datetime
    ) -> None:
        """Let `doing` have the turn, unless it has failed lately."""
        before = self._setbacks.get(what)
        if before and before.is_on(now):
            return

        async def do_alone() -> None:
            try:
                await doing()
            except AsyncamandaError as error:
                failed = bear_failure(before, error.message, read_clock())
                self._setbacks[what], is_news = failed
                if is_news:
                    write_trouble(error, f"{self._site.name}: {what} fails, and is tried again: ")
            else:
                self._setbacks.pop(what, None)
            finally:
                self.is_taken = False

        self.is_taken = True
        self._site.background.start(do_alone())

    def find_setback(self, what: str, now: datetime) -> str:
        """Return why `what` failed, if that was lately, else ""."""
        setback = self._setbacks.get(what)
        return setback.reason if setback and setback.is_recent(now) else ""
