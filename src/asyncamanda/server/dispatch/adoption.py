"""What another dispatcher has left: its requests wait on, its runs are followed or judged.

A run that never began is put away; one that cannot be taken over is set aside, and stops nothing
else.
"""

from collections.abc import Awaitable
from functools import partial

from asyncamanda.core.dispatch.records import RunRow
from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.amanda import run as run_module
from asyncamanda.server.background.tasks import write_trace
from asyncamanda.server.background.threads import apart_at_last
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.batches import Batches
from asyncamanda.server.dispatch.messenger import Messenger
from asyncamanda.server.dispatch.queue import OpenRequest, Queue
from asyncamanda.system.clock import now as read_clock


class Adoption:
    """Takes over the runs and requests of one Amanda configuration, as the ledger has them."""

    def __init__(self, site: Site, queue: Queue, batches: Batches, messenger: Messenger) -> None:
        self._site = site
        self._queue = queue
        self._batches = batches
        self._messenger = messenger

    async def take_over(self) -> None:
        """Go on with all that another dispatcher began. A run's end needs its requests."""
        site = self._site
        for live in await site.access.read(lambda ledger: ledger.runs.list_live()):
            if live.amanda_config == site.name:
                await self._unless_bad(live, self._adopt(live))
        await self._recall_requests()
        for run in list(self._batches.runs.values()):
            await self._unless_bad(run.row, self._batches.go_on(run))

    async def _adopt(self, row: RunRow) -> None:
        """Take over a run, for Batches.go_on(); put away what never began."""
        site = self._site
        if row.pid is None:  # its process waited for that, and ended with its dispatcher
            await site.access.write(
                lambda ledger: ledger.runs.abandon(row.id, read_clock(), "it never started")
            )
            return
        adopt = partial(run_module.adopt, row, site.settings, site.output_path(row.id))
        run = await apart_at_last(f"{site.name}: the names of its logs", adopt)
        self._batches.runs[row.id] = run
        site.log(f"{row.kind.value} {row.id} is taken over")

    async def _recall_requests(self) -> None:
        """Let the requests that are open wait for their clients, as long as those may take."""
        site = self._site
        for row in await site.access.read(lambda ledger: ledger.requests.list_open(site.name)):
            run = self._batches.runs.get(row.run_id or 0)
            entry = OpenRequest(row.client, row.submitted_at, row, run=run, machine=row.machine)
            entry.left_at, entry.is_recalled = read_clock(), True
            self._queue.entries[row.client] = entry

    async def _unless_bad(self, row: RunRow, taking_over: Awaitable[None]) -> None:
        """Take a run over; one that cannot be is set aside, and its requests wait again."""
        try:
            await taking_over
        except AsyncamandaError:
            raise
        except Exception as error:
            write_trace()
            why = f"it could not be taken over: {error}"
            self._site.log(f"{row.kind.value} {row.id} is set aside: {why}")
            run = self._batches.runs.pop(row.id, None)
            for entry in self._queue.of_run(run) if run else ():
                self._queue.put_back(entry)
                self._messenger.tell(entry)
            await self._site.access.write(
                lambda ledger: ledger.runs.abandon(row.id, read_clock(), why)
            )
