"""The tapelist: each volume that a configuration knows, and when it was last written.

    20261129200011 DAILY-003 reuse META:... POOL:...
    0 DAILY-004 reuse                                    labelled, and never written
    20261127200011 DAILY-001 no-reuse                    amadmin no-reuse: not overwritten

Source: tapelist(5); tests/e2e/test_retention.py reads one of Amanda's.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LINE = re.compile(r"([0-9]{8,14}|0) (\S+) (reuse|no-reuse)\b.*")


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume: its label, and the timestamp of the run that wrote it, "" if none has.

    One that is not reused is never overwritten, and is none of the tapecycle.
    """

    label: str
    timestamp: str
    is_reused: bool = True


def parse_tapelist(text: str) -> tuple[Volume, ...]:
    """Return the volumes, in the file's order. Never raises."""
    found = (_LINE.fullmatch(line) for line in text.split("\n"))
    return tuple(
        Volume(row[2], row[1] if row[1] != "0" else "", row[3] == "reuse") for row in found if row
    )


def count_free(volumes: Iterable[Volume], tapecycle: int) -> int:
    """Return how many of the volumes may be written next: new ones, and the oldest.

    Amanda overwrites one only when `tapecycle` - 1 others were written after it: amanda.conf(5).
    """
    reused = [volume for volume in volumes if volume.is_reused]
    written = sum(1 for volume in reused if volume.timestamp)
    return len(reused) - written + max(written - max(tapecycle - 1, 0), 0)
