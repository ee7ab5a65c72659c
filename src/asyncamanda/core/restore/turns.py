"""Whose turn it is to be served, where more want to than are served at a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who waits: the number by which it came, and for which client."""

    number: int
    client: str


def order_turns(waiting: Iterable[Waiting], served: Iterable[str]) -> list[Waiting]:
    """Return who waits in the order in which they are served; `served` are the clients of now.

    One after the other, as they came; but a client that is served already, or waits already, comes
    after those that are not. So nobody keeps others waiting by asking for more.
    """
    turns = dict.fromkeys(served, 0)
    for client in served:
        turns[client] += 1
    ranked = []
    for each in sorted(waiting, key=lambda one: one.number):
        rank = turns.get(each.client, 0)
        turns[each.client] = rank + 1
        ranked.append((rank, each.number, each))
    return [each for _, _, each in sorted(ranked, key=lambda one: one[:2])]


def must_give_way(place: int, served: Mapping[int, str], waiting: Iterable[Waiting]) -> bool:
    """Return whether who is served at `place` has to leave it to one of those who wait.

    `served` are the clients by their places. That is so of the last place of a client that has
    several, where another one waits that has none.
    """
    client = served.get(place)
    places = [number for number, each in served.items() if each == client]
    is_spare = len(places) > 1 and place == max(places)
    return is_spare and any(each.client not in served.values() for each in waiting)
