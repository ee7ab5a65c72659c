"""Each way for the gate not to serve, as an error."""

from datetime import UTC, datetime

import pytest

from asyncamanda.client.gate.gatefaults import (
    RequestStanding,
    explain_closed,
    explain_garbled,
    explain_lost,
    explain_refused,
    explain_stop,
)
from asyncamanda.client.gate.session import Closed, Garbled
from asyncamanda.core.protocol.messages import Refused
from asyncamanda.core.ssh.argv import Target
from asyncamanda.errors import EverydayError, Exit, LaterError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TARGET = Target("amanda", "backup")


@pytest.mark.parametrize("code", [code for code in Exit if 64 <= code <= 100 and code != 70])
def test_the_servers_no_keeps_its_words_and_its_exit_code(code: Exit) -> None:
    """The agent ends with what the server says."""
    error = explain_refused(Refused("reference", "message", "hint", int(code)))
    assert error.exit is code
    assert (error.reference, error.message, error.hint) == ("reference", "message", "hint")


@pytest.mark.parametrize("code", [0, 1, 70, 101, 255])
def test_a_no_with_a_code_that_says_nothing_is_a_refusal(code: int) -> None:
    """Never a success, and never an internal error."""
    assert explain_refused(Refused("r", "m", "h", code)).exit is Exit.REFUSED


@pytest.mark.parametrize(
    ("closed", "code", "reference", "words"),
    [
        (Closed("x", 127, ("sh: asyncamanda: not found",)), 76, "no-gate", "is not installed"),
        (Closed("x", 126, ()), 76, "no-gate", "is not installed"),
        (Closed("x", 1, ("bash: asyncamanda: command not found",)), 76, "no-gate", "installed"),
        (Closed("x", 0, ()), 76, "gate-refused", "ended with status 0"),
        (Closed("x", 1, ("odd", "words")), 76, "gate-refused", "odd / words"),
        (Closed("x", 77, ("asyncamanda gate: no",)), 77, "gate-refused", "no"),
        (Closed("x", 75, ("asyncamanda gate: no room",)), 75, "gate-refused", "no room"),
        (Closed("x", 137, ()), 75, "gate-ended", "ended before it answered"),
        (Closed("x", 255, ()), 75, "gate-ended", "ended before it answered"),
        (Closed("it broke", None, ("Timeout",)), 75, "connection-lost", "it broke (ssh: Timeout)"),
    ],
)
def test_a_line_that_ends_before_the_answer(
    closed: Closed, code: int, reference: str, words: str
) -> None:
    """By the exit status of what the key runs, and by what that said."""
    error = explain_closed(closed, TARGET)
    assert (error.exit, error.reference) == (code, reference)
    assert words in error.message
    assert error.hint


def test_the_gates_own_hint_is_the_hint() -> None:
    """And its name before the message is left out."""
    said = ("Warning: odd", "asyncamanda gate: not you", "hint: ask")
    error = explain_closed(Closed("x", 77, said), TARGET)
    assert (error.message, error.hint) == ("not you", "ask")


def test_what_is_none_of_ours_is_shown_quoted() -> None:
    """So that nobody takes it for our words."""
    error = explain_garbled(Garbled("Welcome!", "not JSON"), TARGET)
    assert error.exit is Exit.PROTOCOL
    assert error.message.endswith("(not asyncamanda's gate: not JSON): 'Welcome!'")


@pytest.mark.parametrize(
    ("standing", "reference", "words"),
    [
        (RequestStanding.UNASKED, "stopped", "stopped by SIGTERM before the server was asked"),
        (RequestStanding.WAITING, "withdrawn", "while the request waited; it was withdrawn"),
        (RequestStanding.RUNNING, "stopped", "stopped by SIGTERM; the run continues on amanda"),
    ],
)
def test_a_stop_says_what_becomes_of_the_request(
    standing: RequestStanding, reference: str, words: str
) -> None:
    """Nothing, withdrawn, or that it goes on."""
    error = explain_stop("SIGTERM", standing, TARGET)
    assert (error.exit, error.reference) == (Exit.LATER, reference)
    assert words in error.message


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (RequestStanding.WAITING, "the request is kept"),
        (RequestStanding.RUNNING, "the run continues"),
    ],
)
def test_a_line_that_is_lost_says_what_goes_on(standing: RequestStanding, words: str) -> None:
    """Somebody is to hear of it: it is not of every day."""
    error = explain_lost(Closed("it broke"), standing, TARGET)
    assert words in error.message
    assert (type(error), error.reference) == (LaterError, "connection-lost")


def test_a_line_that_is_lost_before_anything_was_asked_is_of_every_day() -> None:
    """As a server that cannot be reached."""
    assert isinstance(
        explain_lost(Closed("it broke"), RequestStanding.UNASKED, TARGET), EverydayError
    )
