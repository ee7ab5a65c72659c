"""What a failure prints can be read."""

import pytest
from tests.brevity import LONGEST_LINE, MOST_LINES, sendable, shorten


def fail(long: str, many: str) -> None:
    """Raise an error with many lines because of one with a long line."""
    cause = KeyError(long)
    raise AssertionError(many) from cause


def test_a_traceback_is_short_and_keeps_both_ends() -> None:
    """Of a line, and of many lines; also of the error that led to it, and what is said in short."""
    many = "".join(f"line {number}\n" for number in range(100_000))
    with pytest.raises(AssertionError) as caught:
        fail("first " + "x" * 5_000_000 + " last", many + "the end")
    found = caught.getrepr(style="long", funcargs=True)
    shorten(found)
    lines = str(found).splitlines()
    assert max(map(len, lines)) < LONGEST_LINE + 100
    assert len(lines) < 3 * MOST_LINES
    for words in ("KeyError: 'first", " last'", "line 0", "the end", "[... "):
        assert any(words in line for line in lines), words
    assert found.reprcrash
    assert len(found.reprcrash.message.splitlines()) <= MOST_LINES + 1


def test_a_usual_traceback_stays_whole() -> None:
    """As pytest prints it."""
    with pytest.raises(AssertionError) as caught:
        fail("a", "b\nc")
    found = caught.getrepr(funcargs=True)
    before = str(found)
    shorten(found)
    assert str(found) == before


def test_what_a_report_says_of_undecodable_names_can_be_sent() -> None:
    """Wherever in it; all else is as it was."""
    name = "f\u00fcr\udcff"
    report = {"longrepr": {"chain": [({"lines": [name]}, None)]}, "duration": 0.5, name: name}
    sent = sendable(report)
    assert sent == {
        "longrepr": {"chain": [({"lines": ["f\u00fcr\\udcff"]}, None)]},
        "duration": 0.5,
        "f\u00fcr\\udcff": "f\u00fcr\\udcff",
    }
