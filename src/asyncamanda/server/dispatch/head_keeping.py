"""Starting the process that keeps heads, whenever a run or a flush has ended.

It reads what clients have made, for as long as that takes: so it is a process of its own, polite to
all others, one at a time, and it sets itself a bound. Whatever becomes of it concerns no backup.
"""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from asyncamanda.core.restore.keep_order import HeldDump, KeepOrder, render_order
from asyncamanda.server.background.threads import apart
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.gate.ipc import STATE
from asyncamanda.server.ledger.recorded_dumps import RecordedDump
from asyncamanda.system.environ import clean_environ

AGAIN_AFTER = timedelta(seconds=1)  # a run's end brings more with it, such as a flush
_POLITE = ("nice", "-n", "10", "ionice", "-t", "-c", "2", "-n", "7")


class HeadKeeping:
    """Keeps the heads of one Amanda configuration: it decides when, and others do it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._wanted_at: datetime | None = None
        self._seen = -1  # so that what another dispatcher has left is looked after, too
        self._process: subprocess.Popen[bytes] | None = None
        self._is_starting = False

    def look(self, ended: int, now: datetime) -> None:
        """Start it if runs have ended since; `ended` counts them."""
        if ended != self._seen:
            self._seen, self._wanted_at = ended, now
        if self._process and self._process.poll() is not None:
            self._process = None
        is_due = self._wanted_at is not None and now >= self._wanted_at + AGAIN_AFTER
        if self._process or self._is_starting or not is_due:
            return
        self._wanted_at, self._is_starting = None, True
        self._site.background.start(self._start())

    async def _start(self) -> None:
        site = self._site
        try:
            dumps = await site.access.read(lambda ledger: ledger.verdicts.held(site.name))
            order = self._plan(dumps)
            if order.held or Path(STATE, "heads", site.name).exists():
                what = f"{site.name}: keeping heads"
                self._process = await apart(what, partial(_start_process, order))
        except OSError as error:
            site.log(f"heads of dumps are not kept: {error}")
        finally:
            self._is_starting = False

    def _plan(self, dumps: list[RecordedDump]) -> KeepOrder:
        site = self._site
        today = site.filters()
        held = [
            HeldDump(
                each.host,
                each.disk,
                each.timestamp,
                each.level,
                today.get((each.host, each.disk)),
                dump.filters,
            )
            for dump in dumps
            if (each := dump.verdict).level is not None
        ]
        return KeepOrder(
            site.name,
            tuple(map(str, site.settings.holding)),
            site.config.restore.keep_heads,
            site.config.restore.filters,
            tuple(held),
        )


def _start_process(order: KeepOrder) -> "subprocess.Popen[bytes]":
    argv = [*_POLITE, sys.executable, "-I", "-m", "asyncamanda", "server", "keep"]
    told = os.memfd_create("order")
    try:
        os.write(told, render_order(order).encode("ascii"))
        os.lseek(told, 0, os.SEEK_SET)
        return subprocess.Popen(
            argv,
            stdin=told,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environ(),
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(told)
