"""What the agent remembers of an attempt, and what it concludes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.agent.remember import (
    KEPT_ATTEMPTS,
    KEPT_NAMES,
    KEPT_SPANS,
    LONGEST_DETAIL,
    doubt_running,
    next_try_at,
    note_end,
    note_start,
    note_unseen_end,
    settles_at,
)
from asyncamanda.core.model import END_OF_TIME, Attempt, DumpRecord, Memory, Outcome, Span, Started

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
SETTLE = timedelta(hours=1)
EMPTY = Memory(since=NOW)

UNSETTLED = [Outcome.KILLED, Outcome.LOST, Outcome.INTERRUPTED, Outcome.UNSEEN, Outcome.PAUSED]
RAN = [Outcome.FAILED, Outcome.INCOMPLETE, Outcome.DOUBTFUL, Outcome.NOBODY, *UNSETTLED]
NOT_RUN = [
    Outcome.UNREACHABLE,
    Outcome.REFUSED,
    Outcome.LATER,
    Outcome.STOPPED,
    Outcome.DEFERRED,
]


def attempt(outcome: Outcome, after: timedelta = timedelta(0), detail: str = "") -> Attempt:
    """Return an attempt of one minute that began `after` now."""
    return Attempt(NOW + after, NOW + after + MINUTE, outcome, detail)


def remember(*attempts: Attempt) -> Memory:
    """Return the memory after `attempts`."""
    memory = EMPTY
    for each in attempts:
        memory = note_end(memory, each)
    return memory


def test_a_start_is_remembered_until_its_end() -> None:
    """Between the two an agent that dies leaves its trace."""
    started = Started(NOW, NOW, 7)
    memory = note_start(EMPTY, started)
    assert memory.started == started
    assert note_end(memory, attempt(Outcome.FAILED)).started is None


@pytest.mark.parametrize("outcome", [Outcome.BACKED_UP, Outcome.INCOMPLETE])
def test_a_good_run_confirms_its_dumps_and_no_others(outcome: Outcome) -> None:
    """What another run confirmed stays; the newer dump of a disk replaces the older.

    A run that ended well and lacks a disk has the others.
    """
    old, new, other = (
        DumpRecord("/", 0, NOW),
        DumpRecord("/", 1, NOW + MINUTE),
        DumpRecord("/h", 0, NOW),
    )
    first = replace(attempt(Outcome.BACKED_UP), dumps=(old, other))
    memory = remember(first, replace(attempt(outcome, MINUTE), dumps=(new,)))
    assert memory.confirmed == {"/": new, "/h": other}
    assert memory.distrusted == ()


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.DOUBTFUL])
def test_a_failed_run_confirms_nothing_and_its_times_are_distrusted(outcome: Outcome) -> None:
    """From the second of its start, to its end; so it is with one of whose end nobody is sure."""
    claimed = DumpRecord("/", 0, NOW)
    memory = remember(replace(attempt(outcome), dumps=(claimed,)))
    assert memory.confirmed == {}
    assert memory.distrusted == (Span(NOW, NOW + MINUTE),)


def test_distrust_begins_with_the_whole_second_of_the_start() -> None:
    """amandates has whole seconds, cut off."""
    failed = Attempt(NOW + 0.9 * SECOND, NOW + MINUTE, Outcome.FAILED)
    assert remember(failed).distrusted == (Span(NOW, NOW + MINUTE),)


@pytest.mark.parametrize("outcome", UNSETTLED)
def test_after_a_run_whose_end_was_not_seen_all_is_distrusted(outcome: Outcome) -> None:
    """It may go on at the server without us, for hours."""
    memory = remember(attempt(outcome))
    assert memory.distrusted == (Span(NOW, END_OF_TIME),)
    assert settles_at(memory, SETTLE, NOW + MINUTE) == NOW + MINUTE + SETTLE


@pytest.mark.parametrize("outcome", UNSETTLED)
def test_the_next_start_ends_the_distrust_of_what_comes(outcome: Outcome) -> None:
    """Its own first second counts, whole; all before it stays distrusted."""
    start = NOW + 5 * MINUTE
    memory = note_start(
        remember(attempt(Outcome.FAILED, -MINUTE), attempt(outcome)),
        Started(start + 0.5 * SECOND, start, 7),
    )
    failed, unseen = memory.distrusted
    assert failed == Span(NOW - MINUTE, NOW)
    assert start - SECOND in unseen
    assert start not in unseen


def test_while_a_run_goes_on_what_it_dumped_does_not_count_yet() -> None:
    """Whether it will end well is not known."""
    running = note_start(EMPTY, Started(NOW + 0.5 * SECOND, NOW, 7))
    assert doubt_running(running).distrusted == (Span(NOW, END_OF_TIME),)
    assert running.distrusted == ()
    assert doubt_running(EMPTY) is EMPTY


@pytest.mark.parametrize("outcome", NOT_RUN)
def test_an_attempt_that_never_reached_the_command_casts_no_doubt(outcome: Outcome) -> None:
    """Nothing ran, so nothing lied, and nothing can still go on."""
    memory = remember(attempt(outcome))
    assert memory.distrusted == ()
    assert settles_at(memory, SETTLE, NOW + MINUTE) is None


@pytest.mark.parametrize("outcome", [*NOT_RUN])
def test_an_unreachable_server_does_not_settle_an_earlier_run(outcome: Outcome) -> None:
    """The last attempt that ran something decides."""
    memory = remember(attempt(Outcome.LOST), attempt(outcome, 5 * MINUTE))
    assert settles_at(memory, SETTLE, NOW + 6 * MINUTE) == NOW + MINUTE + SETTLE


@pytest.mark.parametrize("outcome", [Outcome.BACKED_UP, Outcome.FAILED, Outcome.INCOMPLETE])
def test_a_later_run_that_was_seen_to_its_end_settles_the_matter(outcome: Outcome) -> None:
    """Then nothing is waited for."""
    memory = remember(attempt(Outcome.LOST), attempt(outcome, MINUTE))
    assert settles_at(memory, SETTLE, NOW + 2 * MINUTE) is None
    assert settles_at(EMPTY, SETTLE, NOW) is None


@pytest.mark.parametrize(
    ("after", "waits"),
    [
        (MINUTE, True),
        (SETTLE, True),
        (MINUTE + SETTLE - SECOND, True),
        (MINUTE + SETTLE, False),
        (999 * SETTLE, False),
    ],
)
def test_a_run_whose_end_was_not_seen_is_waited_for_until_it_settles(
    after: timedelta, waits: bool
) -> None:
    """Counted from when it was last seen, and no longer."""
    expected = NOW + MINUTE + SETTLE if waits else None
    assert settles_at(remember(attempt(Outcome.LOST)), SETTLE, NOW + after) == expected


def test_a_clock_that_was_years_ahead_keeps_nobody_waiting() -> None:
    """A run lost in 2030, by a clock since put right, has no hold on today."""
    memory = remember(attempt(Outcome.LOST, timedelta(days=1200)))
    assert settles_at(memory, SETTLE, NOW) is None


def test_a_clock_set_back_during_a_failed_run_leaves_no_gap_in_the_distrust() -> None:
    """What it dumped is dated between its end and its start."""
    failed = Attempt(NOW, NOW - 30 * MINUTE, Outcome.FAILED)
    assert remember(failed).distrusted == (Span(NOW - 30 * MINUTE, NOW),)


@pytest.mark.parametrize("outcome", UNSETTLED)
def test_a_clock_set_back_during_a_run_without_an_end_leaves_no_gap_either(
    outcome: Outcome,
) -> None:
    """What it dumped is dated before its start."""
    memory = remember(Attempt(NOW, NOW - 30 * MINUTE, outcome))
    assert memory.distrusted == (Span(NOW - 30 * MINUTE, END_OF_TIME),)


def test_a_clock_set_back_before_an_agent_died_leaves_no_gap_either() -> None:
    """Nor while its run goes on."""
    running = note_start(EMPTY, Started(NOW, NOW - 30 * MINUTE, 7))
    expected = (Span(NOW - 30 * MINUTE, END_OF_TIME),)
    assert doubt_running(running).distrusted == expected
    assert note_unseen_end(running).distrusted == expected


@pytest.mark.parametrize("outcome", UNSETTLED)
def test_a_clock_set_back_before_the_next_start_wipes_no_distrust_out(outcome: Outcome) -> None:
    """What the run dumped, until it was last seen, stays distrusted."""
    start = NOW - 30 * MINUTE
    memory = note_start(remember(attempt(outcome)), Started(start, start, 7))
    assert memory.distrusted == (Span(NOW, NOW + MINUTE),)


@pytest.mark.parametrize("back", [2 * SECOND, 5 * MINUTE])
def test_a_clock_set_back_a_little_does_not_end_the_waiting(back: timedelta) -> None:
    """As a time server sets it; what is further ahead comes of a clock that was wrong."""
    memory = remember(attempt(Outcome.LOST))
    until = NOW + MINUTE + SETTLE
    assert settles_at(memory, SETTLE, NOW + MINUTE - back) == until
    assert settles_at(memory, SETTLE, NOW + MINUTE - 5 * MINUTE - SECOND) is None


def test_an_agent_that_died_while_its_command_ran_is_found_out() -> None:
    """Its run is known until it last said that it lives, and may go on after that."""
    memory = note_start(EMPTY, Started(NOW, NOW + 5 * MINUTE, 4711))
    found = note_unseen_end(memory)
    assert found.started is None
    assert found.distrusted == (Span(NOW, END_OF_TIME),)
    assert settles_at(found, SETTLE, NOW + 9 * MINUTE) == NOW + 5 * MINUTE + SETTLE
    assert [a.outcome for a in found.attempts] == [Outcome.UNSEEN]
    assert "4711" in found.attempts[0].detail


def test_an_agent_that_died_on_the_line_leaves_which_run_it_was() -> None:
    """By that the server's report settles it later."""
    memory = note_start(EMPTY, Started(NOW, NOW, 7, "20261123120000"))
    assert note_unseen_end(memory).attempts[0].run == "20261123120000"


