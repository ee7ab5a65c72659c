"""What the agent remembers of an attempt, and what it concludes from that."""

from dataclasses import replace
from datetime import datetime, timedelta

from asyncamanda.core.model import END_OF_TIME, Attempt, Memory, Outcome, Span, Started

KEPT_ATTEMPTS = 100
KEPT_SPANS = 50


def note_start(memory: Memory, started: Started) -> Memory:
    """Return `memory` as it must be on disk before the command may start.

    A run whose end nobody saw casts doubt on amandates until this one begins, and no longer.
    """
    before = started.started_at.replace(microsecond=0) - timedelta(microseconds=1)
    distrusted = tuple(
        replace(span, end=before) if span.end == END_OF_TIME else span for span in memory.distrusted
    )
    return replace(memory, started=started, distrusted=distrusted)


def note_end(memory: Memory, attempt: Attempt) -> Memory:
    """Return `memory` after `attempt`.

    What amandates says of the times in which a run failed is distrusted. A run whose end
    nobody saw may still go on for hours, so after it all is distrusted, until the next begins.
    """
    remembered = replace(memory, started=None, attempts=_add(memory.attempts, attempt))
    if attempt.outcome is Outcome.BACKED_UP:
        confirmed = memory.confirmed | {dump.disk: dump for dump in attempt.dumps}
        return replace(remembered, confirmed=confirmed)
    if not attempt.outcome.has_run:
        return remembered
    end = attempt.ended_at if attempt.outcome.is_settled else END_OF_TIME
    return _distrust(remembered, attempt.started_at, end)


def doubt_running(memory: Memory) -> Memory:
    """Return `memory` as it counts while its run goes on: what that has dumped does not, yet."""
    if memory.started is None:
        return memory
    return _distrust(memory, memory.started.started_at, END_OF_TIME)


def _distrust(memory: Memory, start: datetime, end: datetime) -> Memory:
    """Return `memory` without trust in a stretch; amandates has whole seconds, cut off."""
    first, last = sorted((start, end))  # a clock may be set back in the middle
    span = Span(first.replace(microsecond=0), last)
    return replace(memory, distrusted=_add_span(memory.distrusted, span))


def note_unseen_end(memory: Memory) -> Memory:
    """Return `memory` after an agent that died while its command ran, if one did."""
    if memory.started is None:
        return memory
    started = memory.started
    detail = f"the agent (pid {started.pid}) died while the command ran"
    return note_end(memory, Attempt(started.started_at, started.alive_at, Outcome.UNSEEN, detail))


def settles_at(memory: Memory, settle: timedelta, now: datetime) -> datetime | None:
    """Return until when a run whose end nobody saw may still go on; None if none does.

    A time further ahead than that can be comes of a clock that was wrong, and keeps nobody.
    """
    runs = [attempt for attempt in memory.attempts if attempt.outcome.has_run]
    if not runs or runs[-1].outcome.is_settled:
        return None
    until = runs[-1].ended_at + settle
    return until if now < until <= now + settle else None


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
    return (Span(min(spans[0].start, spans[1].start), max(spans[0].end, spans[1].end)), *spans[2:])
