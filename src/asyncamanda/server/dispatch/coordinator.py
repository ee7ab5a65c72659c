"""One Amanda configuration's coordinator: its queue, its runs and its flushes, and what comes next.

Decisions are core's (batch.py, flush.py); here is when they are asked for, and what follows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

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
from asyncamanda.core.dispatch.records import RunRow
from asyncamanda.core.dispatch.setback import Setback, bear_failure
from asyncamanda.core.protocol.messages import Queued, Refused, Welcome
from asyncamanda.errors import AsyncamandaError, LaterError
from asyncamanda.server.amanda import commands as amanda
from asyncamanda.server.amanda.run import POLL, Run
from asyncamanda.server.background.tasks import Background, Rhythm, write_trace, write_trouble
from asyncamanda.server.background.threads import apart
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.batches import Batches
from asyncamanda.server.dispatch.flushes import Flushes
from asyncamanda.server.dispatch.messenger import Messenger
from asyncamanda.server.dispatch.queue import OpenRequest, Queue
from asyncamanda.server.dispatch.reach import ClientReach
from asyncamanda.server.gate.session import ClientSession, refusal_of
from asyncamanda.server.ledger.access import RETRY_SECONDS, LedgerAccess
from asyncamanda.server.ledger.ledger import LedgerBusy
from asyncamanda.server.ledger.log_import import take_in_all
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
        record: LedgerAccess,
        background: Background,
        reach: ClientReach,
    ) -> None:
        self.site = Site(name, config, record, background)
        self.queue = Queue(self.site)
        self.messenger = Messenger(self.site, self.queue, self._places)
        self.batches = Batches(self.site, self.queue, reach, self.messenger)
        self.flushes = Flushes(self.site, self.batches, lambda: bool(self.queue.present()))
        self.opened = asyncio.get_running_loop().create_task(self._open())
        self._rhythm = Rhythm()
        self._is_occupied = False
        self._has_others = False
        self._mean: timedelta | None = None
        self._intake = asyncio.Lock()
        self._aside: set[str] = set()  # logs that cannot be taken in
        self._setbacks: dict[str, Setback] = {}

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
        site, now = self.site, read_clock()
        await site.open()
        for live in await site.record.read(lambda ledger: ledger.live_runs()):
            if live.amanda_config == site.name:
                await self._unless_bad(live, self.batches.adopt(live))
        for row in await site.record.read(lambda ledger: ledger.open_requests(site.name)):
            run = self.batches.runs.get(row.run_id or 0)
            entry = OpenRequest(row.client, row.submitted_at, row, run=run, machine=row.machine)
            entry.left_at, entry.is_recalled = now, True
            self.queue.entries[row.client] = entry
        for run in list(self.batches.runs.values()):
            await self._unless_bad(run.row, self.batches.go_on(run))
        await self.refresh()
        self.flushes.recall(await site.record.read(lambda ledger: ledger.recent_runs(site.name)))
        await self._look_for_others()
        if not self.batches.runs and not self._has_others:
            await self.flushes.clear_keepers()
            self.batches.needs_cleanup |= await self.flushes.is_left_unclean()

    async def _unless_bad(self, row: RunRow, taking_over: Awaitable[None]) -> None:
        """Take a run over; one that cannot be is set aside, and stops nothing else."""
        try:
            await taking_over
        except AsyncamandaError:
            raise
        except Exception as error:
            write_trace()
            why = f"it could not be taken over: {error}"
            self.site.log(f"{row.kind.value} {row.id} is set aside: {why}")
            run = self.batches.runs.pop(row.id, None)
            for entry in self.queue.of_run(run) if run else ():
                self.queue.put_back(entry)
                self.messenger.tell(entry)
            await self.site.record.write(
                lambda ledger: ledger.abandon_run(row.id, read_clock(), why)
            )

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
        is_busy = self.queue.entries or self.batches.runs or self._is_occupied
        return self.opened.done() and not is_busy and not self.flushes.is_awaited

    # -- talk

    async def welcome(
        self, line: ClientSession, receive: Callable[[], Awaitable[Refused | None]]
    ) -> None:
        """Tell a client how its DLEs stand, with all that has happened until now.

        Unless it may not be told: `receive` says so, once its DLEs are known.
        """
        try:
            message = await self.site.record.unless_troubled(self._greet(line, receive))
        except AsyncamandaError as error:
            message = refusal_of(error)
        if isinstance(message, Refused):
            line.refuse(message)
        else:
            line.is_greeted = True
            line.send(replace(message, ticket=line.ticket))

    async def _greet(
        self, line: ClientSession, receive: Callable[[], Awaitable[Refused | None]]
    ) -> Welcome | Refused:
        await asyncio.shield(self.opened)
        if self._rhythm.is_due("logs", LOGS_EVERY, read_clock()):
            await self.refresh()
        async with self._intake:  # that another client's hello began
            await self.site.read_anew()
        return await receive() or await self.messenger.welcome(line)

    def submit(self, line: ClientSession) -> None:
        """Take a client's request, unless it is served by now without knowing it."""
        if not line.is_open:
            return
        entry = self.queue.entries.get(line.client)
        if entry and entry.run and not entry.run.is_alive():
            self.site.background.start(self._submit_after(entry.run, line))
        elif entry or not self.messenger.tell_missed_end(line):
            self.messenger.submit(line)

    async def _submit_after(self, run: Run, line: ClientSession) -> None:
        """Take the request of a client that came when its run was dead, and is being judged.

        It was not there when that failed, so the failure is not its end.
        """
        while run in self.batches.runs.values():
            await asyncio.sleep(POLL)
        if not line.is_open:
            return
        if self.messenger.has_served_well(line.client) and self.messenger.tell_missed_end(line):
            return
        self.messenger.forget_missed_end(line)
        self.messenger.submit(line)

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
        if trouble := self.site.record.find_hindrance(now):
            return trouble.message
        is_meant = {
            TIDYING: self.batches.needs_cleanup,
            FLUSHING: self.flushes.is_in_the_way(now),
            STARTING: True,
        }
        setbacks = (self._setbacks.get(what) for what, is_it in is_meant.items() if is_it)
        recent = (setback for setback in setbacks if setback and setback.is_recent(now))
        return next((setback.reason for setback in recent), "")

    # -- what comes next

    def _decide(self, now: datetime) -> StartRun | WaitForRun:
        scene = Scene(
            submitted_at=self.queue.waiting(),
            present=set(self.queue.present()),
            busy=self.batches.busy(),
            suspects=self.batches.suspects,
            runs=len(self.batches.runs),
            is_starting=self._is_occupied,
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
        trouble = self.site.record.find_lasting_trouble(now)
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
        if not self._is_occupied:
            if self._rhythm.is_due("holding", HOLDING_EVERY, now):
                self.site.background.start(self.flushes.weigh())
            self._begin_next(now)

    async def _look_at_configuration(self) -> None:
        """Notice what was changed in it, though nobody comes."""
        with suppress(AsyncamandaError):  # the site has it in its diary
            await self.site.read_anew()

    def _begin_next(self, now: datetime) -> None:
        """Begin what may be begun: tidying up, a flush, or a run."""
        is_free = not self.batches.runs and not self._has_others
        if is_free and self.batches.needs_cleanup:
            self._occupy(TIDYING, self.flushes.clean_up, now)
        elif is_free and self.flushes.decide(now) is FlushStep.GO:
            self._occupy(FLUSHING, self.flushes.run, now)
        elif self.queue.present():
            decision = self._decide(now)
            if isinstance(decision, StartRun):
                self._occupy(STARTING, partial(self._start, decision.clients), now)

    async def _start(self, clients: tuple[str, ...]) -> None:
        name = self.site.name
        self._mean = await self.site.record.read(lambda ledger: ledger.mean_duration(name))
        await self.batches.start(clients)

    def _occupy(
        self, what: str, doing: Callable[[], Coroutine[Any, Any, None]], now: datetime
    ) -> None:
        """Do one thing at a time of those that must not overlap; what failed waits for its turn."""
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
                    write_trouble(error, f"{self.site.name}: {what} fails, and is tried again: ")
            else:
                self._setbacks.pop(what, None)
            finally:
                self._is_occupied = False

        self._is_occupied = True
        self.site.background.start(do_alone())

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
        async with self._intake:  # one at a time
            with suppress(AsyncamandaError):  # which is told to whom it concerns
                await self.site.read_anew()  # what dumps go through is recorded with them
            while not await self._take_in():
                await asyncio.sleep(RETRY_SECONDS)

    async def _take_in(self) -> bool:
        """Take in what there is; return whether that is through (False: the ledger is locked)."""
        site = self.site
        ledger, settings = site.record.ledger, site.settings
        try:
            now, filters = read_clock(), site.filters()
            is_alive, aside = amanda.LiveRuns(), self._aside
            lines = take_in_all(ledger, settings, is_alive, now, filters=filters, aside=aside)
            while said := await apart(f"{site.name}: its logs", lambda: next(lines, None)):
                if "cannot be read" in said or said.startswith("warning"):
                    site.log(said)
        except LedgerBusy as error:
            site.record.note_trouble(error)
            return False
        except OSError as error:
            site.log(f"{settings.logdir} cannot be read: {error}")
        return True

    # -- for those who look

    def view(self) -> dict[str, object]:
        """Return what goes on, for `server queue`."""
        flushes, places = self.flushes, self._places()
        return {
            "amanda_config": self.site.name,
            "fault": self.site.fault and self.site.fault.message,
            "waiting": [
                _view_entry(self.queue.entries[client], place) for client, place in places.items()
            ],
            "runs": [
                {
                    "run": run.timestamp,
                    "kind": run.row.kind.value,
                    "clients": list(run.clients),
                    "begun_at": run.row.begun_at.isoformat(),
                    "unfinished": [entry.client for entry in self.queue.of_run(run)],
                }
                for run in self.batches.runs.values()
            ],
            "others": self._has_others,
            "held_bytes": flushes.holding.held,
            "holding_bytes": flushes.holding.capacity,
            "flush_due_since": flushes.history.due_since and flushes.history.due_since.isoformat(),
        }


def _view_entry(entry: OpenRequest, word: Queued) -> dict[str, object]:
    estimate = word.estimate if entry.lines else None
    return {
        "client": entry.client,
        "submitted_at": entry.submitted_at.isoformat(),
        "present": bool(entry.lines),
        "place": word.place,
        "waits_for": word.reason if entry.lines else "the client",
        "estimate_seconds": None if estimate is None else estimate.total_seconds(),
    }
