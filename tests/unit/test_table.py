"""Tables: as wide as the terminal, wrapped between words, and nothing behind the last word."""

import re

import pytest

from asyncamanda.report.table import print_table

HEADS = ("started", "took", "outcome", "what")
ROWS = [
    (
        "2026-11-20 03:15",
        "1h",
        "backed up",
        "/home (level 1), /srv/texts (level 0), /etc (level 2)",
    ),
    ("2026-11-21 03:15", "2m 10s", "unreachable", "the name amanda.example.com does not resolve"),
]
WORDS = {word for row in (HEADS, *ROWS) for cell in row for word in cell.split()}


def test_no_line_ends_in_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    """They would be copied, and make lines of other programs wrap."""
    print_table(HEADS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert len(lines) == 4


def test_on_a_terminal_words_stay_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80 columns, which is where most people read it."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    print_table(HEADS, ROWS)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines == [line.rstrip() for line in lines]
    seen = {word for line in lines for word in line.split() if word[0] != "─"}
    assert seen == WORDS
    assert len(lines) > 4


def test_a_word_too_long_for_the_terminal_cuts_no_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the column that has it is narrower than its words."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    row = ("laptop.example", "daily", "x" * 62, "own", "2026-11-20 12:00", "2026-11-21 12:00")
    print_table(
        ("client", "amanda config", "key", "restore", "last seen", "restorable since"), [row]
    )
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 80
    words = {word for line in lines for word in line.split()}
    assert {"laptop.example", "restorable", "restore", "2026-11-20", "2026-11-21"} <= words
