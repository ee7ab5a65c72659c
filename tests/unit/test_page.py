"""Lines for a terminal are folded; a command that is to be pasted is not."""

import io

import pytest

from asyncamanda.core.values.shellwords import quote_words
from asyncamanda.report.page import fold, fold_hint

LONG = "/home/anna/letters/restored-laptop-2026-11-20-and-still-more-of-it"


class Terminal(io.StringIO):
    """A stream to somebody who watches."""

    def isatty(self) -> bool:
        """Return that it is."""
        return True


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a terminal have 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize(
    "command",
    [
        f"asyncamanda restore --resume --to {LONG}",
        f"runuser -u backup -- amcheck -s {LONG}",
        f"asyncamanda restore --resume --to '{LONG}/it is a; b'",
        rf"asyncamanda restore --resume --to $'{LONG}/it\'s a\x0ab'",
    ],
)
def test_a_command_that_does_not_fit_has_a_line_of_its_own(command: str) -> None:
    """In one piece: what follows a line end would be another command, or part of a name."""
    assert fold_hint(f"hint: to go on: {command}", Terminal(), "  ") == (
        f"  hint: to go on:\n      {command}"
    )


def test_a_command_that_fits_stays_where_it_is() -> None:
    """And so does everything where no terminal is."""
    hint = "hint: to go on: asyncamanda restore --resume --to /x"
    assert fold_hint(hint, Terminal()) == hint
    hint = f"hint: to go on: asyncamanda restore --resume --to {LONG}"
    assert fold_hint(hint, io.StringIO()) == hint


def test_a_sentence_with_a_command_in_it_is_folded() -> None:
    """As all sentences."""
    for hint in (
        f"on laptop: asyncamanda run --force; meanwhile here: asyncamanda server doctor {LONG}",
        f"near it there is: {LONG}; `asyncamanda list` shows what was there, it's all",
    ):
        assert fold_hint(hint, Terminal()) == fold(hint, Terminal())


def test_a_line_goes_on_deeper_than_it_begins() -> None:
    """So that it is no further line of a list."""
    first, second = fold(f"  a/{LONG} {LONG}", Terminal()).split("\n")
    assert (first, second) == (f"  a/{LONG}", f"      {LONG}")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["--to", "/a b", "it's"], "--to '/a b' 'it'\"'\"'s'"),
        (["new\nline", "it's\t\\"], r"$'new\x0aline' $'it\'s\x09\\'"),
        (["latin\udce9", "\u202e"], r"$'latin\xe9' $'\xe2\x80\xae'"),
    ],
)
def test_words_that_do_not_print_can_be_pasted_too(words: list[str], command: str) -> None:
    """As bash, zsh and ksh read them."""
    assert quote_words(words) == command
    assert command.isprintable()
