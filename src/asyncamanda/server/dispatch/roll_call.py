"""The roll call: who of those that are connected answers now.

A session that stands may be of a machine that sleeps: a run would wait for it in vain.
"""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime

from asyncamanda.server.dispatch.queue import Queue
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.system.clock import now as read_clock

POLL = 0.02  # seconds
WITHIN = 2.0  # seconds for a client to say that it is there, before a run counts on it


async def call_roll(
    sessions: Collection[ClientSession], within: float, is_enough: Callable[[datetime], bool]
) -> datetime:
    """Ask whether each of `sessions` is there, and return when that was.

    As soon as the answers since then are enough, or after `within` seconds.
    """
    asked_at = read_clock()
    for session in sessions:
        session.ask()
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    while loop.time() < until and not is_enough(asked_at):
        await asyncio.sleep(POLL)
    return asked_at


def has_answered(sessions: Collection[ClientSession], asked_at: datetime) -> bool:
    """Return whether one of `sessions` was heard since it was asked."""
    return any(session.heard_at >= asked_at for session in sessions)


class RollCall:
    """Asks the clients that wait in a queue whether they are there."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def find_present(self, clients: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of `clients` that answer now; the others count as absent until heard."""
        entries = [entry for entry in self._queue.in_order() if entry.client in clients]
        sessions = [session for entry in entries for session in entry.sessions]
        asked_at = await call_roll(
            sessions, WITHIN, lambda at: all(self._is_there(client, at) for client in clients)
        )
        for entry in entries:
            is_there = self._is_there(entry.client, asked_at)
            entry.doubted_at = None if is_there else asked_at
        return tuple(client for client in clients if self._is_there(client, asked_at))

    def _is_there(self, client: str, asked_at: datetime) -> bool:
        entry = self._queue.entries.get(client)
        return entry is not None and has_answered(entry.sessions, asked_at)
