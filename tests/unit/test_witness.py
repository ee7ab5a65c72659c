"""What counts of a log's claims: as much as something shows that no client can write."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from asyncamanda.core.amanda.runlog import RunLog
from asyncamanda.core.amanda.witness import (
    NO_WITNESS,
    UNREADABLE,
    Dump,
    Evidence,
    RunFacts,
    weigh,
)
from asyncamanda.core.model import DleVerdict, DumpState

RUN, OLDER = "20261123055457", "20261122010101"
BEGUN_AT = datetime(2026, 11, 23, 5, 54, 57, tzinfo=UTC)
STORED, HELD, FAILED = DumpState.STORED, DumpState.HELD, DumpState.FAILED
MISSING, SKIPPED, CLAIMED = DumpState.MISSING, DumpState.SKIPPED, DumpState.CLAIMED
OWN, FLUSHED = ("lap", "/d", RUN), ("lap", "/d", OLDER)
FACTS = RunFacts(RUN, {"lap"}, BEGUN_AT)
OURS = replace(FACTS, is_ours=True)
NOTHING = Evidence()


def claim(
    state: DumpState, level: int | None = 1, *, host: str = "lap", timestamp: str = RUN
) -> DleVerdict:
    """A claim on /d, with a reason if it is none of a good dump."""
    reason = "" if state.is_confirmed else "why"
    return DleVerdict(host, "/d", timestamp, state, level, reason, 9, has_begun=True)


def log(*claims: DleVerdict, timestamp: str | None = RUN, is_doubtful: bool = False) -> RunLog:
    """A log with these claims."""
    return RunLog("amdump", 1, timestamp, (), claims, True, (), (), is_doubtful=is_doubtful)


def count(
    one: DleVerdict,
    facts: RunFacts = FACTS,
    known: dict[Dump, DleVerdict] | None = None,
    evidence: Evidence = NOTHING,
    *,
    is_doubtful: bool = False,
) -> DleVerdict | None:
    """Return what counts of the one claim, None for nothing."""
    return next(iter(weigh(log(one, is_doubtful=is_doubtful), facts, known or {}, evidence)), None)


@pytest.mark.parametrize("said", DumpState)
def test_a_whole_holding_file_is_a_backup_whatever_is_said(said: DumpState) -> None:
    """A failure may be another client's report. Its level is the file's, and its time the run's."""
    found = count(claim(said, 0), evidence=Evidence(held={OWN: {1}}))
    assert found
    assert (found.state, found.level, found.reason, found.dumped_at) == (HELD, 1, "", BEGUN_AT)
    assert found.has_failed_since is (not said.is_confirmed)


def test_of_several_levels_that_is_taken_which_was_said() -> None:
    """Else the highest, which promises least."""
    evidence = Evidence(held={OWN: {0, 2}})
    levels = [count(claim(HELD, level), evidence=evidence) for level in (0, 1, 2, None)]
    assert [found and found.level for found in levels] == [0, 2, 2, 2]


@pytest.mark.parametrize("said", [HELD, STORED])
def test_a_claim_without_a_witness_is_no_backup(said: DumpState) -> None:
    """Of our own run that has just ended it is a failure: nobody can have taken it away."""
    others, ours = count(claim(said)), count(claim(said), OURS)
    assert others
    assert ours
    assert (others.state, others.reason) == (CLAIMED, NO_WITNESS)
    assert (ours.state, ours.reason, ours.has_begun) == (FAILED, NO_WITNESS, True)
    assert not CLAIMED.is_confirmed


def test_what_is_on_a_volume_is_stored() -> None:
    """By its own header, or by the driver's own record."""
    found = count(claim(STORED), evidence=Evidence(stored={OWN: {1}}))
    assert found
    assert (found.state, found.level) == (STORED, 1)


def test_what_was_witnessed_before_stays_unless_the_run_is_just_judged() -> None:
    """It was flushed since; but a dump of asyncamanda's that is not there at its end is lost."""
    before = replace(claim(HELD), dumped_at=BEGUN_AT)
    assert count(claim(HELD), known={OWN: before}) == before
    lost = count(claim(HELD), OURS, {OWN: before})
    assert lost
    assert lost.state is FAILED


@pytest.mark.parametrize("said", [FAILED, MISSING, SKIPPED])
def test_a_failure_of_a_host_of_the_run_counts(said: DumpState) -> None:
    """As it was said."""
    assert count(claim(said)) == replace(claim(said), dumped_at=BEGUN_AT)


@pytest.mark.parametrize("said", DumpState)
def test_a_host_that_the_run_was_not_for_gets_no_verdict(said: DumpState) -> None:
    """Neither a good one nor a bad one, though a file be there."""
    other = claim(said, host="other")
    assert count(other, evidence=Evidence(held={("other", "/d", RUN): {1}})) is None


@pytest.mark.parametrize("said", [FAILED, MISSING, SKIPPED])
def test_a_log_with_an_unreadable_answer_takes_no_base_for_true(said: DumpState) -> None:
    """Whoever's words those are: what is not there may have been begun."""
    found = count(replace(claim(said), has_begun=False), is_doubtful=True)
    assert found
    assert (found.state, found.reason, found.has_begun) == (FAILED, UNREADABLE, True)
    held = count(claim(said), evidence=Evidence(held={OWN: {1}}), is_doubtful=True)
    assert held
    assert held.state is HELD


FLUSH = claim(STORED, None, timestamp=OLDER)


def test_a_flush_counts_of_what_was_held_before() -> None:
    """Or of what is seen on the volume; whoever's it is."""
    held = replace(claim(HELD, 3, timestamp=OLDER), dumped_at=BEGUN_AT)
    for facts in (FACTS, replace(FACTS, hosts=())):
        by_ledger = count(FLUSH, facts, {FLUSHED: held})
        by_volume = count(FLUSH, facts, evidence=Evidence(stored={FLUSHED: {2}}))
        assert [one and (one.state, one.level) for one in (by_ledger, by_volume)] == [
            (STORED, 3),
            (STORED, 2),
        ]


@pytest.mark.parametrize("known", [None, FAILED, MISSING, CLAIMED])
def test_a_flush_of_what_nobody_ever_held_is_nothing(known: DumpState | None) -> None:
    """No row comes of it, and none rises."""
    before = {FLUSHED: claim(known, timestamp=OLDER)} if known else {}
    assert count(FLUSH, known=before) is None


def test_what_still_lies_in_the_holding_disk_was_not_flushed() -> None:
    """Whatever is said."""
    held = {FLUSHED: claim(HELD, timestamp=OLDER)}
    assert count(FLUSH, known=held, evidence=Evidence(held={FLUSHED: {1}})) is None


@pytest.mark.parametrize("timestamp", [None, OLDER])
def test_a_run_that_gives_itself_another_name_says_nothing(timestamp: str | None) -> None:
    """Its log's name is Amanda's; what stands in it may be anybody's, or no time at all."""
    evidence = Evidence(held={OWN: {1}})
    assert weigh(log(claim(HELD), timestamp=timestamp), FACTS, {}, evidence) == ()


def test_a_log_that_was_cut_off_before_its_name_has_the_files() -> None:
    """The one that Amanda gave it."""
    (found,) = weigh(log(claim(FAILED, timestamp=""), timestamp=""), FACTS, {}, NOTHING)
    assert found.timestamp == RUN
