"""When the next run starts, and for whom.

Like a database's group commit: a request hardly waits while nothing runs, and what arrives
while a run is being started, or while all places are taken, makes the next batch.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import Enum

SHORTEST_GUESS = timedelta(seconds=1)
MOST_AGAIN = 3  # runs that others' clients may cost one


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
    """What goes on: who is connected, whose host is in a run, and what has to wait.

    `submitted_at` has everybody who waits, present or not. `suspects` are clients that made a run
    with others in it fail: no other is in a run with one of them.
    """

    submitted_at: Mapping[str, datetime]
    present: Collection[str] = ()
    busy: Collection[str] = ()
    runs: int = 0
    is_starting: bool = False
    has_others: bool = False
    is_held_for_flush: bool = False
    suspects: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class StartRun:
    """Start one run for these clients, in the order of their requests."""

    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaitForRun:
    """Start none yet. `until` is when the window closes; None where an event has to come."""

    hold: Hold
    until: datetime | None = None


def decide_batch(scene: Scene, policy: BatchPolicy, now: datetime) -> StartRun | WaitForRun:
    """Return whether a run starts at `now`, and for whom: all who wait, are present and not busy.

    A request from the future (the clock was set back) waits no longer than the window.
    """
    ready = ready_clients(scene)
    if not ready:
        is_busy = any(client in scene.busy for client in (*scene.submitted_at, *scene.suspects))
        return WaitForRun(Hold.RUNS if is_busy else Hold.NOBODY)
    obstacles = {
        Hold.FLUSH: scene.is_held_for_flush,
        Hold.OTHERS: scene.has_others,
        Hold.RUNS: scene.runs >= policy.max_runs,
        Hold.STARTING: scene.is_starting,
    }
    for hold, stands in obstacles.items():
        if stands:
            return WaitForRun(hold)
    closes_at = min(scene.submitted_at[client] for client in ready) + policy.window
    if now < closes_at <= now + policy.window:
        return WaitForRun(Hold.COLLECTING, closes_at)
    return StartRun(ready)


def ready_clients(scene: Scene) -> tuple[str, ...]:
    """Return who would be in a run that started now, the oldest request first.

    A suspect is alone in its run, behind all others that wait, and one such run goes on at a time.
    """
    ready = tuple(
        client
        for client in in_order(scene.submitted_at)
        if client in scene.present and client not in scene.busy
    )
    trusted = tuple(client for client in ready if client not in scene.suspects)
    if trusted or any(client in scene.busy for client in scene.suspects):
        return trusted
    return ready[:1]


@dataclass(frozen=True, slots=True)
class Unserved:
    """A client of an unsuccessful run: is it connected, was it the cause, and how often before.

    `times` counts the runs that it was put back into the queue from.
    """

    client: str
    is_present: bool
    is_blamed: bool = False
    times: int = 0


def find_suspects(unserved: Collection[Unserved]) -> set[str]:
    """Return who made a run fail: who blocked it, else who has left it."""
    blamed = {one.client for one in unserved if one.is_blamed}
    return blamed or {one.client for one in unserved if not one.is_present}


def choose_again(unserved: Collection[Unserved]) -> tuple[str, ...]:
    """Return who goes back into the queue: who is connected and was not the cause, a few times.

    Only once where nobody was the cause: then it may be anybody, or the server.
    """
    most = MOST_AGAIN if find_suspects(unserved) else 1
    return tuple(
        one.client for one in unserved if one.is_present and not one.is_blamed and one.times < most
    )


def find_wait(times: Iterable[time], now: datetime) -> timedelta:
    """Return how long Amanda would wait for the last of these times of day; zero for none.

    `now` is in local time. Once a time is past Amanda does not wait for tomorrow's.
    """
    left = [datetime.combine(now, at, now.tzinfo) - now for at in times]
    return max([timedelta(), *left])


def in_order(submitted_at: Mapping[str, datetime]) -> list[str]:
    """Return the clients by the age of their requests."""
    return sorted(submitted_at, key=lambda client: (submitted_at[client], client))


def estimate_start(
    wait: WaitForRun, begun_at: Collection[datetime], mean: timedelta | None, now: datetime
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
