"""About how much a disk holds, so that the server can say at once that it has no room for it."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

from asyncamanda.core.values.size import format_size

_BLOCK = 512  # bytes, in which st_blocks counts
WORTH_SAYING = 10**9  # bytes: there is room for less on any server
LONGEST = 10.0  # seconds, in which a disk is looked through


def describe_largest(disks: Iterable[str]) -> str:
    """Return about how much the largest of `disks` holds, as 250GB; "" where it is little."""
    largest = max(map(measure_disk, disks), default=0)
    return format_size(largest).replace(" ", "") if largest >= WORTH_SAYING else ""


def measure_disk(disk: str, longest: float = LONGEST) -> int:
    """Return how many bytes the file system has in use whose root `disk` is.

    Of another folder, how many there are below it on the same file system, as far as they are
    found within `longest` seconds; 0 where it cannot be looked at.
    """
    try:
        if os.path.ismount(disk):
            system = os.statvfs(disk)
            return (system.f_blocks - system.f_bfree) * system.f_frsize
        device = os.lstat(disk).st_dev
    except OSError:
        return 0
    until, size = time.monotonic() + longest, 0
    seen = set[int]()
    for status in _walk(disk, device):
        if status.st_nlink == 1 or status.st_ino not in seen:
            size += status.st_blocks * _BLOCK
        if status.st_nlink > 1:
            seen.add(status.st_ino)
        if time.monotonic() > until:
            break
    return size


def _walk(top: str, device: int) -> Iterator[os.stat_result]:
    folders = [top]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if status.st_dev == device:
                        yield status
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
