"""Once for each change of state, and in words that say what it is about."""

from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.agent.alerts import (
    LONGEST_LINE,
    AlertKind,
    decide_alert,
    decide_proof_alert,
    judge_outcome,
    judge_state,
    one_line,
    render_body,
    render_subject,
    standing_failure,
    word_alert,
)
from asyncamanda.core.agent.due import Disk, Due, NotDue, decide_due
from asyncamanda.core.model import Attempt, BackupState, DumpRecord, Memory, Outcome, Policy

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WELL, FAILED, STALE = BackupState.WELL, BackupState.FAILED, BackupState.STALE


@pytest.mark.parametrize(
    ("told", "now_is", "kind"),
    [
        (WELL, WELL, None),
        (WELL, FAILED, AlertKind.FAILED),
        (WELL, STALE, AlertKind.STALE),
        (FAILED, FAILED, None),
        (FAILED, STALE, AlertKind.STALE),
        (FAILED, WELL, AlertKind.RECOVERED),
        (STALE, STALE, None),
        (STALE, FAILED, None),
        (STALE, WELL, AlertKind.RECOVERED),
    ],
)
def test_a_change_of_state_is_told(
    told: BackupState, now_is: BackupState, kind: AlertKind | None
) -> None:
    """And nothing else; a failure is no news to who knows that the backup is stale."""
    assert decide_alert(told, now_is) is kind


@pytest.mark.parametrize(
    "outcome", [Outcome.FAILED, Outcome.INCOMPLETE, Outcome.KILLED, Outcome.REFUSED]
)
@pytest.mark.parametrize("told", [WELL, FAILED])
def test_a_failure_is_one(outcome: Outcome, told: BackupState) -> None:
    """Whatever was told before."""
    assert judge_state(outcome, is_stale=False, told=told) is FAILED


@pytest.mark.parametrize(
    "outcome",
    [
        None,
        Outcome.UNREACHABLE,
        Outcome.LATER,
        Outcome.DEFERRED,
        Outcome.STOPPED,
        Outcome.DOUBTFUL,
        Outcome.NOBODY,
        Outcome.LOST,
        Outcome.INTERRUPTED,
        Outcome.UNSEEN,
    ],
)
@pytest.mark.parametrize("told", list(BackupState))
def test_what_came_to_no_verdict_changes_nothing(
    outcome: Outcome | None, told: BackupState
) -> None:
    """A laptop on a train is no failure, and no recovery; but in the end it is stale."""
    assert judge_state(outcome, is_stale=False, told=told) is told
    assert judge_state(outcome, is_stale=True, told=told) is STALE


@pytest.mark.parametrize("told", list(BackupState))
def test_a_confirmed_backup_ends_it(told: BackupState) -> None:
    """All is well, whatever was told."""
    assert judge_state(Outcome.BACKED_UP, is_stale=False, told=told) is WELL


def test_a_stale_backup_stays_so_until_one_is_confirmed() -> None:
    """A failure in between does not make it a lesser trouble."""
    assert judge_state(Outcome.FAILED, is_stale=True, told=WELL) is STALE
    assert judge_state(Outcome.FAILED, is_stale=False, told=STALE) is STALE


HOUR = timedelta(hours=1)


def decide(**hours_ago: float | None) -> Due | NotDue:
    """Return the verdict on disks that were last backed up so long ago, None for never."""
    disks = tuple(
        Disk(name, None if ago is None else DumpRecord(name, 0, NOW - ago * HOUR))
        for name, ago in hours_ago.items()
    )
    return decide_due(disks, Policy(24 * HOUR), NOW)


def remember(*attempts: tuple[Outcome, float], asked: float | None = None) -> Memory:
    """Return a memory of attempts that took half an hour, and ended so many hours ago."""
    return Memory(
        since=NOW - 99 * HOUR,
        attempts=tuple(
            Attempt(NOW - ago * HOUR - HOUR / 2, NOW - ago * HOUR, outcome)
            for outcome, ago in attempts
        ),
        asked_at=None if asked is None else NOW - asked * HOUR,
    )


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INCOMPLETE, Outcome.KILLED])
@pytest.mark.parametrize(
    ("decision", "stands"),
    [
        (decide(home=None), True),
        (decide(home=30), True),
        (decide(home=3, srv=None), True),  # which it was about
        (decide(home=2.2, srv=30), True),  # the run itself brought /home
        (decide(home=1, srv=30), True),
        (decide(home=30, srv=29), True),
        (decide(home=3), True),  # it was forced while all was fresh
        (decide(home=2.2), True),  # and brought this one, and not all
        (decide(home=1), False),
        (decide(home=20, srv=1), False),  # another run has made it good
    ],
)
def test_a_failure_stands_until_a_backup_is_made(
    outcome: Outcome, decision: Due | NotDue, *, stands: bool
) -> None:
    """Made after it, of what is wanted; what did not come to a verdict changes nothing."""
    later = (Outcome.UNREACHABLE, 0.5)
    memory = remember((Outcome.BACKED_UP, 40), (outcome, 2), later)
    failure = standing_failure(memory, decision)
    assert (failure is memory.attempts[1]) is stands
    told = outcome if stands else Outcome.BACKED_UP
    assert judge_outcome(later[0], decision, failure) is told


