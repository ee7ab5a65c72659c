"""A level 1 that is a full: seen by its size, and told with its likely cause.

GNU tar compares the device number of each folder with the one that it noted, and takes all that is
below another one for new. GNUTAR cannot be told otherwise, amgtar can (CHECK-DEVICE), and whether
it was is in no word of `amadmin disklist`: so only GNUTAR is suspected.
"""

import shlex
from collections.abc import Mapping
from dataclasses import replace

from asyncamanda.core.amanda.disklist import GNUTAR, Dle
from asyncamanda.core.model import DleVerdict

NEARLY = 0.8  # of the full
BEYOND = 1.25  # of the full: what is larger than that is mostly new
LEAST = 10_240  # kilobytes: less costs nobody anything


def is_full_again(verdict: DleVerdict, full_kilobytes: int, dle: Dle | None) -> bool:
    """Return whether GNUTAR's confirmed incremental dump is about as large as its full was."""
    is_near = full_kilobytes * NEARLY <= verdict.kilobytes <= full_kilobytes * BEYOND
    return needs_size(verdict) and is_near and dle is not None and dle.program == GNUTAR


def needs_size(verdict: DleVerdict) -> bool:
    """Return whether the size of a dump's full has to be known to tell."""
    is_incremental = verdict.state.is_confirmed and bool(verdict.level)
    return is_incremental and verdict.kilobytes >= LEAST


def describe_full_again(verdict: DleVerdict) -> str:
    """Return what is said about such a dump."""
    return (
        f"level {verdict.level} is about as large as its full; unless that much has changed, the "
        "file system's device number has (as btrfs's, LVM's or LUKS's may at each start), and tar "
        "took everything for new"
    )


def name_remedy(verdict: DleVerdict) -> str:
    """Return what to do about it, on the server."""
    words = ["asyncamanda", "server", "disk", "modernise", verdict.host, verdict.disk]
    return shlex.join(words)


def note_full_again(
    verdict: DleVerdict, fulls: Mapping[tuple[str, str], int], dle: Dle | None
) -> DleVerdict:
    """Return the verdict, with that reason if it is one; `fulls` are kilobytes, by host and disk.

    What was said of the dump already stays.
    """
    full = fulls.get((verdict.host, verdict.disk), 0)
    if verdict.reason or not is_full_again(verdict, full, dle):
        return verdict
    said = f"{describe_full_again(verdict)}; on the server: {name_remedy(verdict)}"
    return replace(verdict, reason=said)
