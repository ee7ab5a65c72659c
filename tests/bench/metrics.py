"""What it takes to write the metrics of a large fleet, beside the same values in JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.bench.agent import report
from tests.exposition import parse_exposition
from tests.fleets import make_fleet

from asyncamanda.core.fleet.checking import check_fleet
from asyncamanda.core.values.plugin import CheckLimits
from asyncamanda.core.values.threshold import Thresholds, parse_range
from asyncamanda.report.fleet_metrics import render_fleet_metrics
from asyncamanda.report.plugin import render_plugin_answer

CLIENTS = 5000
ROUNDS = 7


def bench_metrics(_: Path) -> None:
    """Print the time of the metrics of 5,000 clients, and of the plugin's answer on them."""
    fleet = make_fleet(CLIENTS)
    samples = [
        {"name": name, "labels": dict(labels), "value": value}
        for (name, labels), value in parse_exposition(render_fleet_metrics(fleet)).items()
    ]
    limit = Thresholds(parse_range("26h"), parse_range("3d"))
    limits = CheckLimits(limit, limit, limit)
    rendered, dumped, checked = _alternate(
        lambda: render_fleet_metrics(fleet),
        lambda: json.dumps(samples),
        lambda: render_plugin_answer(check_fleet(fleet, limits)),
    )
    print(f"Metrics of {CLIENTS} clients: {len(samples)} samples")
    report("metrics", rendered, dumped, "<= 3", "json.dumps of the same", "s")
    report("plugin", checked, dumped, "", "the same", "s")


def _alternate(*works: Callable[[], object]) -> tuple[float, ...]:
    """Return the median seconds of each, in rounds that alternate."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for taken, work in zip(times, works, strict=True):
            begun = perf_counter()
            work()
            taken.append(perf_counter() - begun)
    return tuple(map(median, times))
