"""What is known of a dump after several words on it, and what a request's outcome is called."""

from datetime import UTC, datetime

import pytest

from asyncamanda.core.dispatch.records import (
    RequestState,
    RunKind,
    RunRow,
    join_verdicts,
    summarise_verdicts,
)
from asyncamanda.core.model import DleVerdict, DumpState

STORED, HELD, FAILED = DumpState.STORED, DumpState.HELD, DumpState.FAILED
MISSING, SKIPPED = DumpState.MISSING, DumpState.SKIPPED


def verdict(state: DumpState, level: int | None = 1, reason: str = "") -> DleVerdict:
    return DleVerdict("laptop", "/home", "20261124010000", state, level, reason)


@pytest.mark.parametrize(
    ("known", "word", "is_own", "state"),
    [
        (HELD, STORED, False, STORED),
        (FAILED, STORED, False, STORED),
        (STORED, HELD, False, STORED),
        (STORED, FAILED, False, STORED),
        (HELD, FAILED, False, HELD),
        (HELD, MISSING, False, HELD),
        (FAILED, MISSING, False, FAILED),
        (STORED, HELD, True, STORED),
        (STORED, FAILED, True, STORED),
        (HELD, FAILED, True, FAILED),
        (FAILED, HELD, True, HELD),
        (MISSING, FAILED, True, FAILED),
    ],
)
def test_a_further_word_on_a_dump(
    known: DumpState, word: DumpState, is_own: bool, state: DumpState
) -> None:
    """It may rise; only its own run takes back what is held, and nobody what is on a volume."""
    assert join_verdicts(verdict(known), verdict(word), is_own=is_own).state is state


def test_a_flush_does_not_know_the_particulars() -> None:
    """The level, the size and the rest are those of the dump's own run."""
    held = DleVerdict(
        "laptop", "/home", "20261124010000", HELD, 2, "odd", 500, is_strange=True, has_begun=True
    )
    joined = join_verdicts(held, verdict(STORED, None), is_own=False)
    assert joined == DleVerdict(
        "laptop", "/home", "20261124010000", STORED, 2, "", 500, is_strange=True, has_begun=True
    )


def test_the_dumps_own_run_may_be_heard_after_the_flush() -> None:
    """Then its word adds the particulars, and the dump stays on its volume."""
    own = DleVerdict("laptop", "/home", "20261124010000", HELD, 2, "", 500, has_begun=True)
    joined = join_verdicts(verdict(STORED, None), own, is_own=True)
    assert (joined.state, joined.level, joined.kilobytes) == (STORED, 2, 500)
    assert joined.has_begun


def test_a_level_that_is_known_is_not_forgotten() -> None:
    """A later word without one leaves it as it is."""
    assert join_verdicts(verdict(HELD, 0), verdict(FAILED, None), is_own=True).level == 0
    assert join_verdicts(verdict(HELD, 2), verdict(HELD, 3), is_own=False).level == 2
    assert join_verdicts(verdict(HELD, 2), verdict(HELD, 0), is_own=True).level == 0


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ([], "nothing was dumped"),
        ([verdict(SKIPPED)], "nothing was dumped"),
        ([verdict(STORED), verdict(HELD)], "backed up"),
        ([verdict(SKIPPED), verdict(HELD)], "backed up"),
        ([verdict(HELD), verdict(FAILED)], "1 of 2 not backed up: /home"),
        (
            [verdict(MISSING, reason="no word"), verdict(FAILED)],
            "2 of 2 not backed up: /home (no word)",
        ),
    ],
)
def test_the_outcome_of_a_request_in_words(verdicts: list[DleVerdict], words: str) -> None:
    """Only when each disk that was meant to be dumped is confirmed, the client is backed up."""
    assert summarise_verdicts(verdicts) == words


def test_a_request_is_open_until_it_ends() -> None:
    """Queued and running ones are waited for."""
    assert [state for state in RequestState if state.is_open] == [
        RequestState.QUEUED,
        RequestState.RUNNING,
    ]


@pytest.mark.parametrize(
    ("is_clean", "status", "has_failed"),
    [
        (True, 0, False),
        (True, None, False),  # nobody saw its end
        (True, 2, False),  # a dump was strange
        (True, 4, True),  # a dump failed
        (True, 6, True),
        (True, -9, True),
        (False, 0, True),
    ],
)
def test_a_run_has_failed_if_a_dump_of_it_has(
    is_clean: bool, status: int | None, has_failed: bool
) -> None:
    """It may have ended in good order anyway."""
    at = datetime(2026, 12, 1, tzinfo=UTC)
    run = RunRow(1, "daily", RunKind.BATCH, (), at, exit_status=status, is_clean=is_clean)
    assert run.has_failed is has_failed
