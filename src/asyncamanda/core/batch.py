"""When the next run starts, and for whom.

Like a database's group commit: a request hardly waits while nothing runs, and what arrives
while a run is being started, or while all places are taken, makes the next batch.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

SHORTEST_GUESS = timedelta(seconds=1)


class Hold(Enum):
    """What the next run waits for."""

    NOBODY = "nobody waits"
    COLLECTING = "collecting"  # the window is open: others may arrive
    STARTING = "starting"  # another run is being started, and starts are one at a time
    RUNS = "runs"  # all places are taken, or the client's own run has not ended
    OTHERS = "others"  # a run that somebody else started
    FLUSH = "flush"


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """How long others may arrive, and how many runs may overlap."""

    window: timedelta
    max_runs: int


@dataclass(frozen=True, slots=True)
class Scene:
    """What goes on: who is there, whose host is in a run, and what stands in the way.

    `submitted_at` has everybody who waits, present or not.
    """

    submitted_at: Mapping[str, datetime]
    present: Collection[str] = ()
    busy: Collection[str] = ()
    runs: int = 0
    is_starting: bool = False
    has_others: bool = False
    is_held_for_flush: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Start one run for these clients, in the order of their requests."""

    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Start none yet. `until` is when the window closes; None where an event has to come."""

    hold: Hold
    until: datetime | None = None


def decide_batch(scene: Scene, policy: BatchPolicy, now: datetime) -> Start | Wait:
    """Return whether a run starts at `now`, and for whom: all who wait, are present and not busy.

    A request from the future (the clock was set back) waits no longer than the window.
    """
    ready = ready_clients(scene)
    if not ready:
        is_busy = any(client in scene.busy for client in scene.submitted_at)
        return Wait(Hold.RUNS if is_busy else Hold.NOBODY)
    obstacles = {
        Hold.FLUSH: scene.is_held_for_flush,
        Hold.OTHERS: scene.has_others,
        Hold.RUNS: scene.runs >= policy.max_runs,
        Hold.STARTING: scene.is_starting,
    }
    for hold, stands in obstacles.items():
        if stands:
            return Wait(hold)
    closes_at = min(scene.submitted_at[client] for client in ready) + policy.window
    if now < closes_at <= now + policy.window:
        return Wait(Hold.COLLECTING, closes_at)
    return Start(ready)


def ready_clients(scene: Scene) -> tuple[str, ...]:
    """Return who would be in a run that started now, the oldest request first."""
    return tuple(
        client
        for client in in_order(scene.submitted_at)
        if client in scene.present and client not in scene.busy
    )


def in_order(submitted_at: Mapping[str, datetime]) -> list[str]:
    """Return the clients by the age of their requests."""
    return sorted(submitted_at, key=lambda client: (submitted_at[client], client))


def estimate_start(
    wait: Wait, begun_at: Collection[datetime], mean: timedelta | None, now: datetime
) -> timedelta | None:
    """Return about how long it is until the next run starts; None where nobody can know.

    `begun_at` are the starts of the runs that go on, `mean` is what a run takes.
    """
    match wait.hold:
        case Hold.COLLECTING:
            return max((wait.until or now) - now, timedelta(0))
        case Hold.STARTING:
            return SHORTEST_GUESS
        case Hold.RUNS if mean is not None and begun_at:
            return max(min(begun_at) + mean - now, SHORTEST_GUESS)
        case _:
            return None
