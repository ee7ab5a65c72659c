"""What tests of processes wait for, and count."""

import os
import time
from collections.abc import Callable

import pytest

from lab.patience import Limit


def until(condition: Callable[[], object], what: str, seconds: float = 15) -> None:
    """Return as soon as `condition` holds; fail where it does not within `seconds`."""
    limit = Limit(seconds)
    while not condition():
        if limit.is_over():
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def count_descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as in processes
