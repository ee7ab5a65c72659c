"""One run of Amanda's: started when it is written down, followed by its log, judged at its end.

A run outlives the dispatcher that started it: it has a session of its own, and the next
dispatcher finds it in the ledger. It has ended when nothing of that session lives, whatever its
log says. The log reports each DLE, and counts as far as there are witnesses
(core/amanda/witness.py); amdump's exit status says nothing of a single one, and nobody is there to
see it where the dispatcher died.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from asyncamanda.core.amanda.runlog import RunLog, parse_run_log
from asyncamanda.core.dispatch.records import RunRow
from asyncamanda.server.amanda import logs
from asyncamanda.server.amanda.commands import Settings, is_worker
from asyncamanda.server.amanda.hiding import (
    KEEPER,
    OWNER,
    close_directories,
    hide_dumps,
    is_there,
    is_written,
    list_directories,
    show_dumps,
)
from asyncamanda.server.background.threads import apart_at_last
from asyncamanda.system.processes import (
    Process,
    iterate_processes,
    read_argv,
    read_boot_id,
    read_process,
)

POLL_START = 0.02  # seconds, until the keeper is in its place
POLL = 0.25  # seconds, while it goes on


@dataclass(slots=True)
class Run:
    """A run that goes on, ours. `process` is None where another dispatcher started it.

    `is_underway`: its keeper is in its place, or was waited for long enough.
    """

    row: RunRow
    settings: Settings
    output: Path
    process: "subprocess.Popen[bytes] | None" = None
    timestamp: str | None = None
    log_name: str | None = None
    logs_before: frozenset[str] = frozenset()
    hidden: list[Path] = field(default_factory=list)
    exit_status: int | None = None
    _log_size: int = -1
    is_underway: bool = False
    is_led: bool = True
    is_of_this_boot: bool = True
    _is_handed_on: bool = False

    @property
    def clients(self) -> tuple[str, ...]:
        """The clients that it serves."""
        return self.row.hosts

    @property
    def has_taper(self) -> bool:
        """Whether it may write to volumes."""
        return self.row.has_taper

    @property
    def is_forsaken(self) -> bool:
        """Whether Amanda's calls may have found nobody: its dispatcher has ended, and not it."""
        return self.process is None

    @property
    def pid(self) -> int:
        """Its process, which leads the session of all that belongs to it."""
        assert self.row.pid
        return self.row.pid

    @property
    def log_path(self) -> Path | None:
        """Where its log is, as soon as that is known."""
        if self.log_name is None:
            return None
        old = self.settings.logdir / logs.OLD / self.log_name  # where its end may have put it
        return old if old.exists() else self.settings.logdir / self.log_name

    @property
    def trace_path(self) -> Path | None:
        """Where the trace is that amstatus reads."""
        return self.settings.logdir / f"amdump.{self.timestamp}" if self.timestamp else None

    def is_alive(self) -> bool:
        """Return whether anything of it still runs: amdump itself, or what it left behind.

        Killed, amdump leaves its driver at work, which goes on to the end (amanda-facts).
        """
        if not self.is_of_this_boot:
            return False
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return True
            self.exit_status = status
        elif self.is_led and (leader := read_process(self.pid)):
            return leader.session == self.pid and leader.started == self.row.pid_started
        self.is_led = False
        return bool(self.members())

    def members(self) -> list[Process]:
        """Return what is alive of its session; none where that number is another session's by now.

        A number is not given to a new process while it names a session (credentials(7)), but it is
        when all of that have ended. Then its leader is another process; and where that has ended as
        well, what is left was not started with this run's log.
        """
        if not self.is_of_this_boot:
            return []
        own = [process for process in iterate_processes() if process.session == self.pid]
        leader = next((process for process in own if process.pid == self.pid), None)
        if leader is not None:
            return own if leader.started == self.row.pid_started else []
        is_known = self.process is not None or any(map(self._is_told, own))
        return own if is_known else []

    def _is_told(self, process: Process) -> bool:
        """Return whether a process was started as a part of this run, by what it was told."""
        argv = read_argv(process.pid)
        if self.timestamp:
            return any(f"/log.{self.timestamp}." in word for word in argv)
        return is_worker(argv, self.settings.name)

    def find_log(self) -> bool:
        """Look for its log, by the process id in the first line; return whether it is known."""
        if self.log_name is None:
            # the newest first: a number of a process comes round
            for name in sorted(
                logs.list_present(self.settings.logdir, self.logs_before), reverse=True
            ):
                if self.process is None and logs.is_older(name, self.row.begun_at):
                    continue  # what was there before is known of none that another started
                parsed = parse_run_log(logs.read_first_line(self.settings.logdir, name))
                if parsed and parsed.pid == self.pid:
                    self.log_name = name
                    break
        if self.log_name and self.timestamp is None:
            self.timestamp = logs.stamp_of(self.log_name)
        return self.timestamp is not None

    def forget_log(self) -> None:
        """Take the log that was found for another's, and look for one further."""
        if self.log_name:
            self.logs_before |= {self.log_name}
        self.log_name = self.timestamp = None

    def hide_held(self) -> None:
        """Let its driver, which has not begun yet, see none of the dumps that are held."""
        self.hidden = list_directories(self.settings.holding)
        hide_dumps(self.hidden)
        close_directories(self.hidden, self.settings.logdir)

    def is_rooted(self) -> bool:
        """Return whether its keeper is in its place by now; until then hide again what is held."""
        hide_dumps(self.hidden)
        return self.find_log() and self.place_keeper()

    def place_keeper(self) -> bool:
        """Put a file into the run's holding directories; return whether there is one.

        The driver makes the directory when it starts. Another driver removes it as long as it is
        empty, all through a slow estimate, and this run's dumps would fail (docs/design/0010;
        tests/e2e/test_side_by_side.py shows it).
        """
        is_placed = False
        for folder in self.folders():
            with suppress(OSError):
                fresh = folder / f"{KEEPER}.new"
                fresh.write_text(str(self._find_owner()), "ascii")
                fresh.replace(folder / KEEPER)
                is_placed = True
        return is_placed

    def keep_place(self) -> None:
        """Say again in the holding directories that the run is alive, where that is gone.

        Its driver says so, once, and each other driver removes that when it finds it true: the
        next one that ends would clear the directory while dumps are written there. As long as
        it is said, `amadmin find` leaves the directory out. Where its dispatcher was killed before
        there was a keeper, there is none yet.
        """
        if not self._has_keeper() or (not self.is_led and not self._is_handed_on):
            self._is_handed_on = self.place_keeper() and not self.is_led
        for folder in self.folders():
            with suppress(OSError):
                if is_written(folder):
                    os.link(folder / KEEPER, folder / OWNER)

    def _has_keeper(self) -> bool:
        """Return whether a keeper is in each of its holding directories that there are."""
        return all(is_there(folder / KEEPER) for folder in self.folders() if is_there(folder))

    def _find_owner(self) -> int:
        """Return a process of it that lives: amdump, or what amdump left behind."""
        left = () if self.is_led else self.members()
        return next((process.pid for process in left), self.pid)

    def remove_keeper(self) -> None:
        """Take the file away again, and the directory if nothing is in it."""
        remove_keepers(self.folders())

    def folders(self) -> list[Path]:
        """Return its holding directories, as far as it has them."""
        stamp = self.timestamp
        return [place / stamp for place in self.settings.holding] if stamp else []

    def read_log(self) -> RunLog | None:
        """Return what its log says so far; None if that is nothing, or nothing new."""
        if self.log_name is None:
            return None
        with suppress(OSError):
            size, _ = logs.size_log(self.settings.logdir, self.log_name)
            if size != self._log_size:
                self._log_size = size
                return parse_run_log(logs.read_log(self.settings.logdir, self.log_name))
        return None


