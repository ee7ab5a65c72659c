"""Direct mode: lock, connect, run the command, judge, remember."""

import os
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from asyncamanda import quick
from asyncamanda.client.faults import explain_fault
from asyncamanda.client.look import LOCK_NAME, Look, look_around, read_disks
from asyncamanda.client.memory import make_folder, set_aside, unwritable, write_memory
from asyncamanda.client.plan import Plan, find_password
from asyncamanda.core.direct import BackedUp, NotBackedUp, explain_status, find_moved, judge_run
from asyncamanda.core.due import NotDue, force_due
from asyncamanda.core.interval import format_age
from asyncamanda.core.model import Attempt, DumpRecord, Outcome, Started
from asyncamanda.core.remember import last_run, note_end, note_start
from asyncamanda.core.sshfault import ConnectFault
from asyncamanda.errors import AsyncamandaError, EverydayError, LaterError, NotStoredError
from asyncamanda.report.text import format_time, name_disks
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest, catch_stop
from asyncamanda.system.locks import Held, Holder, hold_lock
from asyncamanda.system.ssh import (
    CommandEnd,
    Connection,
    Dropped,
    Ended,
    NotConnected,
    Stopped,
    connect,
)

ALIVE_EVERY = timedelta(minutes=1)
LOOK_EVERY = timedelta(seconds=1)


class Narrator(Protocol):
    """Who hears what is going on."""

    def note(self, text: str) -> None:
        """Hear of something that matters only to somebody who watches."""

    def tell(self, text: str) -> None:
        """Hear of something that belongs in every diary."""

    def show_run(self, started_at: datetime, now: datetime, noted: int) -> None:
        """Hear that the command still runs, and how many disks it has noted in amandates."""


def back_up(plan: Plan, narrator: Narrator, *, force: bool) -> Attempt | NotDue:
    """Back up, if that is due or `force` says so, and return how it went.

    Raises LaterError (running already, unreachable, the end not seen), RefusedError, and
    NotStoredError if the run ended and a wanted disk is not backed up; what happened is
    remembered by then.
    """
    with ExitStack() as stack:
        _lock(stack, plan)
        stop = stack.enter_context(catch_stop())
        look = look_around(plan, read_clock(), stop)
        if look.damage:
            aside = set_aside(plan.state, look.memory, look.now)
            narrator.tell(
                f"warning: {look.damage}; it is set aside as {aside.name}. Whether the last "
                "backup was good is forgotten with it, so a new one is due"
            )
        if isinstance(look.decision, NotDue) and not force:
            return look.decision
        if look.settles_at:
            raise _unsettled(last_run(look.memory), look.settles_at)
        if not force and (until := look.next_try_at):
            raise EverydayError(
                "tried-lately",
                f"the last run went well and did not dump {name_disks(look.decision.wanted)}; "
                f"the next try is at {format_time(until)}",
                "--force tries now; `disks` in client.toml names the disks that matter",
            )
        if force:
            look = replace(look, decision=force_due(look.decision, plan.policy))
        return _attempt(plan, look, narrator, stop)


def _lock(stack: ExitStack, plan: Plan) -> None:
    try:
        make_folder(plan.state)
        stack.enter_context(hold_lock(plan.state / LOCK_NAME, read_clock()))
    except Held as held:
        raise already_running(held.holder, read_clock()) from None
    except OSError as error:
        raise unwritable(plan.state, error) from error


def already_running(holder: Holder, now: datetime) -> LaterError:
    """Return the error that names who runs, and since when."""
    who = f"pid {holder.pid}" if holder.pid else "another asyncamanda"
    since = ""
    if holder.since:
        since = f" since {format_time(holder.since)} ({format_age(now - holder.since)} ago)"
    return LaterError(
        "already-running",
        f"a backup is running already: {who}{since}",
        "one at a time is enough; the next start looks again",
    )


def _unsettled(last: Attempt | None, settles_at: datetime) -> LaterError:
    assert last  # or nothing would have to settle
    return LaterError(
        "run-unsettled",
        f"the run of {format_time(last.started_at)} may still go on at the server "
        f"({last.detail}); no second one is started before {format_time(settles_at)}",
        "`settle` in client.toml says how long that is (classic form: one hour); amstatus on "
        "the server shows whether it runs",
    )


