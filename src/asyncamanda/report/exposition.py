"""Prometheus' text format: metrics with their heads and samples.

prometheus.io/docs/instrumenting/exposition_formats. The node exporter drops a file whole if one
line of it is wrong, and complains of a sample that is there twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from asyncamanda import __version__
from asyncamanda.core.values.printable import printable_lines


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """A metric, its name without "asyncamanda_", and its samples by their labels.

    The labels are as render_labels() returns them, "" where there are none. A counter's name ends
    with "_total"; all others are gauges.
    """

    name: str
    words: str
    samples: Mapping[str, float]


def render_families(families: Iterable[MetricFamily]) -> str:
    """Return the whole text. A metric without a sample is left out."""
    return "".join(_render(family) for family in families if family.samples)


def _render(family: MetricFamily) -> str:
    name = f"asyncamanda_{family.name}"
    kind = "counter" if name.endswith("_total") else "gauge"
    samples = "".join(f"{name}{labels} {value!r}\n" for labels, value in family.samples.items())
    return f"# HELP {name} {family.words}\n# TYPE {name} {kind}\n{samples}"


def render_labels(**labels: str) -> str:
    """Return labels as they are written, with their values escaped.

    What does not print is written out, but for a line's end, for which Prometheus has its own way.
    """
    pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}"


def _escape(value: str) -> str:
    text = printable_lines(value)
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def one(value: float) -> dict[str, float]:
    """Return the sample of a metric that has no labels."""
    return {"": float(value)}


def describe_software(role: str) -> MetricFamily:
    """Return which asyncamanda this is; `role` keeps apart a client and a server of one machine."""
    labels = render_labels(version=__version__, role=role)
    return MetricFamily("info", "The asyncamanda that writes these metrics.", {labels: 1.0})
