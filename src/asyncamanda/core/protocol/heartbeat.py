"""Is the other side still there? Both ends of a session between agent and gate ask so.

The wall clock counts, because a machine's other clocks stop while it sleeps. It can be set, too: a
step must neither end a live session nor keep a dead one.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

GONE_AFTER = 3  # beats of silence


class Beat(Enum):
    """What is to be done now."""

    QUIET = "quiet"  # nothing
    PING = "ping"  # send a Ping
    GONE = "gone"  # nobody is there: end the session


@dataclass(frozen=True, slots=True)
class Pulse:
    """One session: when the other side was last heard, when asked, and when this was last checked.

    `every` is the beat. Check three times a beat or more often: a longer pause than a beat is taken
    for sleep.
    """

    every: timedelta
    heard_at: datetime
    asked_at: datetime
    looked_at: datetime


def start_pulse(every: timedelta, now: datetime) -> Pulse:
    """Return the pulse of a session that begins now."""
    return Pulse(every, now, now, now)


def hear(pulse: Pulse, now: datetime) -> Pulse:
    """Return `pulse` after any message from the other side."""
    return replace(_follow_clock(pulse, now), heard_at=now)


def beat(pulse: Pulse, now: datetime) -> tuple[Pulse, Beat]:
    """Return `pulse` after a check at `now`, and what is to be done.

    A Ping is due a beat after the last message or Ping; after GONE_AFTER beats of silence the other
    side is gone. Whoever slept, or had its clock set forward, knows nothing of the time between: it
    asks at once, and gives one beat for an answer.
    """
    has_slept = now - pulse.looked_at > pulse.every
    pulse = replace(_follow_clock(pulse, now), looked_at=now)
    if has_slept:
        heard_at = now - (GONE_AFTER - 1) * pulse.every
        return replace(pulse, heard_at=heard_at, asked_at=now), Beat.PING
    if now - pulse.heard_at >= GONE_AFTER * pulse.every:
        return pulse, Beat.GONE
    if now - max(pulse.heard_at, pulse.asked_at) >= pulse.every:
        return replace(pulse, asked_at=now), Beat.PING
    return pulse, Beat.QUIET


def _follow_clock(pulse: Pulse, now: datetime) -> Pulse:
    """Return `pulse` by the clock as it is now: set back, the silence so far still counts."""
    back = max(pulse.looked_at - now, timedelta(0))
    return replace(
        pulse,
        heard_at=min(pulse.heard_at - back, now),
        asked_at=pulse.asked_at - back,
        looked_at=min(pulse.looked_at, now),
    )