def adopt(row: RunRow, settings: Settings, output: Path) -> Run:
    """Return a run that another dispatcher started, from what the ledger has of it."""
    run = Run(row, settings, output, timestamp=row.timestamp)
    if row.timestamp:
        names = {n for n in logs.list_present(settings.logdir) if logs.stamp_of(n) == row.timestamp}
        run.log_name = max(names, default=None)
    run.hidden = list_directories(settings.holding)  # as far as that was killed when it hid them
    run.is_of_this_boot = row.boot_id == read_boot_id()
    return run


async def wait_rooted(run: Run, within: timedelta) -> bool:
    """Return when the run's keeper is in its place; until then no other run may start.

    Returns False if the run is over before, or has not come so far `within` that.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within.total_seconds()
    what = f"{run.settings.name}: the log and holding disk of a run"
    while not (is_rooted := await apart_at_last(what, run.is_rooted)):
        if not run.is_alive() or loop.time() > until:
            break
        await asyncio.sleep(POLL_START)
    await show_hidden(run)
    run.is_underway = True
    return is_rooted


async def show_hidden(run: Run) -> None:
    """Show again what was hidden from its driver."""
    what = f"{run.settings.name}: what is held"
    await apart_at_last(what, partial(show_dumps, run.hidden))


def remove_keepers(folders: Iterable[Path]) -> None:
    """Take our files out of these holding directories, and remove those that are empty then."""
    for folder in folders:
        with suppress(OSError):
            # what a dispatcher was just making that was killed, too
            if own := list(folder.glob(f"{KEEPER}*")):
                for path in (*own, folder / OWNER):
                    path.unlink(missing_ok=True)
                folder.rmdir()
