"""A line that comes again and again is written now and then, and counted."""

from datetime import UTC, datetime, timedelta

from asyncamanda.core.values.repeated_lines import EVERY, MOST, Folder

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
INFO, WARNING = 20, 30


def test_a_line_each_second_is_one_in_five_minutes() -> None:
    """And then how often it came; the same one begins again."""
    folder = Folder()
    written = [folder.take(INFO, "locked", NOON + n * SECOND) for n in range(301)]
    assert written[0] == [(INFO, "locked")]
    assert all(lines == [] for lines in written[1:300])
    assert written[300] == [(INFO, "repeated 299 times: locked"), (INFO, "locked")]


def test_lines_that_take_turns_are_folded_each() -> None:
    """Two troubles at a time are no more than two lines."""
    folder = Folder()
    said = [line for n in range(50) for line in folder.take(INFO, "ab"[n % 2], NOON + n * SECOND)]
    assert said == [(INFO, "a"), (INFO, "b")]
    assert folder.end(NOON) == [
        (INFO, "repeated 24 times: a"),
        (INFO, "repeated 24 times: b"),
    ]
    assert folder.end(NOON) == []


def test_what_came_once_more_is_said_so() -> None:
    """And nothing of what did not come again."""
    folder = Folder()
    for text in ("a", "b", "a"):
        folder.take(INFO, text, NOON)
    assert folder.end(NOON) == [(INFO, "repeated once more: a")]


def test_a_level_makes_another_line() -> None:
    """A warning is not folded into what was said before."""
    folder = Folder()
    folder.take(INFO, "a", NOON)
    assert folder.take(WARNING, "a", NOON) == [(WARNING, "a")]


def test_only_the_newest_are_known() -> None:
    """However many different lines there are, its memory is small."""
    folder = Folder()
    folder.take(INFO, "first", NOON)
    folder.take(INFO, "first", NOON)
    said = [line for n in range(MOST) for line in folder.take(INFO, str(n), NOON)]
    assert (INFO, "repeated once more: first") in said
    assert folder.take(INFO, "first", NOON) == [(INFO, "first")]


def test_a_clock_that_is_set_back_hides_nothing() -> None:
    """What is from the future is written again."""
    folder = Folder()
    folder.take(INFO, "a", NOON)
    assert folder.take(INFO, "a", NOON - EVERY) == [(INFO, "a")]
