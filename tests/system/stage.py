"""A client, its gate and its dispatchers, in a host of the lab: one crash after another.

It runs in the host (crashing.py lies beside it), reads a line of JSON for each window from its
stdin, and answers with a line of facts; what has to hold is judged by the test. The gate is the
real one, and fetches the real dispatcher; both are forked from here, for Python takes half a second
to load them. The client is a small one: its words go through a pipe and not through ssh, and it
decides by the agent's own functions (core/agent/by_gate.py), as client/backup/by_gate.py does.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

from tests.system.crashing import ARMED, HOLDING, JOURNAL, LOGDIR, PLACE, be_dispatcher

from asyncamanda.core.agent.by_command import BackedUp
from asyncamanda.core.agent.by_gate import (
    decide_by_gate,
    find_end,
    heed_welcome,
    settle_unseen,
)
from asyncamanda.core.agent.due import NotDue
from asyncamanda.core.agent.finished import judge_finished
from asyncamanda.core.agent.remember import note_start
from asyncamanda.core.model import Memory, Policy, Started
from asyncamanda.core.protocol.messages import (
    PROTOCOLS,
    Again,
    Bye,
    ClientMessage,
    Finished,
    Hello,
    Later,
    Ping,
    Pong,
    Progress,
    Queued,
    Refused,
    Running,
    ServerMessage,
    Submit,
    Welcome,
)
from asyncamanda.core.protocol.wire import encode, server_decoder
from asyncamanda.server.gate import gate, start_dispatcher
from asyncamanda.server.gate.ipc import STATE
from asyncamanda.system.clock import now as read_clock

# what the fake amdump waits for
ROOT, GO_ON, LEAVE = f"{PLACE}/root", f"{PLACE}/go-on", f"{PLACE}/leave"
HELD = "20260101000000/tower._home.0"  # in the holding disk, before all
TAKEN_AWAY = "the ledger is taken away"  # stands between the steps
STARTS = "/srv/fake-amanda/starts"
POLICY = Policy(timedelta(hours=20))
PATIENCE = 40.0  # seconds for a talk, and for whatever else is waited for
KEPT = {"dispatcher.log", "dispatcher.lock", "start.lock", "ledger.sqlite"}  # ... in STATE
BESIDE = ("heads/", "keep.log", "reach/", "reach.log")  # what other processes write there
SOON = 5.0  # ... for what a dispatcher does as soon as it looks
GIVEN_SECONDS = 1.5  # for something that is not to happen
NOBODY = -1


class TooLongError(Exception):
    """Something was waited for in vain."""


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Return as soon as `condition` holds. Raises TooLongError."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up_at:
            raise TooLongError(what)
        time.sleep(0.01)


# -- the server's processes


def fork(doing: Callable[[], int], stdin: int, stdout: int) -> int:
    """Return a new process that does `doing`, in a session of its own, with these streams."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        os.closerange(3, 256)
        code = doing()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def start_forked() -> int:
    """Start a dispatcher; as start_dispatcher() does, but without loading it again."""
    reader, writer = os.pipe()
    null = os.open(os.devnull, os.O_RDONLY)

    def serve() -> int:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(f"{STATE}/dispatcher.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 2)
        be_dispatcher()

    fork(serve, null, writer)
    os.close(null)
    os.close(writer)
    os.set_blocking(reader, False)
    return reader


def be_gate(client: str) -> int:
    """Be the forced command of a client's key."""
    os.environ["SSH_ORIGINAL_COMMAND"] = "asyncamanda gate"
    start_dispatcher.start_dispatcher = start_forked
    return gate.main(["--client", client, "--amanda-config", "daily"])


def find_dispatcher() -> int:
    """Return the process that holds the dispatcher's lock; NOBODY if none does."""
    try:
        descriptor = os.open(f"{STATE}/dispatcher.lock", os.O_RDWR)
    except FileNotFoundError:
        return NOBODY
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        words = os.pread(descriptor, 100, 0).split()
        return int(words[0]) if words else NOBODY
    finally:
        os.close(descriptor)
    return NOBODY


def kill_dispatcher() -> None:
    """Kill the dispatcher that there is."""
    os.kill(find_dispatcher(), signal.SIGKILL)
    until(lambda: find_dispatcher() == NOBODY, "the dispatcher is gone")


# -- the client


class Agent:
    """One start of the agent: what it remembers, what it was told, and what it came to."""

    def __init__(self, memory: Memory, client: str = "laptop") -> None:
        self.memory = memory
        self.client = client
        self.result = ""
        self.told: list[list[str]] = []  # each end that it heard: the run, and its states
        self.unwritten: list[str] = []  # the runs whose end it heard that the ledger did not have
        self.on_ping: Callable[[], object] = bool
        self.on_running: Callable[[str], bool] = lambda _run: False  # whether it is to be cut off
        self.on_queued: Callable[[str], object] = bool  # is told why
        self._greeting = False
        self._wanted: tuple[str, ...] = ()

    def run(self) -> None:
        """Talk to the server until there is a result, over as many gates as it takes."""
        until(self._talk_once, "the agent has a result")

    def _talk_once(self) -> bool:
        gate_reads, self._out = os.pipe()
        incoming, gate_writes = os.pipe()
        pid = fork(partial(be_gate, self.client), gate_reads, gate_writes)
        os.close(gate_reads)
        os.close(gate_writes)
        try:
            self._greet()
            for message in self._hear(incoming):
                if self._take(message):
                    return True
        finally:
            for descriptor in (self._out, incoming):
                os.close(descriptor)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return bool(self.result)

    def _hear(self, incoming: int) -> Iterator[ServerMessage]:
        decoder, give_up_at = server_decoder(), time.monotonic() + PATIENCE
        while True:
            if not select.select([incoming], [], [], max(0, give_up_at - time.monotonic()))[0]:
                raise TooLongError("the server says something")
            received = os.read(incoming, 65536)
            if not received:
                return
            yield from decoder.feed(received)  # type: ignore[misc]  # our server says no BadLine

    def _say(self, message: ClientMessage) -> None:
        with suppress(BrokenPipeError):
            os.write(self._out, encode(message))

    def _greet(self) -> None:
        self._greeting = True
        self._say(Hello(PROTOCOLS, "a test", False, self.memory.ticket, self.client))

    def _take(self, message: ServerMessage) -> bool:
        """Go on as the agent does; return whether this talk is over."""
        match message:
            case Ping():
                self.on_ping()
                self._say(Pong())
            case Again():
                self._greet()
            case Welcome():
                return self._heed(message)
            case Running() | Progress():
                self._note_run(message.run)
                return self.on_running(message.run)
            case Finished():
                if not _has_end(self.client, message):
                    self.unwritten.append(message.run)
                return bool(self.memory.started) and self._finish(message)
            case Later() | Refused():
                return self._end(f"{type(message).__name__}: {message}")
            case Queued():
                self.on_queued(message.reason)
        return False

    def _heed(self, welcome: Welcome) -> bool:
        now = read_clock()
        self.memory = heed_welcome(self.memory, welcome, now)
        if welcome.last:
            self._note_end(welcome.last)
        if not self._greeting:
            return False
        self._greeting = False
        started = self.memory.started
        if started and (end := find_end(welcome, started.run, started.started_at)):
            return self._finish(end)
        if not started:
            self.memory = settle_unseen(self.memory, welcome)
        decision = decide_by_gate(self.memory, POLICY, (), now)
        if isinstance(decision, NotDue) and (not started or welcome.standing == "idle"):
            return self._end("not due")
        if not started:
            self._wanted = decision.wanted
            self.memory = note_start(self.memory, Started(now, now, os.getpid()))
        self._say(Submit())
        return False

    def _note_run(self, run: str) -> None:
        if run and self.memory.started:
            self.memory = replace(self.memory, started=replace(self.memory.started, run=run))

    def _note_end(self, end: Finished) -> None:
        told = [end.run, *(f"{v.disk} {v.state.value}" for v in end.verdicts)]
        if told not in self.told:
            self.told.append(told)

    def _finish(self, end: Finished) -> bool:
        self._note_end(end)
        verdict = judge_finished(self._wanted, end, self.memory.confirmed)
        return self._end("backed up" if isinstance(verdict, BackedUp) else verdict.reference)

    def _end(self, result: str) -> bool:
        self.result = result
        self._say(Bye())
        return True


# -- one window


class Window:
    """One scene, with a dispatcher that is killed before a step of it ("": at none)."""

    def __init__(self, fatal: str) -> None:
        self.fatal = fatal
        self.agent = Agent(Memory(since=read_clock()))
        self.has_keeper = self.is_shown = True
        self._wipe()

    @staticmethod
    def _wipe() -> None:
        for place in (STATE, HOLDING, LOGDIR, f"{LOGDIR}/oldlog", "/var/lib/amanda/daily/curinfo"):
            folder = Path(place)
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        for name in (ARMED, JOURNAL, ROOT, GO_ON, LEAVE, STARTS):
            Path(name).unlink(missing_ok=True)
        held = Path(HOLDING, HELD)
        held.parent.mkdir()
        held.write_bytes(b"a dump of before")

    def play(self, scene: str) -> dict[str, Any]:
        """Play a scene; return what there is afterwards."""
        {
            "a backup": self._play_backup,
            "a run that goes on": self._play_adoption,
            "a run that has ended": self._play_late_adoption,
            "a lost ledger": self._play_lost_ledger,
            "another client": self._play_another,
            "somebody else": self._play_somebody_else,
        }[scene]()
        Path(LEAVE).touch()
        self._rest()
        second = Agent(replace(self.agent.memory, started=None))
        second.run()
        self._rest()
        return {
            "steps": Path(JOURNAL).read_text("utf-8").splitlines(),
            "result": self.agent.result,
            "then": second.result,
            "told": [*self.agent.told, *second.told],
            "unwritten": [*self.agent.unwritten, *second.unwritten],
            "has_keeper": self.has_keeper,
            "is_shown": self.is_shown,
            "starts": [json.loads(line) for line in _read_lines(STARTS)],
            "left": sorted(_find_left()),
            "alive": _find_amdumps(),
            "ledger": _read_ledger(),
            "diary": _read_lines(f"{STATE}/dispatcher.log"),
        }

    def _arm(self) -> None:
        Path(ARMED).write_text(self.fatal, "utf-8")

    @staticmethod
    def _rest() -> None:
        """Return when the dispatcher has found nothing more to do, and has ended."""
        until(lambda: find_dispatcher() == NOBODY and not Path(ARMED).exists(), "all is done")

    def _let_go_on(self, run: str) -> bool:
        """Let the run go on to its end, as soon as its place in the holding disk is kept.

        And what was held before is no longer hidden.
        """
        if run and not Path(GO_ON).exists():
            self.has_keeper &= self._is_kept(run)
            self.is_shown &= _is_soon(_is_shown)
            Path(GO_ON).touch()
        return False

    @staticmethod
    def _is_kept(run: str) -> bool:
        """Return whether the run's place in the holding disk is kept, or is soon."""
        return _is_soon(Path(HOLDING, run, ".asyncamanda").exists)

    def _play_backup(self) -> None:
        self._arm()
        self.agent.on_running = self._let_go_on
        self.agent.run()

    def _begin_run(self) -> None:
        """Let a run begin, and cut off its client."""
        self.agent.on_running = bool
        until(lambda: self.agent._talk_once() or self.agent.result, "a run begins")

    def _play_adoption(self) -> None:
        self._begin_run()
        kill_dispatcher()
        self._play_backup()

    def _play_late_adoption(self) -> None:
        """Let a run end of which no ledger knows the name, for it had barely begun."""
        self.agent.on_running = lambda _run: True
        until(lambda: self.agent._talk_once() or self.agent.result, "a run begins")
        kill_dispatcher()
        for name in (ROOT, GO_ON, LEAVE):
            Path(name).touch()
        until(lambda: not _find_amdumps(), "the run has ended")
        self._play_backup()

    def _play_lost_ledger(self) -> None:
        """Take the ledger away while a run goes on, which ends when there is a new one.

        Not before the run's place is kept: who loses both at once knows of no run to keep it for.
        """
        is_taken, before = False, NOBODY

        def take_away(run: str) -> bool:
            nonlocal is_taken, before
            if not is_taken and not (run and self._is_kept(run)):
                return False
            if not is_taken:
                is_taken, before = True, find_dispatcher()
                with Path(JOURNAL).open("a", encoding="utf-8") as journal:
                    journal.write(f"{TAKEN_AWAY}\n")
                for path in Path(STATE).glob("ledger.sqlite*"):
                    path.unlink()
                until(
                    lambda: find_dispatcher() != before or _read_ledger().get("runs"),
                    "the run is written down anew",
                )
            return find_dispatcher() == before and self._let_go_on(run)

        self._arm()
        self.agent.on_running, self.agent.on_queued = take_away, self._go_on_alone
        self.agent.run()

    def _go_on_alone(self, why: str) -> None:
        """Let a run go on to its end of which nobody knows that it is ours."""
        if why == "others" and not Path(GO_ON).exists():
            self.has_keeper &= any(Path(HOLDING).glob("*/.asyncamanda"))
            Path(GO_ON).touch()

    def _play_somebody_else(self) -> None:
        """Let somebody else's run begin while the client is asked whether it is there."""

        def begin() -> None:
            if not Path(STARTS).exists():
                argv = ["setsid", "--fork", "amdump", "daily", "tower"]
                subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
                until(Path(STARTS).exists, "somebody else's run has begun")

        def go_on(why: str) -> None:
            if why == "others":
                Path(GO_ON).touch()

        self._arm()
        self.agent.on_ping, self.agent.on_queued = begin, go_on
        self.agent.on_running = self._let_go_on
        self.agent.run()

    def _play_another(self) -> None:
        """Let another client ask while a run that has barely begun is taken over.

        Its driver is not at work before the other client has waited for a while.
        """
        self.agent.on_running = lambda _run: True
        self._arm()
        until(lambda: self.agent._talk_once() or self.agent.result, "the run is taken over")
        other = Agent(Memory(since=read_clock()), "tower")

        def let_begin(_why: str) -> None:
            Timer(GIVEN_SECONDS, Path(ROOT).touch).start()

        other.on_queued, other.on_running = let_begin, self._let_go_on
        other.run()
        self.agent.on_running = self._let_go_on
        self.agent.run()


def _is_soon(condition: Callable[[], bool]) -> bool:
    with suppress(TooLongError):
        until(condition, "", SOON)
        return True
    return False


def _is_shown() -> bool:
    """Return whether the dump of before is hidden from nobody, and others may write beside it."""
    folder = Path(HOLDING, HELD).parent
    return os.access(folder, os.W_OK) and not (folder / "pid").exists()


def _has_end(client: str, end: Finished) -> bool:
    """Return whether the ledger has an end of which a client is told, with all its words."""
    until(_read_ledger, "the ledger is read")
    ledger = _read_ledger()
    stamps = {row["id"]: row["timestamp"] for row in ledger["runs"]}
    ends = {
        (row["client"], stamps.get(row["run_id"]))
        for row in ledger["requests"]
        if row["ended_at"] is not None
    }
    known = {(row["host"], row["disk"], row["timestamp"]) for row in ledger["verdicts"]}
    told = {(client, word.disk, word.timestamp) for word in end.verdicts}
    return (client, end.run) in ends and told <= known


def _read_lines(path: str) -> list[str]:
    with suppress(FileNotFoundError):
        return Path(path).read_text("utf-8").splitlines()
    return []


def _find_left() -> Iterator[str]:
    """Yield what lies in the state folder and the holding disk, but for what is to be there.

    What keeps heads, and what looks how far backups go back, are processes beside the dispatcher,
    which may have come to it or not.
    """
    for place in (STATE, HOLDING):
        for path in Path(place).rglob("*"):
            if not path.is_dir() and not path.name.startswith("ledger.sqlite-"):
                name = str(path.relative_to(place))
                if name not in KEPT and not name.startswith(BESIDE):
                    yield name


def _find_amdumps() -> list[int]:
    """Return the fake amdumps that are alive, also those that have not begun yet."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                words = (place / "cmdline").read_bytes().split(b"\0")
                if b"amdump" in [word.rpartition(b"/")[2] for word in words]:
                    found.append(int(place.name))
    return found


def _read_ledger() -> dict[str, list[dict[str, Any]]]:
    """Return all rows of some tables."""
    path = Path(STATE, "ledger.sqlite")
    if not path.exists():
        return {}
    tables = ("requests", "runs", "verdicts", "sessions", "protections")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        ledger.row_factory = sqlite3.Row
        with suppress(sqlite3.OperationalError):  # it is just being made
            return {
                table: [dict(row) for row in ledger.execute(f"SELECT * FROM {table}")]  # noqa: S608
                for table in tables
            }
    return {}


def main() -> None:
    """Play each window that is asked for."""
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = Window(asked["fatal"]).play(asked["scene"])
        except Exception:
            answer = {
                "error": traceback.format_exc(),
                "steps": _read_lines(JOURNAL),
                "diary": _read_lines(f"{STATE}/dispatcher.log"),
                "ledger": _read_ledger(),
            }
            with suppress(OSError):
                os.kill(find_dispatcher(), signal.SIGKILL)
            for pid in _find_amdumps():
                os.kill(pid, signal.SIGKILL)
        print(json.dumps(answer), flush=True)  # noqa: T201 - to the test


if __name__ == "__main__":
    main()
