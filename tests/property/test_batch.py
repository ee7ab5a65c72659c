"""Whoever waits and is there gets a run, whatever others do and whatever the clock says."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import NOW, moments

from asyncamanda.core.dispatch.batch import (
    BatchPolicy,
    Hold,
    Scene,
    StartRun,
    WaitForRun,
    decide_batch,
    estimate_start,
    in_order,
    ready_clients,
)

SECOND = timedelta(seconds=1)
names = st.sampled_from([*"abcdefgh"])
requests = st.dictionaries(names, moments | st.just(NOW))
windows = st.integers(10, 600_000).map(lambda ms: timedelta(milliseconds=ms))
policies = st.builds(BatchPolicy, windows, st.integers(1, 4))
scenes = st.builds(
    Scene,
    submitted_at=requests,
    present=st.sets(names),
    busy=st.sets(names, max_size=3),
    runs=st.integers(0, 5),
    is_starting=st.booleans(),
    has_others=st.booleans(),
    is_held_for_flush=st.booleans(),
)


@given(scenes, policies, moments)
def test_nobody_is_started_who_is_away_or_in_a_run(
    scene: Scene, policy: BatchPolicy, now: datetime
) -> None:
    """Nor does a run start where all places are taken, or while anything stands in its way."""
    decision = decide_batch(scene, policy, now)
    if isinstance(decision, StartRun):
        assert decision.clients
        assert set(decision.clients) <= set(scene.submitted_at)
        assert set(decision.clients) <= set(scene.present)
        assert not set(decision.clients) & set(scene.busy)
        assert scene.runs < policy.max_runs
        assert not any((scene.is_starting, scene.has_others, scene.is_held_for_flush))


@given(scenes, policies, moments)
def test_who_is_there_is_started_within_the_window(
    scene: Scene, policy: BatchPolicy, now: datetime
) -> None:
    """As soon as nothing stands in the way, by any clock, and all who are there at once."""
    free = replace(scene, runs=0, is_starting=False, has_others=False, is_held_for_flush=False)
    ready = ready_clients(free)
    assert set(ready) == set(free.submitted_at) & (set(free.present) - set(free.busy))
    decision = decide_batch(free, policy, now)
    if not ready:
        assert isinstance(decision, WaitForRun)
    elif isinstance(decision, WaitForRun):
        assert decision.hold is Hold.COLLECTING
        assert decision.until
        assert now < decision.until <= now + policy.window
        assert decide_batch(free, policy, decision.until) == StartRun(ready)
    else:
        assert decision == StartRun(ready)


@given(requests, st.sets(names))
def test_places_are_in_the_order_of_the_requests(
    submitted_at: dict[str, datetime], present: set[str]
) -> None:
    """Each has one, the oldest the first; and a run keeps that order."""
    places = in_order(submitted_at)
    assert sorted(places) == sorted(submitted_at)
    ages = [submitted_at[client] for client in places]
    assert ages == sorted(ages)
    ready = ready_clients(Scene(submitted_at, present))
    assert list(ready) == [client for client in places if client in present]


waits = st.builds(WaitForRun, st.sampled_from(Hold), st.none() | moments)


@given(waits, st.lists(moments, max_size=4), st.none() | windows, moments)
def test_no_estimate_is_below_zero(
    wait: WaitForRun, begun: list[datetime], mean: timedelta | None, now: datetime
) -> None:
    """However late a run is, and however the clock was set."""
    estimate = estimate_start(wait, begun, mean, now)
    assert estimate is None or estimate >= timedelta(0)


LONGEST_RUN = 20  # seconds
steps = st.lists(
    st.tuples(st.sets(names, max_size=4), st.integers(1, LONGEST_RUN)), min_size=1, max_size=80
)


@given(steps, st.integers(1, 5), st.integers(1, 3), st.integers(-(10**6), 10**6))
def test_a_steady_stream_starves_nobody(
    arrivals: list[tuple[set[str], int]], window: int, max_runs: int, jump: int
) -> None:
    """Each starts within the window once a place is free, though its clock jumps on the way.

    A second a step: who arrives, and how long a run takes that starts then.
    """
    policy = BatchPolicy(window * SECOND, max_runs)
    submitted_at: dict[str, datetime] = {}
    waited: dict[str, int] = {}
    runs: list[tuple[int, tuple[str, ...]]] = []
    for step, (clients, lasts) in enumerate(arrivals):
        now = NOW + step * SECOND + (jump * SECOND if step > len(arrivals) / 2 else 0 * SECOND)
        runs = [(ends, served) for ends, served in runs if ends > step]
        busy = {client for _, served in runs for client in served}
        for client in clients - set(submitted_at):
            submitted_at[client], waited[client] = now, 0
        scene = Scene(submitted_at, set(submitted_at), busy, len(runs))
        decision = decide_batch(scene, policy, now)
        if isinstance(decision, StartRun):
            runs.append((step + lasts, decision.clients))
            for client in decision.clients:
                del submitted_at[client]
        assert len(runs) <= max_runs
        for client in submitted_at:
            waited[client] += 1
            # a run ends, its own last one or another's, and the window after that
            assert waited[client] <= LONGEST_RUN + window
