"""All that is said to the clients of one Amanda configuration, but for its refusals of a hello."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from asyncamanda import __version__
from asyncamanda.core.amanda.amstatus import parse_amstatus
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.protocol.messages import (
    PROTOCOLS,
    Finished,
    Later,
    Progress,
    Queued,
    Refused,
    Running,
    Welcome,
)
from asyncamanda.errors import Exit
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.background.programs import run_apart
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.queue import OpenRequest, Queue
from asyncamanda.server.dispatch.report_intake import note_backup
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.system.clock import now as read_clock

AFTER_TROUBLE = timedelta(minutes=1)


class Messenger:
    """Tells clients of their requests: their places, their runs, and how those ended.

    `places` returns where in the queue each client is that waits.
    """

    def __init__(
        self, site: Site, queue: Queue, places: Callable[[], Mapping[str, Queued]]
    ) -> None:
        self._site = site
        self._queue = queue
        self._places = places
        self._is_showing = False
        # how often, how the last time, and which machine
        self._served: dict[str, tuple[int, Finished, int | None]] = {}

    # -- coming and going

    def submit(self, session: ClientSession) -> None:
        """Take a client's request, and tell it how that is kept, or why it has none."""
        match self._queue.submit(session):
            case OpenRequest() as entry:
                self.tell(entry, [session])
            case Refused() as refused:
                session.refuse(refused)
            case Later() as later:
                session.finish(later, Exit.LATER)

    def keep(self, client: str) -> bool:
        """Return whether a client that waits has something to be dumped now; else send it away."""
        refused, entry = self._queue.find_nothing(client), self._queue.entries.get(client)
        if refused and entry:
            self._refuse(entry, refused)
        return refused is None and not (entry and self._delay(entry, self._site.find_delay(client)))

    def _delay(self, entry: OpenRequest, later: Later | None) -> bool:
        """Let a client come back later, if it is to: nobody stays awake for what Amanda waits for.

        Returns whether it is.
        """
        if later:
            for session in self._withdraw(entry, "put off"):
                session.finish(later, Exit.LATER)
        return later is not None

    def put_off(self, reason: str) -> None:
        """Let those come back whose request, or its end, cannot be written down, and say why."""
        for entry in self._queue.kept_back():
            for session in self._withdraw(entry, "put off"):
                session.finish(Later(AFTER_TROUBLE, reason), Exit.LATER)

    def refuse_waiting(self, refused: Refused) -> None:
        """Send away whoever is there and waits, and say why; runs go on."""
        for entry in self._queue.there():
            self._refuse(entry, refused)

    def _refuse(self, entry: OpenRequest, refused: Refused) -> None:
        for session in self._withdraw(entry, refused.reference):
            session.refuse(refused)

    def _withdraw(self, entry: OpenRequest, why: str) -> list[ClientSession]:
        """Forget a request; return the sessions on which its client is to be told."""
        self._queue.withdraw(entry.client, why)
        return list(entry.sessions)

    # -- the place

    def tell(self, entry: OpenRequest, sessions: Iterable[ClientSession] | None = None) -> None:
        """Say how the request is kept, on all of its sessions or on some."""
        run = entry.run
        if run is None:
            entry.told = self._places()[entry.client]
        for session in list(entry.sessions if sessions is None else sessions):
            if run:
                session.send(Running(run.timestamp or "", run.row.begun_at, len(run.clients)))
            elif entry.told:
                session.send(entry.told)

    def tell_changes(self) -> None:
        """Tell every client that waits whose place, or what it waits for, has changed."""
        if on_hold := self._site.find_hold():
            for entry in self._queue.there():
                self._delay(entry, on_hold)
        for client, word in self._places().items():
            entry = self._queue.entries[client]
            told = entry.told and replace(entry.told, estimate=word.estimate)
            if entry.sessions and told != word:
                entry.told = word
                for session in list(entry.sessions):
                    session.send(word)

    # -- the beginning and the end

    async def end(self, entry: OpenRequest, end: Finished) -> None:
        """Tell a client how its request ended, with how its DLEs stand now."""
        self._served[entry.client] = self._count_served(entry.client) + 1, end, entry.machine
        for session in list(entry.sessions):
            await self._tell_end(session, end)

    async def _tell_end(self, session: ClientSession, end: Finished) -> None:
        session.send(await self.welcome(session))
        session.finish(end)

    def tell_missed_end(self, session: ClientSession) -> bool:
        """Tell the client of a run of its that ended since it was welcomed; return whether one did.

        It asks because it does not know, and would get a second run for nothing.
        """
        if self._count_served(session.client) <= session.served:
            return False
        _, end, machine = self._served[session.client]
        if machine not in {None, session.machine}:
            return False
        self._site.background.start(self._tell_end(session, end))
        return True

    def has_served_well(self, client: str) -> bool:
        """Return whether the client's last run brought all that it was to bring."""
        words = self._served[client][1].verdicts if client in self._served else ()
        return bool(words) and all(map(is_good, words))

    def forget_missed_end(self, session: ClientSession) -> None:
        """Assume that the client knows how its last run ended: it wants another."""
        session.served = self._count_served(session.client)

    def _count_served(self, client: str) -> int:
        return self._served[client][0] if client in self._served else 0

    async def welcome(self, session: ClientSession) -> Welcome:
        """Return what a client is told first: how its DLEs stand, and its request."""
        site, client = self._site, session.client
        session.served = self._count_served(client)
        entry = self._queue.find(session)
        is_running = entry is not None and entry.run is not None and entry.run.is_alive()
        standing = "idle" if entry is None else "running" if is_running else "queued"
        dles = await site.dle_states(client, session.machine)
        session.told_disks = tuple(dle.disk for dle in dles)
        await note_backup(session, site, dles)
        return Welcome(
            protocol=max(PROTOCOLS),
            software=f"asyncamanda {__version__}",
            client=client,
            amanda_config=site.name,
            now=read_clock(),
            heartbeat=site.config.heartbeat,
            dles=dles,
            standing=standing,
            last=await site.last_of(client, session.machine),
            is_direct=not session.is_relayed,
            takes_proofs=True,
            takes_reports=True,
        )

    async def show_progress(self, going: Collection[Run]) -> None:
        """Tell whoever watches how far these runs are, unless that is just being found out."""
        if self._is_showing:
            return
        self._is_showing = True
        try:
            await self._show_progress(going)
        finally:
            self._is_showing = False

    async def _show_progress(self, going: Collection[Run]) -> None:
        for run in list(going):
            sessions = [
                session
                for entry in self._queue.of_run(run)
                for session in entry.sessions
                if session.is_watching
            ]
            trace = run.trace_path
            if sessions and trace:
                argv = ["amstatus", self._site.name, "--file", str(trace)]
                rows = parse_amstatus((await run_apart(argv)).stdout, run.timestamp or "")
                for session in sessions:
                    own = tuple(row for row in rows if row.host == session.client)
                    if own:
                        session.send(Progress(run.timestamp or "", own))


def is_good(verdict: DleVerdict) -> bool:
    """Return whether the server has the dump, or was configured to skip it."""
    return verdict.state.is_confirmed or verdict.state is DumpState.SKIPPED
