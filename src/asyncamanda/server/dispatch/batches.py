"""Batches: runs for the clients that wait, from the roll call to the last verdict."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

from asyncamanda.core.amanda.disklist import order_hosts
from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.runlog import RunLog
from asyncamanda.core.dispatch.records import RunKind, RunRow, summarise_verdicts
from asyncamanda.core.model import DleVerdict
from asyncamanda.core.protocol.messages import Finished
from asyncamanda.server.amanda import commands, logs
from asyncamanda.server.amanda import run as run_module
from asyncamanda.server.amanda.claims import weigh_claims
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.background.threads import apart_at_last
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.judging import (
    explain_sizes,
    find_unserved,
    judge_run,
    stamp_of,
    sum_up,
    words_about,
)
from asyncamanda.server.dispatch.launching import Plan, launch_run
from asyncamanda.server.dispatch.messenger import Messenger
from asyncamanda.server.dispatch.protections import Protections
from asyncamanda.server.dispatch.queue import OpenRequest, Queue
from asyncamanda.server.dispatch.reach import ClientReach
from asyncamanda.server.dispatch.requeue import Requeue
from asyncamanda.server.dispatch.roll_call import RollCall
from asyncamanda.server.dispatch.to_volumes import ToVolumes
from asyncamanda.server.dispatch.watchdog import Watchdog
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.newest import Dle
from asyncamanda.system.clock import now as read_clock

PROTECT_AGAIN_SECONDS = 1.0


class Batches:
    """The runs of one Amanda configuration that are ours, by their number in the ledger.

    `needs_cleanup` says that one ended without its log's end; `ended` counts those that did.
    """

    def __init__(self, site: Site, queue: Queue, reach: ClientReach, messenger: Messenger) -> None:
        self.runs: dict[int, Run] = {}
        self.needs_cleanup = False
        self.ended = 0
        self._starting: list[Run] = []
        self._has_let_go = False
        self._beginning = asyncio.Lock()
        self._protections = Protections(site)
        self._requeue = Requeue(queue, site.config.grace)
        self._roll_call = RollCall(queue)
        self._to_volumes = ToVolumes(site, queue)
        self._site = site
        self._queue = queue
        self._reach = reach
        self._messenger = messenger

    @property
    def suspects(self) -> set[str]:
        """The clients that have to be alone in a run: one failed for them, or it has a taper."""
        return self._requeue.suspects | self._to_volumes.clients(self.runs.values())

    def busy(self) -> set[str]:
        """Return the clients whose host is in a run: none may be in two."""
        return {client for run in self.runs.values() for client in run.clients}

    async def find_others(self) -> bool:
        """Return whether a run of this configuration goes on that is not ours."""
        own = [run.pid for run in self.runs.values()]
        return bool(await asyncio.to_thread(commands.find_others, self._site.name, own))

    # -- start

    async def start(self, clients: tuple[str, ...]) -> None:
        """Start one run for those of `clients` who are there; return when another may start."""
        for run in self._barely_begun():  # by a dispatcher that was killed
            await self._see_begun(run)
        await self._site.read_anew()
        clients = tuple(client for client in clients if self._messenger.keep(client))
        failed = await self._protections.make(clients)
        clients = tuple(client for client in clients if client not in failed)
        if not clients:
            await asyncio.sleep(PROTECT_AGAIN_SECONDS)
            return
        clients = await self._roll_call.find_present(clients)
        if await self.find_others():
            return
        here = [client for client in clients if client in self._queue.waiting()]
        clients, _ = order_hosts(here, self._site.all_dles())  # who is left out waits
        if not clients:
            return
        entries = [self._queue.entries[client] for client in clients]
        ids = [entry.row.id for entry in entries if entry.row]
        run = await self.launch(RunKind.BATCH, self._plan, clients, ids)
        for entry in entries:
            entry.run = run
            self._messenger.tell(entry)
        await self._see_begun(run)
        await self._note_timestamp(run)

    async def _see_begun(self, run: Run) -> None:
        """Wait until a run's keeper is in its place, once, and then show what was hidden for it."""
        async with self._beginning:
            if not run.is_underway:
                await run_module.wait_rooted(run, self._site.config.start_within)

    def _barely_begun(self) -> list[Run]:
        """Return the runs of which nobody has seen that their keeper is in its place."""
        batches = (run for run in self.runs.values() if run.row.kind is RunKind.BATCH)
        return [run for run in batches if not run.is_underway]

    async def _plan(self, row: RunRow) -> list[str]:
        own_list = await self._site.write_own_list(row.id, row.hosts)
        tapes = self._to_volumes.count_tapes(row.hosts)
        grace = self._site.config.grace
        return commands.plan_amdump(self._site.settings, row.hosts, grace, own_list, tapes)

    async def launch(
        self,
        kind: RunKind,
        plan: Plan,
        clients: tuple[str, ...],
        ids: list[int],
    ) -> Run:
        """Start a run's program, but not before the run and its process are written down."""
        site = self._site
        before = await apart_at_last(
            f"{site.name}: the names of its logs", partial(logs.list_present, site.settings.logdir)
        )
        row = await site.access.write(
            lambda ledger: ledger.runs.begin(kind, site.name, clients, ids, read_clock())
        )
        run = Run(row, site.settings, site.output_path(row.id), logs_before=before)
        self._starting.append(run)
        try:
            await launch_run(site, run, plan)
            self.runs[run.row.id] = run
        finally:
            self._starting.remove(run)
        site.background.start(self._follow(run))
        return run

    async def _note_timestamp(self, run: Run) -> None:
        stamp = run.timestamp
        if stamp is None:
            return
        name = self._site.name
        known = await self._site.access.write(lambda ledger: ledger.runs.find(name, stamp))
        if known and known.id != run.row.id and known.kind is not RunKind.OTHER:
            run.forget_log()  # another run had a process of the same number
            return
        await self._site.access.write(lambda ledger: ledger.runs.note(run.row.id, timestamp=stamp))
        for entry in self._queue.of_run(run):
            self._messenger.tell(entry)

    # -- what another dispatcher, or another ledger, has

    async def go_on(self, run: Run) -> None:
        """Follow a run that was taken over; if it is over, judge it now."""
        if run.is_alive():
            self._site.background.start(self._follow(run))
            if run in self._barely_begun():
                self._site.background.start(self._see_begun(run))
        else:
            watchdog = Watchdog(run, self._site.config.watch, self._reach, self._site.log)
            await run_module.show_hidden(run)  # for it, by a dispatcher that was killed
            await self._end(run, watchdog)

    def let_go(self) -> None:
        """Follow no run any more: another coordinator takes them over."""
        self._has_let_go = True

    def open_rows(self) -> list[RunRow]:
        """Return all runs, those that are just being started as well, as a ledger has them."""
        own = {run.row.id: run for run in (*self._starting, *self.runs.values())}
        return [replace(run.row, timestamp=run.timestamp) for run in own.values()]

    def go_on_as(self, rows: Mapping[int, RunRow]) -> None:
        """Take the runs for these, by their old numbers: another ledger has them now."""
        for run in (*self._starting, *self.runs.values()):
            run.row = rows.get(run.row.id, run.row)
        self.runs = {run.row.id: run for run in self.runs.values()}

    # -- follow

    async def _follow(self, run: Run) -> None:
        """See a run to its end: let clients go that are through, then judge the rest.

        Or until let_go().
        """
        log: RunLog | None = None
        is_waiting = False  # for a file to get its final name
        is_named = run.row.timestamp is not None  # in the ledger, before which no end is told
        watchdog = Watchdog(run, self._site.config.watch, self._reach, self._site.log)
        what = f"{self._site.name}: the log and holding disk of a run"
        while run.is_alive() and not self._has_let_go:
            await watchdog.look(read_clock())
            if not is_named and await apart_at_last(what, run.find_log):
                await self._note_timestamp(run)
                is_named = run.timestamp is not None
            news = await apart_at_last(what, partial(_look_after, run))
            log = news or log
            if log is not None and (news or is_waiting):
                is_waiting = await self._confirm_early(run, log)
            await asyncio.sleep(run_module.POLL)
        watchdog.end()
        if not self._has_let_go:
            await self._end(run, watchdog)

    async def _confirm_early(self, run: Run, log: RunLog) -> bool:
        """Release the clients all of whose DLEs the server has: they need not wait for the others.

        Returns whether one is to be looked at again, though the log brings no news.
        """
        is_waiting = False
        for entry in self._queue.of_run(run):
            own = {v.disk: v for v in words_about(log.verdicts, entry.client, run.timestamp or "")}
            wanted = {disk for host, disk in log.dles if host == entry.client}
            wanted |= {*self._site.disks(entry.client)}
            # that one was left out anybody may have written: it is reported at the run's end
            is_through = all(disk in own and own[disk].state.is_confirmed for disk in wanted)
            if not wanted or not is_through:
                continue
            claims = partial(weigh_claims, run, replace(log, verdicts=tuple(own.values())), {})
            words = await apart_at_last(f"{self._site.name}: what a run has made", claims)
            words = await self._site.disown_baseless(entry.client, words, entry.machine)
            if not words or not all(word.state.is_confirmed for word in words):
                is_waiting = True
            elif not await self._to_volumes.is_put_off(run, words):
                words = await explain_sizes(self._site, words)
                await self._site.access.write(
                    partial(_note_words, run=run, words=words, filters=self._site.filters())
                )
                await self._finish(entry, run, words)
        return is_waiting

    async def _finish(self, entry: OpenRequest, run: Run, words: Collection[DleVerdict]) -> None:
        """End a request: write that down, then tell its client, with the times that count now."""
        now = read_clock()
        await self._site.access.write(
            lambda ledger: (
                entry.row and ledger.requests.finish(entry.row.id, now, summarise_verdicts(words))
            )
        )
        self._queue.entries.pop(entry.client, None)
        await self._messenger.end(entry, Finished(run.timestamp or "", now, tuple(words)))

    # -- end

    async def _end(self, run: Run, watchdog: Watchdog) -> None:
        """Judge a run of which nothing is alive any more, and do what follows."""
        site = self._site
        end, is_planned = await judge_run(site, run)
        end = replace(end, verdicts=tuple(map(watchdog.explain, end.verdicts)))
        end, again = await self._to_volumes.choose(run, end)
        await self._note_timestamp(run)
        filters = site.filters()
        unserved = find_unserved(run, end)
        if is_planned and end.is_clean and not watchdog.was_killed:
            self._requeue.trust(run.clients)
        failed = self._requeue.choose(run, unserved, watchdog, is_planned=is_planned)
        again += [entry for entry in failed if entry not in again]
        await site.access.write(
            lambda ledger: ledger.runs.end(
                run.row.id, read_clock(), end, filters, [one.row.id for one in again if one.row]
            )
        )
        await apart_at_last(f"{site.name}: the holding disk of a run", run.remove_keeper)
        site.list_path(run.row.id).unlink(missing_ok=True)
        self.needs_cleanup |= not end.is_clean
        site.log(f"{run.row.kind.value} {run.row.id} ({run.timestamp}) ended: {sum_up(end)}")
        for entry in again:
            self._queue.put_back(entry)
            self._messenger.tell(entry)
        for entry in self._queue.of_run(run):
            words = words_about(end.verdicts, entry.client, stamp_of(run))
            words = await site.disown_baseless(entry.client, words, entry.machine)
            await self._finish(entry, run, words)
        await self._protections.make(run.clients)  # before which none of them is in a run again
        del self.runs[run.row.id]
        self.ended += 1


def _look_after(run: Run) -> RunLog | None:
    """Keep a run's place in the holding disks, and return what is new in its log."""
    run.keep_place()
    return run.read_log()


def _note_words(
    ledger: Ledger, *, run: Run, words: tuple[DleVerdict, ...], filters: Mapping[Dle, Filters]
) -> None:
    ledger.verdicts.note(run.row.id, words, filters)
