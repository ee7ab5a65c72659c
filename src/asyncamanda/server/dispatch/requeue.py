"""Whose requests are queued once more when their run has ended, and who is kept apart then."""

from collections.abc import Collection
from datetime import timedelta

from asyncamanda.core.dispatch.batch import Unserved, choose_again, find_suspects
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.dispatch.queue import OpenRequest, Queue
from asyncamanda.server.dispatch.watchdog import Watchdog


class Requeue:
    """Chooses who is queued again; `suspects` are those because of which a run failed."""

    def __init__(self, queue: Queue, grace: timedelta) -> None:
        self.suspects: set[str] = set()
        self._queue = queue
        self._grace = grace

    def choose(
        self, run: Run, unserved: Collection[str], watchdog: Watchdog, *, is_planned: bool
    ) -> list[OpenRequest]:
        """Return whose requests are queued again, of those that a run has not served."""
        if watchdog.was_killed or not is_planned:
            again = self._choose_failed(run, unserved, watchdog.blamed)
        else:
            again = self._choose_forsaken(run, set(unserved) - watchdog.silent)
        self.suspects |= watchdog.silent
        return again

    def trust(self, clients: Collection[str]) -> None:
        """Take the clients of a run that went well for no suspects any more."""
        self.suspects -= {*clients}

    def _choose_failed(
        self, run: Run, unserved: Collection[str], blamed: Collection[str]
    ) -> list[OpenRequest]:
        """Return whose requests are queued again, though this run of theirs failed."""
        entries = {
            entry.client: entry for entry in self._queue.of_run(run) if entry.client in unserved
        }
        found = [
            Unserved(client, entry.may_be_there(self._grace), client in blamed, entry.times)
            for client, entry in entries.items()
        ]
        self.suspects |= find_suspects(found)
        return [entries[client] for client in choose_again(found)]

    def _choose_forsaken(self, run: Run, unserved: Collection[str]) -> list[OpenRequest]:
        """Return who is queued again because Amanda's call may have found nobody; each once."""
        entries = self._queue.of_run(run) if run.is_forsaken else []
        return [
            entry
            for entry in entries
            if entry.client in unserved and entry.may_be_there(self._grace) and not entry.times
        ]
