"""When the next run starts, and for whom."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from asyncamanda.core.dispatch.batch import (
    MOST_AGAIN,
    SHORTEST_GUESS,
    BatchPolicy,
    Hold,
    Scene,
    StartRun,
    Unserved,
    WaitForRun,
    choose_again,
    decide_batch,
    estimate_start,
    find_suspects,
    find_wait,
    in_order,
    ready_clients,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WINDOW = 3 * SECOND
POLICY = BatchPolicy(WINDOW, max_runs=2)
LONG_AGO = NOW - timedelta(hours=1)
ONE = {"laptop": LONG_AGO}
TWO = {"laptop": LONG_AGO, "tower": LONG_AGO + SECOND}


@pytest.mark.parametrize(
    ("scene", "decision"),
    [
        (Scene({}), WaitForRun(Hold.NOBODY)),
        (Scene({}, present=["laptop"]), WaitForRun(Hold.NOBODY)),
        (Scene(ONE), WaitForRun(Hold.NOBODY)),
        (Scene(ONE, ["laptop"]), StartRun(("laptop",))),
        (Scene(ONE, ["laptop"], runs=1), StartRun(("laptop",))),
        (Scene(ONE, ["laptop"], busy=["laptop"], runs=1), WaitForRun(Hold.RUNS)),
        (Scene(ONE, busy=["laptop"], runs=1), WaitForRun(Hold.RUNS)),
        (Scene(ONE, ["laptop"], runs=2), WaitForRun(Hold.RUNS)),
        (Scene(ONE, ["laptop"], runs=3), WaitForRun(Hold.RUNS)),
        (Scene(ONE, ["laptop"], is_starting=True), WaitForRun(Hold.STARTING)),
        (Scene(ONE, ["laptop"], has_others=True), WaitForRun(Hold.OTHERS)),
        (Scene(ONE, ["laptop"], is_held_for_flush=True), WaitForRun(Hold.FLUSH)),
    ],
)
def test_what_the_next_run_waits_for(scene: Scene, decision: StartRun | WaitForRun) -> None:
    """It starts for who waits and is there, unless something stands in its way."""
    assert decide_batch(scene, POLICY, NOW) == decision


@pytest.mark.parametrize(
    ("scene", "hold"),
    [
        (Scene(ONE, ["laptop"], (), 2, True, True, True), Hold.FLUSH),
        (Scene(ONE, ["laptop"], (), 2, True, True), Hold.OTHERS),
        (Scene(ONE, ["laptop"], (), 2, True), Hold.RUNS),
        (Scene({"laptop": NOW}, ["laptop"], (), 2), Hold.RUNS),
    ],
)
def test_of_several_obstacles_the_longest_is_told(scene: Scene, hold: Hold) -> None:
    """And a window that is open is the least of them."""
    assert decide_batch(scene, POLICY, NOW) == WaitForRun(hold)


@pytest.mark.parametrize(
    ("age", "decision"),
    [
        (0 * SECOND, WaitForRun(Hold.COLLECTING, NOW + WINDOW)),
        (2 * SECOND, WaitForRun(Hold.COLLECTING, NOW + SECOND)),
        (WINDOW, StartRun(("laptop",))),
        (-SECOND, StartRun(("laptop",))),
        (-timedelta(days=400), StartRun(("laptop",))),
    ],
)
def test_others_may_join_while_the_window_is_open(
    age: timedelta, decision: StartRun | WaitForRun
) -> None:
    """It opens with the request; one from the future, by a clock set back, waits for nothing."""
    assert decide_batch(Scene({"laptop": NOW - age}, ["laptop"]), POLICY, NOW) == decision


def test_the_oldest_that_is_there_opens_the_window() -> None:
    """Whoever joins later does not keep it open, and one that is away has not opened it."""
    submitted = {"away": LONG_AGO, "first": NOW - 2 * SECOND, "last": NOW}
    scene = Scene(submitted, ["last", "first"])
    assert decide_batch(scene, POLICY, NOW) == WaitForRun(Hold.COLLECTING, NOW + SECOND)
    assert decide_batch(scene, POLICY, NOW + SECOND) == StartRun(("first", "last"))


def test_a_run_is_for_all_who_are_there_in_the_order_of_their_requests() -> None:
    """Not for those who are away, nor for those whose host is in a run already."""
    submitted = {name: LONG_AGO - n * SECOND for n, name in enumerate(["d", "c", "b", "a"])}
    scene = Scene(submitted, present=["d", "c", "a"], busy=["c"], runs=1)
    assert decide_batch(scene, POLICY, NOW) == StartRun(("a", "d"))
    assert ready_clients(scene) == ("a", "d")


def test_of_the_same_age_the_name_decides() -> None:
    """So that nobody's place changes from one look to the next."""
    assert in_order({"b": NOW, "c": LONG_AGO, "a": NOW}) == ["c", "a", "b"]


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("wait", "begun", "mean", "estimate"),
    [
        (WaitForRun(Hold.COLLECTING, NOW + SECOND), [], None, SECOND),
        (WaitForRun(Hold.COLLECTING, NOW - SECOND), [], None, timedelta(0)),
        (WaitForRun(Hold.COLLECTING), [], None, timedelta(0)),
        (WaitForRun(Hold.STARTING), [NOW], MINUTE, SHORTEST_GUESS),
        (WaitForRun(Hold.RUNS), [NOW - 20 * SECOND, NOW - 50 * SECOND], MINUTE, 10 * SECOND),
        (WaitForRun(Hold.RUNS), [NOW - 3 * MINUTE], MINUTE, SHORTEST_GUESS),
        (WaitForRun(Hold.RUNS), [NOW], None, None),
        (WaitForRun(Hold.RUNS), [], MINUTE, None),
        (WaitForRun(Hold.OTHERS), [NOW], MINUTE, None),
        (WaitForRun(Hold.FLUSH), [NOW], MINUTE, None),
        (WaitForRun(Hold.NOBODY), [NOW], MINUTE, None),
    ],
)
def test_how_long_it_is_until_the_next_run(
    wait: WaitForRun, begun: list[datetime], mean: timedelta | None, estimate: timedelta | None
) -> None:
    """The run that began first ends first; where nobody can know, nothing is said."""
    assert estimate_start(wait, begun, mean, NOW) == estimate


