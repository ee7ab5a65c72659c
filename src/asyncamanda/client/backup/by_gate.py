"""Gate mode: ask the server for a backup, stay on the line, and believe its verdict."""

import select
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NoReturn, assert_never

from asyncamanda.client.gate.faults import explain_not_connected
from asyncamanda.client.gate.gatefaults import (
    KILLED,
    RequestStanding,
    explain_closed,
    explain_garbled,
    explain_lost,
    explain_put_off,
    explain_refused,
    explain_stop,
    explain_turned,
)
from asyncamanda.client.gate.handshake import make_hello
from asyncamanda.client.gate.session import Closed, Garbled, GateSession
from asyncamanda.client.gate.streams import Streams, ending
from asyncamanda.client.moments.moment import Guard
from asyncamanda.client.start.settings import find_password, warn_of_password
from asyncamanda.client.state.attempts import AttemptRecord
from asyncamanda.client.state.context import StartContext
from asyncamanda.core.agent.by_command import NotBackedUp
from asyncamanda.core.agent.by_gate import (
    conclude,
    decide_by_gate,
    find_end,
    heed_refusal,
    heed_welcome,
    judge_finished,
    settle_unseen,
    shift_clock,
)
from asyncamanda.core.agent.due import Decision, NotDue, force_due
from asyncamanda.core.agent.reconnect import Break, plan_reconnect
from asyncamanda.core.conditions.judge import Deferred
from asyncamanda.core.model import Attempt, Outcome, Started
from asyncamanda.core.protocol.authority import ALLOWED
from asyncamanda.core.protocol.messages import (
    ALL_PARKED,
    Again,
    Finished,
    Later,
    Progress,
    Queued,
    Refused,
    Running,
    Submit,
    Welcome,
)
from asyncamanda.core.values.interval import format_age, format_interval
from asyncamanda.errors import LaterError, NotStoredError
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.endings import CANNOT_BE_ENDED
from asyncamanda.system.ssh import NotConnected, Stopped, connect

WELCOME_WITHIN = timedelta(seconds=60)  # a dispatcher may have to start, and to read old logs
MOST_TIMES_ANEW = 20  # dispatchers that one line may wear out
LONGEST_NAP = 1.0  # seconds: then the wall clock is looked at again


def back_up(start: StartContext, guard: Guard, *, force: bool) -> Attempt | NotDue:
    """Ask the server's gate for a backup, and return how it went.

    NotDue if the server has one that this machine did not know of. A connection that breaks is
    made anew. Raises what agent.back_up() raises.
    """
    plan, stop = start.plan, start.stop
    target = find_password(plan)
    warn_of_password(plan, start.narrator)
    start.narrator.note(f"connecting to {target}")
    asking = _Asking(start, guard, force=force)
    while True:
        result: Attempt | NotDue | Closed | None = None
        try:
            with (
                connect(target, plan.options, stop, plan.state) as connection,
                connection.talk(ALLOWED) as session,
                ending(Streams(connection, plan.amandad), start.narrator.tell) as streams,
            ):
                result = asking.talk(GateSession(session, streams, stop))
        except NotConnected as failure:
            result = asking.bear_no_connection(failure)
        except LaterError as error:
            if error.reference != CANNOT_BE_ENDED or not isinstance(result, Attempt | NotDue):
                asking.bear_stuck(error)
                raise
            start.narrator.tell(f"warning: {error.message}")
        if not isinstance(result, Closed):
            return result
        asking.wait_to_reconnect(result)


