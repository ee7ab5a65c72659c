"""Once for each change of state, and in words that say what it is about."""

from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.alerts import (
    LONGEST_LINE,
    AlertKind,
    decide_alert,
    judge_state,
    one_line,
    render_body,
    render_subject,
    word_alert,
)
from asyncamanda.core.model import BackupState, Outcome

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
        (AlertKind.TEST, "a test from laptop: this is how you are told"),
    ],
)
def test_each_kind_has_its_words(kind: AlertKind, words: str) -> None:
    """None of them is empty where nothing more is known."""
    assert word_alert(kind, "laptop", NOW).summary == words
    assert render_body(word_alert(kind, "laptop", NOW)).startswith(f"{words}\n\nlaptop, 2026")


def test_what_others_say_cannot_act_on_a_terminal_or_a_header() -> None:
    """A server's words are in the detail; they stay text, and a subject stays one line."""
    alert = word_alert(AlertKind.FAILED, "lap\r\nBcc: x", NOW, detail="\x1b[31mred\udce9", hint="")
    assert "\n" not in render_subject(alert)
    assert "\r" not in render_subject(alert)
    assert "\x1b" not in render_body(alert)
    render_body(alert).encode()
    assert len(one_line("x" * 1000)) == LONGEST_LINE + 3
