"""A run as its watchdog sees it, and what that does to it. It decides in core/dispatch/watchdog.py.

What a run is at is told by its processes and the files that they have open, not by its log and
trace alone: clients have words in those. The trace only says which dumper a dump has, and what a
chunker writes that was never seen with its file open: a small dump is written within a blink. A
dumper counts as dead when it was seen alive before.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda.core.amanda.header import HEADER_BYTES, parse_header
from asyncamanda.core.amanda.trace import Key, find_chunkers, find_dumpers
from asyncamanda.core.dispatch.records import RunKind
from asyncamanda.core.dispatch.watchdog import (
    Cut,
    DumpSight,
    EndPart,
    KillRun,
    Sight,
    WatchPolicy,
    WatchState,
    shift_time,
    watch_run,
)
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.server.amanda import logs
from asyncamanda.server.amanda.hiding import UNFINISHED
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.background.threads import apart_at_last
from asyncamanda.server.dispatch.reach import ClientReach
from asyncamanda.system.processes import (
    Process,
    list_open_files,
    read_argv,
    read_moved,
    signal_process,
)

LOOK_MOST = timedelta(seconds=2)
KILL_ROUNDS = 5  # a process may begin another one while it is being killed
KILLED = "the run was ended because it was stuck: {}"


@dataclass(frozen=True, slots=True)
class _Trace:
    """What a trace of `size` bytes says: each dump's dumper, each chunker's dump."""

    size: int = -1
    dumpers: Mapping[Key, str] = field(default_factory=dict)
    chunkers: Mapping[int, Key] = field(default_factory=dict)


@dataclass(slots=True)
class Watchdog:
    """What watches over one run.

    `reasons` are those that clients are told; `silent` are clients that are not called any more,
    for nothing came of them, and `blamed` those of them for which the run had to be killed.
    """

    run: Run
    policy: WatchPolicy
    reach: ClientReach
    say: Callable[[str], None]
    reasons: dict[str, str] = field(default_factory=dict)
    blamed: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    was_killed: bool = False
    _watch: WatchState = field(default_factory=WatchState)
    _now: timedelta = timedelta(0)
    _looked_at: datetime | None = None
    _dumpers: set[str] = field(default_factory=set)  # all that were seen
    _dles: dict[str, tuple[str, str]] = field(default_factory=dict)  # of holding files
    _written: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)  # by chunkers
    _trace: _Trace = field(default_factory=_Trace)
    _streams: Mapping[str, bool] = field(default_factory=dict)  # of those whom the relay reaches

    async def look(self, now: datetime) -> None:
        """Look at the run, if it is time to, and do what is to be done.

        Its files are looked at in a thread (threads.py): their file system may hang.
        """
        if self._looked_at is not None:
            passed = now - self._looked_at
            if timedelta(0) <= passed < min(self.policy.step / 4, LOOK_MOST):
                return
            self._now = shift_time(self._now, passed)
        self._looked_at = now
        reach = self.reach
        relayed = (host for host in self.run.clients if reach.is_relayed(host))
        self._streams = {host: reach.has_stream(host) for host in relayed}
        sight = await apart_at_last(self._what, self._see)
        self._watch, acts = watch_run(self._watch, sight, self.policy, self._now)
        for act in acts:
            match act:
                case Cut():
                    self._cut(act)
                case EndPart(pid, host):
                    self.say(f"{host}: its dump is still stuck: its process {pid} is ended")
                    self._signal(pid, signal.SIGTERM)
                case KillRun():
                    self._kill(act)
                    await apart_at_last(self._what, self._remove_partial)

    def explain(self, verdict: DleVerdict) -> DleVerdict:
        """Return a verdict of the run with the reason that Amanda does not know."""
        reason = self.reasons.get(verdict.host)
        has_failed = verdict.state in {DumpState.FAILED, DumpState.MISSING}
        if not reason or not has_failed or verdict.timestamp not in {"", self.run.timestamp}:
            return verdict
        return replace(verdict, reason=reason)

    def end(self) -> None:
        """Let Amanda call again whom it was not to call in this run."""
        for host in self.silent:
            self.reach.unbar(host)

    @property
    def _what(self) -> str:
        return f"{self.run.settings.name}: the files of run {self.run.row.id}"

    # -- what is to be seen

    def _see(self) -> Sight:
        own = self.run.members()
        dumpers = {name for process in own if (name := _dumper_name(process))}
        self._dumpers |= dumpers
        names = {process.name for process in own}
        dumps = dict(self._find_written(own, dumpers))
        chunkers = sum(process.name == "chunker" for process in own)
        is_dumping = "driver" in names and "planner" not in names
        is_held = self.run.row.kind is RunKind.BATCH and not self.run.has_taper
        if is_dumping and is_held and chunkers == len(dumps):
            dumps |= self._find_unwritten(own, {dump.host for dump in dumps.values()})
        return Sight(
            lines=self._count_lines(),
            moved={process.pid: read_moved(process.pid) for process in own},
            dumps=dumps,
            called=tuple(host for host in self.run.clients if self._is_called(host, own)),
            is_bereft="driver" in names and bool(self._dumpers) and not dumpers,
        )

    def _find_written(
        self, own: list[Process], dumpers: set[str]
    ) -> Iterator[tuple[int, DumpSight]]:
        """Yield the dumps that have a chunker, by its process id."""
        trace = self._read_trace()
        for process in own:
            if process.name != "chunker":
                continue
            # one that has closed its file, because all is written, still waits for its dumper
            key, opened = (process.pid, process.started), self._read_dle(process)
            if opened:
                self._written[key] = opened
            dle = self._written.get(key) or trace.chunkers.get(process.pid)
            if dle is None:
                continue
            dumper, host = trace.dumpers.get(dle), dle[0]
            yield (
                process.pid,
                DumpSight(
                    host,
                    moved=read_moved(process.pid),
                    has_dumper=dumper not in self._dumpers - dumpers,
                    has_stream=opened is None or self._streams.get(host, True),
                ),
            )

    def _find_unwritten(self, own: list[Process], written: set[str]) -> dict[int, DumpSight]:
        """Return the dumps whose clients are called while no chunker writes any of theirs.

        One that has no file yet may be anybody's: as long as there is one, nobody is meant.
        """
        return {
            process.pid: DumpSight(host, moved=read_moved(process.pid), has_chunker=False)
            for host in self.run.clients
            if host not in written
            for process in own
            if _calls(process, host)
        }

    def _read_dle(self, chunker: Process) -> tuple[str, str] | None:
        """Return the host and disk that a chunker writes a dump of, by that file's header."""
        for name in list_open_files(chunker.pid):
            if name in self._dles:
                return self._dles[name]
            if self._is_held(Path(name)):
                with suppress(OSError), Path(name).open("rb") as file:
                    if header := parse_header(file.read(HEADER_BYTES)):
                        self._dles[name] = header.host, header.disk
                        return self._dles[name]
        return None

    def _is_held(self, path: Path) -> bool:
        """Return whether a file is one of this run's in a holding disk, still being written."""
        return path.parent in self._folders() and path.name.endswith(UNFINISHED)

    def _folders(self) -> list[Path]:
        """Return the run's holding directories, as the kernel names them."""
        return [Path(os.path.realpath(folder)) for folder in self.run.folders()]

    def _count_lines(self) -> int:
        run, size = self.run, 0
        with suppress(OSError):
            if run.log_name:
                size += logs.size_log(run.settings.logdir, run.log_name)[0]
        with suppress(OSError):
            size += run.trace_path.stat().st_size if run.trace_path else 0
        return size

    def _read_trace(self) -> _Trace:
        """Return what the trace says of dumpers and chunkers; it is read when it has grown."""
        path, stamp = self.run.trace_path, self.run.timestamp
        with suppress(OSError):
            if path and stamp and (size := path.stat().st_size) != self._trace.size:
                trace = logs.read_trace(self.run.settings.logdir, stamp)
                self._trace = _Trace(size, find_dumpers(trace), find_chunkers(trace))
        return self._trace

    def _is_called(self, host: str, own: list[Process]) -> bool:
        if host in self._streams:
            return self._streams[host]
        return any(_calls(process, host) for process in own)

    # -- what is done

    def _cut(self, act: Cut) -> None:
        self.say(f"{act.host}: {act.reason}: its streams are cut")
        self.reasons[act.host] = act.reason
        if act.is_for_good:
            self.silent.add(act.host)
            self.reach.bar(act.host, act.reason)
        self.reach.cut(act.host, act.reason)
        if not self.reach.is_relayed(act.host):
            for process in self.run.members():
                if _calls(process, act.host):
                    signal_process(process, signal.SIGTERM)

    def _signal(self, pid: int, number: int) -> None:
        for process in self.run.members():
            if process.pid == pid:
                signal_process(process, number)

    def _kill(self, act: KillRun) -> None:
        """Kill all that is in the run's session."""
        self.say(f"run {self.run.row.id} ({self.run.timestamp}) is killed: {act.reason}")
        self.was_killed = True
        self.blamed |= {*act.blamed}
        for host in self.run.clients:
            reason = act.reason if host in act.blamed else KILLED.format(act.reason)
            self.reasons.setdefault(host, reason)
        for _ in range(KILL_ROUNDS):
            own = self.run.members()
            for process in own:
                signal_process(process, signal.SIGKILL)
            if not own:
                break

    def _remove_partial(self) -> None:
        """Remove what a run that was killed has left half written."""
        for folder in self._folders():
            with suppress(OSError):
                for path in folder.iterdir():
                    if path.name.endswith(UNFINISHED):
                        path.unlink()


def _dumper_name(process: Process) -> str:
    """Return what the driver calls a dumper: its first word, `dumper0`; nothing for others."""
    return next(iter(read_argv(process.pid)), "") if process.name == "dumper" else ""


def _calls(process: Process, host: str) -> bool:
    """Return whether a process is Amanda's ssh to a host (amanda-facts, "The network")."""
    if process.name != "ssh":
        return False
    argv = read_argv(process.pid)
    return host in argv and any(word.endswith("amandad") for word in argv)