class _Asking:
    """What one start is at with the server, over as many lines as it takes."""

    def __init__(self, start: StartContext, guard: Guard, *, force: bool) -> None:
        self._plan = start.plan
        self._narrator = start.narrator
        self._stop = start.stop
        self._guard = guard
        self._turned: Deferred | None = None
        self._is_forced = force
        self._wanted = start.assessment.decision.wanted
        self._record = AttemptRecord(start.plan.state, start.assessment.memory, start.narrator)
        self._is_running = False
        self._is_skew_told = False
        self._break: Break | None = None
        self._welcomed_at: datetime | None = None  # on the line of now
        self._times_anew = 0

    # -- one line

    def talk(self, line: GateSession) -> Attempt | NotDue | Closed:
        """Talk to the end, and return what it is; Closed if the line is to be made anew.

        Raises the error for every other end, remembered by then.
        """
        self._greet(line)
        for heard in line.listen(self._tick):
            match heard:
                case Welcome() | Again():
                    if result := self._hear_greeting(line, heard):
                        return result
                case Queued() | Running() | Progress():
                    self._follow(heard)
                case Finished():
                    if self._record.started:
                        return self._finish(line, heard, self._record.started)
                case Closed():
                    return self._close(line, heard)
                case Later() | Refused() | Garbled() | Stopped():
                    self._give_up(line, heard)
                case _:
                    assert_never(heard)
        raise AssertionError("the last event of a session is how it ended")

    def _tick(self) -> None:
        """Say that we live; leave if conditions are no longer met and the run may be left."""
        self._record.say_alive()
        self._guard.vigil.tick(self._decide)
        turned = self._guard.tick()
        if turned is None or self._is_forced or self._turned:
            return
        if self._guard.may_stop(turned) or self._standing is not RequestStanding.RUNNING:
            self._turned = turned
            self._stop.ask()

    def _decide(self) -> Decision:
        return decide_by_gate(self._record.memory, self._plan.policy, (), read_clock())

    def _greet(self, line: GateSession) -> None:
        hello = make_hello(self._record.memory.ticket, is_watching=self._narrator.is_watching)
        line.greet(hello, max(WELCOME_WITHIN, self._plan.options.connect_timeout))

    def _hear_greeting(
        self, line: GateSession, heard: Welcome | Again
    ) -> Attempt | NotDue | Closed | None:
        return self._welcomed(line, heard) if isinstance(heard, Welcome) else self._begin_anew(line)

    def _begin_anew(self, line: GateSession) -> Closed | None:
        """Greet another dispatcher; Closed if there were too many on this line."""
        self._times_anew += 1
        if self._times_anew > MOST_TIMES_ANEW:
            return Closed(f"{self._plan.target.host} keeps restarting the session")
        self._greet(line)
        return None

    def _welcomed(self, line: GateSession, welcome: Welcome) -> Attempt | NotDue | None:
        """Heed what the server says; where it answers our Hello, go on from there."""
        now = read_clock()
        welcome, ahead = shift_clock(welcome, now)
        if ahead and not self._is_skew_told:
            self._is_skew_told = True
            way = "ahead of" if ahead > timedelta(0) else "behind"
            self._narrator.tell(
                f"warning: the server's clock is {format_age(abs(ahead))} {way} this machine's"
            )
        self._record.memory = heed_welcome(self._record.memory, welcome, now)
        if not line.is_greeting:
            self._record.write()
            return None
        line.welcome(welcome.heartbeat)
        self._welcomed_at = self._welcomed_at or now
        self._is_running = welcome.standing == "running"
        if started := self._record.started:
            return self._resume(line, welcome, started)
        return self._begin(line, welcome, now)

    def _begin(self, line: GateSession, welcome: Welcome, now: datetime) -> NotDue | None:
        """Ask for a backup, if one is due by what the server now says."""
        memory = self._record.memory = settle_unseen(self._record.memory, welcome)
        decision = decide_by_gate(memory, self._plan.policy, (), now)
        if isinstance(decision, NotDue) and not self._is_forced:
            self._record.write()
            line.leave()
            return decision
        if self._is_forced:
            decision = force_due(decision, self._plan.policy)
        self._wanted = decision.wanted
        self._record.begin(now)
        words = {
            "idle": f"asking for a backup of {welcome.client}",
            "queued": f"joining the request of {welcome.client} that is already waiting",
            "running": f"joining the run with {welcome.client} that is already in progress",
        }
        self._narrator.tell(f"connected to {self._plan.target}; {words[welcome.standing]}")
        line.say(Submit())
        return None

    def _resume(
        self, line: GateSession, welcome: Welcome, started: Started
    ) -> Attempt | NotDue | None:
        """Go on after a break: with the end of our run, if it has ended, or in its midst."""
        self._record.write()
        if end := find_end(welcome, started.run, started.started_at):
            return self._finish(line, end, started)
        decision = decide_by_gate(self._record.memory, self._plan.policy, (), read_clock())
        if welcome.standing == "idle" and isinstance(decision, NotDue) and not self._is_forced:
            detail = "the connection broke; the server has all backups that are due"
            self._record.end(self._record.attempt(Outcome.LOST, detail))
            line.leave()
            return decision
        self._narrator.note(f"connected to {self._plan.target} again")
        line.say(Submit())
        return None

    def _follow(self, message: Queued | Running | Progress) -> None:
        self._is_running = not isinstance(message, Queued)
        if not isinstance(message, Queued):
            self._guard.begin()
            self._record.note_run(message.run)
        self._narrator.hear(message)

    def _finish(self, line: GateSession, finished: Finished, started: Started) -> Attempt:
        """Judge the run, remember it, and return it. Raises NotStoredError if it is no backup."""
        self._narrator.hear(finished)
        memory = self._record.memory
        wanted = tuple(disk for disk in self._wanted if disk not in memory.parked)  # by now
        verdict = judge_finished(wanted, finished, memory.confirmed)
        attempt = conclude(verdict, started.started_at, read_clock(), finished.run)
        error = None
        if isinstance(verdict, NotBackedUp):
            error = NotStoredError(verdict.reference, verdict.message, verdict.hint)
        try:
            self._record.end(attempt, error)
        finally:
            line.leave()
        return attempt

    # -- ends without a verdict

    def _give_up(self, line: GateSession, heard: Later | Refused | Garbled | Stopped) -> NoReturn:
        """Raise the error that `heard` comes to, after remembering the attempt as that."""
        target = self._plan.target
        if isinstance(heard, Stopped):
            self._stop_here(line, heard.signal_name)
        if isinstance(heard, Garbled):
            self._record.fail(Outcome.REFUSED, explain_garbled(heard, target))
        if isinstance(heard, Refused):
            error = explain_refused(heard)
            self._record.memory = heed_refusal(self._record.memory, heard)
            is_parked = heard.reference == ALL_PARKED  # on purpose: whoever forced it is told
            error.is_told = error.is_told or is_parked
            is_later = is_parked or isinstance(error, LaterError)
            outcome = Outcome.LATER if is_later else Outcome.REFUSED
        else:
            until = read_clock() + heard.after
            self._record.memory = replace(self._record.memory, not_before=until)
            outcome, error = Outcome.LATER, explain_put_off(heard, until, target)
        # before its Welcome the server does not know of a run of ours
        self._record.fail(outcome, error, in_doubt=Outcome.LOST if line.is_greeting else outcome)

    def _stop_here(self, line: GateSession | None, signal_name: str) -> NoReturn:
        """Leave; a request that only waits is withdrawn, if there is a `line` to say so."""
        standing, in_doubt = self._standing, Outcome.INTERRUPTED
        if standing is RequestStanding.WAITING and line and not line.is_greeting:
            line.leave()
            in_doubt = Outcome.STOPPED
        elif standing is RequestStanding.WAITING:
            standing = RequestStanding.RUNNING  # by the time that the server notices, it may
        if self._turned:
            is_left = in_doubt is Outcome.INTERRUPTED
            error = explain_turned(self._turned, standing, self._plan.target)
            outcome = Outcome.PAUSED if is_left else Outcome.DEFERRED
            self._record.fail(Outcome.DEFERRED, error, in_doubt=outcome)
        error = explain_stop(signal_name, standing, self._plan.target)
        self._record.fail(Outcome.STOPPED, error, in_doubt=in_doubt)

    @property
    def _standing(self) -> RequestStanding:
        if self._record.started is None:
            return RequestStanding.UNASKED
        return RequestStanding.RUNNING if self._is_running else RequestStanding.WAITING

    def _close(self, line: GateSession, closed: Closed) -> Closed:
        """Return how the line ended, if another may do better; else raise what it comes to."""
        if line.is_greeting and closed.status is not None and closed.status < KILLED:
            error = explain_closed(closed, self._plan.target)
            is_later = isinstance(error, LaterError)
            self._record.fail(Outcome.UNREACHABLE if is_later else Outcome.REFUSED, error)
        return closed

    def bear_stuck(self, error: LaterError) -> None:
        """Remember that a program of ours could not be ended: the next try waits."""
        if error.reference == CANNOT_BE_ENDED:
            self._record.fail(Outcome.UNREACHABLE, error)

    # -- between two lines

    def bear_no_connection(self, failure: NotConnected) -> Closed:
        """Return the failure as the end of one more line, if one has stood; else raise it."""
        if self._stop.signal and self._break:
            self._stop_here(None, self._stop.signal.name)
        outcome, error = explain_not_connected(failure.fault, self._plan.target)
        if self._break is None or not isinstance(error, LaterError):
            self._record.fail(outcome, error)
        return Closed(error.message)

    def wait_to_reconnect(self, closed: Closed) -> None:
        """Wait for the time of the next connection; raise once it is too late for one."""
        now = read_clock()
        stood = now - self._welcomed_at if self._welcomed_at else timedelta(0)
        self._welcomed_at, self._times_anew = None, 0
        patience = self._plan.reconnect_for
        self._break, next_at = plan_reconnect(self._break, patience, now, stood)
        if next_at is None:
            error = explain_lost(closed, self._standing, self._plan.target)
            self._record.fail(Outcome.UNREACHABLE, error)
        self._narrator.note(f"{closed.words}; connecting again in {format_interval(next_at - now)}")
        while now <= (at := read_clock()) < next_at:  # a clock that is set back ends it as well
            if self._stop.signal:
                self._stop_here(None, self._stop.signal.name)
            self._guard.vigil.tick(self._decide)
            select.select([self._stop], [], [], min((next_at - at).total_seconds(), LONGEST_NAP))
