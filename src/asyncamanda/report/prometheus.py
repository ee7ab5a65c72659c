"""The state of the backup, as a text file for Prometheus' node exporter.

prometheus.io/docs/instrumenting/exposition_formats; the exporter drops a file whole if one line
of it is wrong.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncamanda.core.model import Outcome
from asyncamanda.core.values.printable import printable_lines


@dataclass(frozen=True, slots=True)
class Metrics:
    """The state of the backup at `looked_at`.

    `confirmed` has each disk's last confirmed dump; the last attempt is None where there was none.
    `exposure` is for how long the machine was used since the last backup, None where not known.
    """

    looked_at: datetime
    confirmed: Mapping[str, datetime]
    is_stale: bool = False
    is_overdue: bool = False
    is_deferred: bool = False
    attempted_at: datetime | None = None
    outcome: Outcome | None = None
    exposure: timedelta | None = None


_Sample = tuple[str, float]  # labels, as they are written, and the value


def render_prometheus(standing: Metrics) -> str:
    """Return the whole file."""
    return "".join(
        f"# HELP asyncamanda_{name} {words}\n# TYPE asyncamanda_{name} gauge\n"
        + "".join(f"asyncamanda_{name}{labels} {value!r}\n" for labels, value in samples)
        for name, words, samples in _metrics(standing)
        if samples
    )


def _metrics(standing: Metrics) -> Iterator[tuple[str, str, list[_Sample]]]:
    disks = {_label("disk", disk): at.timestamp() for disk, at in standing.confirmed.items()}
    attempted, outcome = standing.attempted_at, standing.outcome
    yield "last_confirmed_timestamp_seconds", "Start of the last confirmed dump.", [*disks.items()]
    yield "stale", "1 if the last backup is older than stale_after.", _one(standing.is_stale)
    yield "overdue", "1 if a backup is due.", _one(standing.is_overdue)
    yield "deferred", "1 if a due backup waits for a better moment.", _one(standing.is_deferred)
    yield (
        "last_attempt_timestamp_seconds",
        "End of the last attempt.",
        _one(attempted.timestamp()) if attempted else [],
    )
    yield (
        "last_attempt_outcome",
        "How the last attempt ended.",
        [(_label("outcome", outcome.value), 1.0)] if outcome else [],
    )
    yield (
        "exposure_seconds",
        "Seconds of use since the last confirmed backup began.",
        [] if standing.exposure is None else _one(standing.exposure.total_seconds()),
    )
    yield (
        "last_look_timestamp_seconds",
        "When the agent last looked.",
        _one(standing.looked_at.timestamp()),
    )


def _one(value: float) -> list[_Sample]:
    return [("", float(value))]


def _label(name: str, value: str) -> str:
    """Return a label; what does not print is written out, a line's end in Prometheus' own way."""
    text = printable_lines(value)
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{{{name}="{text}"}}'
