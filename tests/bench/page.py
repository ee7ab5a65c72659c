"""Benchmark of the fleet's page at 5,000 clients, beside the bare writing out of the same fleet.

Each is a process of its own, so that its peak of memory is its own; seconds are of CPU.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
CLIENTS = 5000
ROUNDS = 3

# what, and where to; prints seconds of CPU, bytes, bytes compressed, MiB at the peak
PROGRAM = """
import gzip, json, resource, sys, time
from dataclasses import asdict
from pathlib import Path
from tests.fleets import make_fleet
from asyncamanda.report.html.render import Renderer
from asyncamanda.server.fleet.page_folder import write_page
what, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
fleet = make_fleet(count)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, began = peak(), time.process_time()
if what == "json":
    made = json.dumps(asdict(fleet), default=str).encode()
elif what == "index":
    made = Renderer(fleet, "server").make_index().make()
else:
    write_page(folder, fleet, "server")
    made = b""
took = time.process_time() - began
print(took, len(made), len(gzip.compress(made, 6)), peak() - before)
"""


@dataclass(frozen=True, slots=True)
class PageCost:
    """What a process took: seconds of CPU, bytes made, of them compressed, MiB at its peak."""

    seconds: float
    size: int
    compressed: int
    memory: float


def bench_page(prefix: Path) -> None:  # noqa: ARG001 - each benchmark has it
    """Print what the list costs, all pages written, and all looked at where nothing changed."""
    costs: dict[str, list[PageCost]] = {what: [] for what in ("json", "index", "first", "again")}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            for what, each in costs.items():
                each.append(_measure(what, folder))
    base = median(cost.seconds for cost in costs["json"])
    print(f"page: {CLIENTS} clients; json is json.dumps() of the same fleet's values")
    for what, each in costs.items():
        seconds = median(cost.seconds for cost in each)
        memory = median(cost.memory for cost in each)
        size = f", {each[0].size:,} bytes, {each[0].compressed:,} compressed" * bool(each[0].size)
        print(f"  {what:5} {seconds:6.2f} s  {seconds / base:5.2f} x json, +{memory:.0f} MiB{size}")


def _measure(what: str, folder: str) -> PageCost:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, what, str(CLIENTS), folder],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, size, compressed, memory = done.stdout.split()
    return PageCost(float(seconds), int(size), int(compressed), float(memory))
