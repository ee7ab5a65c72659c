"""Who asked for a backup and is not served yet, and on which sessions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from asyncamanda.core.dispatch.batch import in_order
from asyncamanda.core.dispatch.records import RequestRow, RequestState
from asyncamanda.core.protocol.messages import ALL_PARKED, Later, Queued, Refused
from asyncamanda.errors import Exit
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.system.clock import now as read_clock

AFTER_ANOTHER = timedelta(minutes=1)  # another machine's run may end soon


@dataclass(slots=True)
class OpenRequest:
    """A request that is open: who asked, on which sessions, and which run serves it.

    `row` is None as long as it is not in the ledger, which may be locked. `left_at` is when the
    last session ended, None while there is one. `doubted_at` is when the client did not say that it
    is there: until it is heard again it counts as absent. `times` counts the failed runs that
    it was put back from. `is_recalled`: another dispatcher had it, and its client
    was not seen since. `machine` is the lineage of who asked, None where that is
    not known, or does not matter. `run_tapes`: the next run is for it alone, and may take so many
    volumes; 0: it is to be held.
    """

    client: str
    submitted_at: datetime
    row: RequestRow | None = None
    sessions: list[ClientSession] = field(default_factory=list)
    run: Run | None = None
    left_at: datetime | None = None
    doubted_at: datetime | None = None
    told: Queued | None = None
    times: int = 0
    is_recalled: bool = False
    machine: int | None = None
    run_tapes: int = 0

    def may_be_there(self, grace: timedelta) -> bool:
        """Return whether its client is there, or may just be on its way to this dispatcher."""
        is_awaited = self.is_recalled and self.left_at and read_clock() - self.left_at <= grace
        return bool(self.sessions or is_awaited)

    def is_of(self, session: ClientSession) -> bool:
        """Return whether the request is that of the machine at the session."""
        return self.machine is None or self.machine == session.machine


class Queue:
    """The open requests of one Amanda configuration, one a client. It tells nobody anything."""

    def __init__(self, site: Site) -> None:
        self.entries: dict[str, OpenRequest] = {}
        self._site = site

    # -- who waits

    def waiting(self) -> dict[str, datetime]:
        """Return since when each client waits that is in no run."""
        return {e.client: e.submitted_at for e in self.entries.values() if e.run is None}

    def present(self) -> list[str]:
        """Return the waiting clients that are connected, and whose request is written down."""
        return [
            entry.client
            for entry in self.entries.values()
            if entry.run is None and entry.row and _is_heard(entry)
        ]

    def in_order(self) -> list[OpenRequest]:
        """Return the waiting entries, the oldest request first."""
        return [self.entries[client] for client in in_order(self.waiting())]

    def of_run(self, run: Run) -> list[OpenRequest]:
        """Return the entries that `run` serves and that are still open."""
        return [entry for entry in self.entries.values() if entry.run is run]

    def find(self, session: ClientSession) -> OpenRequest | None:
        """Return the request that is open of the machine at the session."""
        entry = self.entries.get(session.client)
        return entry if entry and entry.is_of(session) else None

    # -- coming and going

    def submit(self, session: ClientSession) -> OpenRequest | Refused | Later:
        """Return a client's request, new or the one of its that there is; or why it has none."""
        site, entry = self._site, self.entries.get(session.client)
        if refused := self.find_nothing(session.client):
            return refused
        if entry and not entry.is_of(session):
            self.withdraw(session.client, "another machine is now this client")
            entry = None
        if entry is None and session.client in self.entries:
            reason = "a run with the previous machine of this client is still in progress"
            return Later(AFTER_ANOTHER, reason)
        if entry is None:
            if len(self.entries) >= site.config.max_waiting:
                return Later(site.config.come_back, "too many clients are waiting")
            # from the arrival, but a session that stood idle for long is not the first therefore
            since = max(session.opened_at, read_clock() - site.config.batch_window)
            machine = session.machine if session.is_relayed else None
            entry = self.entries[session.client] = OpenRequest(
                session.client, since, machine=machine
            )
            site.background.start(self.write_down(entry))
        if session not in entry.sessions:
            entry.sessions.append(session)
        entry.left_at, entry.is_recalled = None, False
        return entry

    def find_nothing(self, client: str) -> Refused | None:
        """Return what a client hears if nothing of it is to be dumped; None if something is."""
        site = self._site
        if site.disks(client):
            return None
        return (_all_parked if site.dles(client) else _no_dle)(client, site.name)

    def kept_back(self) -> list[OpenRequest]:
        """Return those who are there, and wait only for what is to be written down.

        Who is to be in the next run keeps its place.
        """
        return [one for one in self.entries.values() if one.sessions and _is_kept_back(one)]

    def there(self) -> list[OpenRequest]:
        """Return those who are there, and in no run."""
        return [one for one in self.entries.values() if one.run is None and one.sessions]

    def open_rows(self) -> list[RequestRow]:
        """Return the requests that are written down, as a ledger has them."""
        found = []
        for entry in self.entries.values():
            if row := entry.row:
                state = RequestState.RUNNING if entry.run else RequestState.QUEUED
                run_id = entry.run.row.id if entry.run else None
                found.append(replace(row, state=state, run_id=run_id))
        return found

    def go_on_as(self, rows: Mapping[int, RequestRow]) -> None:
        """Take the requests for these, by their old numbers: another ledger has them now."""
        for entry in self.entries.values():
            entry.row = entry.row and rows.get(entry.row.id, entry.row)

    async def write_down(self, entry: OpenRequest) -> None:
        """Write a request into the ledger; if it was withdrawn meanwhile, that too."""
        site = self._site
        row = await site.access.write(
            lambda ledger: ledger.requests.open(
                entry.client, site.name, entry.submitted_at, entry.machine
            )
        )
        entry.row = row
        if self.entries.get(entry.client) is not entry:
            await site.access.write(
                lambda ledger: ledger.requests.withdraw(row.id, read_clock(), "left")
            )

    def leave(self, session: ClientSession, *, is_withdrawn: bool) -> None:
        """Note that a session has ended: its client may come back for a while, or withdraws."""
        entry = self.entries.get(session.client)
        if entry is None or session not in entry.sessions:
            return
        entry.sessions.remove(session)
        if not entry.sessions:
            entry.left_at = read_clock()
            if is_withdrawn:
                self.withdraw(session.client, "withdrawn")

    def withdraw(self, client: str, why: str) -> None:
        """Forget a client's request, unless a run serves it already."""
        entry = self.entries.get(client)
        if entry is None or entry.run:
            return
        del self.entries[client]
        if row := entry.row:
            self._site.background.start(
                self._site.access.write(
                    lambda ledger: ledger.requests.withdraw(row.id, read_clock(), why)
                )
            )

    def put_back(self, entry: OpenRequest) -> None:
        """Let a request wait again, whose run failed; the ledger knows of it."""
        entry.run, entry.times = None, entry.times + 1
        entry.row = entry.row and replace(entry.row, state=RequestState.QUEUED, run_id=None)

    def forget_absent(self, now: datetime) -> None:
        """Withdraw the requests of clients that have been away for too long."""
        for entry in list(self.entries.values()):
            if entry.run or entry.sessions or entry.left_at is None:
                continue
            entry.left_at = min(entry.left_at, now)  # the clock may be set back
            if now - entry.left_at > self._site.config.grace:
                self.withdraw(entry.client, "left")


def _is_kept_back(entry: OpenRequest) -> bool:
    """Return whether all that a request waits for is to be written down: itself, or its end."""
    return not entry.run.is_alive() if entry.run else entry.row is None


def _is_heard(entry: OpenRequest) -> bool:
    doubted_at = entry.doubted_at
    return any(doubted_at is None or session.heard_at >= doubted_at for session in entry.sessions)


def _all_parked(client: str, amanda_config: str) -> Refused:
    return Refused(
        ALL_PARKED,
        f"the server is configured to leave out every disk of {client}, so nothing of it is "
        f"backed up",
        f"its administrator parked them, by `ignore` or strategy `skip` in {amanda_config}: "
        "ask there",
        int(Exit.CONFIGURATION),
    )


def _no_dle(client: str, amanda_config: str) -> Refused:
    return Refused(
        "no-dle",
        f"the server's disklist of {amanda_config} has no disk of {client}",
        f"ask its administrator for: asyncamanda server disk add {client} /home",
        int(Exit.CONFIGURATION),
    )
