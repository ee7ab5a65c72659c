"""Which kept heads there are to be: on which one the next builds, and which have to go.

Those of a disk build on one another. Each that follows has a place, counted from 0, and builds on
the one whose place is its own without the last of its digits to base 4 (but zeros): 7 on 4, 4 on 0.
So at most three have to be read for any, and what changed in a day is kept a few times only.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from asyncamanda.core.restore.kept_index import Base, DumpName

MOST_TOGETHER = 16  # that build on one, that one included
_DIGIT = 4
SHARE = 4  # of the room for all those of any disk: one part is for those that build on one


@dataclass(frozen=True, slots=True)
class Stored:
    """A kept head that is stored, and when, in nanoseconds of any clock; `size` is in bytes."""

    dump: DumpName
    base: Base | None
    place: int
    checksum: int
    size: int
    stored_at: int


@dataclass(frozen=True, slots=True)
class NextPlace:
    """Where the next kept head of a disk belongs. `base` is None for one that has all by itself."""

    place: int
    base: Stored | None


_Rows = Mapping[DumpName, list[Stored]]


def find_next_place(stored: Collection[Stored], room: int) -> NextPlace:
    """Return where the next kept head belongs of a disk of which these are stored.

    It begins again with a whole one where too many build on one already, or they have too much of
    `room`, or the last one was hardly smaller than what it builds on.
    """
    rows = _find_rows(stored)
    whole = [row for row in rows.values() if row]
    anew = NextPlace(0, None)
    if not whole:
        return anew
    row = max(whole, key=lambda row: (row[0].stored_at, row[0].place))
    last, first = row[0], row[-1]
    place = last.place + 1
    together = sum(each[0].size for each in whole if each[-1] == first)
    has_grown = last is not first and 2 * last.size > first.size
    if place >= MOST_TOGETHER or together * SHARE > room or has_grown:
        return anew
    return NextPlace(place, next(each for each in row if each.place <= find_base_place(place)))


def find_base_place(place: int) -> int:
    """Return the place of the one on which that of `place` builds, which is not 0."""
    step = _DIGIT
    while place % step == 0:
        step *= _DIGIT
    return place - place % step


def plan_removals(
    stored: Collection[Stored], present: Collection[DumpName], room: int
) -> list[Stored]:
    """Return those that have to go, none before those that build on it.

    That is those whose dump is not `present` any more, unless one needs it that stays; those of
    which one on which they build is missing; and the oldest if all have more than `room` bytes.
    """
    rows = _find_rows(stored)
    needed = {each.dump for dump in {*present} & {*rows} for each in rows[dump]}
    together: dict[DumpName, list[Stored]] = defaultdict(list)
    for dump in needed:
        together[rows[dump][-1].dump].append(rows[dump][0])
    size = sum(each.size for some in together.values() for each in some)
    for some in sorted(together.values(), key=lambda some: max(each.stored_at for each in some)):
        if size <= room:
            break
        size -= sum(each.size for each in some)
        needed -= {each.dump for each in some}
    gone = [each for each in stored if each.dump not in needed]
    return sorted(gone, key=lambda each: each.place, reverse=True)


def _find_rows(stored: Collection[Stored]) -> _Rows:
    """Return for each what it builds on, itself first; [] if one of these is missing."""
    by_name = {each.dump: each for each in stored}
    return {each.dump: _find_row(each, by_name) for each in stored}


def _find_row(one: Stored, by_name: Mapping[DumpName, Stored]) -> list[Stored]:
    row = [one]
    while wanted := row[-1].base:
        dump = one.dump
        name = DumpName(dump.amanda_config, dump.host, dump.disk, wanted.timestamp, wanted.level)
        found = by_name.get(name)
        if not found or found.checksum != wanted.checksum or found.place >= row[-1].place:
            return []
        row.append(found)
    return row
