"""A folder's list as what is different from the one that it had before.

A list is records that each end in NUL: a flag and a name. What the image before had (`Y`), this one
mostly has not, so a difference is from the *older* form of a list, in which each `Y` is `N`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

_STORED, _OLDER, _FOLDER = b"Y", b"N", b"D"


@dataclass(frozen=True, slots=True)
class ListDifference:
    """What makes a list of the older form of the one before.

    `numbers` are three times a count and as many places, each but the first as its distance from
    the one before, in bytes of the list before: of records that go, of where others come, and of
    those that become a folder or cease to be one. Then, in bytes of the list that comes of it, of
    those records that the image has, but for those that come. `added` are these.
    """

    numbers: tuple[int, ...]
    added: bytes


def make_older(listed: bytes) -> bytes:
    """Return a folder's list as the next image has it if nothing in it changes."""
    if _STORED not in listed:
        return listed
    return (b"\0" + listed).replace(b"\0Y", b"\0N")[1:]


def find_difference(before: bytes, after: bytes) -> ListDifference | None:
    """Return what makes `after` of `before`, an older form; None where it is better kept whole."""
    old = before.split(b"\0")[:-1]
    new = after.split(b"\0")[:-1]
    old_begins, new_begins = _find_begins(old), _find_begins(new)
    names = {record[1:] for record in new}
    gone = [place for place, record in enumerate(old) if record[1:] not in names]
    names = {record[1:] for record in old}
    come: list[int] = []
    turned: list[int] = []
    stored: list[int] = []
    left = iter(sorted({*range(len(old))} - {*gone}))
    place = next(left, len(old))
    for record, begin in zip(new, new_begins, strict=False):
        if record[1:] not in names:
            come.append(old_begins[place])
            continue
        if place == len(old) or old[place][1:] != record[1:]:
            return None  # the names that stayed are in another order
        if (record[:1] == _FOLDER) != (old[place][:1] == _FOLDER):
            turned.append(old_begins[place])
        if record[:1] == _STORED:
            stored.append(begin)
        place = next(left, len(old))
    if place != len(old) or len(come) == len(new):
        return None
    parts = [old_begins[place] for place in gone], come, turned
    numbers = [number for part in parts for number in (len(part), *_to_gaps(part))]
    added = b"".join([record + b"\0" for record in new if record[1:] not in names])
    return ListDifference((*numbers, *_to_gaps(stored)), added)


def apply_difference(
    before: bytes, numbers: Sequence[int], added: bytes, *, is_older: bool = False
) -> bytes:
    """Return the list that a difference makes of `before`, an older form, or its older form.

    Raises ValueError or IndexError where it was not found between these.
    """
    end = 3
    if any(numbers[:3]):
        end, before = _restructure(before, numbers, make_older(added) if is_older else added)
    if is_older:
        return before
    listed = bytearray(before)
    place = 0
    for gap in numbers[end:]:
        place += gap
        listed[place] = _STORED[0]
    return bytes(listed)


def _restructure(before: bytes, numbers: Sequence[int], added: bytes) -> tuple[int, bytes]:
    """Let records go, come and turn; return how many numbers that takes, and the list."""
    end = 0
    parts: list[list[int]] = []
    for _ in range(3):
        begin, end = end + 1, end + 1 + numbers[end]
        parts.append([*accumulate(numbers[begin:end])])
    gone, come, turned = parts
    if turned:
        flags = bytearray(before)
        for place in turned:
            flags[place] = (_OLDER if flags[place] == _FOLDER[0] else _FOLDER)[0]
        before = bytes(flags)
    pieces: list[bytes] = []
    at = new = 0
    for place, is_gone in sorted(
        [(each, False) for each in come] + [(each, True) for each in gone]
    ):
        pieces.append(before[at:place])
        if is_gone:
            at = before.index(b"\0", place) + 1
        else:
            at, begin = place, new
            new = added.index(b"\0", new) + 1
            pieces.append(added[begin:new])
    pieces.append(before[at:])
    return end, b"".join(pieces)


def _find_begins(records: Sequence[bytes]) -> list[int]:
    """Return where in a list each of its records begins, and where it ends."""
    return [*accumulate((len(record) + 1 for record in records), initial=0)]


def _to_gaps(places: Sequence[int]) -> Iterator[int]:
    last = 0
    for place in places:
        yield place - last
        last = place
