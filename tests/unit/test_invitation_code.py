"""The code of an invitation: short, forgiving in how it is typed, and no other than it was."""

import pytest

from asyncamanda.core.ssh.invitation_code import SEED_BYTES, parse_code, render_code
from asyncamanda.core.ssh.one_time_key import render_private_key

FINGERPRINT = "SHA256:XS0mrUJ9WtsgbpR3Wy0kBmPqYR94KPhZ7K3yrRVQ1dc"
SEED = bytes(range(SEED_BYTES))
CODE = render_code(FINGERPRINT, SEED)


def test_a_code_is_eight_groups_of_five_and_says_what_it_was_made_of() -> None:
    """96 bits of the fingerprint, and the seed."""
    assert [len(group) for group in CODE.split("-")] == [5] * 8
    code = parse_code(CODE)
    assert (code.fingerprint, code.seed) == (FINGERPRINT[: len("SHA256:") + 16], SEED)
    assert "seed" not in repr(code)


@pytest.mark.parametrize(
    "typed",
    [
        CODE.lower(),
        CODE.replace("-", ""),
        CODE.replace("-", " "),
        f"  {CODE}\n",
        CODE.replace("1", "l").replace("0", "o"),
        CODE.replace("1", "I").replace("0", "O"),
    ],
)
def test_it_may_be_typed_in_many_ways(typed: str) -> None:
    """Case, dashes and blanks do not count, and letters that look like digits are digits."""
    assert parse_code(typed) == parse_code(CODE)


def test_each_single_slip_and_swap_is_found() -> None:
    """Of any letter into any other, and of two neighbours."""
    plain = CODE.replace("-", "")
    slips = {plain[:at] + letter + plain[at + 1 :] for at in range(40) for letter in "0123456789AZ"}
    slips |= {plain[:at] + plain[at + 1] + plain[at] + plain[at + 2 :] for at in range(39)}
    for slip in slips - {plain}:
        with pytest.raises(ValueError, match="mistyped"):
            parse_code(slip)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "this has 0"),
        (CODE[:-1], "this has 39"),
        (CODE + "7", "this has 41"),
        (CODE.replace("-", "u", 1), "of these no U"),
        ("é" * 40, "only digits and letters"),
        ("7" * 100_000, "much longer"),
    ],
)
def test_what_is_no_code_says_why(typed: str, words: str) -> None:
    """And quotes nothing of it."""
    with pytest.raises(ValueError, match=words):
        parse_code(typed)


def test_the_key_is_the_seeds_alone() -> None:
    """A file that ssh takes (tests/system/test_invitations.py), the same on both sides."""
    text = render_private_key(SEED)
    assert text == render_private_key(parse_code(CODE).seed)
    assert text != render_private_key(bytes(SEED_BYTES))
    assert text.startswith("-----BEGIN EC PRIVATE KEY-----\n")
