"""A dump as it was recorded when it was confirmed: what it is, and what its bytes went through."""

from dataclasses import dataclass
from datetime import timedelta

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.model import DleVerdict

FUTURE_AFTER = timedelta(hours=1)  # by which a clock that is right may be set back


@dataclass(frozen=True, slots=True)
class RecordedDump:
    """A dump, or an attempt at one. `filters` are as in dump_filters.py, None where not known.

    `machine` is the lineage (core/protocol/tickets.py) whose session carried it, None where none
    did. `runs` are the timestamps of those that have made it and brought it to a volume.
    """

    verdict: DleVerdict
    filters: Filters | None = None
    machine: int | None = None
    runs: tuple[str, ...] = ()
