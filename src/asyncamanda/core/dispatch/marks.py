"""How much has moved within a bound, as it is remembered from one check to the next.

What is remembered are marks, an eighth of the bound apart, back to the first that is as old as the
bound. So silence is seen an eighth too late at the most, however the bytes before it were spread; a
single mark that is set again with every `least` bytes would let it last for almost two bounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

IN_A_BOUND = 8

Moved = Mapping[int, int]  # bytes, of each of several


@dataclass(frozen=True, slots=True)
class Mark:
    """How much each had moved at one check."""

    at: timedelta
    moved: Moved


def set_mark(
    marks: tuple[Mark, ...], moved: Moved, bound: timedelta, now: timedelta
) -> tuple[Mark, ...]:
    """Return the marks after a check `now`: the newest that is a `bound` old, and those since."""
    while len(marks) > 1 and now - marks[1].at >= bound:
        marks = marks[1:]
    if marks and now - marks[-1].at < bound / IN_A_BOUND:
        return marks
    return (*marks, Mark(now, moved))


def is_still(
    marks: tuple[Mark, ...], moved: Moved, least: int, bound: timedelta, now: timedelta
) -> bool:
    """Return whether none has moved `least` bytes within the bound."""
    return now - marks[0].at >= bound and not has_moved(marks[0].moved, moved, least)


def has_moved(before: Moved, moved: Moved, least: int) -> bool:
    """Return whether one of them has moved `least` bytes since."""
    return any(abs(bytes_ - before.get(one, bytes_)) >= least for one, bytes_ in moved.items())
