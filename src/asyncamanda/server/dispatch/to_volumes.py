"""Whose dumps go straight to volumes: of those that a run was to hold, and had no room for.

Such a client waits again, for a run of its own, the only one with a taper. It is known by the
client's open request: another dispatcher would find out by another run without a taper.
"""

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from asyncamanda.core.amanda.reasons import explain_verdict
from asyncamanda.core.amanda.trace import Key, Planned, find_planned
from asyncamanda.core.amanda.volumes import (
    WASTED_WITHIN,
    choose_run_tapes,
    count_wasted,
    count_whole,
    find_large,
    refuse_large,
    refuse_waste,
    sum_sizes,
)
from asyncamanda.core.dispatch.records import RunEnd, RunKind
from asyncamanda.core.model import DleVerdict
from asyncamanda.server.amanda import logs
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.background.threads import apart_at_last
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.judging import stamp_of, words_about
from asyncamanda.server.dispatch.queue import OpenRequest, Queue
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.system.clock import now as read_clock

MOST_RUNS = 1000  # of a week


class ToVolumes:
    """Chooses them when a run has ended, and knows them while they wait and are served."""

    def __init__(self, site: Site, queue: Queue) -> None:
        self._site = site
        self._queue = queue

    def clients(self, runs: Collection[Run]) -> set[str]:
        """Return those that wait for such a run, or are in one of `runs` that is such a one."""
        waiting = {entry.client for entry in self._queue.entries.values() if entry.run_tapes}
        return waiting.union(*(run.clients for run in runs if run.has_taper))

    def count_tapes(self, clients: Collection[str]) -> int:
        """Return how many volumes a run for `clients` may take; 0: it has no taper."""
        entries = self._queue.entries
        return max((entries[one].run_tapes for one in clients if one in entries), default=0)

    async def is_put_off(self, run: Run, words: Collection[DleVerdict]) -> bool:
        """Return whether a full was due of any of these dumps, and there was no room for it."""
        is_asked = not run.has_taper and any(word.level for word in words)
        return is_asked and bool(find_large(words, await self._read_planned(run)))

    async def choose(self, run: Run, end: RunEnd) -> tuple[RunEnd, list[OpenRequest]]:
        """Return a run's end in words for people, and the requests that volumes are to serve."""
        refused, chosen = await self._choose(run, end)
        remarks = end.remark if run.has_taper else ""
        words = tuple(
            explain_verdict(word, refused.get((word.host, word.disk), ""), remarks)
            for word in end.verdicts
        )
        return replace(end, verdicts=words), chosen

    async def _choose(self, run: Run, end: RunEnd) -> tuple[dict[Key, str], list[OpenRequest]]:
        """Return why dumps cannot go to volumes, and the requests of which some can."""
        refused: dict[Key, str] = {}
        chosen: list[OpenRequest] = []
        if run.has_taper:
            return refused, chosen
        planned = await self._read_planned(run)
        requests = [
            (entry, words_about(end.verdicts, entry.client, stamp_of(run)))
            for entry in self._queue.of_run(run)
        ]
        if not any(find_large(own, planned) for _, own in requests):
            return refused, chosen
        planned = count_whole(planned, await self._site.access.read(partial(_find_fulls, run=run)))
        wasted, volumes = await self._count_wasted(), run.settings.volumes
        for entry, own in requests:
            large = find_large(own, planned)
            why = {
                disk: refuse_large(disk, size, volumes) or refuse_waste(disk, wasted, volumes)
                for disk, size in large.items()
            }
            refused |= {(entry.client, disk): said for disk, said in why.items() if said}
            is_possible = any(not said for said in why.values())
            if is_possible and entry.may_be_there(self._site.config.grace):
                own_plans = [plan for dle, plan in planned.items() if dle[0] == entry.client]
                size = sum_sizes(own_plans) if all(large.values()) else 0
                entry.run_tapes = choose_run_tapes(size, volumes)
                chosen.append(entry)
        return refused, chosen

    async def _count_wasted(self) -> int:
        """Return how many volumes runs have lately written to for a dump that was not whole."""
        access, name, since = self._site.access, self._site.name, read_clock() - WASTED_WITHIN
        wasted = 0
        for row in await access.read(lambda ledger: ledger.runs.list_recent(name, MOST_RUNS)):
            if row.kind is RunKind.BATCH and row.labels and row.begun_at >= since:
                words = await access.read(partial(_read_verdicts, run_id=row.id))
                own = (word for word in words if word.timestamp == row.timestamp)
                wasted += count_wasted(len(row.labels), own, self._site.settings.volumes)
        return wasted

    async def _read_planned(self, run: Run) -> dict[Key, Planned]:
        if not run.timestamp:
            return {}
        read = partial(logs.read_trace, run.settings.logdir, run.timestamp)
        return find_planned(await apart_at_last(f"{self._site.name}: the trace of a run", read))


def _find_fulls(ledger: Ledger, run: Run) -> set[Key]:
    """Return those of a run's DLEs of which there is a full dump."""
    name, verdicts = run.settings.name, ledger.verdicts
    return {(one, disk) for one in run.clients for disk in verdicts.disks_with_full(name, one)}


def _read_verdicts(ledger: Ledger, run_id: int) -> tuple[DleVerdict, ...]:
    return tuple(ledger.verdicts.of_run(run_id))