def _attempt(plan: Plan, look: Look, narrator: Narrator, stop: StopRequest) -> Attempt:
    target = find_password(plan)
    if plan.target.password:
        narrator.tell(
            "warning: everybody on this machine can read the password in the command line. "
            "Better: a key (-k FILE), or a configuration file with password_file"
        )
    narrator.note(f"connecting to {target}")
    started_at = read_clock()
    try:
        with connect(target, plan.options, stop, plan.state) as connection:
            narrator.tell(f"connected to {target}; running {plan.command}")
            return _run(plan, look, narrator, connection, stop)
    except NotConnected as failure:
        error = _explain_not_connected(failure.fault, plan)
        outcome = Outcome.UNREACHABLE if isinstance(error, LaterError) else Outcome.REFUSED
        if failure.fault is None:
            outcome = Outcome.STOPPED
        attempt = Attempt(started_at, read_clock(), outcome, error.message)
        write_memory(plan.state, note_end(look.memory, attempt))
        raise error from None


def _explain_not_connected(fault: ConnectFault | None, plan: Plan) -> AsyncamandaError:
    if fault is None:
        return LaterError(
            "stopped", "stopped before the command was started", "nothing runs at the server"
        )
    return explain_fault(fault, plan.target)


class _Watcher:
    """What is done twice a second while the command runs: show, look, and say "I live"."""

    def __init__(self, plan: Plan, look: Look, started: Started, narrator: Narrator) -> None:
        self._plan = plan
        self._look = look
        self._started = started
        self._narrator = narrator
        self._looked_at = started.started_at
        self._glimpse = quick.glimpse(str(plan.amandates))
        self._told: set[DumpRecord] = set()

    def tick(self) -> None:
        now = read_clock()
        if now - self._started.alive_at >= ALIVE_EVERY:
            self._started = replace(self._started, alive_at=now)
            with suppress(AsyncamandaError):  # a full disk is no reason to leave the run
                write_memory(self._plan.state, note_start(self._look.memory, self._started))
        glimpse = quick.glimpse(str(self._plan.amandates))
        if glimpse != self._glimpse and now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            with suppress(AsyncamandaError):  # it is being written; the next look comes soon
                after, _ = read_disks(
                    self._plan.amandates, self._look.memory, now, lock_within=timedelta(0)
                )
                self._tell_dumps(find_moved(self._look.disks, after))
                self._glimpse = glimpse
        self._narrator.show_run(self._started.started_at, now, len(self._told))

    def _tell_dumps(self, moved: tuple[DumpRecord, ...]) -> None:
        for dump in moved:
            if dump not in self._told:
                self._told.add(dump)
                self._narrator.tell(f"amandates has {dump.disk} now (level {dump.level})")


def _run(
    plan: Plan, look: Look, narrator: Narrator, connection: Connection, stop: StopRequest
) -> Attempt:
    started_at = read_clock()
    started = Started(started_at, started_at, os.getpid())
    look = replace(look, memory=note_start(look.memory, started))
    write_memory(plan.state, look.memory)
    watcher = _Watcher(plan, look, started, narrator)
    end = connection.run(
        plan.command, lambda line: narrator.tell(f"the server says: {line}"), watcher.tick
    )
    attempt, error = _judge(plan, look, started_at, end, stop)
    try:
        write_memory(plan.state, note_end(look.memory, attempt))
    except AsyncamandaError as trouble:  # then the next start finds a run whose end nobody saw
        if error is None:
            raise
        narrator.tell(f"warning: {trouble.message}")
    if error:
        raise error
    return attempt


def _judge(
    plan: Plan, look: Look, started_at: datetime, end: CommandEnd, stop: StopRequest
) -> tuple[Attempt, AsyncamandaError | None]:
    """Return what is to be remembered of the run, and the error if it is no backup."""
    ended_at = read_clock()
    if not isinstance(end, Ended):
        return _judge_unseen(plan, started_at, ended_at, end)
    try:
        after, _ = read_disks(plan.amandates, look.memory, ended_at, stop=stop)
    except AsyncamandaError as error:
        words = f"ended with {explain_status(plan.command, end.status)}, but {error.message}"
        return Attempt(started_at, ended_at, Outcome.FAILED, words, end.status), error
    moved = find_moved(look.disks, after)
    match judge_run(plan.command, end.status, look.decision.wanted, moved):
        case BackedUp(dumps, remark):
            good = Attempt(started_at, ended_at, Outcome.BACKED_UP, remark, end.status, dumps)
            return good, None
        case NotBackedUp(reference, message, hint, dumps, outcome):
            bad = Attempt(started_at, ended_at, outcome, message, end.status, dumps)
            return bad, NotStoredError(reference, message, hint)


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
        f"{detail}{said}; it may go on at {host}, and does not count as a backup",
        f"no second one is started before {format_time(until)}; a start after that backs up anew",
    )
    return Attempt(started_at, ended_at, outcome, detail), error
