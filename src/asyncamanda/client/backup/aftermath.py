"""What follows when a start has ended: when to try again, and who is notified."""

import socket
from contextlib import suppress
from dataclasses import replace

from asyncamanda.client.moments.environment import look_at_surroundings
from asyncamanda.client.moments.moment import WAITED_FOR, note_wait
from asyncamanda.client.moments.stale_watch import forget_told, read_told
from asyncamanda.client.notify import channels
from asyncamanda.client.notify.channels import PingKind
from asyncamanda.client.notify.monthly import tell_month
from asyncamanda.client.start.folders import make_folder
from asyncamanda.client.start.settings import Plan
from asyncamanda.client.state.assessment import LOCK_NAME, Assessment, assess
from asyncamanda.client.state.context import StartContext
from asyncamanda.client.state.memory import read_memory, write_memory
from asyncamanda.client.state.summary import leave_attempt, show_standing
from asyncamanda.core.agent.alerts import (
    FAILURES,
    HINT,
    Alert,
    AlertKind,
    decide_proof_alert,
    judge_outcome,
    one_line,
    standing_failure,
    word_alert,
)
from asyncamanda.core.agent.due import NotDue, is_all_parked
from asyncamanda.core.agent.remember import (
    forget_tries,
    note_bad_run,
    note_end,
    note_unseen_end,
)
from asyncamanda.core.agent.retry import fingerprint
from asyncamanda.core.conditions.judge import Deferred
from asyncamanda.core.model import Attempt, BackupState, Memory, Outcome
from asyncamanda.errors import AsyncamandaError, NotStoredError
from asyncamanda.report.text import describe_attempt, name_disks
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.journal import JournalLine, Priority, write_journal
from asyncamanda.system.locks import Held, hold_lock


