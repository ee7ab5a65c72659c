"""Having the fleet looked at when something has changed: by a process of its own, one at a time.

Whatever becomes of it concerns no backup.
"""

import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from asyncamanda.config.server import ServerConfig
from asyncamanda.errors import LaterError
from asyncamanda.server.background.tasks import Background, Rhythm, write_log
from asyncamanda.server.background.threads import apart
from asyncamanda.server.dispatch.polite import start_politely
from asyncamanda.server.gate.ipc import STATE

LOCK = "refresh.lock"  # of who looks at the fleet, changed by each that has
EVERY = timedelta(seconds=30)
SLOWLY = timedelta(hours=1)  # where nothing is asked for that has to be up to date
AT_FIRST = timedelta(seconds=20)  # then: a dispatcher may be gone again by then
LOOK_EVERY = timedelta(seconds=1)
NOTHING = -1  # changes that are shown


class Refreshes:
    """Starts `asyncamanda server refresh`, at most every 30 seconds.

    `is_urgent`: something is asked for that has to be up to date; else once an hour is enough.
    """

    def __init__(self, config: ServerConfig, background: Background, *, is_urgent: bool) -> None:
        self._config = config
        self._background = background
        self._is_urgent = is_urgent
        self._rhythm = Rhythm()
        self._begun_at: datetime | None = None
        self._started_at: datetime | None = None
        self._seen = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._is_starting = False

    def look(self, changes: int, now: datetime) -> None:
        """Start it if it is due; `changes` counts all that has changed the ledger."""
        self._begun_at = min(self._begun_at or now, now)
        if not self._rhythm.is_due("look", LOOK_EVERY, now):
            return
        if self._process and (status := self._process.poll()) is not None:
            self._process = None
            if status:
                self._seen = NOTHING  # it has not looked
        if self._process or self._is_starting or changes == self._seen or not self._is_due(now):
            return
        self._seen, self._started_at, self._is_starting = changes, now, True
        self._background.start(self._start())

    def _is_due(self, now: datetime) -> bool:
        last = self._started_at
        if not self._is_urgent:
            if self._begun_at and now - self._begun_at < AT_FIRST:
                return False
            with suppress(OSError):
                last = datetime.fromtimestamp(Path(STATE, LOCK).stat().st_mtime, UTC)
        every = EVERY if self._is_urgent else SLOWLY
        return last is None or not last <= now < last + every

    async def _start(self) -> None:
        words = ["refresh"]
        if self._config.file:
            words += ["--config", self._config.file]
        try:
            what = "looking at the fleet"
            self._process = await apart(what, partial(start_politely, words, ""))
        except (OSError, LaterError) as error:
            write_log(f"looking at the fleet is not possible: {error}")
        finally:
            self._is_starting = False
