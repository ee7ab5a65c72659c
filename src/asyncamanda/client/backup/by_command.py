"""By command: connect, run the command, judge by its status and by amandates."""

import os
import select
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from asyncamanda import quick
from asyncamanda.client.gate.faults import explain_not_connected
from asyncamanda.client.moments.moment import Guard
from asyncamanda.client.start.settings import Plan, find_password, warn_of_password
from asyncamanda.client.state.assessment import Assessment, read_disks
from asyncamanda.client.state.context import StartContext
from asyncamanda.client.state.memory import say_alive, write_memory
from asyncamanda.core.agent.by_command import (
    BackedUp,
    NotBackedUp,
    explain_status,
    find_moved,
    has_moved,
    judge_run,
    may_move,
)
from asyncamanda.core.agent.remember import note_end, note_start
from asyncamanda.core.model import Attempt, DumpRecord, Outcome, Started
from asyncamanda.errors import AsyncamandaError, LaterError, NotStoredError
from asyncamanda.report.text import format_time
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.processes import iterate_processes
from asyncamanda.system.ssh import (
    CommandEnd,
    Connection,
    Dropped,
    Ended,
    NotConnected,
    Stopped,
    connect,
)

LOOK_EVERY = timedelta(seconds=1)
MOVES_WITHIN = timedelta(seconds=10)  # after the command's end
LOOK_AGAIN_EVERY = 0.2  # seconds
_WRITER = "sendbackup"  # Amanda's program that makes a dump at the client, and writes amandates


class _Watcher:
    """What is done twice a second while the command runs: show progress, check, record "alive"."""

    def __init__(self, start: StartContext, started_at: datetime, guard: Guard) -> None:
        self._guard = guard
        self._plan = start.plan
        self._look = start.assessment
        self._memory = start.assessment.memory
        self._started_at = started_at
        self._narrator = start.narrator
        self._looked_at = started_at
        self._glimpse = quick.glimpse(str(start.plan.amandates))
        self._told: set[DumpRecord] = set()

    def tick(self) -> None:
        now = read_clock()
        self._guard.vigil.tick(lambda: self._look.decision)
        self._guard.tick()  # leaving does not stop an amdump, so it goes on to its end
        self._memory = say_alive(self._plan.state, self._memory, now)
        glimpse = quick.glimpse(str(self._plan.amandates))
        if glimpse != self._glimpse and now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            with suppress(AsyncamandaError):  # it is being written; the next check comes soon
                after, _ = read_disks(
                    self._plan.amandates, self._look.memory, now, lock_within=timedelta(0)
                )
                self._tell_dumps(find_moved(self._look.disks, after))
                self._glimpse = glimpse
        self._narrator.show_run(self._started_at, now, len(self._told))

    def _tell_dumps(self, moved: tuple[DumpRecord, ...]) -> None:
        for dump in moved:
            if dump not in self._told:
                self._told.add(dump)
                self._narrator.tell(f"amandates has {dump.disk} now (level {dump.level})")


def back_up(start: StartContext, guard: Guard) -> Attempt:
    """Run the plan's command at the server, and return how that went.

    Raises what agent.back_up() raises.
    """
    plan, narrator = start.plan, start.narrator
    target = find_password(plan)
    warn_of_password(plan, narrator)
    narrator.note(f"connecting to {target}")
    started_at = read_clock()
    try:
        with connect(target, plan.options, start.stop, plan.state) as connection:
            narrator.tell(f"connected to {target}; running {plan.command}")
            return _run(start, connection, guard)
    except NotConnected as failure:
        outcome, error = explain_not_connected(failure.fault, plan.target, has_gate=False)
        attempt = Attempt(started_at, read_clock(), outcome, error.message)
        try:
            write_memory(plan.state, note_end(start.assessment.memory, attempt))
        except AsyncamandaError as trouble:
            narrator.tell(f"warning: {trouble.message}")
        raise error from None


