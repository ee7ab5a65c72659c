"""When a run counts as stuck, and what is done about it, step by step."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from asyncamanda.core.dispatch.watchdog import (
    Act,
    Cut,
    DumpSight,
    EndPart,
    KillRun,
    Sight,
    WatchPolicy,
    WatchState,
    shift_time,
    watch_run,
)

SECOND = timedelta(seconds=1)
POLICY = WatchPolicy(
    silence=100 * SECOND, dump_silence=40 * SECOND, least_kilobytes=10, step=10 * SECOND
)
LEAST = 10 * 1024
SILENT = "no more than 10 kB of its dump arrived within 40s"
ORPHANED = "the dumper of its dump has died"
UNWRITTEN = "the chunker of its dump has died"
GONE = "its stream is gone, and Amanda waits for it"
DUMP = DumpSight("laptop", 0)
OTHER = DumpSight("tower", 0)


def follow(*sights: tuple[int, Sight]) -> list[tuple[int, Act]]:
    """Return what is done, and when, if these are seen at these seconds."""
    watch, done = WatchState(), []
    for second, sight in sights:
        watch, acts = watch_run(watch, sight, POLICY, second * SECOND)
        done += [(second, act) for act in acts]
    return done


def stay(sight: Sight, *seconds: int) -> list[tuple[int, Act]]:
    """Return what is done, and when, where the same is seen each time."""
    return follow(*((second, sight) for second in seconds))


def dumping(*dumps: DumpSight, lines: int = 0) -> Sight:
    """Return the sight of a run that makes these dumps, each by a chunker of its own."""
    chunkers = dict(enumerate(dumps, 2))
    moved = {pid: dump.moved for pid, dump in chunkers.items()}
    return Sight(lines=lines, moved={1: 0, **moved}, dumps=chunkers)


def test_a_dump_that_stands_is_cut_then_its_chunker_ended_then_the_run_killed() -> None:
    """One step after the other, each with time to work."""
    assert stay(dumping(DUMP), 0, 39, 40, 49, 50, 59, 60, 69) == [
        (40, Cut("laptop", SILENT, is_for_good=True)),
        (50, EndPart(2, "laptop")),
        (60, KillRun(SILENT, ("laptop",))),
    ]


def test_a_run_that_cannot_be_killed_is_killed_again() -> None:
    """With a step between."""
    acts = stay(dumping(DUMP), 0, 40, 50, 60, 65, 70, 80)
    assert [at for at, act in acts if isinstance(act, KillRun)] == [60, 70, 80]


def test_bytes_keep_a_dump_alive_and_a_trickle_does_not() -> None:
    """Fewer than the least within the bound are none."""
    well = [(30 * n, dumping(replace(DUMP, moved=n * LEAST))) for n in range(9)]
    assert follow(*well) == []
    slow = [(10 * n, dumping(replace(DUMP, moved=n * 100))) for n in range(5)]
    assert follow(*slow) == [(40, Cut("laptop", SILENT, is_for_good=True))]


def test_bytes_that_come_after_a_cut_end_the_alarm() -> None:
    """The chunker is left alone then."""
    moved = dumping(replace(DUMP, moved=LEAST))
    assert [at for at, _ in follow((0, dumping(DUMP)), (40, dumping(DUMP)), (49, moved))] == [40]
    assert follow((0, dumping(DUMP)), (40, dumping(DUMP)), (49, moved), (88, moved))[1:] == []


def test_a_dump_made_again_has_all_its_time() -> None:
    """It has another chunker."""
    again = Sight(0, {1: 0}, {3: DUMP})
    assert [at for at, _ in follow((0, dumping(DUMP)), (40, dumping(DUMP)), (41, again))] == [40]
    acts = follow((0, dumping(DUMP)), (40, dumping(DUMP)), (41, again), (80, again), (81, again))
    assert [at for at, _ in acts] == [40, 81]


@pytest.mark.parametrize(
    ("dump", "reason"),
    [
        (replace(DUMP, has_dumper=False), ORPHANED),
        (replace(DUMP, has_stream=False), GONE),
        (replace(DUMP, has_chunker=False), UNWRITTEN),
    ],
)
def test_a_dump_that_lost_a_part_is_not_waited_for(dump: DumpSight, reason: str) -> None:
    """One step for its end to come by itself, then the same; it may be called again.

    It is nobody's silence, so nobody is to blame.
    """
    acts = follow((0, dumping(DUMP)), *((at, dumping(dump)) for at in (5, 14, 15, 25, 35)))
    assert acts == [
        (15, Cut("laptop", reason)),
        (25, EndPart(2, "laptop")),
        (35, KillRun(reason, ())),
    ]


def test_a_stream_that_comes_back_is_no_trouble() -> None:
    """It was away for less than a step each time."""
    lost = dumping(replace(DUMP, has_stream=False))
    assert follow((0, lost), (9, lost), (10, dumping(DUMP)), (12, lost), (21, lost)) == []


def test_only_the_stuck_one_is_cut_while_another_goes_on() -> None:
    """And a run that makes progress elsewhere is killed anyway, in the end."""
    sights = [(10 * n, dumping(DUMP, replace(OTHER, moved=n * LEAST), lines=n)) for n in range(7)]
    assert follow(*sights) == [
        (40, Cut("laptop", SILENT, is_for_good=True)),
        (50, EndPart(2, "laptop")),
        (60, KillRun(SILENT, ("laptop",))),
    ]


def test_a_silent_run_has_its_callers_cut_and_is_killed() -> None:
    """Those with whom it still has a call are to blame; with none, nobody is."""
    reason = "the run made no progress for 1m 40s"
    silent = Sight(5, {1: 0}, called=("laptop",))
    assert stay(silent, 0, 99, 100, 109, 110) == [
        (100, Cut("laptop", reason, is_for_good=True)),
        (110, KillRun(reason, ("laptop",))),
    ]
    assert stay(Sight(5, {1: 0}), 0, 99, 100, 110) == [(110, KillRun(reason, ()))]


@pytest.mark.parametrize(
    "news",
    [
        Sight(6, {1: 0}),
        Sight(5, {1: LEAST}),
        Sight(5, {1: 0, 2: 0}),
        Sight(5, {}),
        Sight(4, {1: 0}),
    ],
)
def test_a_line_a_byte_or_a_process_is_a_sign_of_life(news: Sight) -> None:
    """In a run that makes no dump just now."""
    assert follow((0, Sight(5, {1: 0})), (99, news), (198, news)) == []


def test_a_few_bytes_are_no_sign_of_life() -> None:
    """Programs that wait read a little now and then."""
    few = Sight(5, {1: LEAST - 1})
    acts = follow((0, Sight(5, {1: 0})), (99, few), (100, few), (110, few))
    assert acts == [(110, KillRun("the run made no progress for 1m 40s", ()))]


def test_a_run_whose_dumpers_have_all_died_is_not_waited_for() -> None:
    """Nobody is to blame, for each of them may have cost another client's dump."""
    bereft = Sight(0, {1: 0}, is_bereft=True)
    reason = "all dumpers of the run have died"
    assert follow((0, Sight(0, {1: 0})), (1, bereft), (10, bereft), (11, bereft)) == [
        (11, KillRun(reason, ()))
    ]


