"""How the backup stands, the worst first, and the exit code that goes with it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.agent.due import Disk, Witness
from asyncamanda.core.agent.summary import (
    KEPT_DETAIL,
    State,
    Summary,
    due_at,
    judge_summary,
    summarize,
)
from asyncamanda.core.model import Attempt, DiskRule, DumpRecord, Outcome, Policy

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DAILY = Policy(DAY)
NEWEST = Policy(DAY, DiskRule.NEWEST)
FAILURES = (Outcome.FAILED, Outcome.INCOMPLETE, Outcome.KILLED, Outcome.REFUSED)
CUT = (Outcome.LOST, Outcome.INTERRUPTED, Outcome.UNSEEN, Outcome.PAUSED)
VAIN = (Outcome.UNREACHABLE, Outcome.LATER, Outcome.STOPPED)

FRESH, OVERDUE, OLD, NEVER = HOUR, 26 * HOUR, 8 * DAY, None


def disk(name: str, ago: timedelta | None) -> Disk:
    """Return a disk whose last dump started `ago` before now, None for none."""
    return Disk(name, None if ago is None else DumpRecord(name, 0, NOW - ago))


def tried(outcome: Outcome, ago: timedelta = 10 * MINUTE) -> Attempt:
    """Return an attempt that began `ago` and took a minute."""
    return Attempt(NOW - ago, NOW - ago + MINUTE, outcome, outcome.value)


def summary(
    *disks: Disk,
    attempts: tuple[Attempt, ...] = (),
    policy: Policy = DAILY,
    since: timedelta = DAY,
    asked: timedelta | None = HOUR,
) -> Summary:
    """Return what is known of `disks`, according to the server."""
    return Summary(
        written_at=NOW,
        since=NOW - since,
        witness=Witness.SERVER,
        policy=policy,
        disks=disks,
        attempts=attempts,
        asked_at=None if asked is None else NOW - asked,
        not_before=None,
        retry_at=None,
        retry_within=None,
    )


@pytest.mark.parametrize(
    ("ages", "outcomes", "state", "code"),
    [
        ([FRESH], [], State.WELL, 0),
        ([FRESH, FRESH], [Outcome.BACKED_UP], State.WELL, 0),
        ([OVERDUE], [], State.OVERDUE, 0),
        ([FRESH, OVERDUE], [Outcome.BACKED_UP], State.OVERDUE, 0),
        ([OVERDUE], [Outcome.DEFERRED], State.DEFERRED, 0),
        ([OVERDUE], [Outcome.DEFERRED, Outcome.UNREACHABLE], State.OVERDUE, 0),
        ([FRESH], [Outcome.DEFERRED], State.WELL, 0),
        ([], [], State.NEVER, 0),
        ([NEVER], [], State.NEVER, 0),
        ([NEVER], [Outcome.DEFERRED], State.NEVER, 0),
        ([FRESH, NEVER], [Outcome.BACKED_UP], State.NEVER, 0),
        ([OVERDUE, NEVER], [], State.NEVER, 0),
        *[([NEVER], [outcome], State.NEVER, 0) for outcome in VAIN],
        *[([OVERDUE], [outcome], State.OVERDUE, 0) for outcome in (*VAIN, *CUT)],
        # the last verdict was a failure, and still stands
        *[([OVERDUE], [outcome], State.FAILING, 100) for outcome in FAILURES],
        *[([FRESH], [outcome], State.FAILING, 100) for outcome in FAILURES],
        *[([OVERDUE], [Outcome.FAILED, outcome], State.FAILING, 100) for outcome in (*VAIN, *CUT)],
        ([OVERDUE], [Outcome.FAILED, Outcome.DEFERRED], State.FAILING, 100),
        ([OVERDUE], [Outcome.FAILED, Outcome.BACKED_UP], State.OVERDUE, 0),
        ([MINUTE, OVERDUE], [Outcome.FAILED], State.FAILING, 100),
        ([MINUTE, NEVER], [Outcome.FAILED], State.FAILING, 100),
        # runs were made, and never was it confirmed
        *[([FRESH, NEVER], [outcome], State.FAILING, 100) for outcome in (*CUT, *FAILURES)],
        # nothing for too long
        ([OLD], [], State.STALE, 101),
        ([OLD, FRESH], [Outcome.BACKED_UP], State.STALE, 101),
        ([OLD], [Outcome.FAILED], State.STALE, 101),
        ([OLD], [Outcome.DEFERRED], State.STALE, 101),
    ],
)
def test_the_worst_that_is_true_is_the_state(
    ages: list[timedelta | None], outcomes: list[Outcome], state: State, code: int
) -> None:
    """Stale before failing, never, overdue, deferred and well; merely due is no failure."""
    disks = [disk(f"/{number}", ago) for number, ago in enumerate(ages)]
    attempts = [
        tried(outcome, timedelta(minutes=20 - number)) for number, outcome in enumerate(outcomes)
    ]
    status = judge_summary(summary(*disks, attempts=tuple(attempts)), NOW)
    assert (status.state, int(status.exit)) == (state, code)


def test_the_states_are_told_from_the_worst_on() -> None:
    """Their order is the one in which the first line is chosen."""
    assert [*State] == [
        State.STALE,
        State.FAILING,
        State.NEVER,
        State.OVERDUE,
        State.DEFERRED,
        State.PARKED,
        State.WELL,
    ]


def test_where_all_is_parked_nothing_is_well() -> None:
    """Nothing is backed up at all; with one disk that is, the others are no matter."""
    parked = [Disk(name, is_parked=True) for name in ("/a", "/b")]
    assert judge_summary(summary(*parked), NOW).state is State.PARKED
    assert judge_summary(summary(*parked, disk("/c", FRESH)), NOW).state is State.WELL
    assert judge_summary(summary(*parked, since=30 * DAY), NOW).state is State.STALE


@pytest.mark.parametrize(
    ("since", "age", "state"),
    [
        (7 * DAY, None, State.NEVER),
        (7 * DAY + MINUTE, None, State.STALE),
        (90 * DAY, 7 * DAY, State.OVERDUE),
        (90 * DAY, 7 * DAY + MINUTE, State.STALE),
    ],
)
def test_it_is_stale_after_the_time_that_the_policy_bears(
    since: timedelta, age: timedelta | None, state: State
) -> None:
    """Counted from the last backup, or where there never was one from the first start."""
    assert judge_summary(summary(disk("/", age), since=since), NOW).state is state


def test_time_alone_makes_a_summary_overdue_and_stale() -> None:
    """It is judged when somebody asks, not when it was written."""
    written = summary(disk("/", HOUR))
    states = [judge_summary(written, NOW + days * DAY).state for days in (0, 2, 7)]
    assert states == [State.WELL, State.OVERDUE, State.STALE]


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_failure_stands_until_something_newer_is_confirmed(outcome: Outcome) -> None:
    """By another's run as well, of which the agent has heard; but that is no way in again."""
    failed = tried(outcome, 2 * HOUR)
    newer = summary(disk("/", HOUR), attempts=(failed,), asked=3 * HOUR)
    is_refused = outcome is Outcome.REFUSED
    assert judge_summary(newer, NOW).failure == (failed if is_refused else None)
    older = summary(disk("/", 3 * HOUR), attempts=(failed,), asked=3 * HOUR)
    assert judge_summary(older, NOW).failure == failed


