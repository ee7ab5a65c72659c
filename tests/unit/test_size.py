"""Amounts of bytes as people write them."""

import pytest

from asyncamanda.core.values.size import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("500GB", 500 * 10**9),
        ("1.5TB", 1500 * 10**9),
        ("200 GiB", 200 * 2**30),
        (" 2g ", 2 * 10**9),
        ("10M", 10**7),
        ("10Mi", 10 * 2**20),
        ("1kB", 1000),
        ("0.5 KiB", 512),
    ],
)
def test_a_size_is_understood(text: str, count: int) -> None:
    """Decimal units, binary ones with an i, blanks and either case."""
    assert parse_size(text) == count


@pytest.mark.parametrize(
    "text",
    ["", "500", "GB", "-1GB", "1,5GB", "1GBB", "1 G B", "1PB", "1e3GB", "1B", "9" * 10 + "G"],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    """A bare number has no unit to guess."""
    with pytest.raises(ValueError, match="not an amount of bytes"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_500_000, "1.5 MB"),
        (9_949_999, "9.9 MB"),
        (9_950_000, "10 MB"),
        (36_400_000, "36 MB"),
        (999_499_999, "999 MB"),
        (999_500_000, "1 GB"),
        (2 * 10**12, "2 TB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_a_size_is_shown_in_its_largest_unit(count: int, text: str) -> None:
    """As people write it: a digit after the point only where that tells something."""
    assert format_size(count) == text