def test_what_is_seen_last_counts_nothing_before_it_is_seen() -> None:
    """A dispatcher that takes a run over has seen nothing of it."""
    assert follow((1_000_000, dumping(DUMP))) == []


@pytest.mark.parametrize(
    ("passed", "counted"),
    [(1, 1), (5, 5), (6, 5), (86_400, 5), (0, 0), (-3600, 0)],
)
def test_a_clock_that_steps_and_a_machine_that_sleeps_let_no_bound_pass(
    passed: int, counted: int
) -> None:
    """What lies between two looks counts up to LONGEST_PAUSE."""
    assert shift_time(7 * SECOND, passed * SECOND) == (7 + counted) * SECOND


def _act_at(sight_at: Callable[[int], Sight]) -> int:
    """Return when the first thing is done about a run that is looked at each second."""
    acts = follow(*((second, sight_at(second)) for second in range(400)))
    return acts[0][0]


def test_silence_is_seen_soon_however_the_bytes_before_it_were_spread() -> None:
    """Almost the least at once, and the last of it just before the bound: it took two of them."""

    def trickle(second: int) -> int:
        return (second >= 1) * (LEAST - 1) + (second >= 39)

    at = _act_at(lambda second: dumping(replace(DUMP, moved=trickle(second))))
    assert at <= 1 + 40 + 40 / 8 + 1


def test_a_run_s_silence_is_seen_soon_as_well() -> None:
    """By the same reckoning."""

    def see(second: int) -> Sight:
        moved = (second >= 1) * (LEAST - 1) + (second >= 99)
        return Sight(5, {1: moved}, called=("laptop",))

    assert _act_at(see) <= 1 + 100 + 100 / 8 + 1


@pytest.mark.parametrize("pause", range(2, 40, 3))
def test_no_dump_that_brings_the_least_within_each_bound_is_stuck(pause: int) -> None:
    """At whatever moments it does."""
    each = -(-LEAST // (40 // pause))
    sights = [(n, dumping(replace(DUMP, moved=(n // pause) * each))) for n in range(400)]
    assert follow(*sights) == []
