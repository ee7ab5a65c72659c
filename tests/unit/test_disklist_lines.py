"""A disklist's lines; tests/e2e/test_disklist.py has Amanda read what comes of them."""

from datetime import date

import pytest

from asyncamanda.core.amanda.disklist_lines import Block, comment_out, find_blocks, rename_host

DAY = date(2026, 11, 29)
TEXT = """\
# laptop /none roaming
laptop /home roaming # mine
  "laptop" "/srv/a b" /dev/x {
    roaming
    exclude "} /c"
}
includefile "more"
tablet /home roaming

LAPTOP /srv/b {
  roaming
  }
"""


def test_each_dle_has_its_lines() -> None:
    """Comments, includes and empty lines are none; a block ends at a brace that begins a line."""
    assert find_blocks(TEXT) == [
        Block("laptop", "/home", 1, 1),
        Block("laptop", "/srv/a b", 2, 4),
        Block("tablet", "/home", 7, 1),
        Block("LAPTOP", "/srv/b", 9, 3),
    ]


@pytest.mark.parametrize("text", ["", "\n", "x", "laptop", "laptop /home {", "# {", "}", '"'])
def test_what_is_cut_off_is_read_as_far_as_it_goes(text: str) -> None:
    """Nothing is lost of it."""
    assert comment_out(text, lambda _: False, "x", DAY) == text
    assert rename_host(text, "nobody", "x") == text


def test_the_lines_of_a_dle_become_comments() -> None:
    """All others stay, byte for byte."""
    after = comment_out(TEXT, lambda block: block.disk == "/srv/a b", "retired", DAY)
    before, changed = TEXT.splitlines(), after.splitlines()
    assert changed[2:6] == [f"# retired 2026-11-29: {line}" for line in before[2:6]]
    assert (changed[:2], changed[6:]) == (before[:2], before[6:])


def test_a_host_is_renamed_in_each_of_its_dles() -> None:
    """However it is written there."""
    after = rename_host(TEXT, "laptop", "larch").splitlines()
    assert after[1] == "larch /home roaming # mine"
    assert after[2] == '  larch "/srv/a b" /dev/x {'
    assert after[9] == "larch /srv/b {"
    assert (after[0], after[7]) == ("# laptop /none roaming", "tablet /home roaming")
