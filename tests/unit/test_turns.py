"""Whose turn it is: as they came, and nobody is kept waiting by who asks for more."""

import pytest

from asyncamanda.core.restore.turns import Waiting, must_give_way, order_turns


@pytest.mark.parametrize(
    ("waiting", "served", "order"),
    [
        ("", "", ""),
        ("abc", "", "abc"),
        ("aab", "", "aba"),
        ("aaabbc", "", "abcaba"),
        ("abc", "a", "bca"),
        ("abc", "aa", "bca"),
        ("aab", "b", "aab"),
        ("aabb", "ab", "abab"),
        ("ab", "aab", "ba"),
        ("a", "a", "a"),
    ],
)
def test_who_has_had_least_comes_first(waiting: str, served: str, order: str) -> None:
    """Among them as they came; clients are letters here."""
    entries = [Waiting(number, client) for number, client in enumerate(waiting)]
    assert "".join(each.client for each in order_turns(entries, served)) == order
    assert order_turns(reversed(entries), served) == order_turns(entries, served)
    numbers = [each.number for each in order_turns(entries, served)]
    assert sorted(numbers) == [*range(len(waiting))]


@pytest.mark.parametrize(
    ("served", "waiting", "leaves"),
    [
        ("aa", "", ""),
        ("aa", "a", ""),
        ("aa", "b", "1"),
        ("ab", "c", ""),
        ("ab", "ab", ""),
        ("abaa", "c", "3"),
        ("aabb", "c", "13"),
        ("aab", "b", ""),
    ],
)
def test_who_has_several_turns_gives_way_with_the_last(
    served: str, waiting: str, leaves: str
) -> None:
    """To another who has none; the numbers are those of the places that are left."""
    entries = [Waiting(number, client) for number, client in enumerate(waiting)]
    places = dict(enumerate(served))
    assert [n for n in places if must_give_way(n, places, entries)] == [*map(int, leaves)]
