"""How long to wait, on a machine that may have other things to do.

A limit is written for a machine that is nearly idle. Beside other work everything takes longer,
and a limit that does not would find faults where there are none. So all limits, of the lab and of
the tests on it, are stretched here by how busy the machine is; what hangs is still found, later.
"""

import math
import os
import time
from pathlib import Path

SPARE = 4  # so many processes for each core, and the bounds that tests set for programs still hold


def slowness() -> float:
    """Return how much longer things take here and now than on an idle machine, at least 1.

    That is how many processes want each core: now, or in the last minute's mean if that is more.
    LAB_SLOWNESS is the least that it returns, for a machine that is slow when it is idle, too.
    """
    mean, _, _, running, _ = Path("/proc/loadavg").read_text("ascii").split()
    wanting = max(float(mean), int(running.partition("/")[0]) - 1)  # without who asks
    return max(1.0, wanting / (os.cpu_count() or 1), float(os.environ.get("LAB_SLOWNESS", "1")))


def at_most(seconds: float) -> float:
    """Return how long that may take which takes less than `seconds` on an idle machine."""
    return seconds * slowness()


def bound(seconds: float, most: float = math.inf) -> str:
    """Return a time for a program's configuration, after which it takes others for dead.

    It costs the tests that wait for it, so it is longer only where the machine is very busy; `most`
    is what the program accepts.
    """
    return f"{min(seconds * max(1.0, slowness() / SPARE), most):.4g}s"


def stretched(seconds: float) -> str:
    """Return a time for a program's configuration, within which things are to come together."""
    return f"{at_most(seconds):.4g}s"


class Limit:
    """`seconds` of an idle machine's time, from now on."""

    def __init__(self, seconds: float) -> None:
        """Begin."""
        self._left = seconds
        self._seen_at = time.monotonic()

    def is_over(self) -> bool:
        """Return whether they have passed; time counts for less while the machine is busy."""
        now = time.monotonic()
        self._left -= (now - self._seen_at) / slowness()
        self._seen_at = now
        return self._left < 0