def _run(start: StartContext, connection: Connection, guard: Guard) -> Attempt:
    plan, assessment, narrator = start.plan, start.assessment, start.narrator
    assert plan.command  # without a command the gate would be asked
    started_at = read_clock()
    started = Started(started_at, started_at, os.getpid())
    assessment = replace(assessment, memory=note_start(assessment.memory, started))
    write_memory(plan.state, assessment.memory)
    watcher = _Watcher(replace(start, assessment=assessment), started_at, guard)
    guard.begin()
    end = connection.run(
        plan.command, lambda line: narrator.tell(f"the server says: {line}"), watcher.tick
    )
    attempt, error = _judge(plan, assessment, started_at, end, start.stop)
    try:
        write_memory(plan.state, note_end(assessment.memory, attempt))
    except AsyncamandaError as trouble:  # then the next start finds a run whose end nobody saw
        if error is None:
            raise
        narrator.tell(f"warning: {trouble.message}")
    if error:
        raise error
    return attempt


def _judge(
    plan: Plan, assessment: Assessment, started_at: datetime, end: CommandEnd, stop: StopRequest
) -> tuple[Attempt, AsyncamandaError | None]:
    """Return what is to be remembered of the run, and the error if it was not a backup."""
    assert plan.command
    ended_at = read_clock()
    if not isinstance(end, Ended):
        return _judge_unseen(plan, started_at, ended_at, end)
    try:
        moved = _find_moved(plan, assessment, end.status, stop)
    except AsyncamandaError as error:
        words = f"ended with {explain_status(plan.command, end.status)}, but {error.message}"
        return Attempt(started_at, ended_at, Outcome.FAILED, words, end.status), error
    match judge_run(plan.command, end.status, assessment.decision.wanted, moved):
        case BackedUp(dumps, remark):
            good = Attempt(started_at, ended_at, Outcome.BACKED_UP, remark, end.status, dumps)
            return good, None
        case NotBackedUp(reference, message, hint, dumps, outcome):
            bad = Attempt(started_at, ended_at, outcome, message, end.status, dumps)
            # a failure of another client is reported once the backup is stale
            is_ours = outcome not in {Outcome.DOUBTFUL, Outcome.NOBODY}
            kind = NotStoredError if is_ours else LaterError
            return bad, kind(reference, message, hint)


def _find_moved(
    plan: Plan, assessment: Assessment, status: int, stop: StopRequest
) -> tuple[DumpRecord, ...]:
    """Return which disks have moved forward in amandates.

    amgtar's dumps (APPLICATION) end at the server before the client writes amandates, so where a
    wanted one has not moved this checks again, for a while. So it does while Amanda's client is at
    work: in a first run nobody knows what is to come.
    """
    assert plan.command
    began_at = read_clock()
    while True:
        now = read_clock()
        after, _ = read_disks(plan.amandates, assessment.memory, now, stop=stop)
        moved = find_moved(assessment.disks, after)
        is_over = not began_at <= now < began_at + MOVES_WITHIN or stop.signal
        if is_over or not may_move(plan.command, status):
            return moved
        if has_moved(assessment.decision.wanted, moved) and not _is_dumping():
            return moved
        select.select([stop], [], [], LOOK_AGAIN_EVERY)


def _is_dumping() -> bool:
    """Return whether Amanda's client makes a dump, at whose end it writes amandates."""
    return any(process.name == _WRITER for process in iterate_processes())


def _judge_unseen(
    plan: Plan, started_at: datetime, ended_at: datetime, end: Dropped | Stopped
) -> tuple[Attempt, AsyncamandaError]:
    host = plan.target.host
    if isinstance(end, Dropped):
        detail = f"the connection to {host} broke while the command ran"
        said = f" (ssh: {end.line})" if end.line else ""
        outcome, reference = Outcome.LOST, "connection-lost"
    else:
        detail, said = f"stopped by {end.signal_name}", ""
        outcome, reference = Outcome.INTERRUPTED, "stopped"
    until = ended_at + plan.policy.settle
    error = LaterError(
        reference,
        f"{detail}{said}; it may still be running on {host}, and does not count as a backup",
        f"no second one is started before {format_time(until)}; the first start after that backs "
        f"up again",
    )
    return Attempt(started_at, ended_at, outcome, detail), error
