"""After a failed dump, the next one must not build on a snapshot that the server has not."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from asyncamanda.core.dispatch.protect import (
    decide_protection,
    disown_baseless,
    next_protection,
)
from asyncamanda.core.dispatch.records import Protection, ProtectionKind
from asyncamanda.core.model import DleVerdict, DumpState

BEFORE, THEN, LATER = "20261123010000", "20261124010000", "20261125010000"
FORCE, NO_BUMP = ProtectionKind.FORCE, ProtectionKind.FORCE_NO_BUMP


def verdict(
    state: DumpState, level: int | None, timestamp: str = THEN, *, has_begun: bool = True
) -> DleVerdict:
    return DleVerdict("laptop", "/home", timestamp, state, level, has_begun=has_begun)


def need(kind: ProtectionKind, level: int, timestamp: str = THEN) -> Protection:
    return Protection("laptop", "/home", timestamp, kind, level)


@pytest.mark.parametrize(
    ("state", "level", "has_begun", "wanted"),
    [
        (DumpState.FAILED, 0, True, need(FORCE, 0)),
        (DumpState.FAILED, None, True, need(FORCE, 0)),
        (DumpState.FAILED, 1, True, need(NO_BUMP, 1)),
        (DumpState.FAILED, 3, True, need(NO_BUMP, 3)),
        (DumpState.MISSING, 0, True, need(FORCE, 0)),
        (DumpState.MISSING, 2, True, need(NO_BUMP, 2)),
        (DumpState.FAILED, 1, False, None),
        (DumpState.FAILED, None, False, None),
        (DumpState.MISSING, None, False, None),
        (DumpState.STORED, 1, True, None),
        (DumpState.HELD, 0, True, None),
        (DumpState.SKIPPED, None, False, None),
    ],
)
def test_what_a_dump_that_ended_so_asks_for(
    state: DumpState, level: int | None, has_begun: bool, wanted: Protection | None
) -> None:
    """Only where the client was at it and the server has nothing: by the level that is false."""
    assert decide_protection(verdict(state, level, has_begun=has_begun)) == wanted


@pytest.mark.parametrize(
    ("known", "newest", "wanted"),
    [
        # nothing was needed
        (None, verdict(DumpState.STORED, 0), None),
        (None, verdict(DumpState.FAILED, 1), need(NO_BUMP, 1)),
        # the snapshot is made again
        (need(NO_BUMP, 2), verdict(DumpState.HELD, 2, LATER), None),
        (need(NO_BUMP, 2), verdict(DumpState.STORED, 1, LATER), None),
        (need(NO_BUMP, 2), verdict(DumpState.HELD, 0, LATER), None),
        (need(FORCE, 0), verdict(DumpState.HELD, 0, LATER), None),
        # a dump was built on it
        (need(NO_BUMP, 1), verdict(DumpState.HELD, 2, LATER), need(FORCE, 0, LATER)),
        (need(FORCE, 0), verdict(DumpState.STORED, 1, LATER), need(FORCE, 0, LATER)),
        # a further failure
        (need(NO_BUMP, 2), verdict(DumpState.FAILED, 2, LATER), need(NO_BUMP, 2, LATER)),
        (need(NO_BUMP, 2), verdict(DumpState.FAILED, 3, LATER), need(NO_BUMP, 2, LATER)),
        (need(NO_BUMP, 2), verdict(DumpState.MISSING, 1, LATER), need(NO_BUMP, 1, LATER)),
        (need(NO_BUMP, 2), verdict(DumpState.FAILED, 0, LATER), need(FORCE, 0, LATER)),
        (need(FORCE, 0), verdict(DumpState.FAILED, 1, LATER), need(FORCE, 0, LATER)),
        # nothing that touches the snapshot
        (need(FORCE, 0), verdict(DumpState.FAILED, 0, LATER, has_begun=False), need(FORCE, 0)),
        (need(NO_BUMP, 1), verdict(DumpState.SKIPPED, None, LATER), need(NO_BUMP, 1)),
        # the same dump: its log was read when it was cut off, and read again
        (need(NO_BUMP, 1), verdict(DumpState.HELD, 1), None),
        # an older one
        (need(NO_BUMP, 1), verdict(DumpState.STORED, 0, BEFORE), need(NO_BUMP, 1)),
        (need(NO_BUMP, 1), verdict(DumpState.FAILED, 0, BEFORE), need(NO_BUMP, 1)),
    ],
)
def test_what_a_dle_needs_after_its_newest_dump(
    known: Protection | None, newest: DleVerdict, wanted: Protection | None
) -> None:
    """What was needed before is settled, kept, or made stronger; never weaker by a failure."""
    assert next_protection(known, newest) == wanted


def test_amanda_is_told_once_of_one_failure() -> None:
    """A log that is read a second time does not ask for what was done."""
    told = replace(need(NO_BUMP, 1), made_at=datetime(2026, 11, 24, 2, tzinfo=UTC))
    assert next_protection(told, verdict(DumpState.FAILED, 1)) == told


@pytest.mark.parametrize(
    "newest",
    [
        verdict(DumpState.FAILED, 1, LATER),
        verdict(DumpState.FAILED, 2, LATER),
        verdict(DumpState.HELD, 2, LATER),
    ],
)
def test_amanda_is_told_anew_of_what_comes_after(newest: DleVerdict) -> None:
    """A dump that succeeded has ended the force, so a full one has to be asked for again."""
    told = replace(need(NO_BUMP, 1), made_at=datetime(2026, 11, 24, 2, tzinfo=UTC))
    wanted = next_protection(told, newest)
    assert wanted
    assert wanted.made_at is None


def test_an_incremental_of_a_disk_without_a_full_is_no_base() -> None:
    """Amanda took it for one of another name: a full is made, and that settles it."""
    first = verdict(DumpState.HELD, 1)
    wanted = next_protection(None, first, has_full=False)
    assert wanted == need(FORCE, 0)
    told = replace(wanted, made_at=datetime(2026, 11, 24, 2, tzinfo=UTC))
    assert next_protection(told, first, has_full=False) == told
    again = next_protection(told, verdict(DumpState.HELD, 2, LATER), has_full=False)
    assert again == need(FORCE, 0, LATER)
    assert next_protection(told, verdict(DumpState.HELD, 0, LATER)) is None
    assert decide_protection(first) is None


def test_what_is_needed_may_become_more_when_a_log_is_read_again() -> None:
    """A dump that failed is there after all, and is an incremental without a full."""
    assert next_protection(need(NO_BUMP, 1), verdict(DumpState.HELD, 1), has_full=False) == need(
        FORCE, 0
    )


@pytest.mark.parametrize(("level", "wanted"), [(0, need(FORCE, 0)), (2, need(NO_BUMP, 2))])
def test_a_dump_that_is_there_may_be_a_false_base_as_well(level: int, wanted: Protection) -> None:
    """Its run went on to dump the disk again, which failed: the snapshot may be of that."""
    outdone = replace(verdict(DumpState.HELD, level), has_failed_since=True)
    assert decide_protection(outdone) == wanted
    assert next_protection(wanted, replace(outdone, timestamp=LATER)) == replace(
        wanted, timestamp=LATER
    )


def test_a_claim_without_a_witness_is_taken_for_a_failure() -> None:
    """The client may have been at it, and the server has nothing."""
    assert decide_protection(verdict(DumpState.CLAIMED, 1)) == need(NO_BUMP, 1)


def test_which_dump_is_newer_is_told_by_the_clock_and_not_by_names() -> None:
    """A name may lie ahead of its run, or be of the hour that autumn repeats."""
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    known = replace(need(NO_BUMP, 1, LATER), dumped_at=noon)
    newer = replace(verdict(DumpState.HELD, 1, THEN), dumped_at=noon.replace(hour=13))
    older = replace(verdict(DumpState.HELD, 1, "20261126010000"), dumped_at=noon.replace(hour=11))
    assert next_protection(known, newer) is None
    assert next_protection(known, older) == known


def test_a_full_is_asked_for_once_of_one_dump() -> None:
    """A log that is read again does not undo that Amanda was told."""
    built = verdict(DumpState.HELD, 2, LATER)
    told = replace(need(FORCE, 0, LATER), made_at=datetime(2026, 11, 25, 2, tzinfo=UTC))
    assert next_protection(need(NO_BUMP, 1), built) == need(FORCE, 0, LATER)
    assert next_protection(told, built) == told


@pytest.mark.parametrize(
    ("state", "level", "has_full", "told"),
    [
        (DumpState.HELD, 1, False, DumpState.FAILED),
        (DumpState.STORED, 2, False, DumpState.FAILED),
        (DumpState.HELD, 1, True, DumpState.HELD),
        (DumpState.HELD, 0, False, DumpState.HELD),
        (DumpState.HELD, None, False, DumpState.HELD),
        (DumpState.SKIPPED, 1, False, DumpState.SKIPPED),
    ],
)
def test_what_a_client_is_told_of_an_incremental_without_a_full(
    state: DumpState, level: int | None, has_full: bool, told: DumpState
) -> None:
    """That it is no backup, and what comes next."""
    found = disown_baseless(verdict(state, level), has_full=has_full)
    assert found.state is told
    assert ("full dump is forced" in found.reason) is (told is DumpState.FAILED)