@pytest.mark.parametrize(
    ("scene", "decision"),
    [
        (Scene(TWO, [*TWO], suspects=["laptop"]), StartRun(("tower",))),
        (Scene(TWO, [*TWO], suspects=["tower"]), StartRun(("laptop",))),
        (Scene(TWO, [*TWO], suspects=[*TWO]), StartRun(("laptop",))),
        (Scene(TWO, ["laptop"], suspects=["laptop"]), StartRun(("laptop",))),
        (Scene(TWO, ["tower"], ["laptop"], 1, suspects=[*TWO]), WaitForRun(Hold.RUNS)),
        (Scene({"tower": LONG_AGO}, ["tower"], ["nas"], 1, suspects=["nas"]), StartRun(("tower",))),
    ],
)
def test_who_cost_others_a_run_gets_one_of_its_own(
    scene: Scene, decision: StartRun | WaitForRun
) -> None:
    """Behind all others, and one such run at a time."""
    assert decide_batch(scene, POLICY, NOW) == decision


HERE, GONE = Unserved("laptop", is_present=True), Unserved("tower", is_present=False)
BLAMED = Unserved("tower", is_present=True, is_blamed=True)


@pytest.mark.parametrize(
    ("unserved", "again", "suspects"),
    [
        ([], (), set()),
        ([HERE], ("laptop",), set()),
        ([replace(HERE, times=1)], (), set()),
        ([HERE, GONE], ("laptop",), {"tower"}),
        ([HERE, BLAMED], ("laptop",), {"tower"}),
        ([HERE, BLAMED, replace(GONE, client="nas")], ("laptop",), {"tower"}),
        ([replace(HERE, times=MOST_AGAIN - 1), GONE], ("laptop",), {"tower"}),
        ([replace(HERE, times=MOST_AGAIN), GONE], (), {"tower"}),
        ([BLAMED], (), {"tower"}),
        ([replace(BLAMED, is_present=False), GONE], (), {"tower"}),
    ],
)
def test_who_is_there_goes_back_into_the_queue_when_a_run_came_to_nothing(
    unserved: list[Unserved], again: tuple[str, ...], suspects: set[str]
) -> None:
    """But not who was the cause; and only once where nobody was."""
    assert choose_again(unserved) == again
    assert find_suspects(unserved) == suspects


@pytest.mark.parametrize(
    ("times", "hours"),
    [
        ([], 0),
        ([time(11)], 0),
        ([time(12)], 0),
        ([time(13)], 1),
        ([time(13), time(22), time(3)], 10),
    ],
)
def test_amanda_waits_for_the_last_time_of_day_that_is_to_come(
    times: list[time], hours: int
) -> None:
    """Of today: once it is past it does not wait for tomorrow's."""
    assert find_wait(times, NOW) == timedelta(hours=hours)
