"""A folder's list as what is different from the one that it had before.

A list is records that each end in NUL: a flag and a name. Before anything is compared the earlier
list's `Y` become `N`: what the image before had, this one mostly has not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FLAGS = (b"Y", b"N", b"D")


@dataclass(frozen=True, slots=True)
class ListDifference:
    """What makes a list of the one before.

    `numbers` are how many records go, and which; how many come, and where; and which have another
    flag. `added` are the records that come.
    """

    numbers: tuple[int, ...]
    added: bytes


def make_older(listed: bytes) -> bytes:
    """Return a folder's list as the next image has it if nothing in it changes."""
    if b"Y" not in listed:
        return listed
    return (b"\0" + listed).replace(b"\0Y", b"\0N")[1:]


def find_difference(before: bytes, after: bytes) -> ListDifference | None:
    """Return what makes `after` of `before`; None where it is better kept whole."""
    old = make_older(before).split(b"\0")[:-1]
    new = after.split(b"\0")[:-1]
    old_names = [record[1:] for record in old]
    new_names = [record[1:] for record in new]
    gone: list[int] = []
    come: list[int] = []
    if old_names != new_names:
        are_new, were_old = set(new_names), set(old_names)
        gone = [place for place, name in enumerate(old_names) if name not in are_new]
        come = [place for place, name in enumerate(new_names) if name not in were_old]
        old = _leave_out(old, gone)
        if len(come) == len(new):
            return None
    stayed = _leave_out(new, come)
    if len(old) != len(stayed):
        return None
    flagged = []
    for place, (record, other) in enumerate(zip(old, stayed, strict=True)):
        if record != other:
            flag = other[:1]
            if flag not in _FLAGS or record[1:] != other[1:]:
                return None
            flagged.append(place * len(_FLAGS) + _FLAGS.index(flag))
    numbers = (len(gone), *_to_gaps(gone), len(come), *_to_gaps(come), *_to_gaps(flagged))
    return ListDifference(numbers, b"".join([new[place] + b"\0" for place in come]))


def apply_difference(before: bytes, difference: ListDifference) -> bytes:
    """Return the list that `difference` makes of `before`.

    Raises ValueError or IndexError where it was not found between these.
    """
    numbers, added = difference.numbers, difference.added.split(b"\0")[:-1]
    records = make_older(before).split(b"\0")[:-1]
    ends = 1 + numbers[0]
    records = _leave_out(records, [*_from_gaps(numbers[1:ends])])
    begin, ends = ends + 1, ends + 1 + numbers[ends]
    for number in _from_gaps(numbers[ends:]):
        place, flag = divmod(number, len(_FLAGS))
        records[place] = _FLAGS[flag] + records[place][1:]
    come = [*_from_gaps(numbers[begin:ends])]
    records = _put_in(records, come, added)
    return b"".join([record + b"\0" for record in records])


def _leave_out(records: list[bytes], places: Sequence[int]) -> list[bytes]:
    if not places:
        return records
    left: list[bytes] = []
    at = 0
    for place in places:
        left += records[at:place]
        at = place + 1
    return left + records[at:]


def _put_in(records: list[bytes], places: Sequence[int], added: list[bytes]) -> list[bytes]:
    if not places:
        return records
    merged: list[bytes] = []
    at = 0
    for place, record in zip(places, added, strict=True):
        more = place - len(merged)
        merged += records[at : at + more]
        merged.append(record)
        at += more
    return merged + records[at:]


def _to_gaps(places: Sequence[int]) -> Iterator[int]:
    last = 0
    for place in places:
        yield place - last
        last = place


def _from_gaps(gaps: Sequence[int]) -> Iterator[int]:
    place = 0
    for gap in gaps:
        place += gap
        yield place
