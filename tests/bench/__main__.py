"""Benchmarks, each beside a peer or a bare baseline in the same run: ./test bench.

Rounds alternate between what is compared, so that a noisy machine disturbs all alike; what
counts is the ratio of the medians. No speed fails here: a reader judges.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench.agent import bench_connect, bench_long_amandates, bench_quick_way
from tests.bench.drilling import bench_drill
from tests.bench.gate import bench_storm, bench_waiting
from tests.bench.giving_back import bench_commands
from tests.bench.growth import bench_growth
from tests.bench.metrics import bench_metrics
from tests.bench.page import bench_page
from tests.bench.relay import bench_relay, bench_relay_storm
from tests.bench.restore import bench_gigabyte, bench_lists
from tests.bench.sealing import bench_sealing

from lab import Lab


def on_a_laptop(bench: Callable[[Lab], None]) -> Callable[[Path], None]:
    """Return `bench` in a lab of its own, with one client."""

    def run(prefix: Path) -> None:
        with Lab(prefix=prefix) as lab:
            bench(lab)

    return run


BENCHES: dict[str, Callable[[Path], None]] = {
    "quick": on_a_laptop(bench_quick_way),
    "amandates": on_a_laptop(bench_long_amandates),
    "connect": on_a_laptop(bench_connect),
    "storm": bench_storm,
    "waiting": bench_waiting,
    "relay": bench_relay,
    "relay-storm": bench_relay_storm,
    "drill": bench_drill,
    "restore-lists": bench_lists,
    "restore-gigabyte": bench_gigabyte,
    "restore-commands": bench_commands,
    "page": bench_page,
    "metrics": bench_metrics,
    "growth": bench_growth,
    "sealing": on_a_laptop(bench_sealing),
}


def main() -> int:
    """Print the benchmarks that the command line names, or all."""
    prefix = Path(os.environ["ASYNCAMANDA_INSTALLED"])
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, median of alternating rounds")
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name](prefix)
    return 0


if __name__ == "__main__":
    sys.exit(main())