class Aftermath:
    """What follows from one start's end; nothing here changes its outcome."""

    def __init__(self, start: StartContext) -> None:
        self._plan = start.plan
        self._before = start.assessment
        self._narrator = start.narrator
        self._stop = start.stop
        self.deferred: Deferred | None = None
        self.error: AsyncamandaError | None = None  # which may not have been remembered

    def settle(self) -> None:
        """Remember when the next try is, and notify whom it concerns. Raises no AsyncamandaError.

        Where nothing can be remembered only the watchdog and the journal are told: others would be
        notified at each start.
        """
        with suppress(AsyncamandaError):  # amandates that cannot be read; the start has said so
            assessment = assess(self._plan, read_clock(), self._stop)
            attempt = self._own_attempt(assessment.memory)
            memory = self._plan_wait(assessment, attempt)
            is_lasting = self._write(memory)
            detail = describe_attempt(attempt) if attempt else ""
            self._say_end(assessment, attempt, detail)
            show_standing(self._plan, replace(assessment, memory=memory))
            if is_lasting:
                told = self._tell(assessment, attempt)
                after = replace(memory, told=told, is_unproved_told=self._tell_proofs(memory))
                if after != memory:
                    is_lasting = self._write(after)
                if is_lasting:
                    forget_told(self._plan.state)
                    self._tell_month(replace(assessment, memory=after))

    def _write(self, memory: Memory) -> bool:
        """Remember `memory`; return whether that could be done."""
        try:
            write_memory(self._plan.state, memory)
        except AsyncamandaError as error:
            self._narrator.note(f"warning: {error.message}")
            return False
        return True

    def _own_attempt(self, memory: Memory) -> Attempt | None:
        """Return the attempt that this start made, None if it made none."""
        last = memory.attempts[-1:]
        return last[0] if last != self._before.memory.attempts[-1:] else None

    def _plan_wait(self, assessment: Assessment, attempt: Attempt | None) -> Memory:
        memory = assessment.memory
        is_settled = isinstance(assessment.decision, NotDue) and not assessment.is_contact_due
        if is_settled:
            return forget_tries(memory)
        if self._plan.moments is None or attempt is None:
            return memory
        if attempt.outcome.has_run:
            return note_bad_run(memory, fingerprint(look_at_surroundings()))
        if attempt.outcome not in WAITED_FOR:
            return memory
        if self._before.memory.attempts[-1:] and not _is_alike(self._before.memory, attempt):
            memory = forget_tries(memory)
        seen = fingerprint(look_at_surroundings())
        return note_wait(memory, self._plan.moments, seen, self.deferred)

    def _tell(self, assessment: Assessment, attempt: Attempt | None) -> dict[str, BackupState]:
        """Notify whom it concerns; return what each channel was told by now."""
        failure = standing_failure(assessment.memory, assessment.decision)
        outcome = judge_outcome(attempt.outcome if attempt else None, assessment.decision, failure)

        def word(kind: AlertKind) -> Alert:
            why = failure if kind is AlertKind.FAILED else attempt
            return word_alert(
                kind,
                socket.gethostname(),
                assessment.now,
                assessment.decision.last_at,
                describe_attempt(why) if why else "",
                HINT if kind.is_alarm else "",
            )

        told, sent = channels.tell_change(
            self._plan.notify,
            assessment.memory.told | read_told(self._plan.state),
            outcome=outcome,
            is_stale=assessment.is_stale,
            word=word,
            state_folder=self._plan.state,
        )
        for each in sent:
            if each.problem:
                self._narrator.note(f"{each.channel} could not be notified: {each.problem}")
        return told

    def _tell_proofs(self, memory: Memory) -> bool:
        """Tell people if a disk is not proved restorable, or is again; return which they know.

        Why is not told, since it may name files.
        """
        kind = decide_proof_alert(memory)
        if kind is None:
            return memory.is_unproved_told
        detail = f"not proved: {name_disks(sorted(memory.unproved))}" if kind.is_alarm else ""
        hint = HINT if kind.is_alarm else ""
        alert = word_alert(kind, socket.gethostname(), read_clock(), detail=detail, hint=hint)
        sent = channels.tell(self._plan.notify, alert, self._plan.state)
        is_told = any(each.problem is None for each in sent)
        return kind.is_alarm if is_told else memory.is_unproved_told

    def _tell_month(self, assessment: Assessment) -> None:
        """Tell who uses this machine how well the last month went, if that is wanted."""
        sent = tell_month(
            self._plan.notify,
            memory=assessment.memory,
            use=assessment.use.days if assessment.use else {},
            interval=self._plan.policy.interval,
            client=socket.gethostname(),
            state_folder=self._plan.state,
            now=assessment.now,
        )
        for each in sent:
            if each.problem:
                self._narrator.note(f"{each.channel} could not be notified: {each.problem}")

    def _say_end(self, assessment: Assessment, attempt: Attempt | None, detail: str) -> None:
        """Tell the journal and the watchdog how it ended, if anything was attempted."""
        if attempt:
            write_journal(
                JournalLine(
                    one_line(detail),
                    Priority.WARNING if attempt.outcome in FAILURES else Priority.INFO,
                    client=socket.gethostname(),
                    run=attempt.run,
                    outcome=attempt.outcome.value,
                )
            )
        kind = self._choose_ping(assessment, attempt)
        if kind is PingKind.FAILURE and self.error:
            self.error.is_told = True
            detail = self.error.message
        detail = detail or "another run has made the backup"
        sent = channels.ping(self._plan.notify, kind, detail) if kind else None
        if sent and sent.problem:
            self._narrator.note(f"the ping failed: {sent.problem}")

    def _choose_ping(self, assessment: Assessment, attempt: Attempt | None) -> PingKind | None:
        """Return what the watchdog is told, None for nothing."""
        if isinstance(self.error, NotStoredError) or (attempt and attempt.outcome in FAILURES):
            return PingKind.FAILURE
        if standing_failure(assessment.memory, assessment.decision) or is_all_parked(
            assessment.decision
        ):
            return None
        if attempt and attempt.outcome in WAITED_FOR:
            return None  # though nothing was due, the server was to be greeted
        is_over = self._before.memory.told or not isinstance(self._before.decision, NotDue)
        is_well = isinstance(assessment.decision, NotDue) and (attempt or is_over)
        return PingKind.SUCCESS if is_well else None


def _is_alike(memory: Memory, attempt: Attempt) -> bool:
    return memory.attempts[-1].outcome is attempt.outcome


def report_trouble(plan: Plan, error: AsyncamandaError) -> None:
    """Report what keeps every start from backing up, until it is fixed: to people once.

    It may be that nothing can be remembered: so those who would be notified at each start are not.
    """
    write_journal(
        JournalLine(
            one_line(error.message),
            Priority.ERROR,
            client=socket.gethostname(),
            outcome=error.reference,
        )
    )
    channels.ping(plan.notify, PingKind.FAILURE, error.message)
    with suppress(AsyncamandaError, Held, OSError):
        make_folder(plan.state)
        with hold_lock(plan.state / LOCK_NAME, read_clock()):
            _tell_trouble(plan, error)


def _tell_trouble(plan: Plan, error: AsyncamandaError) -> None:
    """Remember `error` as a refusal, and notify people. Raises what write_memory() raises."""
    now = read_clock()
    memory, damage = read_memory(plan.state, now)
    if damage:  # the next start that gets further sets it aside
        return
    attempt = Attempt(now, now, Outcome.REFUSED, error.message)
    memory = note_end(note_unseen_end(memory), attempt)
    write_memory(plan.state, memory)
    leave_attempt(plan, attempt)
    told, _ = channels.tell_change(
        plan.notify,
        memory.told,
        outcome=attempt.outcome,
        is_stale=False,  # which the next start that gets further finds out
        word=lambda kind: word_alert(
            kind, socket.gethostname(), now, None, describe_attempt(attempt), HINT
        ),
        state_folder=plan.state,
    )
    if told != memory.told:
        write_memory(plan.state, replace(memory, told=told))
