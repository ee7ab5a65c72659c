"""What the agent remembers of an attempt, and what it concludes from that."""

from dataclasses import replace
from datetime import datetime, timedelta

from asyncamanda.core.agent.due import TOLERANCE
from asyncamanda.core.model import END_OF_TIME, Attempt, Memory, Outcome, Span, Started
from asyncamanda.core.values.printable import clip

KEPT_ATTEMPTS = 100
KEPT_SPANS = 50
KEPT_NAMES = 200_000  # characters of all attempts' dumps
ROOM_OF_A_DUMP = 100  # ... of which each takes some, whatever its name
LONGEST_DETAIL = 2000
CLOCK_STEP = timedelta(minutes=5)  # by how much a correct clock may be set back


def note_start(memory: Memory, started: Started) -> Memory:
    """Return `memory` as it must be on disk before the command may start.

    A run whose end nobody saw casts doubt on amandates until this one begins, and no longer.
    """
    before = started.started_at.replace(microsecond=0) - timedelta(microseconds=1)
    last = last_run(memory)
    distrusted = tuple(_close(span, before, last) for span in memory.distrusted)
    return replace(memory, started=started, distrusted=distrusted, seen="")


def _close(span: Span, end: datetime, last: Attempt | None) -> Span:
    """Return `span`, ended if it has none. A clock set back leaves it as long as its run."""
    if span.end != END_OF_TIME:
        return span
    if end < span.start:
        end = max(span.start, last.ended_at) if last else span.start
    return replace(span, end=end)


def note_end(memory: Memory, attempt: Attempt) -> Memory:
    """Return `memory` after `attempt`.

    What amandates says of the times in which a run failed is distrusted. A run whose end
    nobody saw may still go on for hours, so after it all is distrusted, until the next begins.
    """
    remembered = replace(memory, started=None, attempts=_add(memory.attempts, attempt))
    if attempt.outcome is Outcome.BACKED_UP:
        remembered = forget_tries(remembered)
    if attempt.outcome in {Outcome.BACKED_UP, Outcome.INCOMPLETE}:
        confirmed = memory.confirmed | {dump.disk: dump for dump in attempt.dumps}
        return replace(remembered, confirmed=confirmed)
    if not attempt.outcome.has_run:
        return remembered
    start, end = sorted((attempt.started_at, attempt.ended_at))  # a clock may be set back
    return _distrust(remembered, start, end if attempt.outcome.is_settled else END_OF_TIME)


def note_try(memory: Memory, retry_at: datetime, seen: str) -> Memory:
    """Return `memory` after one more try that reached no run, in surroundings `seen`."""
    return replace(memory, tries=memory.tries + 1, retry_at=retry_at, seen=seen)


def note_bad_run(memory: Memory, seen: str) -> Memory:
    """Return `memory` after an unsuccessful run, in surroundings `seen`.

    The next one's time follows from the attempts.
    """
    return replace(forget_tries(memory), seen=seen)


def forget_tries(memory: Memory) -> Memory:
    """Return `memory` after a successful one."""
    return replace(memory, tries=0, retry_at=None, seen="")


def doubt_running(memory: Memory) -> Memory:
    """Return `memory` as it counts while its run goes on: what that has dumped does not, yet."""
    if memory.started is None:
        return memory
    start = min(memory.started.started_at, memory.started.alive_at)
    return _distrust(memory, start, END_OF_TIME)


def _distrust(memory: Memory, start: datetime, end: datetime) -> Memory:
    """Return `memory` without trust in a stretch; amandates has whole seconds, cut off."""
    span = Span(start.replace(microsecond=0), end)
    return replace(memory, distrusted=_add_span(memory.distrusted, span))


def note_unseen_end(memory: Memory) -> Memory:
    """Return `memory` after an agent that died while its command ran, if one did."""
    if memory.started is None:
        return memory
    started = memory.started
    detail = f"the agent (pid {started.pid}) died while the command ran"
    unseen = Attempt(started.started_at, started.alive_at, Outcome.UNSEEN, detail, run=started.run)
    return note_end(memory, unseen)


def last_run(memory: Memory) -> Attempt | None:
    """Return the last attempt whose command may have run; None if there is none."""
    runs = (attempt for attempt in reversed(memory.attempts) if attempt.outcome.has_run)
    return next(runs, None)


def settles_at(memory: Memory, settle: timedelta, now: datetime) -> datetime | None:
    """Return until when a run whose end nobody saw may still go on; None if none does.

    A time further ahead than that was set by a wrong clock, and does not count.
    """
    last = last_run(memory)
    if last is None or last.outcome.is_settled:
        return None
    until = last.ended_at + settle
    return until if now < until <= now + settle + CLOCK_STEP else None


def next_try_at(
    memory: Memory, wanted: tuple[str, ...], interval: timedelta, now: datetime
) -> datetime | None:
    """Return until when a run that is due need not be tried; None if it may be now.

    A run that ended well counts as tried for one interval. If it did not bring just these disks it
    would hardly bring them if it was made again at once: they may have left the disklist, or the
    command names another client. Nor would the dumps of a doubtful run be less doubtful.
    """
    last = last_run(memory)
    if last is None or last.outcome not in {Outcome.INCOMPLETE, Outcome.DOUBTFUL}:
        return None
    is_good = last.outcome is Outcome.INCOMPLETE
    brought = {dump.disk for dump in last.dumps} if is_good else set()
    until = last.started_at + interval * (1 - TOLERANCE)
    is_lately = last.started_at <= now < until
    return until if is_lately and brought.isdisjoint(wanted) else None


def _add(attempts: tuple[Attempt, ...], attempt: Attempt) -> tuple[Attempt, ...]:
    if attempts:
        last = attempts[-1]
        if last.outcome is attempt.outcome and not attempt.outcome.has_run:
            folded = replace(attempt, started_at=last.started_at, times=last.times + 1)
            return trim_attempts((*attempts[:-1], folded))
    return trim_attempts((*attempts, attempt))


def trim_attempts(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """Return as much of `attempts` as is kept: every start in which something is due reads it.

    Of the newest with dumps all of them; of older ones, where those are many, how many they were.
    """
    room = KEPT_NAMES
    kept: list[Attempt] = []
    for attempt in reversed(attempts[-KEPT_ATTEMPTS:]):
        trimmed = replace(attempt, detail=clip(attempt.detail, LONGEST_DETAIL))
        room -= sum(len(dump.disk) + ROOM_OF_A_DUMP for dump in attempt.dumps)
        if attempt.dumps and room < 0 and any(newer.dumps for newer in kept):
            count = f"{len(attempt.dumps)} disks"
            trimmed = replace(trimmed, dumps=(), detail=trimmed.detail or count)
        kept.append(trimmed)
    return tuple(reversed(kept))


def _add_span(spans: tuple[Span, ...], span: Span) -> tuple[Span, ...]:
    """Return `spans` and `span`; where they are too many, the two oldest become one."""
    spans = (*spans, span)
    if len(spans) <= KEPT_SPANS:
        return spans
    return (Span(min(spans[0].start, spans[1].start), max(spans[0].end, spans[1].end)), *spans[2:])
