"""curinfo: what Amanda's driver itself remembers of each level's last dump.

One file a DLE, `INFOFILE/HOST/DISK/info`, with a line for each level:

    stats: LEVEL SIZE CSIZE SECONDS DATE [FILE LABEL]

DATE is the run's timestamp as a Unix time; FILE and LABEL say where the dump begins on which
volume, and stand there once it is on one. A dump drops what was known of its level and those
above. Host and disk are file names (sanitise_filename), so two disks may share one such file:
it is never a witness for a disk by itself. Source: infofile.c and driverio.c of Amanda 3.5.1.
"""

import re
from dataclasses import dataclass

_STATS = re.compile(
    r"stats: ([0-9]{1,3}) -?[0-9]{1,18} -?[0-9]{1,18} -?[0-9]{1,18} ([0-9]{1,12})"
    r" ([0-9]{1,9}) (\S.*)"
)
_UNSAFE = str.maketrans("/:\\", "___")


@dataclass(frozen=True, slots=True)
class TapedLevel:
    """A level's last dump: `date` is its run's, a Unix time; where it begins on which volume."""

    level: int
    date: int
    label: str
    file: int


def parse_curinfo(text: str) -> tuple[TapedLevel, ...]:
    """Return the dumps that are on a volume, by an info file's text. Never raises."""
    found = (_STATS.fullmatch(line) for line in text.split("\n"))
    return tuple(TapedLevel(int(row[1]), int(row[2]), row[4], int(row[3])) for row in found if row)


def sanitise_name(name: str) -> str:
    """Return a host or disk as Amanda makes a file's name of it."""
    return name.translate(_UNSAFE)
