"""Is this a good moment? Judged when a start begins, and again while its run goes on."""

import random
import socket
import time
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from threading import Thread
from typing import Self

from asyncamanda.client.moments.environment import await_network, look_at_surroundings
from asyncamanda.client.moments.inhibit import Inhibition, inhibited
from asyncamanda.client.moments.stale_watch import Vigil
from asyncamanda.client.notify import channels
from asyncamanda.client.notify.channels import PingKind
from asyncamanda.client.start.narrator import StartNarrator
from asyncamanda.client.start.settings import Moments
from asyncamanda.client.state.assessment import Assessment
from asyncamanda.client.state.context import StartContext
from asyncamanda.core.agent.remember import note_try
from asyncamanda.core.agent.retry import plan_retry, spread_offset
from asyncamanda.core.conditions.judge import (
    ConditionFinding,
    Conditions,
    Deferred,
    Go,
    Pause,
    decide_moment,
    decide_pause,
    explain_deferred,
    survey_conditions,
)
from asyncamanda.core.conditions.rate import choose_rate
from asyncamanda.core.conditions.surroundings import Surroundings
from asyncamanda.core.model import Memory, Outcome
from asyncamanda.system.clock import local_zone
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.throttle import Throttle

MACHINE_ID = Path("/etc/machine-id")
NETWORK_WITHIN = 60.0  # seconds
PING_WITHIN = 10.0  # seconds
LONGEST_NAP = 1.0  # seconds: then the wall clock is read again
LOOK_EVERY = timedelta(seconds=5)

# after these, which reached no run, the next try waits; after runs core/agent/starting.py says
# how long
WAITED_FOR = {Outcome.UNREACHABLE, Outcome.LATER, Outcome.REFUSED, Outcome.DEFERRED}


def judge_moment(moments: Moments, assessment: Assessment) -> tuple[Surroundings, Go | Deferred]:
    """Return this machine's surroundings, and whether they are good for a backup."""
    surroundings = look_at_surroundings()
    since, now = assessment.since, assessment.now
    return surroundings, decide_moment(surroundings, moments.conditions, since, now, _zone())


def judge_conditions(conditions: Conditions, now: datetime) -> Go | Deferred:
    """Return whether `conditions` are met now, none of them relaxed by a backup's age."""
    return decide_moment(look_at_surroundings(), conditions, now, now, _zone())


def survey(moments: Moments, assessment: Assessment) -> tuple[ConditionFinding, ...]:
    """Return what each condition that is set finds now."""
    surroundings = look_at_surroundings()
    return survey_conditions(
        surroundings, moments.conditions, assessment.since, assessment.now, _zone()
    )


def find_hindrance(moments: Moments, assessment: Assessment) -> Deferred | None:
    """Return why this is not a good moment for a backup, None if it is."""
    _, moment = judge_moment(moments, assessment)
    return moment if isinstance(moment, Deferred) else None


def await_turn(moments: Moments, narrator: StartNarrator) -> None:
    """Return when a network is up and this machine's turn has come, if one comes.

    After resume the network needs a moment; and when a whole office opens its lids, the server
    is not asked by all of them in one second.
    """
    if not await_network(NETWORK_WITHIN):
        narrator.note("no network has come up")
    until = read_clock() + own_offset(moments.spread)
    narrator.note(f"this machine's turn is at {until.astimezone():%H:%M:%S}")
    while (left := (until - read_clock()).total_seconds()) > 0:
        if left > moments.spread.total_seconds():
            return  # the clock was set back
        time.sleep(min(left, LONGEST_NAP))


def _zone() -> tzinfo | None:
    """Return this machine's zone, or else the offset that it has today."""
    return local_zone() or read_clock().astimezone().tzinfo


def own_offset(spread: timedelta) -> timedelta:
    """Return this machine's own part of `spread`, always the same one."""
    identity = socket.gethostname()
    with suppress(OSError, UnicodeDecodeError):
        identity += MACHINE_ID.read_text("ascii")
    return spread_offset(identity, spread)


def note_wait(memory: Memory, moments: Moments, seen: str, why: Deferred | None) -> Memory:
    """Return `memory` with the time of the next try, after an unsuccessful one.

    `why` it was deferred, if it was: then the wait ends at this machine's turn after that is over
    by the clock, and where only time windows are in the way nothing else ends it.
    """
    now = read_clock()
    at = now + plan_retry(memory.tries, moments.retry_within, random.random())  # noqa: S311
    if why and why.until:
        turn_at = why.until + own_offset(moments.spread)
        at = turn_at if why.is_by_clock else min(at, turn_at)
    return note_try(memory, at, seen)


class Guard:
    """Guards a run: keeps the machine awake, and reports when conditions are no longer met."""

    def __init__(self, start: StartContext) -> None:
        self._moments = start.plan.moments
        self._notify = start.plan.notify
        self._ping: Thread | None = None
        self._since = start.assessment.since
        self._narrator = start.narrator
        self._stack = ExitStack()
        self._inhibited: Inhibition | None = None
        self._looked_at = read_clock()
        self._is_told = False
        self.throttle = Throttle() if self._moments and self._moments.rate else None
        self._limit(look_at_surroundings() if self.throttle else Surroundings())
        self.vigil = Vigil(start)

    def may_stop(self, turned: Deferred) -> bool:
        """Return whether a run is to be left, now that the conditions `turned` are not met."""
        is_wanted = self._moments is not None and self._moments.pause is Pause.STOP
        return is_wanted or turned.is_critical

    def begin(self) -> None:
        """Keep the machine awake from now on: a run has begun."""
        if self._ping is None:
            self._ping = Thread(
                target=self._say_start, daemon=True
            )  # the server is not kept waiting
            self._ping.start()
        if self._moments is None or self._inhibited:
            return
        self._inhibited = self._stack.enter_context(
            inhibited(self._moments.inhibit_for, with_lid=self._moments.inhibit_lid)
        )
        if self._inhibited.problem:
            self._narrator.note(f"this machine may go to sleep: {self._inhibited.problem}")

    def tick(self) -> Deferred | None:
        """Return why the moment is no longer good, if it is not; called several times a second."""
        if self._inhibited:
            self._inhibited.tick()
        now = read_clock()
        if self._moments is None or timedelta() <= now - self._looked_at < LOOK_EVERY:
            return None
        self._looked_at = now
        surroundings = look_at_surroundings()
        self._limit(surroundings)
        turned = decide_pause(surroundings, self._moments.conditions, self._since, now)
        if turned is None:
            self._is_told = False
        elif not self._is_told:
            self._is_told = True
            if turned.is_critical and self._inhibited:  # UPower is about to save the session
                self._inhibited.let_go()
            self._narrator.note(
                explain_deferred(turned).replace(
                    "deferred, because", "conditions are no longer met:", 1
                )
            )
        return turned

    def end_limit(self) -> bool:
        """Limit nothing any more; return whether anything was to be limited."""
        was_meant = self.throttle is not None
        self.throttle = None
        self._narrator.show_limit(None)
        return was_meant

    def _limit(self, surroundings: Surroundings) -> None:
        """Let what goes out be as fast as may be here."""
        if self.throttle is None or self._moments is None:
            return
        rate = choose_rate(self._moments.rate, surroundings)
        if rate != self.throttle.rate:
            self.throttle.rate = rate
            self._narrator.show_limit(rate)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the machine sleep."""
        self._stack.close()
        self.vigil.close()
        if self._ping:  # its end is not to be told before its start
            self._ping.join(PING_WITHIN)

    def _say_start(self) -> None:
        channels.ping(self._notify, PingKind.START, "a backup begins", PING_WITHIN)
