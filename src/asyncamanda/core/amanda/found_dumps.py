r"""Where Amanda has its dumps: what `amadmin CONFIG find` prints.

    date                host   disk  lv storage pool    tape or file file  part status
    2026-11-28 16:24:09 laptop /home  0 daily   daily   DAILY-001       1   1/2 OK
    2026-11-28 16:24:09 laptop /home  0 daily   daily   DAILY-001       2   2/2 OK
    2026-11-29 16:24:09 laptop /home  1 HOLDING HOLDING /holding/...    0 -1/-1 OK

It repeats what the runs' logs say of volumes that were not written again since. A dump that was cut
off has another status. Source: print_find_result() in find.c of Amanda 3.5.1;
tests/e2e/test_dump_facts.py asks the real one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from asyncamanda.core.amanda.quoting import unquote

_WORD = r'("(?:\\.|[^"\\])*+"|[^ "]++)'
_ROW = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) +([^ ]+) +"
    rf"{_WORD} +([0-9]{{1,3}}) +([^ ]+) +([^ ]+) +{_WORD} +([0-9]{{1,9}}) +"
    r"([0-9]{1,9})/([0-9]{1,9}) OK *"
)


@dataclass(frozen=True, slots=True)
class FoundPart:
    """A part of a whole dump on a volume: number `part` of `parts`, counted from 1.

    It is the `file`th file of the volume `label`, which is one of `storage`'s.
    """

    timestamp: str
    host: str
    disk: str
    level: int
    storage: str
    label: str
    file: int
    part: int
    parts: int


def parse_found(text: str) -> Iterator[FoundPart]:
    """Yield each part on a volume that `amadmin CONFIG find` lists as whole. Never raises.

    What lies in the holding disk has no parts, and is passed over.
    """
    for line in text.split("\n"):
        if row := _ROW.fullmatch(line):
            host, disk, level, storage, _, label, file, part, parts = row.groups()[6:]
            yield FoundPart(
                timestamp="".join(row.groups()[:6]),
                host=host,
                disk=unquote(disk),
                level=int(level),
                storage=storage,
                label=unquote(label),
                file=int(file),
                part=int(part),
                parts=int(parts),
            )