def test_without_a_start_nothing_is_found_out() -> None:
    """The memory stays as it is."""
    assert note_unseen_end(EMPTY) is EMPTY


@pytest.mark.parametrize("outcome", NOT_RUN)
def test_equal_attempts_without_a_run_are_kept_as_one(outcome: Outcome) -> None:
    """A week off the network is one line: the first's start, the last's end and words."""
    memory = remember(*(attempt(outcome, n * MINUTE, f"try {n}") for n in range(5)))
    assert memory.attempts == (Attempt(NOW, NOW + 5 * MINUTE, outcome, "try 4", times=5),)


@pytest.mark.parametrize("outcome", [*RAN, Outcome.BACKED_UP])
def test_every_run_is_kept_on_its_own(outcome: Outcome) -> None:
    """Two runs that ended alike are two."""
    assert len(remember(attempt(outcome), attempt(outcome, MINUTE)).attempts) == 2


def test_attempts_that_ended_differently_are_kept_apart() -> None:
    """Refused is not unreachable."""
    outcomes = [Outcome.UNREACHABLE, Outcome.REFUSED, Outcome.UNREACHABLE]
    memory = remember(*(attempt(outcome) for outcome in outcomes))
    assert [a.outcome for a in memory.attempts] == outcomes


def test_only_the_latest_attempts_are_kept() -> None:
    """A memory does not grow forever."""
    tries = [attempt(Outcome.FAILED, n * MINUTE) for n in range(KEPT_ATTEMPTS + 5)]
    assert remember(*tries).attempts == tuple(tries[5:])


