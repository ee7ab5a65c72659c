"""From the holding disk to a volume, and tidying up: what is done when no run is under way."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

from asyncamanda.core.amanda.runlog import parse_run_log
from asyncamanda.core.dispatch.flush import (
    FlushHistory,
    FlushKind,
    FlushStep,
    Holding,
    decide_flush,
    is_flush_due,
)
from asyncamanda.core.dispatch.records import RunKind, RunRow
from asyncamanda.errors import LaterError
from asyncamanda.server.amanda import commands, logs
from asyncamanda.server.amanda import run as run_module
from asyncamanda.server.amanda.hiding import list_directories, show_dumps
from asyncamanda.server.amanda.holding import look_at_holding
from asyncamanda.server.background.programs import run_apart
from asyncamanda.server.background.threads import apart
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.batches import Batches
from asyncamanda.system.clock import local_zone
from asyncamanda.system.clock import now as read_clock

CLEANUP_WITHIN = 3600.0  # seconds: it makes reports, and trims indexes


class Flushes:
    """The flushes of one Amanda configuration."""

    def __init__(self, site: Site, batches: Batches, is_wanted: Callable[[], bool]) -> None:
        self.holding = Holding(0, 0, None)
        self.history = FlushHistory()
        self._site = site
        self._batches = batches
        self._is_wanted = is_wanted  # whether somebody waits for a run

    def recall(self, newest: Iterable[RunRow]) -> None:
        """Take over from the ledger how the last flush went; `newest` are runs, newest first."""
        for run in newest:
            if run.kind is RunKind.FLUSH:
                self.history = replace(
                    self.history, last_at=run.begun_at, has_failed=not run.labels
                )
                return

    def decide(self, now: datetime) -> FlushStep:
        """Return what is to be done about a flush."""
        return decide_flush(
            self.history,
            self._site.config.flush,
            now,
            is_idle=not self._batches.runs,
            is_wanted=self._is_wanted(),
        )

    @property
    def is_awaited(self) -> bool:
        """Whether a dispatcher has to stay: a flush is due, or will be at its time of day."""
        is_daily = self._site.config.flush.kind is FlushKind.DAILY
        return self.history.due_since is not None or (is_daily and self.holding.held > 0)

    def is_in_the_way(self, now: datetime) -> bool:
        """Return whether no run may start because a flush is made, or has waited long enough."""
        is_made = any(run.row.kind is RunKind.FLUSH for run in self._batches.runs.values())
        return is_made or self.decide(now) in {FlushStep.HOLD_BACK, FlushStep.GO}

    async def weigh(self) -> None:
        """Look how much is held, and whether that is to go. Raises LaterError if the disk hangs."""
        await self._look()
        self._judge()

    async def _look(self) -> None:
        settings = self._site.settings
        look = partial(look_at_holding, settings)
        self.holding = await apart(f"{settings.name}: its holding disk", look)

    def _judge(self) -> None:
        """Decide whether what is held is to go."""
        now = read_clock()
        policy = self._site.config.flush
        is_due = is_flush_due(self.holding, self.history, policy, now.astimezone(local_zone()))
        since = min(self.history.due_since or now, now) if is_due else None
        self.history = replace(self.history, due_since=since)

    async def ask(self) -> bool:
        """Let all that is held go as soon as that can be; return whether anything is held.

        Raises LaterError if the holding disk hangs.
        """
        self.history = replace(self.history, is_asked=True)
        await self.weigh()
        if not self.holding.held:
            self.history = replace(self.history, is_asked=False)
        return self.history.is_asked

    async def run(self) -> None:
        """Flush, to the end. Nothing else runs meanwhile."""
        if await self._batches.find_others():
            return
        await self.clear_keepers()
        self.history = replace(self.history, last_at=read_clock())
        run = await self._batches.launch(RunKind.FLUSH, self._plan, (), [])
        while run in self._batches.runs.values():
            await asyncio.sleep(run_module.POLL)
        await self._look()
        self.history = replace(self.history, has_failed=self.holding.held > 0, is_asked=False)
        self._judge()

    async def _plan(self, row: RunRow) -> list[str]:
        return commands.plan_amflush(row.amanda_config)

    async def clear_keepers(self) -> None:
        """Take away what runs have left that nobody could see to the end."""
        await apart(f"{self._site.name}: its holding disk's files", self._clear_keepers)
        self._site.clear_run_files()

    def _clear_keepers(self) -> None:
        folders = list_directories(self._site.settings.holding)
        show_dumps(folders)
        run_module.remove_keepers(folders)

    async def is_left_unclean(self) -> bool:
        """Return whether the newest run's log has no end. Nothing runs while this is asked."""
        return await apart(f"{self._site.name}: its newest log", self._is_left_unclean)

    def _is_left_unclean(self) -> bool:
        log = self._site.settings.logdir / "log"
        with suppress(OSError):
            parsed = parse_run_log(logs.read_text(log)) if log.is_symlink() else None
            return parsed is not None and not parsed.is_finished
        return False

    async def clean_up(self) -> None:
        """Tidy up after a run that crashed, by amcleanup, which assumes that nothing runs."""
        if await self._batches.find_others():
            return
        await self.clear_keepers()
        answer = await run_apart(["amcleanup", self._site.name], CLEANUP_WITHIN)
        if answer.is_passing:
            raise LaterError("not-tidied", answer.fault, "has the server enough memory?")
        self._batches.needs_cleanup = False
        said = " ".join(answer.printed.split())
        self._site.log(f"amcleanup: {said or 'done'}")
