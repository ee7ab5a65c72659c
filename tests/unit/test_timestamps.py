"""Amanda's names of runs."""

import pytest

from asyncamanda.core.amanda.timestamps import format_stamp


@pytest.mark.parametrize(
    ("stamp", "words"),
    [
        ("20261128162409", "2026-11-28 16:24:09"),
        ("20261128", "20261128"),
        ("20261328162409", "20261328162409"),
        ("", ""),
    ],
)
def test_a_runs_name_is_shown_as_a_time(stamp: str, words: str) -> None:
    """What is none stays as it is."""
    assert format_stamp(stamp) == words
