"""On which kept head the next builds, and which have to go."""

from asyncamanda.core.restore.keeping import (
    MOST_TOGETHER,
    NextPlace,
    Stored,
    find_next_place,
    plan_removals,
)
from asyncamanda.core.restore.kept_index import Base, DumpName

ROOM = 1_000_000


def make(
    number: int, base: Stored | None = None, place: int = 0, size: int = 10, disk: str = "/home"
) -> Stored:
    """Return a kept head of dump `number`."""
    dump = DumpName("daily", "laptop", disk, f"202611{number:08}", 1)
    builds_on = Base(base.dump.timestamp, base.dump.level, base.checksum) if base else None
    return Stored(dump, builds_on, place, 1000 + number, size, number)


def grow(count: int, first: int = 0, disk: str = "/home") -> list[Stored]:
    """Return so many that were kept one after the other, the first one large."""
    stored = [make(first, size=1000, disk=disk)]
    for number in range(1, count):
        following = find_next_place(stored, ROOM)
        stored.append(make(first + number, following.base, following.place, disk=disk))
    return stored


def test_the_first_has_all_by_itself() -> None:
    """Nor does it build on one whose own base is missing."""
    assert find_next_place([], ROOM) == NextPlace(0, None)
    assert find_next_place(grow(3)[1:], ROOM) == NextPlace(0, None)


def test_few_have_to_be_read_for_any() -> None:
    """Each builds on one of those before, and in two or fewer steps on the first."""
    stored = grow(MOST_TOGETHER)
    assert [each.place for each in stored] == [*range(MOST_TOGETHER)]
    steps: dict[int | None, int] = {None: -1}
    for each in stored:
        steps[each.checksum] = 1 + steps[each.base.checksum if each.base else None]
    assert max(steps.values()) == 2
    builds_on = {each.place: each.base and each.base.checksum - 1000 for each in stored}
    assert [builds_on[place] for place in (1, 3, 4, 6, 8, 12, 15)] == [0, 0, 0, 4, 0, 0, 12]


def test_after_so_many_the_next_begins_anew() -> None:
    """So that what is lost never takes all with it; the next builds on that one."""
    stored = grow(MOST_TOGETHER + 2)
    assert stored[-2].base is None
    assert stored[-2].place == 0
    assert stored[-1].base == Base(stored[-2].dump.timestamp, 1, stored[-2].checksum)


def test_one_that_was_hardly_smaller_is_built_on_no_more() -> None:
    """Another tree has all been put in its place, as after a rename."""
    first = make(0, size=1000)
    assert find_next_place([first, make(1, first, 1, size=500)], ROOM).base == first
    assert find_next_place([first, make(1, first, 1, size=501)], ROOM).base is None


def test_those_of_one_disk_do_not_take_all_the_room() -> None:
    """All that build on one go together if there is too little."""
    first = make(0, size=1000)
    assert find_next_place([first], 4000).base == first
    assert find_next_place([first], 3999).base is None


def test_what_was_written_anew_is_not_built_on_as_before() -> None:
    """A base counts by its checksum."""
    stored = grow(3)
    other = Stored(stored[0].dump, None, 0, 7777, 1000, 99)
    following = find_next_place([other, *stored[1:]], ROOM)
    assert following.base == other


def test_a_dump_that_is_overwritten_takes_its_head_along() -> None:
    """Unless another one needs it, until that goes as well."""
    stored = grow(6)
    dumps = [each.dump for each in stored]
    assert stored[5].base == Base(dumps[4].timestamp, 1, stored[4].checksum)
    assert plan_removals(stored, dumps, ROOM) == []
    assert plan_removals(stored, dumps[1:], ROOM) == []
    assert plan_removals(stored, dumps[5:], ROOM) == stored[3:0:-1]
    assert plan_removals(stored, dumps[:5], ROOM) == [stored[5]]
    assert plan_removals(stored, dumps[:1], ROOM) == stored[:0:-1]
    assert plan_removals(stored, [], ROOM) == stored[::-1]


def test_what_lost_its_base_goes() -> None:
    """It cannot be read."""
    stored = grow(6)
    present = [each.dump for each in stored]
    assert plan_removals([*stored[:4], stored[5]], present, ROOM) == [stored[5]]
    assert plan_removals(stored[1:], present, ROOM) == stored[:0:-1]


def test_the_oldest_go_where_there_is_no_room() -> None:
    """All of those that build on one another, since the last of them is as good as its base."""
    old, new, other = grow(3), grow(2, 50), grow(2, 20, "/srv")
    stored = [*new, *old, *other]
    present = [each.dump for each in stored]
    size = sum(each.size for each in stored)
    assert plan_removals(stored, present, size) == []
    assert plan_removals(stored, present, size - 1) == old[::-1]
    assert {*plan_removals(stored, present, 1010)} == {*old, *other}
    assert {*plan_removals(stored, present, 1009)} == {*stored}
