"""curinfo, as Amanda 3.5.1's driver writes it."""

import pytest

from asyncamanda.core.amanda.curinfo import TapedLevel, parse_curinfo, sanitise_name

INFO = """\
version: 0
command: 0
full-rate: 3066.0
full-comp:
incr-rate:
incr-comp:
stats: 0 40 40 0 1795883049 2 DAILY-001
stats: 1 40 40 0 1795983049
stats: 2 -1 -1 -1 1795883099 12 Weekly 7
last_level: 0 1
history: 0 40 40 1795883049 0
//
"""


def test_a_level_that_is_on_a_volume_is_known_with_its_place() -> None:
    """One that is only held has no label."""
    assert parse_curinfo(INFO) == (
        TapedLevel(0, 1795883049, "DAILY-001", 2),
        TapedLevel(2, 1795883099, "Weekly 7", 12),
    )


@pytest.mark.parametrize("text", ["", "stats:", "stats: 0 40 40 0 -1 2 D", " stats: 0 1 1 1 1 1 D"])
def test_anything_else_tells_of_no_volume(text: str) -> None:
    """Never an error."""
    assert parse_curinfo(text) == ()


def test_names_that_amanda_writes_alike() -> None:
    """Three characters become one."""
    assert {sanitise_name(name) for name in ("/a/b", "_a_b", ":a:b", "\\a/b")} == {"_a_b"}
