"""The recovery key on paper: what is mistyped is found, and where."""

import pytest

from asyncamanda.core.values.recovery import (
    ALPHABET,
    GROUPS,
    check_key,
    is_same_group,
    join_key,
    split_key,
)
from asyncamanda.core.values.sheet import Sheet, render_sheet

# made by age-keygen for this test, and used nowhere
KEY = "AGE-SECRET-KEY-1DQF2N9SYM8R9V3WNRHEH286JSE5AKLAMEDRUGKJ4ATCJLJFG3UFSQ8F9M9"


def test_a_key_survives_paper_however_it_is_typed() -> None:
    """In any case and order, with any blanks; and as age writes it."""
    groups = split_key(KEY)
    assert len(groups) == GROUPS
    for typed in (" ".join(groups), "\n".join(groups[::-1]).lower(), KEY, KEY.lower()):
        assert join_key(typed) == KEY


def test_each_slip_of_the_pen_is_found_in_its_group() -> None:
    """Any one sign that is another, in any place; and any two neighbours exchanged."""
    groups = split_key(KEY)
    for index, group in enumerate(groups):
        number, part, check = group.split("-")
        slips = {part[:at] + sign + part[at + 1 :] for at in range(len(part)) for sign in ALPHABET}
        slips |= {
            part[:at] + part[at + 1] + part[at] + part[at + 2 :] for at in range(len(part) - 1)
        }
        for slip in slips - {part}:
            typed = [*groups[:index], f"{number}-{slip}-{check}", *groups[index + 1 :]]
            with pytest.raises(ValueError, match=f"group {number} is mistyped|not of one key"):
                join_key(" ".join(typed))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "is no group"),
        ("hello", "is no group"),
        (" ".join(split_key(KEY)[:-1]), "group 10 is missing"),
        (KEY[:-1] + "Q", "not of one key"),
        ("99-QPZRY9-K", "group 99 is mistyped"),
    ],
)
def test_what_is_no_key_is_said(typed: str, words: str) -> None:
    """With what is wrong."""
    with pytest.raises(ValueError, match=words):
        join_key(typed)


def test_groups_of_two_keys_are_no_key() -> None:
    """Though each group is right by itself."""
    first, *rest = split_key(KEY)
    number, part, _ = first.split("-")
    other = next(
        f"{number}-{'Q' + part[1:]}-{sign}"
        for sign in ALPHABET
        if part[0] != "Q" and is_alone_right(f"{number}-{'Q' + part[1:]}-{sign}", rest)
    )
    with pytest.raises(ValueError, match="not of one key"):
        join_key(" ".join([other, *rest]))


def is_alone_right(group: str, rest: list[str]) -> bool:
    """Return whether a group's own check holds."""
    try:
        join_key(" ".join([group, *rest]))
    except ValueError as error:
        return "mistyped" not in str(error)
    return True


def test_a_group_is_known_again() -> None:
    """With its number or without; another one is not."""
    groups = split_key(KEY)
    for group in groups:
        number, part, check = group.split("-")
        for typed in (group, group.lower(), part + check, f"{number} {part} {check}"):
            assert is_same_group(typed, group)
    assert not is_same_group(groups[0], groups[1])
    assert not is_same_group("", groups[0])


def test_a_sheet_has_all_that_is_needed() -> None:
    """The groups, whose they are, and what to type; no line too long for a terminal."""
    setup = "asyncamanda setup backup@amanda --encrypt"
    text = render_sheet(Sheet("laptop", "backup@amanda", KEY, setup))
    assert all(word in text for word in (*split_key(KEY), "laptop", "backup@amanda", setup))
    assert "server lost laptop" in text
    assert "restore --all --to /" in text
    assert all(len(line) < 80 for line in text.splitlines())
    assert KEY not in text
    with pytest.raises(ValueError, match="no recovery key"):
        check_key("AGE-SECRET-KEY-1")
