"""Gate mode's request: what the agent says to the server, and how it handles the answers."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import NoReturn, assert_never

from asyncamanda.client.gate.gatefaults import (
    KILLED,
    RequestStanding,
    explain_closed,
    explain_garbled,
    explain_put_off,
    explain_refused,
    explain_stop,
    explain_turned,
)
from asyncamanda.client.gate.handshake import make_hello
from asyncamanda.client.gate.reporting import Reporter
from asyncamanda.client.gate.session import Closed, Garbled, GateSession
from asyncamanda.client.moments.moment import Guard
from asyncamanda.client.state.attempts import AttemptRecord
from asyncamanda.client.state.context import StartContext
from asyncamanda.core.agent.by_command import NotBackedUp
from asyncamanda.core.agent.by_gate import (
    decide_by_gate,
    find_end,
    heed_refusal,
    heed_welcome,
    settle_unseen,
    shift_clock,
)
from asyncamanda.core.agent.due import Decision, NotDue, force_due
from asyncamanda.core.agent.finished import conclude, judge_finished
from asyncamanda.core.conditions.judge import Deferred, explain_deferred
from asyncamanda.core.conditions.rate import NO_EFFECT
from asyncamanda.core.model import Attempt, Outcome, Started
from asyncamanda.core.protocol.messages import (
    ALL_PARKED,
    Again,
    Finished,
    Later,
    Noted,
    Progress,
    Queued,
    Refused,
    Running,
    Submit,
    Welcome,
)
from asyncamanda.core.values.interval import format_age
from asyncamanda.errors import AsyncamandaError, LaterError, NotStoredError
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.ssh import Stopped

WELCOME_WITHIN = timedelta(seconds=60)  # a dispatcher may have to start, and to read old logs
MOST_RESTARTS = 20  # dispatchers that may replace each other in one session


class BackupRequest:
    """What one start has asked the server for, over as many sessions as it takes."""

    def __init__(self, start: StartContext, guard: Guard, *, force: bool) -> None:
        self._plan = start.plan
        self._narrator = start.narrator
        self._stop = start.stop
        self._guard = guard
        self._turned: Deferred | None = None
        self._is_forced = force
        self._wanted = start.assessment.decision.wanted
        self._record = AttemptRecord(start.plan.state, start.assessment.memory, start.narrator)
        self._reporter = Reporter(start.plan.policy, start.assessment.use)
        self._is_running = False
        self._is_skew_told = False
        self._welcomed_at: datetime | None = None  # in the present session
        self._restarts = 0

    # -- one session

    def talk(self, session: GateSession) -> Attempt | NotDue | Closed:
        """Talk to the end, and return the result; Closed if another session is needed.

        Raises the error for every other end, remembered by then.
        """
        self._greet(session)
        for heard in session.listen(self._tick):
            match heard:
                case Welcome() | Again():
                    if result := self._hear_greeting(session, heard):
                        return result
                case Queued() | Running() | Progress():
                    self._follow(heard)
                case Finished():
                    if self._record.started:
                        return self._finish(session, heard, self._record.started)
                case Noted():
                    pass  # a start that reports a proof has a session of its own
                case Closed():
                    return self._close(session, heard)
                case Later() | Refused() | Garbled() | Stopped():
                    self._give_up(session, heard)
                case _:
                    assert_never(heard)
        raise AssertionError("the last event of a session is how it ended")

    def _tick(self) -> None:
        """Record that this start is alive; leave if conditions are no longer met and it may."""
        self._record.say_alive()
        self._guard.vigil.tick(self._decide)
        turned = self._guard.tick()
        if turned is None or self._is_forced or self._turned:
            return
        if self._guard.may_stop(turned) or self.standing is not RequestStanding.RUNNING:
            self._turned = turned
            self._stop.ask()

    def _decide(self) -> Decision:
        return decide_by_gate(self._record.memory, self._plan.policy, (), read_clock())

    def _greet(self, session: GateSession) -> None:
        hello = make_hello(self._record.memory.ticket, is_watching=self._narrator.is_watching)
        session.greet(hello, max(WELCOME_WITHIN, self._plan.options.connect_timeout))

    def _hear_greeting(
        self, session: GateSession, heard: Welcome | Again
    ) -> Attempt | NotDue | Closed | None:
        return (
            self._welcomed(session, heard) if isinstance(heard, Welcome) else self._restart(session)
        )

    def _restart(self, session: GateSession) -> Closed | None:
        """Greet another dispatcher; Closed if there were too many in this session."""
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            return Closed(f"{self._plan.target.host} keeps restarting the session")
        self._greet(session)
        return None

    def _welcomed(self, session: GateSession, welcome: Welcome) -> Attempt | NotDue | None:
        """Remember what the server says; where it answers the Hello, go on from there."""
        now = read_clock()
        welcome, ahead = shift_clock(welcome, now)
        if ahead and not self._is_skew_told:
            self._is_skew_told = True
            way = "ahead of" if ahead > timedelta(0) else "behind"
            self._narrator.tell(
                f"warning: the server's clock is {format_age(abs(ahead))} {way} this machine's"
            )
        if welcome.is_direct and self._guard.end_limit():
            self._narrator.note(NO_EFFECT)
        self._record.memory = heed_welcome(self._record.memory, welcome, now)
        if not session.is_greeting:
            self._record.write()
            return None
        session.welcome(welcome.heartbeat)
        self._reporter.hear(session, welcome)
        self._welcomed_at = self._welcomed_at or now
        self._is_running = welcome.standing == "running"
        if started := self._record.started:
            return self._resume(session, welcome, started)
        return self._begin(session, welcome, now)

    def _begin(self, session: GateSession, welcome: Welcome, now: datetime) -> NotDue | None:
        """Ask for a backup, if one is due by what the server now says."""
        memory = self._record.memory = settle_unseen(self._record.memory, welcome)
        decision = decide_by_gate(memory, self._plan.policy, (), now)
        if isinstance(decision, NotDue) and not self._is_forced:
            self._record.write()
            session.leave()
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
        session.say(Submit())
        return None

    def _resume(
        self, session: GateSession, welcome: Welcome, started: Started
    ) -> Attempt | NotDue | None:
        """Go on after a break: with the end of the run, if it has ended, or in the middle of it."""
        self._record.write()
        if end := find_end(welcome, started.run, started.started_at):
            return self._finish(session, end, started)
        decision = decide_by_gate(self._record.memory, self._plan.policy, (), read_clock())
        if welcome.standing == "idle" and isinstance(decision, NotDue) and not self._is_forced:
            detail = "the connection broke; the server has all backups that are due"
            self._record.end(self._record.attempt(Outcome.LOST, detail))
            session.leave()
            return decision
        self._narrator.note(f"connected to {self._plan.target} again")
        session.say(Submit())
        return None

    def _follow(self, message: Queued | Running | Progress) -> None:
        self._is_running = not isinstance(message, Queued)
        if not isinstance(message, Queued):
            self._guard.begin()
            self._record.note_run(message.run)
        self._narrator.hear(message)

    def _finish(self, session: GateSession, finished: Finished, started: Started) -> Attempt:
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
            session.leave()
        return attempt

    # -- ends without a verdict

    def _give_up(
        self, session: GateSession, heard: Later | Refused | Garbled | Stopped
    ) -> NoReturn:
        """Raise the error that follows from `heard`, after remembering the attempt as that."""
        target = self._plan.target
        if isinstance(heard, Stopped):
            self.stop_here(session, heard.signal_name)
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
        # before its Welcome the server does not know about this client's run
        self._record.fail(outcome, error, in_doubt=Outcome.LOST if session.is_greeting else outcome)

    def stop_here(self, session: GateSession | None, signal_name: str) -> NoReturn:
        """Leave; a request that only waits is withdrawn, if there is a `session` to say so in."""
        standing, in_doubt = self.standing, Outcome.INTERRUPTED
        if self._turned and session and not session.is_greeting:
            self._reporter.put_off(session, explain_deferred(self._turned))
        if standing is RequestStanding.WAITING and session and not session.is_greeting:
            session.leave()
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
    def standing(self) -> RequestStanding:
        if self._record.started is None:
            return RequestStanding.UNASKED
        return RequestStanding.RUNNING if self._is_running else RequestStanding.WAITING

    def _close(self, session: GateSession, closed: Closed) -> Closed:
        """Return how the session ended, if another may do better; otherwise raise its error."""
        if session.is_greeting and closed.status is not None and closed.status < KILLED:
            error = explain_closed(closed, self._plan.target)
            is_later = isinstance(error, LaterError)
            self._record.fail(Outcome.UNREACHABLE if is_later else Outcome.REFUSED, error)
        return closed

    # -- between two sessions

    def end_session(self, now: datetime) -> timedelta:
        """Return for how long the session that has ended stood after its welcome."""
        stood = now - self._welcomed_at if self._welcomed_at else timedelta(0)
        self._welcomed_at, self._restarts = None, 0
        return stood

    def fail(self, outcome: Outcome, error: AsyncamandaError) -> NoReturn:
        """Raise `error`, after remembering the attempt as that."""
        self._record.fail(outcome, error)

    def watch(self) -> None:
        """Notify people if the backup becomes stale while there is no connection."""
        self._guard.vigil.tick(self._decide)
