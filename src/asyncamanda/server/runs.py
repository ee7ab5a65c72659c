"""One run of Amanda's: started when it is written down, followed by its log, judged at its end.

A run outlives the dispatcher that started it: it has a session of its own, and the next
dispatcher finds it in the ledger. Its log is the authority; amdump's exit status says nothing
of a single DLE, and nobody is there to see it where the dispatcher died.
"""

import asyncio
import glob
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda.core.books import RunEnd, RunRow
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.runlog import RunLog, find_begun, parse_run_log
from asyncamanda.server.amanda import KEEPER, Settings
from asyncamanda.system.clock import parse_local_stamp
from asyncamanda.system.processes import has_session, read_boot_id, read_process

POLL_START = 0.02  # seconds, until the keeper is in its place
POLL = 0.25  # seconds, while it goes on
KEPT_WORDS = 500  # characters of what amdump itself printed
_LOG_NAME = re.compile(r"log\.(\d{14})\.\d+")


@dataclass(slots=True)
class Run:
    """A run that goes on, ours. `process` is None where another dispatcher started it."""

    row: RunRow
    settings: Settings
    output: Path
    process: "subprocess.Popen[bytes] | None" = None
    timestamp: str | None = None
    log_name: str | None = None
    logs_before: frozenset[str] = frozenset()
    verdicts: tuple[DleVerdict, ...] = ()
    exit_status: int | None = None
    _log_size: int = -1
    is_led: bool = True
    is_of_this_boot: bool = True

    @property
    def clients(self) -> tuple[str, ...]:
        """The clients that it serves."""
        return self.row.hosts

    @property
    def pid(self) -> int:
        """Its process, which leads the session of all that belongs to it."""
        assert self.row.pid
        return self.row.pid

    @property
    def log_path(self) -> Path | None:
        """Where its log is, as soon as that is known."""
        return self.settings.logdir / self.log_name if self.log_name else None

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
        elif self.is_led:
            leader = read_process(self.pid)
            if leader and leader.session == self.pid:
                return True
        self.is_led = False
        return has_session(self.pid)

    def find_log(self) -> bool:
        """Look for its log, by the process id in the first line; return whether it is known."""
        if self.log_name is None:
            for name in list_logs(self.settings.logdir) - self.logs_before:
                parsed = parse_run_log(first_lines(self.settings.logdir / name))
                if parsed and parsed.pid == self.pid:
                    self.log_name = name
                    break
        if self.log_name and self.timestamp is None:
            found = _LOG_NAME.fullmatch(self.log_name)
            self.timestamp = found[1] if found else None
        return self.timestamp is not None

    def place_keeper(self) -> bool:
        """Put a file into the run's holding directories; return whether there is one.

        The driver makes the directory when it starts. Another driver that starts removes it
        as long as it is empty, all through a slow estimate, and this run's dumps would fail
        (amanda-facts "Side by side"; tests/e2e/test_side_by_side.py shows it).
        """
        is_placed = False
        if self.timestamp:
            for place in self.settings.holding:
                with suppress(OSError):
                    (place / self.timestamp / KEEPER).touch()
                    is_placed = True
        return is_placed

    def remove_keeper(self) -> None:
        """Take the file away again, and the directory if nothing is in it."""
        if self.timestamp:
            remove_keepers(place / self.timestamp for place in self.settings.holding)

    def read_log(self) -> RunLog | None:
        """Return what its log says so far; None if that is nothing, or nothing new."""
        path = self.log_path
        if path is None:
            return None
        try:
            size = path.stat().st_size
        except OSError:
            return None
        if size == self._log_size:
            return None
        self._log_size = size
        return parse_run_log(read_log(path))

    def is_writing(self, host: str) -> bool:
        """Return whether a dump of `host` is still in a file that a clean-up would remove.

        The chunker says SUCCESS a moment before its file loses the ending `.tmp`.
        """
        folders = [place / (self.timestamp or "") for place in self.settings.holding]
        return any(any(folder.glob(f"{glob.escape(host)}.*.tmp")) for folder in folders)

    def judge(self, dles: Mapping[str, list[str]]) -> RunEnd:
        """Return how it ended, now that nothing of it runs. `dles` are its hosts' disks.

        A DLE on which the log has no word is missing; what the trace tells of it is the level.
        """
        self._log_size = -1
        self.find_log()
        log = self.read_log()
        begun = find_begun(read_log(self.trace_path)) if self.trace_path else {}
        if log is not None and self.log_path:
            log = parse_run_log(read_log(self.log_path), begun)
        if log is None:
            words = self._own_words()
            return RunEnd(self.exit_status, is_clean=True, verdicts=(), remark=words)
        known = {(v.host, v.disk) for v in log.verdicts if v.timestamp == log.timestamp}
        unnamed = [
            DleVerdict(host, disk, log.timestamp, DumpState.MISSING, begun.get((host, disk)))
            for host in self.clients
            for disk in dles.get(host, [])
            if (host, disk) not in known
        ]
        return RunEnd(
            exit_status=self.exit_status,
            is_clean=log.is_finished,
            verdicts=(*log.verdicts, *map(_explain_missing, unnamed)),
            labels=log.labels,
            remark="; ".join(log.errors)[:KEPT_WORDS] or self._own_words(),
        )

    def _own_words(self) -> str:
        """Return the last that the program itself printed, in one line; usually nothing."""
        with suppress(OSError):
            return " ".join(read_log(self.output).split())[-KEPT_WORDS:]
        return ""


