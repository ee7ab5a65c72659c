"""Starting a process whenever a run or a flush has ended, and once a day: one at a time, politely.

Whatever becomes of it concerns no backup.
"""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from threading import Thread

from asyncamanda.errors import LaterError
from asyncamanda.server.background.threads import apart
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.system.environ import clean_environ

AGAIN_AFTER = timedelta(seconds=1)  # a run's end brings more with it, such as a flush
EVERY = timedelta(days=1)
_POLITE = ("nice", "-n", "10", "ionice", "-t", "-c", "2", "-n", "7")


class PoliteProcess:
    """Runs `asyncamanda server WORD`; `order` returns what it is told, None if it need not be.

    `what` says in words what it does.
    """

    def __init__(
        self, site: Site, word: str, what: str, order: Callable[[], Awaitable[str | None]]
    ) -> None:
        self._site = site
        self._word = word
        self._what = what
        self._order = order
        self._wanted_at: datetime | None = None
        self._started_at: datetime | None = None
        self._seen = -1  # so that what another dispatcher has left is looked after, too
        self._process: subprocess.Popen[bytes] | None = None
        self._is_starting = False

    def look(self, ended: int, now: datetime) -> None:
        """Start it if runs have ended since; `ended` counts them."""
        last = self._started_at
        if ended != self._seen or (last and not last <= now < last + EVERY):
            self._seen, self._wanted_at, self._started_at = ended, now, now
        if self._process and self._process.poll() is not None:
            self._process = None
        is_due = self._wanted_at is not None and now >= self._wanted_at + AGAIN_AFTER
        if self._process or self._is_starting or not is_due:
            return
        self._wanted_at, self._started_at, self._is_starting = None, now, True
        self._site.background.start(self._start())

    async def _start(self) -> None:
        site = self._site
        try:
            if (told := await self._order()) is not None:
                what = f"{site.name}: {self._what}"
                self._process = await apart(what, partial(start_politely, [self._word], told))
        except (OSError, LaterError) as error:
            site.log(f"{self._what} is not possible: {error}")
        finally:
            self._is_starting = False


def start_politely(words: Sequence[str], told: str) -> "subprocess.Popen[bytes]":
    """Start `asyncamanda server` with these words, and `told` on its stdin; return its process."""
    argv = [*_POLITE, sys.executable, "-I", "-m", "asyncamanda", "server", *words]
    order = os.memfd_create("order")
    try:
        os.write(order, told.encode("ascii"))
        os.lseek(order, 0, os.SEEK_SET)
        process = subprocess.Popen(
            argv,
            stdin=order,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environ(),
            cwd="/",
            start_new_session=True,
        )
        # its end is seen to even where nobody looks any more
        Thread(target=process.wait, daemon=True).start()
        return process
    finally:
        os.close(order)