def test_a_failure_that_was_made_good_does_not_come_back_when_a_disk_is_due_again() -> None:
    """All disks have dumps that are newer than it."""
    failed = tried(Outcome.FAILED, 30 * HOUR)
    known = summary(disk("/", 28 * HOUR), disk("/b", HOUR), attempts=(failed,))
    assert judge_summary(known, NOW).state is State.OVERDUE


def test_a_run_that_left_one_disk_out_stands_though_it_brought_another() -> None:
    """Until that one is fresh, too."""
    failed = tried(Outcome.FAILED)
    known = summary(disk("/", MINUTE), disk("/b", 28 * HOUR), attempts=(failed,))
    assert judge_summary(known, NOW).failure == failed
    known = summary(disk("/", MINUTE), disk("/b", 20 * HOUR), attempts=(failed,))
    assert judge_summary(known, NOW).failure is None
    known = summary(disk("/", MINUTE), disk("/b", None), attempts=(failed,))
    assert judge_summary(known, NOW).failure == failed


def test_a_run_of_a_client_without_a_disk_stands_as_well() -> None:
    """There is nothing that could make it good."""
    failed = tried(Outcome.INCOMPLETE)
    assert judge_summary(summary(attempts=(failed,)), NOW).failure == failed


@pytest.mark.parametrize(
    ("after", "asked", "stands"),
    [
        ((), None, True),
        ((), 20 * MINUTE, True),
        ((), MINUTE, False),  # the server has welcomed this machine since
        ((tried(Outcome.LOST, MINUTE),), None, False),  # and so it has here
        ((tried(Outcome.UNREACHABLE, MINUTE),), None, True),
    ],
)
def test_a_refusal_stands_until_the_server_lets_this_machine_in(
    after: tuple[Attempt, ...], asked: timedelta | None, stands: bool
) -> None:
    """Also while the last backup is fresh; a run that failed needs a backup instead."""
    refused = tried(Outcome.REFUSED)
    known = summary(disk("/", HOUR), attempts=(refused, *after), asked=asked)
    assert judge_summary(known, NOW).failure == (refused if stands else None)
    failed = replace(refused, outcome=Outcome.FAILED)
    known = summary(disk("/", HOUR), attempts=(failed, *after), asked=asked)
    assert judge_summary(known, NOW).failure == failed


