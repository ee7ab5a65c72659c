"""May a start back up now, and if not, when? These rules are the same for every mode.

A run is expensive: by command it may take a volume. So whatever the outcome, the number of runs in
a day is limited: tests/unit/test_starting.py has the table.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from asyncamanda.core.agent.by_gate import asked_every, come_back_at
from asyncamanda.core.agent.due import TOLERANCE, Decision, NotDue, made_good_at
from asyncamanda.core.agent.remember import next_try_at, settles_at
from asyncamanda.core.agent.retry import FIRST, retry_at, spread_offset
from asyncamanda.core.model import Attempt, Memory, Outcome, Policy

_MOST_DOUBLINGS = 32
_SETTLED_FOR_AN_INTERVAL = {Outcome.BACKED_UP, Outcome.INCOMPLETE, Outcome.DOUBTFUL}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the next start waits after an unsuccessful one.

    `is_by_command`: each run is an amdump of its own, where the gate's server shares one among all.
    `retry_within` is the longest wait after a try that reached no run; from there the waits after
    runs go up to the interval. `spread` is by how much longer a wait may be.
    """

    is_by_command: bool
    retry_within: timedelta
    spread: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Urge:
    """How much a start wants to back up.

    `is_forced`: though nothing is due, whatever waits. `is_hasty`: a network has come up, so that
    what could not be reached may be now. `is_typed`: somebody started it on a terminal.
    """

    is_forced: bool = False
    is_hasty: bool = False
    is_typed: bool = False


@dataclass(frozen=True, slots=True)
class Waits:
    """Until when each thing keeps a start from backing up, None where it does not.

    `settles_at`: a run whose end nobody saw may go on. `next_try_at`: the last run ended well, and
    would hardly bring what is due if it was made again. `come_back_at`: the gate's server does not
    want to be asked. `retry_at`: the last tries reached no run. `run_again_at`: the last runs were
    unsuccessful.
    """

    settles_at: datetime | None = None
    next_try_at: datetime | None = None
    come_back_at: datetime | None = None
    retry_at: datetime | None = None
    run_again_at: datetime | None = None

    @property
    def last_at(self) -> datetime | None:
        """Until when something unsuccessful is not tried again."""
        return max((at for at in (self.retry_at, self.run_again_at) if at), default=None)


class Hindrance(Enum):
    """What a start that is due waits for, whatever the moment."""

    UNSETTLED = "unsettled"
    TRIED_LATELY = "tried recently"
    PUT_OFF = "put off"


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """A backup is due, and is not to be tried before `until`."""

    hindrance: Hindrance
    until: datetime


def survey_waits(
    memory: Memory, decision: Decision, policy: Policy, patience: Patience, now: datetime
) -> Waits:
    """Return all that a start at `now` may have to wait for."""
    longest = patience.retry_within + patience.spread
    if not patience.is_by_command:
        policy = replace(policy, interval=asked_every(policy.interval))
    return Waits(
        settles_at=settles_at(memory, policy.settle, now) if patience.is_by_command else None,
        next_try_at=next_try_at(memory, decision.wanted, policy.interval, now),
        come_back_at=None if patience.is_by_command else come_back_at(memory, now),
        retry_at=retry_at(memory.retry_at, now, longest),
        run_again_at=_run_again_at(memory, decision, policy, patience, now),
    )


def decide_start(decision: Decision, waits: Waits, urge: Urge) -> NotDue | WaitUntil | None:
    """Return why there is nothing to do, or what is to be waited for; None for neither.

    Then the moment decides, and heed_retry().
    """
    if isinstance(decision, NotDue) and not urge.is_forced:
        return decision
    if waits.settles_at:
        return WaitUntil(Hindrance.UNSETTLED, waits.settles_at)
    if urge.is_forced:
        return None
    if waits.next_try_at and not urge.is_typed:
        return WaitUntil(Hindrance.TRIED_LATELY, waits.next_try_at)
    if waits.come_back_at:
        return WaitUntil(Hindrance.PUT_OFF, waits.come_back_at)
    return None


def heed_retry(waits: Waits, memory: Memory, seen: str, urge: Urge) -> datetime | None:
    """Return until when to wait after an unsuccessful attempt, None if it may be tried again.

    Surroundings that are not as they were, `seen` being what they are now, end the wait. Where
    those of the last try are not known they are taken for the same. A network that comes up again
    is no reason to make a run again.
    """
    if urge.is_forced or urge.is_typed:
        return None
    if memory.seen and memory.seen != seen:
        return None
    return waits.run_again_at if urge.is_hasty else waits.last_at


def _run_again_at(
    memory: Memory, decision: Decision, policy: Policy, patience: Patience, now: datetime
) -> datetime | None:
    """Return until when no run is made after unsuccessful ones, None if one may be.

    It follows from the attempts alone, so no crash makes a start forget it. The waits are
    of no even length, since all clients of a server may fail at once.
    """
    bad = _bad_runs(memory, decision)
    if not bad:
        return None
    last = bad[-1]
    if not patience.is_by_command and not {d.disk for d in last.dumps}.isdisjoint(decision.wanted):
        return None  # the server has that disk of it, and now it is due again
    longest = _longest_wait(last, len(bad), policy, patience)
    half = longest / 2
    until = last.ended_at + half + spread_offset(last.started_at.isoformat(), half)
    # a client that starts once a day, with runs that take hours, skips no day either
    in_time = last.started_at + policy.interval * (1 - TOLERANCE)
    until = min(until, max(in_time, last.ended_at + min(half, patience.retry_within)))
    return retry_at(until, now, longest)


def _longest_wait(last: Attempt, runs: int, policy: Policy, patience: Patience) -> timedelta:
    """Return how long to wait at most after so many unsuccessful `runs`."""
    # no longer than a good backup is fresh, so that a daily start never skips a day
    first, within = min(FIRST, patience.retry_within), policy.interval * (1 - TOLERANCE)
    if patience.is_by_command:
        first = patience.retry_within
    elif not last.outcome.is_settled:
        # the next start joins that run, or learns its end: so the first comes at once
        if runs == 1:
            return timedelta(0)
        runs, within = runs - 1, patience.retry_within
    return min(within, first * (1 << min(runs - 1, _MOST_DOUBLINGS)))


def _bad_runs(memory: Memory, decision: Decision) -> list[Attempt]:
    """Return the last unsuccessful runs in a row, with no backup since, oldest first."""
    bad: list[Attempt] = []
    good_at = made_good_at(decision)
    for attempt in reversed(memory.attempts):
        if attempt.outcome in _SETTLED_FOR_AN_INTERVAL:
            break
        if good_at and attempt.started_at <= good_at:
            break
        if attempt.outcome.has_run:
            bad.insert(0, attempt)
    return bad