def backed_up(disks: int, number: int = 0, detail: str = "", name: int = 0) -> Attempt:
    """Return the attempt `number` that brought so many disks."""
    dumps = tuple(DumpRecord(f"/{n}{'x' * name}", 0, NOW) for n in range(disks))
    at = NOW + number * MINUTE
    return Attempt(at, at, Outcome.BACKED_UP, detail, dumps=dumps)


def test_a_laptop_s_history_is_kept_whole() -> None:
    """A few disks, for as many attempts as are kept."""
    tries = [backed_up(8, number) for number in range(KEPT_ATTEMPTS)]
    assert remember(*tries).attempts == tuple(tries)


@pytest.mark.parametrize(("disks", "name", "whole"), [(500, 0, 3), (40, 3000, 1)])
def test_of_old_attempts_with_many_disks_only_their_number_is_kept(
    disks: int, name: int, whole: int
) -> None:
    """Else a memory of a hundred attempts had megabytes, which each start reads and writes."""
    tries = [backed_up(disks, n, "with warnings" if n == 1 else "", name) for n in range(30)]
    kept = remember(*tries).attempts
    assert kept[-1] == tries[-1]
    assert sum(len(dump.disk) for each in kept for dump in each.dumps) <= KEPT_NAMES
    assert [each.started_at for each in kept] == [each.started_at for each in tries]
    assert (kept[0].dumps, kept[0].detail) == ((), f"{disks} disks")
    assert (kept[1].dumps, kept[1].detail) == ((), "with warnings")
    assert sum(each.dumps != () for each in kept) == whole


def test_the_newest_attempt_keeps_its_dumps_however_many_they_are() -> None:
    """They say what the next one need not bring; what was unsuccessful since changes nothing."""
    newest = backed_up(2000, 1, name=500)
    kept = remember(backed_up(3), newest, attempt(Outcome.LATER, 2 * MINUTE)).attempts
    assert [len(each.dumps) for each in kept] == [0, 2000, 0]
    assert kept[1] == newest


