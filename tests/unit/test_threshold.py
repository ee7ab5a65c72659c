"""Ranges as monitoring plugins have them, with our way of writing spans in them."""

from math import inf

import pytest

from asyncamanda.core.values.threshold import NEVER_ALERTED, AlertRange, Thresholds, parse_range

HOUR = 3600


# monitoring-plugins.org/doc/guidelines.html, "Threshold and ranges": its table of examples
@pytest.mark.parametrize(
    ("text", "alerted", "well"),
    [
        ("10", (-1, 10.5, 11), (0, 5, 10)),
        ("10:", (-1, 9.9), (10, 1e9)),
        ("~:10", (10.5, 11), (-1e9, 0, 10)),
        ("10:20", (9, 21), (10, 15, 20)),
        ("@10:20", (10, 15, 20), (9, 21)),
        (":10", (-1, 11), (0, 10)),
        ("@10", (0, 10), (-1, 11)),
        ("-5:5", (-6, 6), (-5, 0, 5)),
        ("0", (-1, 0.1), (0,)),
    ],
)
def test_a_range_alerts_what_the_guidelines_say(
    text: str, alerted: tuple[float, ...], well: tuple[float, ...]
) -> None:
    """Both ends are within it; @ turns it round."""
    limit = parse_range(text)
    assert [value for value in (*alerted, *well) if limit.alerts(value)] == [*alerted]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("26h", "93600"),
        ("3d", "259200"),
        ("1d12h", "129600"),
        ("1h:26h", "3600:93600"),
        ("@1h:2h", "@3600:7200"),
        ("~:3d", "~:259200"),
        ("90m:", "5400:"),
        ("93600", "93600"),
        ("1.5", "1.5"),
        ("0:", "0:"),
        ("0", "0"),
        ("1 day", "86400"),
    ],
)
def test_spans_are_seconds_and_so_are_bare_numbers(text: str, shown: str) -> None:
    """And what is written for graphs is the same range in plain numbers, which is read again."""
    limit = parse_range(text)
    assert str(limit) == shown
    assert parse_range(str(limit)) == limit


def test_an_end_without_a_bound_is_infinite() -> None:
    """And a range without a start begins at 0."""
    assert parse_range("1h:") == AlertRange(HOUR, inf)
    assert parse_range("~:1h") == AlertRange(-inf, HOUR)
    assert parse_range("@1h") == AlertRange(0, HOUR, is_inside=True)


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "~", "soon", "1h:soon", "3d:1d", "1:2:3", "~:~", "1h-2h", "-1h", "nan", "inf"),
        *("10000d", "1e3", "0x10", "@@1", "1 2", "\u0661"),
    ],
)
def test_what_is_no_range_is_refused(text: str) -> None:
    """A limit that is silently another one would never alert."""
    with pytest.raises(ValueError, match=r"."):
        parse_range(text)


def test_limits_are_there_if_one_is() -> None:
    """So that it is known whether anything was asked for."""
    assert not NEVER_ALERTED
    assert Thresholds(warning=parse_range("1d"))
    assert Thresholds(critical=parse_range("1d"))