def _explain_missing(verdict: DleVerdict) -> DleVerdict:
    return DleVerdict(
        verdict.host,
        verdict.disk,
        verdict.timestamp,
        verdict.state,
        verdict.level,
        "the run ended without a word on it",
        has_begun=verdict.level is not None,
    )


def adopt(row: RunRow, settings: Settings, output: Path) -> Run:
    """Return a run that another dispatcher started, from what the ledger has of it."""
    run = Run(row, settings, output, timestamp=row.timestamp)
    if row.timestamp:
        names = {name for name in list_logs(settings.logdir) if f".{row.timestamp}." in name}
        run.log_name = max(names, default=None)
    run.is_of_this_boot = row.boot_id == read_boot_id()
    return run


async def wait_rooted(run: Run, within: timedelta) -> bool:
    """Return when the run's keeper is in its place; until then no other run may start.

    Returns False if the run is over before, or has not come so far `within` that.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within.total_seconds()
    while not (run.find_log() and run.place_keeper()):
        if not run.is_alive() or loop.time() > until:
            return False
        await asyncio.sleep(POLL_START)
    return True


def list_logs(logdir: Path) -> frozenset[str]:
    """Return the names of the runs' logs in `logdir`."""
    try:
        return frozenset(path.name for path in logdir.iterdir() if _LOG_NAME.fullmatch(path.name))
    except OSError:
        return frozenset()


def first_lines(path: Path) -> str:
    """Return a log's beginning; nothing if it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            return file.read(400)
    except OSError:
        return ""


def read_log(path: Path) -> str:
    """Return the text of a log, whole; nothing if there is none."""
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""


def remove_keepers(folders: Iterator[Path]) -> None:
    """Take our file out of these holding directories, and remove those that are empty then."""
    for folder in folders:
        with suppress(OSError):
            (folder / KEEPER).unlink()
            folder.rmdir()


def held_bytes(settings: Settings) -> tuple[int, datetime | None]:
    """Return how many bytes of dumps the holding disks have, and when the oldest was begun."""
    total, stamps = 0, []
    for place in settings.holding:
        with suppress(OSError):
            for folder in place.iterdir():
                if not _is_stamp(folder.name):
                    continue
                sizes = [p.stat().st_size for p in folder.iterdir() if _is_dump(p)]
                if sizes:
                    total += sum(sizes)
                    stamps.append(folder.name)
    oldest = min(stamps, default=None)
    return total, parse_local_stamp(oldest) if oldest else None


def _is_dump(path: Path) -> bool:
    return path.name not in {KEEPER, "pid"} and not path.name.endswith(".tmp")


def _is_stamp(name: str) -> bool:
    try:
        return bool(parse_local_stamp(name))
    except (ValueError, OverflowError):
        return False