def test_where_any_disk_counts_one_that_never_was_dumped_does_not() -> None:
    """The rule of `watch = "newest"`."""
    known = summary(
        disk("/", HOUR), disk("/b", None), attempts=(tried(Outcome.LOST),), policy=NEWEST
    )
    assert judge_summary(known, NOW).state is State.WELL
    assert judge_summary(summary(disk("/", None), policy=NEWEST), NOW).state is State.NEVER
    known = summary(disk("/", OVERDUE), disk("/b", None), policy=NEWEST)
    assert judge_summary(known, NOW).state is State.OVERDUE
    assert judge_summary(summary(disk("/", OVERDUE), policy=NEWEST), NOW).state is State.OVERDUE


def test_a_disk_becomes_due_a_little_before_its_interval_is_over() -> None:
    """As decide_due() has it; where any disk counts, or none was dumped, there is no such time."""
    at = NOW - HOUR + DAY * 0.97
    (fresh,) = judge_summary(summary(disk("/", HOUR)), NOW).decision.disks
    assert due_at(fresh, DAILY) == fresh.fresh_until == at
    (overdue,) = judge_summary(summary(disk("/", OVERDUE)), NOW).decision.disks
    assert due_at(overdue, DAILY) == NOW - OVERDUE + DAY * 0.97
    (never,) = judge_summary(summary(disk("/", None)), NOW).decision.disks
    assert due_at(never, DAILY) is None
    assert due_at(fresh, NEWEST) is None


def test_waits_are_told_as_they_are_when_somebody_asks() -> None:
    """The server's, and that after a unsuccessful try; over, there is none."""
    known = replace(
        summary(disk("/", OVERDUE), attempts=(tried(Outcome.UNREACHABLE),)),
        not_before=NOW + HOUR,
        retry_at=NOW + MINUTE,
        retry_within=HOUR,
    )
    status = judge_summary(known, NOW)
    assert (status.come_back_at, status.retry_at) == (NOW + HOUR, NOW + MINUTE)
    later = judge_summary(known, NOW + 2 * HOUR)
    assert (later.come_back_at, later.retry_at) == (None, None)
    classic = replace(known, retry_within=None)
    assert judge_summary(classic, NOW).retry_at is None


def test_direct_mode_waits_for_runs_that_nobody_saw_end() -> None:
    """And after a run that ended well without a disk; the gate's server knows instead."""
    lost = summary(disk("/", OVERDUE), attempts=(tried(Outcome.LOST),))
    assert judge_summary(lost, NOW).settles_at is None
    direct = replace(lost, witness=Witness.AMANDATES, not_before=NOW + HOUR)
    assert judge_summary(direct, NOW).settles_at == NOW - 9 * MINUTE + HOUR
    assert judge_summary(direct, NOW).come_back_at is None
    left_out = replace(tried(Outcome.INCOMPLETE), dumps=(DumpRecord("/b", 0, NOW - 10 * MINUTE),))
    direct = replace(direct, attempts=(left_out,))
    assert judge_summary(direct, NOW).next_try_at == left_out.started_at + DAY * 0.97


# -- what is kept of it for everybody


def test_only_the_attempts_that_decide_are_kept() -> None:
    """The last one, the last run and the last verdict, in their order."""
    attempts = (
        tried(Outcome.BACKED_UP, 9 * HOUR),
        tried(Outcome.FAILED, 8 * HOUR),
        tried(Outcome.LOST, 7 * HOUR),
        tried(Outcome.LATER, 6 * HOUR),
        tried(Outcome.UNREACHABLE, 5 * HOUR),
    )
    known = summary(disk("/", OVERDUE), attempts=attempts)
    kept = summarize(known)
    assert kept.attempts == (attempts[1], attempts[2], attempts[4])
    assert judge_summary(kept, NOW) == judge_summary(known, NOW)
    assert summarize(kept) == kept


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("before", Outcome)
def test_what_is_kept_is_judged_as_all_would_be(before: Outcome, outcome: Outcome) -> None:
    """Whatever came first."""
    attempts = (tried(Outcome.FAILED, 3 * HOUR), tried(before, 2 * HOUR), tried(outcome, HOUR))
    for age in (FRESH / 2, FRESH * 2.5, OVERDUE, OLD, NEVER):
        known = summary(disk("/", age), disk("/b", FRESH), attempts=attempts)
        assert judge_summary(summarize(known), NOW) == judge_summary(known, NOW)


def test_a_long_reason_is_cut() -> None:
    """It may be a server's report, of any length."""
    failed = replace(tried(Outcome.FAILED), detail="x" * 100_000)
    (kept,) = summarize(summary(disk("/", OVERDUE), attempts=(failed,))).attempts
    assert kept.detail == "x" * KEPT_DETAIL + "..."
    short = replace(failed, detail="x" * KEPT_DETAIL)
    assert summarize(summary(attempts=(short,))).attempts == (short,)
