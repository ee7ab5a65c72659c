"""The state of this machine's backup, as a text file for Prometheus' node exporter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncamanda.core.model import Outcome
from asyncamanda.report.exposition import (
    MetricFamily,
    describe_software,
    one,
    render_families,
    render_labels,
)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The state of the backup at `looked_at`.

    `confirmed` has each disk's last confirmed dump. `success_at` is the oldest of those that are
    waited for, of which `is_stale` is judged. The last attempt is None where there was none.
    `exposure` is for how long the machine was used since the last backup, None where not known.
    """

    looked_at: datetime
    confirmed: Mapping[str, datetime]
    is_stale: bool = False
    is_overdue: bool = False
    is_deferred: bool = False
    attempted_at: datetime | None = None
    outcome: Outcome | None = None
    success_at: datetime | None = None
    exposure: timedelta | None = None


def render_prometheus(standing: Metrics) -> str:
    """Return the whole file."""
    return render_families(_families(standing))


def _families(standing: Metrics) -> Iterator[MetricFamily]:
    disks = {render_labels(disk=disk): at.timestamp() for disk, at in standing.confirmed.items()}
    outcome = standing.outcome
    yield MetricFamily(
        "last_confirmed_timestamp_seconds", "Start of the last confirmed dump.", disks
    )
    yield MetricFamily(
        "last_success_timestamp_seconds",
        "Start of the last confirmed dump, of the disk that is furthest behind.",
        _time(standing.success_at),
    )
    yield MetricFamily(
        "stale", "1 if the last backup is older than stale_after.", one(standing.is_stale)
    )
    yield MetricFamily("overdue", "1 if a backup is due.", one(standing.is_overdue))
    yield MetricFamily(
        "deferred", "1 if a due backup waits for a better moment.", one(standing.is_deferred)
    )
    yield MetricFamily(
        "last_attempt_timestamp_seconds", "End of the last attempt.", _time(standing.attempted_at)
    )
    yield MetricFamily(
        "last_attempt_outcome",
        "How the last attempt ended.",
        {render_labels(outcome=outcome.value): 1.0} if outcome else {},
    )
    yield MetricFamily(
        "exposure_seconds",
        "Seconds of use since the last confirmed backup began.",
        {} if standing.exposure is None else one(standing.exposure.total_seconds()),
    )
    yield MetricFamily(
        "last_look_timestamp_seconds", "When the agent last looked.", _time(standing.looked_at)
    )
    yield describe_software("client")


def _time(at: datetime | None) -> dict[str, float]:
    return one(at.timestamp()) if at else {}