def test_a_detail_is_cut() -> None:
    """A program may print what it likes."""
    (kept,) = remember(attempt(Outcome.FAILED, detail="x" * 1_000_000)).attempts
    assert kept.detail == "x" * (LONGEST_DETAIL - 3) + "..."
    (kept,) = remember(attempt(Outcome.FAILED, detail="x" * LONGEST_DETAIL)).attempts
    assert kept.detail == "x" * LONGEST_DETAIL


def test_too_many_spans_are_merged_and_none_is_lost() -> None:
    """The oldest grow together, so that every distrusted moment stays distrusted."""
    tries = [attempt(Outcome.FAILED, n * timedelta(days=1)) for n in range(KEPT_SPANS + 5)]
    spans = remember(*tries).distrusted
    assert len(spans) == KEPT_SPANS
    for each in tries:
        for moment in (each.started_at, each.ended_at):
            assert any(moment in span for span in spans)
    assert spans[1:] == tuple(Span(each.started_at, each.ended_at) for each in tries[6:])


def test_a_long_span_is_not_cut_short_by_a_merge() -> None:
    """The later of the two ends counts."""
    long = Span(NOW, NOW + timedelta(days=400))
    memory = replace(EMPTY, distrusted=(long, *[Span(NOW + MINUTE, NOW + 2 * MINUTE)] * 49))
    merged = note_end(memory, attempt(Outcome.FAILED, timedelta(days=3)))
    assert merged.distrusted[0] == long


def test_spans_out_of_order_lose_nothing_in_a_merge() -> None:
    """The earlier of the two starts counts as well."""
    older = Span(NOW - timedelta(days=1), NOW - timedelta(hours=23))
    newer = Span(NOW, NOW + MINUTE)
    memory = replace(EMPTY, distrusted=(newer, older, *[newer] * (KEPT_SPANS - 2)))
    merged = note_end(memory, attempt(Outcome.FAILED))
    assert merged.distrusted[0] == Span(older.start, newer.end)
    assert len(merged.distrusted) == KEPT_SPANS


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_that_did_not_run_is_settled(outcome: Outcome) -> None:
    """What never ran cannot go on."""
    assert outcome.is_settled or outcome.has_run
    assert outcome.has_run is (outcome not in NOT_RUN)
    assert outcome.is_settled is (outcome not in UNSETTLED)


@pytest.mark.parametrize(
    ("outcome", "brought", "wanted", "hours", "waits"),
    [
        (Outcome.INCOMPLETE, ("/",), ("/gone",), 1, True),
        (Outcome.INCOMPLETE, ("/",), ("/gone",), 23.2, True),
        (Outcome.INCOMPLETE, ("/",), ("/gone",), 23.3, False),
        (Outcome.INCOMPLETE, ("/",), ("/gone",), -1, False),  # the clock was set back
        (Outcome.INCOMPLETE, ("/",), ("/gone", "/"), 1, False),  # what it brought is due again
        (Outcome.INCOMPLETE, (), ("/gone",), 1, True),  # nothing at all: a wrong command, say
        (Outcome.INCOMPLETE, (), (), 1, True),  # the classic form, where any disk would do
        (Outcome.DOUBTFUL, ("/",), ("/",), 1, True),  # the next would hardly be less doubtful
        (Outcome.DOUBTFUL, ("/",), ("/",), 23.3, False),
        (Outcome.FAILED, ("/",), ("/gone",), 1, False),
        (Outcome.BACKED_UP, ("/",), ("/gone",), 1, False),
    ],
)
def test_what_a_good_run_did_not_bring_is_tried_once_an_interval(
    outcome: Outcome, brought: tuple[str, ...], wanted: tuple[str, ...], hours: float, waits: bool
) -> None:
    """Making the run again at once would hardly bring what has left the disklist."""
    dumps = tuple(DumpRecord(disk, 0, NOW) for disk in brought)
    memory = Memory(since=NOW, attempts=(Attempt(NOW, NOW, outcome, dumps=dumps),))
    now = NOW + timedelta(hours=hours)
    expected = NOW + timedelta(hours=24 * 0.97) if waits else None
    assert next_try_at(memory, wanted, timedelta(hours=24), now) == expected


def test_a_run_at_the_gate_that_brought_nothing_is_tried_once_an_interval_as_well() -> None:
    """The server made it and had nothing to dump: no wrong command that somebody fixes."""
    attempt = Attempt(NOW, NOW, Outcome.INCOMPLETE, run="20261123120000")
    memory = Memory(since=NOW, attempts=(attempt,))
    now = NOW + timedelta(hours=1)
    expected = NOW + timedelta(hours=24 * 0.97)
    assert next_try_at(memory, ("/gone",), timedelta(hours=24), now) == expected
