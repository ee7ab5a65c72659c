"""What an asyncio process does in the background, and how that ends with it."""

import asyncio
import logging
import traceback
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.background.log import LOG

END_SECONDS = 1.0  # for what is cancelled at the end

T = TypeVar("T")


def run_to_end(main: Coroutine[Any, Any, T]) -> T:
    """Return what `main` returns. What else runs by then is cancelled, and left behind if need be.

    asyncio.run() would wait for all of it: forever, where a process was just being started
    (Python 3.11's create_subprocess_exec() awaits its end then, of which nobody tells it).
    """
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(main)
    finally:
        others = asyncio.all_tasks(loop)
        for one in others:
            one.cancel()
        if others:
            loop.run_until_complete(asyncio.wait(others, timeout=END_SECONDS))
        loop.set_exception_handler(lambda _loop, _context: None)  # which names who is left behind
        loop.close()


class Background:
    """Coroutines that nobody waits for. What goes wrong in one is told, and ends only that.

    Not so with a bug: then nobody knows what holds any more, and `give_up` is called, so that
    another process can begin again from what is written down.
    """

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up = give_up
        self._running: set[asyncio.Task[None]] = set()

    def start(self, doing: Coroutine[Any, Any, object]) -> None:
        """Let `doing` run, beginning with the next turn of the loop."""
        running = asyncio.get_running_loop().create_task(self._guard(doing))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        # where this process ends before that turn, Python would complain of it in the log
        running.add_done_callback(lambda _running: doing.close())

    async def _guard(self, doing: Coroutine[Any, Any, object]) -> None:
        try:
            await doing
        except AsyncamandaError as error:
            write_trouble(error)
        except Exception:
            self._give_up()
            write_trace()


class Rhythm:
    """Remembers when each thing was last done, by the wall clock."""

    def __init__(self) -> None:
        self._done_at: dict[str, datetime] = {}

    def is_due(self, what: str, every: timedelta, now: datetime) -> bool:
        """Return whether `what` was not done for `every`, and take it for done now.

        After a clock was set back everything is due.
        """
        last = self._done_at.get(what)
        if last is not None and last <= now < last + every:
            return False
        self._done_at[what] = now
        return True

    def note(self, what: str, now: datetime) -> None:
        """Take `what` for done only now: it has taken a while."""
        self._done_at[what] = now


def write_log(text: str, level: int = logging.INFO) -> None:
    """Write one line to the server's log, with the time; what does not print is written out."""
    LOG.log(level, "%s", printable(text))


def write_trouble(error: AsyncamandaError, before: str = "") -> None:
    """Write what is wrong, and what to do, to the log, with other words `before` it."""
    write_log(f"{before}{error.message} (hint: {error.hint})", logging.WARNING)


def write_trace() -> None:
    """Write the traceback of the error that is being handled, marked: it may quote anything."""
    lines = traceback.format_exc().rstrip("\n").split("\n")
    LOG.error("%s", "\n".join(f"| {printable(line)}" for line in lines))
