"""What a monitoring plugin answers, as values: a status, a line, numbers, and further lines.

monitoring-plugins.org/doc/guidelines.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from asyncamanda.core.values.interval import format_age
from asyncamanda.core.values.threshold import NEVER_ALERTED, Thresholds

PREFIX = "BACKUP"  # the line's first word: what is checked
LONGEST = 80  # characters of the first line, without its numbers


class PluginStatus(IntEnum):
    """The exit codes of a plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


# what is known to be wrong is worse than what is not known
_WORSE = (PluginStatus.OK, PluginStatus.UNKNOWN, PluginStatus.WARNING, PluginStatus.CRITICAL)


@dataclass(frozen=True, slots=True)
class PerfValue:
    """A number for graphs; None where it is not known. `most` is the highest that it can be."""

    label: str
    value: float | None
    unit: str = ""  # s, B, % or c; else a number of things
    thresholds: Thresholds = NEVER_ALERTED
    most: float | None = None


@dataclass(frozen=True, slots=True)
class PluginAnswer:
    """What a plugin says: one line, numbers beside it, and `lines` for who wants to know more."""

    status: PluginStatus
    text: str
    values: tuple[PerfValue, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """What was asked for: limits of a backup's age, of the exposure, and of a proof's age."""

    age: Thresholds = NEVER_ALERTED
    exposure: Thresholds = NEVER_ALERTED
    proof: Thresholds = NEVER_ALERTED

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self.age or self.exposure or self.proof)


@dataclass(frozen=True, slots=True)
class AlertReason:
    """Why something is not OK, in a few words."""

    status: PluginStatus
    words: str


def worst(statuses: Iterable[PluginStatus]) -> PluginStatus:
    """Return the worst of `statuses`, OK if there are none."""
    return max(statuses, key=_WORSE.index, default=PluginStatus.OK)


def rank(status: PluginStatus) -> int:
    """Return how bad a status is: 0 is OK."""
    return _WORSE.index(status)


def judge_span(
    span: timedelta | None, thresholds: Thresholds, words: str
) -> tuple[AlertReason, ...]:
    """Return why a span is alerted, nothing where it is not; `words` have {} for the span."""
    if span is None:
        return ()
    seconds = span.total_seconds()
    for status, limit in (
        (PluginStatus.CRITICAL, thresholds.critical),
        (PluginStatus.WARNING, thresholds.warning),
    ):
        if limit and limit.alerts(seconds):
            return (AlertReason(status, words.format(format_age(span))),)
    return ()


def span_value(label: str, span: timedelta | None, thresholds: Thresholds) -> PerfValue:
    """Return a span in seconds, for graphs."""
    seconds = None if span is None else float(round(span.total_seconds()))
    return PerfValue(label, seconds, "s", thresholds)
