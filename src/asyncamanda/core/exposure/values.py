"""How much work is at stake: the use of a machine since its last confirmed backup began."""

from dataclasses import dataclass
from datetime import datetime, timedelta

KEPT_DAYS = 90  # days of use that are kept, today's included
UNSURE = timedelta(hours=1)  # what is known to within that counts as known


@dataclass(frozen=True, slots=True)
class Exposure:
    """For how long a machine was used since its last confirmed backup began.

    `used` is None where that is not known. `is_least`: it was used at least for so long, and
    nobody knows for how much longer. `as_of` is until when it was counted.
    """

    used: timedelta | None
    is_least: bool = False
    as_of: datetime | None = None


NOT_KNOWN = Exposure(None)