@pytest.mark.parametrize("decision", [decide(home=3), decide(home=1), decide(home=30), decide()])
def test_a_refusal_stands_until_the_server_lets_this_client_in(decision: Due | NotDue) -> None:
    """However fresh the last backup is: another's run, which made that, is no way in."""
    refused = (Outcome.REFUSED, 2)
    for memory in (
        remember(refused, asked=2.1),
        remember((Outcome.BACKED_UP, 3), refused, (Outcome.UNREACHABLE, 1), asked=2.1),
        remember(refused, (Outcome.DEFERRED, 1), (Outcome.STOPPED, 0.5), asked=2.1),
        remember(refused, (Outcome.LATER, 1), asked=2.1),  # the gate says so to anybody
    ):
        failure = standing_failure(memory, decision)
        assert failure
        assert failure.outcome is Outcome.REFUSED
        assert judge_outcome(None, decision, failure) is Outcome.REFUSED


@pytest.mark.parametrize(
    "memory",
    [
        remember((Outcome.REFUSED, 2), asked=1),
        remember((Outcome.REFUSED, 2), (Outcome.LATER, 1), asked=1.1),
        remember((Outcome.REFUSED, 2), (Outcome.LOST, 1)),
        remember((Outcome.REFUSED, 2), (Outcome.DOUBTFUL, 1)),
        remember((Outcome.REFUSED, 2), (Outcome.BACKED_UP, 1)),
        remember((Outcome.BACKED_UP, 1)),
        remember((Outcome.UNREACHABLE, 1)),
        remember(),
    ],
)
def test_who_is_let_in_is_not_refused(memory: Memory) -> None:
    """A word of the server's, or a run, is enough; all is well with a backup only."""
    fresh, due = decide(home=3), decide(home=30)
    assert standing_failure(memory, fresh) is None
    assert standing_failure(memory, due) is None
    assert judge_outcome(None, fresh, None) is Outcome.BACKED_UP
    assert judge_outcome(Outcome.UNREACHABLE, due, None) is None
    assert judge_outcome(Outcome.BACKED_UP, due, None) is Outcome.BACKED_UP


def test_an_alert_says_who_and_what_and_what_to_do() -> None:
    """Its subject alone is enough to know whether to get up."""
    alert = word_alert(
        AlertKind.STALE, "laptop", NOW, NOW - timedelta(days=8, hours=2), "a\nb", "see to it"
    )
    assert render_subject(alert) == "asyncamanda: laptop was last backed up 8d 2h ago"
    assert render_body(alert) == (
        "laptop was last backed up 8d 2h ago\n\na\nb\n\nWhat to do: see to it\n\n"
        "laptop, 2026-11-23 12:00 UTC\n"
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (AlertKind.FAILED, "the backup of laptop failed"),
        (AlertKind.STALE, "laptop was never backed up"),
        (AlertKind.RECOVERED, "laptop is backed up again"),
        (AlertKind.UNPROVED, "the backup of laptop is not proved restorable"),
        (AlertKind.PROVED, "the backup of laptop is proved restorable again"),
        (AlertKind.TEST, "a test notification from laptop"),
    ],
)
def test_each_kind_has_its_words(kind: AlertKind, words: str) -> None:
    """None of them is empty where nothing more is known."""
    assert word_alert(kind, "laptop", NOW).summary == words
    assert render_body(word_alert(kind, "laptop", NOW)).startswith(f"{words}\n\nlaptop, 2026")


@pytest.mark.parametrize(
    ("unproved", "is_told", "kind"),
    [
        ({}, False, None),
        ({"/home": "gone"}, False, AlertKind.UNPROVED),
        ({"/home": "gone"}, True, None),
        ({}, True, AlertKind.PROVED),
        ({"/old": "gone"}, False, None),  # which is not the client's any more
    ],
)
def test_a_proof_that_fails_is_told_once(
    unproved: dict[str, str], kind: AlertKind | None, *, is_told: bool
) -> None:
    """And once that it is well again."""
    memory = Memory(NOW, dles=("/home",), unproved=unproved, is_unproved_told=is_told)
    assert decide_proof_alert(memory) is kind


def test_what_others_say_cannot_act_on_a_terminal_or_a_header() -> None:
    """A server's words are in the detail; they stay text, and a subject stays one line."""
    alert = word_alert(AlertKind.FAILED, "lap\r\nBcc: x", NOW, detail="\x1b[31mred\udce9", hint="")
    assert "\n" not in render_subject(alert)
    assert "\r" not in render_subject(alert)
    assert "\x1b" not in render_body(alert)
    render_body(alert).encode()
    assert len(one_line("x" * 1000)) == LONGEST_LINE + 3
