"""What a start leaves behind when it has ended: when to try again, and who hears of it."""

import socket
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from asyncamanda.client import telling
from asyncamanda.client.look import Look, look_around
from asyncamanda.client.memory import write_memory
from asyncamanda.client.moment import WAITED_FOR, describe_place, note_wait
from asyncamanda.client.narrator import Narrator
from asyncamanda.client.plan import Plan
from asyncamanda.client.surroundings import look_at_surroundings
from asyncamanda.client.telling import PingKind, Standing
from asyncamanda.core.alerts import FAILURES, one_line, word_alert
from asyncamanda.core.due import Due, NotDue
from asyncamanda.core.model import Attempt, BackupState, Memory, Outcome
from asyncamanda.core.remember import forget_tries
from asyncamanda.errors import AsyncamandaError
from asyncamanda.report.text import describe_attempt
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.journal import JournalLine, Priority, write_journal

VERDICTS = FAILURES | {Outcome.BACKED_UP}
HINT = "`asyncamanda status` on that machine tells more, `asyncamanda doctor` what to mend"


class Aftermath:
    """What follows from one start's end; nothing here changes how that was."""

    def __init__(self, plan: Plan, look: Look, narrator: Narrator, stop: StopRequest) -> None:
        self._plan = plan
        self._before = look
        self._narrator = narrator
        self._stop = stop
        self.place = ""
        self.opens_at: datetime | None = None

    def settle(self) -> None:
        """Remember when the next try is, and tell whom it concerns. Raises nothing of ours."""
        with suppress(AsyncamandaError):  # amandates that cannot be read; the start has said so
            look = look_around(self._plan, read_clock(), self._stop)
            attempt = self._own_attempt(look.memory)
            memory = self._plan_wait(look, attempt)
            if memory != look.memory:
                write_memory(self._plan.state, memory)
            told = self._tell(look, attempt)
            if told != memory.told:
                write_memory(self._plan.state, replace(memory, told=told))

    def _own_attempt(self, memory: Memory) -> Attempt | None:
        """Return the attempt that this start made, None if it made none."""
        last = memory.attempts[-1:]
        return last[0] if last != self._before.memory.attempts[-1:] else None

    def _plan_wait(self, look: Look, attempt: Attempt | None) -> Memory:
        memory = look.memory
        if isinstance(look.decision, NotDue) and memory.tries:
            return forget_tries(memory)
        if self._plan.moments is None or attempt is None or attempt.outcome not in WAITED_FOR:
            return memory
        place = self.place or describe_place(look_at_surroundings())
        return note_wait(memory, self._plan.moments, place, self.opens_at)

    def _tell(self, look: Look, attempt: Attempt | None) -> dict[str, BackupState]:
        """Tell whom it concerns; return what each channel was told by now."""
        outcome = attempt.outcome if attempt else None
        if outcome is not Outcome.BACKED_UP:  # a channel may not have been told of the last failure
            outcome = _last_failure(look.memory)
        if isinstance(look.decision, NotDue):
            outcome = Outcome.BACKED_UP  # if not by this start, then by another run
        detail = describe_attempt(attempt) if attempt else ""
        told, sent = telling.tell_change(
            self._plan.notify,
            look.memory.told,
            outcome=outcome,
            is_stale=look.is_stale,
            word=lambda kind: word_alert(
                kind, socket.gethostname(), look.now, look.decision.last_at, detail, HINT
            ),
            state_folder=self._plan.state,
        )
        self._ping_end(attempt, detail)
        telling.write_textfile(self._plan.notify, _standing(look))
        for each in sent:
            if each.problem:
                self._narrator.note(f"{each.channel} could not be told: {each.problem}")
        return told

    def _ping_end(self, attempt: Attempt | None, detail: str) -> None:
        """Say in the journal, and to the watchdog, how the attempt ended, if there was one."""
        if attempt is None:
            return
        write_journal(
            JournalLine(
                one_line(detail),
                Priority.WARNING if attempt.outcome in FAILURES else Priority.INFO,
                client=socket.gethostname(),
                run=attempt.run,
                outcome=attempt.outcome.value,
            )
        )
        kind = None
        if attempt.outcome is Outcome.BACKED_UP:
            kind = PingKind.SUCCESS
        elif attempt.outcome in FAILURES:
            kind = PingKind.FAILURE
        sent = telling.ping(self._plan.notify, kind, detail) if kind else None
        if sent and sent.problem:
            self._narrator.note(f"the ping failed: {sent.problem}")


def _last_failure(memory: Memory) -> Outcome | None:
    """Return what the last attempt that came to a verdict came to, if that was no backup."""
    verdicts = (each.outcome for each in reversed(memory.attempts) if each.outcome in VERDICTS)
    last = next(verdicts, None)
    return last if last in FAILURES else None


def _standing(look: Look) -> Standing:
    """Return what Prometheus is told."""
    disks = {v.disk.name: v.disk.last.started_at for v in look.decision.disks if v.disk.last}
    last = look.memory.attempts[-1] if look.memory.attempts else None
    return Standing(
        looked_at=look.now,
        confirmed=disks,
        is_stale=look.is_stale,
        is_overdue=isinstance(look.decision, Due),
        is_deferred=bool(last and last.outcome is Outcome.DEFERRED),
        attempted_at=last.ended_at if last else None,
        outcome=last.outcome if last else None,
    )
