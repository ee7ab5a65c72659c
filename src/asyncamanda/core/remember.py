"""What the agent remembers of an attempt, and what it concludes from that."""

from dataclasses import replace
from datetime import datetime, timedelta

from asyncamanda.core.model import Attempt, Memory, Outcome, Span, Started

KEPT_ATTEMPTS = 100
KEPT_SPANS = 50


def note_start(memory: Memory, started: Started) -> Memory:
    """Return `memory` as it must be on disk before the command may start."""
    return replace(memory, started=started)


def note_end(memory: Memory, attempt: Attempt, settle: timedelta) -> Memory:
    """Return `memory` after `attempt`.

    What amandates says of the times in which a run failed is distrusted. A run whose
    end nobody saw may go on, so that for it the times until it has settled are, too.
    """
    remembered = replace(memory, started=None, attempts=_add(memory.attempts, attempt))
    if attempt.outcome is Outcome.BACKED_UP:
        confirmed = memory.confirmed | {dump.disk: dump for dump in attempt.dumps}
        return replace(remembered, confirmed=confirmed)
    if not attempt.outcome.has_run:
        return remembered
    end = attempt.ended_at if attempt.outcome.is_settled else attempt.ended_at + settle
    # amandates has whole seconds, cut off
    span = Span(attempt.started_at - timedelta(seconds=1), end)
    return replace(remembered, distrusted=_add_span(memory.distrusted, span))


def note_unseen_end(memory: Memory, settle: timedelta) -> Memory:
    """Return `memory` after an agent that died while its command ran, if one did."""
    if memory.started is None:
        return memory
    started = memory.started
    detail = f"the agent (pid {started.pid}) died while the command ran"
    attempt = Attempt(started.started_at, started.alive_at, Outcome.UNSEEN, detail)
    return note_end(memory, attempt, settle)


def settles_at(memory: Memory, settle: timedelta) -> datetime | None:
    """Return until when a run whose end nobody saw may still go on; None if there is none."""
    runs = [attempt for attempt in memory.attempts if attempt.outcome.has_run]
    if not runs or runs[-1].outcome.is_settled:
        return None
    return runs[-1].ended_at + settle


def _add(attempts: tuple[Attempt, ...], attempt: Attempt) -> tuple[Attempt, ...]:
    if attempts:
        last = attempts[-1]
        if last.outcome is attempt.outcome and not attempt.outcome.has_run:
            folded = replace(attempt, started_at=last.started_at, times=last.times + 1)
            return (*attempts[:-1], folded)
    return (*attempts, attempt)[-KEPT_ATTEMPTS:]


def _add_span(spans: tuple[Span, ...], span: Span) -> tuple[Span, ...]:
    """Return `spans` and `span`; where they are too many, the two oldest become one."""
    spans = (*spans, span)
    if len(spans) <= KEPT_SPANS:
        return spans
    return (Span(spans[0].start, max(spans[0].end, spans[1].end)), *spans[2:])
