"""What failed and has to be done anyway: tried later each time, and reported once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST = timedelta(seconds=1)
LONGEST = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Setback:
    """Something that failed `times` in a row, the last time for `reason`; not again until then."""

    times: int
    reason: str
    until: datetime

    def is_on(self, now: datetime) -> bool:
        """Return whether to wait still. A clock that was set back is not waited for."""
        return self.until - LONGEST <= now < self.until

    def is_recent(self, now: datetime) -> bool:
        """Return whether it still describes the present: it is on, or was until a moment ago."""
        return self.until - LONGEST <= now < self.until + LONGEST


def bear_failure(before: Setback | None, reason: str, now: datetime) -> tuple[Setback, bool]:
    """Return the setback after one more failure, and whether its reason is news."""
    times = before.times + 1 if before else 1
    wait = min(FIRST * (1 << min(times - 1, 10)), LONGEST)
    return Setback(times, reason, now + wait), before is None or before.reason != reason
