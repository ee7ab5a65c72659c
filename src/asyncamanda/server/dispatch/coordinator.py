"""One Amanda configuration's coordinator: its queue, its runs and its flushes, and what comes next.

Decisions are core's (batch.py, flush.py); here is when they are asked for, and what follows.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.dispatch import batch
from asyncamanda.core.dispatch.batch import (
    BatchPolicy,
    Hold,
    Scene,
    StartRun,
    WaitForRun,
    decide_batch,
)
from asyncamanda.core.dispatch.flush import FlushStep
from asyncamanda.core.protocol.messages import Queued, Refused, Welcome
from asyncamanda.errors import AsyncamandaError, LaterError
from asyncamanda.server.amanda.run import POLL, Run
from asyncamanda.server.background.tasks import Background, Rhythm, write_trace
from asyncamanda.server.dispatch.adoption import Adoption
from asyncamanda.server.dispatch.after_runs import AfterRuns
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.batches import Batches
from asyncamanda.server.dispatch.flushes import Flushes
from asyncamanda.server.dispatch.log_intake import LogIntake
from asyncamanda.server.dispatch.messenger import Messenger
from asyncamanda.server.dispatch.queue import Queue
from asyncamanda.server.dispatch.reach import ClientReach
from asyncamanda.server.dispatch.turns import Turns
from asyncamanda.server.dispatch.view import view_config, view_holding
from asyncamanda.server.gate.session import ClientSession, refusal_of
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.system.clock import now as read_clock

OTHERS_EVERY = timedelta(seconds=1)
HOLDING_EVERY = timedelta(seconds=3)
PROGRESS_EVERY = timedelta(seconds=2)
TELL_EVERY = timedelta(seconds=1)
CONFIG_EVERY = timedelta(seconds=20)
LOGS_EVERY = timedelta(seconds=1)
TIDYING, FLUSHING, STARTING = "tidying up", "a flush", "a start"


class Coordinator:
    """The coordinator of one Amanda configuration, open as soon as `opened` is done."""

    def __init__(
        self,
        name: str,
        config: ServerConfig,
        access: LedgerAccess,
        background: Background,
        reach: ClientReach,
    ) -> None:
        self.site = Site(name, config, access, background)
        self.queue = Queue(self.site)
        self.messenger = Messenger(self.site, self.queue, self._places)
        self.batches = Batches(self.site, self.queue, reach, self.messenger)
        self._adoption = Adoption(self.site, self.queue, self.batches, self.messenger)
        self.flushes = Flushes(self.site, self.batches, lambda: bool(self.queue.present()))
        self.opened = asyncio.get_running_loop().create_task(self._open())
        self._rhythm = Rhythm()
        self._turns = Turns(self.site)
        self._has_others = False
        self._mean: timedelta | None = None
        self._intake = LogIntake(self.site)
        self._after_runs = AfterRuns(self.site)

    # -- opening

    async def _open(self) -> None:
        """Open it. Whatever is wrong with its configuration is no other one's affair.

        Raises AsyncamandaError, which tells it; the next one takes over what this one had.
        """
        try:
            await self._take_up()
        except AsyncamandaError:
            self.batches.let_go()
            raise
        except Exception as error:
            self.batches.let_go()
            write_trace()
            raise LaterError(
                "amanda-config-not-opened",
                f"the server cannot serve {self.site.name} now: {error!r}",
                "the server's dispatcher.log has details",
            ) from error

    async def _take_up(self) -> None:
        """Read what Amanda and the ledger have, and go on with what another dispatcher began."""
        site = self.site
        await site.open()
        await self._adoption.take_over()
        await self.refresh()
        self.flushes.recall(
            await site.access.read(lambda ledger: ledger.runs.list_recent(site.name))
        )
        await self._look_for_others()
        if not self.batches.runs and not self._has_others:
            await self.flushes.clear_keepers()
            self.batches.needs_cleanup |= await self.flushes.is_left_unclean()

    @property
    def is_open(self) -> bool:
        """Whether it is ready to work."""
        return self.opened.done() and not self.has_failed

    @property
    def has_failed(self) -> bool:
        """Whether it could not be opened, as when the Amanda configuration is wrong."""
        return self.fault is not None

    @property
    def fault(self) -> BaseException | None:
        """Why it could not be opened; None if it is open, or still being opened."""
        return self.opened.exception() if self.opened.done() else None

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, runs or is due."""
        is_busy = self.queue.entries or self.batches.runs or self._turns.is_taken
        return self.opened.done() and not is_busy and not self.flushes.is_awaited

    # -- talk

    async def welcome(
        self, session: ClientSession, receive: Callable[[], Awaitable[Refused | None]]
    ) -> None:
        """Tell a client how its DLEs stand, with all that has happened until now.

        Unless it may not be told: `receive` says so, once its DLEs are known.
        """
        try:
            message = await self.site.access.unless_troubled(self._greet(session, receive))
        except AsyncamandaError as error:
            message = refusal_of(error)
        if isinstance(message, Refused):
            session.refuse(message)
        else:
            session.is_greeted = True
            session.send(replace(message, ticket=session.ticket))

    async def _greet(
        self, session: ClientSession, receive: Callable[[], Awaitable[Refused | None]]
    ) -> Welcome | Refused:
        await asyncio.shield(self.opened)
        if self._rhythm.is_due("logs", LOGS_EVERY, read_clock()):
            await self.refresh()
        await self._intake.wait_and_read_anew()  # another client's hello may have begun one
        return await receive() or await self.messenger.welcome(session)

    def submit(self, session: ClientSession) -> None:
        """Take a client's request, unless it is served by now without knowing it."""
        if not session.is_open:
            return
        entry = self.queue.entries.get(session.client)
        if entry and entry.run and not entry.run.is_alive():
            self.site.background.start(self._submit_after(entry.run, session))
        elif entry or not self.messenger.tell_missed_end(session):
            self.messenger.submit(session)

    async def _submit_after(self, run: Run, session: ClientSession) -> None:
        """Take the request of a client that came when its run was dead, and is being judged.

        It was not there when that failed, so the failure is not its end.
        """
        while run in self.batches.runs.values():
            await asyncio.sleep(POLL)
        if not session.is_open:
            return
        is_served = self.messenger.has_served_well(session.client)
        if is_served and self.messenger.tell_missed_end(session):
            return
        self.messenger.forget_missed_end(session)
        self.messenger.submit(session)

    def _places(self) -> dict[str, Queued]:
        """Return where in the queue each client is that waits, and for what."""
        now = read_clock()
        order = [entry.client for entry in self.queue.in_order()]
        decision = self._decide(now)
        wait = decision if isinstance(decision, WaitForRun) else WaitForRun(Hold.STARTING)
        if wait.hold is Hold.NOBODY:  # its request is just being written down
            wait = WaitForRun(Hold.COLLECTING, now + self.site.config.batch_window)
        begun = [run.row.begun_at for run in self.batches.runs.values()]
        hindrance = self._find_hindrance(now)
        estimate = None
        if not hindrance:
            estimate = batch.estimate_start(wait, begun, self._mean, now)
        return {
            client: Queued(place, len(order), estimate, hindrance or wait.hold.value)
            for place, client in enumerate(order, 1)
        }

    def _find_hindrance(self, now: datetime) -> str:
        """Return what keeps all that wait from being served, in words; "" if nothing does."""
        if trouble := self.site.access.find_hindrance(now):
            return trouble.message
        is_meant = {
            TIDYING: self.batches.needs_cleanup,
            FLUSHING: self.flushes.is_in_the_way(now),
            STARTING: True,
        }
        meant = (what for what, is_it in is_meant.items() if is_it)
        return next(filter(None, (self._turns.find_setback(what, now) for what in meant)), "")

    # -- what comes next

    def _decide(self, now: datetime) -> StartRun | WaitForRun:
        scene = Scene(
            submitted_at=self.queue.waiting(),
            present=set(self.queue.present()),
            busy=self.batches.busy(),
            suspects=self.batches.suspects,
            runs=len(self.batches.runs),
            is_starting=self._turns.is_taken,
            has_others=self._has_others,
            is_held_for_flush=self.flushes.is_in_the_way(now),
        )
        config = self.site.config
        return decide_batch(scene, BatchPolicy(config.batch_window, config.max_runs), now)

    def pump(self) -> None:
        """Do what is due now. Called several times a second."""
        if not self.is_open:
            return
        now = read_clock()
        self.queue.forget_absent(now)
        self._after_runs.look(self.batches.ended, now)
        trouble = self.site.access.find_lasting_trouble(now)
        if trouble and self._rhythm.is_due("put off", TELL_EVERY, now):
            self.messenger.put_off(trouble.message)
        if self._rhythm.is_due("configuration", CONFIG_EVERY, now):
            self.site.background.start(self._look_at_configuration())
        if self.site.fault:
            self.messenger.refuse_waiting(refusal_of(self.site.fault))
            return  # Amanda would do nothing by it
        if self._rhythm.is_due("tell", TELL_EVERY, now):
            self.messenger.tell_changes()
        if self._rhythm.is_due("progress", PROGRESS_EVERY, now):
            self.site.background.start(self.messenger.show_progress(self.batches.runs.values()))
        if self._is_work_due() and self._rhythm.is_due("others", OTHERS_EVERY, now):
            self.site.background.start(self._look_for_others())
        if not self._turns.is_taken:
            if self._rhythm.is_due("holding", HOLDING_EVERY, now):
                self.site.background.start(self.flushes.weigh())
            self._begin_next(now)

    async def _look_at_configuration(self) -> None:
        """Notice what was changed in it, though nobody comes."""
        with suppress(AsyncamandaError):  # the site has it in its log
            await self.site.read_anew()

    def _begin_next(self, now: datetime) -> None:
        """Begin what may be begun: tidying up, a flush, or a run."""
        is_free = not self.batches.runs and not self._has_others
        if is_free and self.batches.needs_cleanup:
            self._turns.take(TIDYING, self.flushes.clean_up, now)
        elif is_free and self.flushes.decide(now) is FlushStep.GO:
            self._turns.take(FLUSHING, self.flushes.run, now)
        elif self.queue.present():
            decision = self._decide(now)
            if isinstance(decision, StartRun):
                self._turns.take(STARTING, partial(self._start, decision.clients), now)

    async def _start(self, clients: tuple[str, ...]) -> None:
        name = self.site.name
        self._mean = await self.site.access.read(lambda ledger: ledger.runs.mean_duration(name))
        await self.batches.start(clients)

    def _is_work_due(self) -> bool:
        """Return whether anything may be started soon, so that others' runs matter."""
        is_flush_due = self.flushes.history.due_since is not None
        return bool(self.queue.waiting()) or is_flush_due or self.batches.needs_cleanup

    async def _look_for_others(self) -> None:
        """Look whether a run that is not ours goes on; when it has ended, read its log."""
        had_others, self._has_others = self._has_others, await self.batches.find_others()
        if had_others and not self._has_others:
            await self.refresh()

    # -- the logs

    async def refresh(self) -> None:
        """Take in the logs of all runs that have ended, whoever started them."""
        await self._intake.refresh()

    # -- for those who look

    def view(self) -> dict[str, object]:
        """Return what goes on, for `server queue`."""
        going = self.batches.runs.values()
        config = view_config(self.site, self.queue, self._places(), going)
        return {**config, "others": self._has_others, **view_holding(self.flushes)}
