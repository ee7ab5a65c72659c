"""How often a client may ask: a few times at once, and then at a fixed rate."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Allowance:
    """`burst` times at once, and once more for each `per` that passes."""

    per: timedelta
    burst: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """What one client has left, in times that it may ask, at a moment."""

    tokens: float
    at: datetime


def fill(allowance: Allowance, now: datetime) -> Bucket:
    """Return the bucket of a client that has not asked yet."""
    return Bucket(float(allowance.burst), now)


def take(bucket: Bucket, allowance: Allowance, now: datetime) -> tuple[Bucket, timedelta | None]:
    """Return what is left, and None if it may ask now, else how long until it may.

    To ask too early costs nothing. A clock that was set back changes nothing: the wait counts from
    its new time.
    """
    passed = max(now - bucket.at, timedelta(0))
    tokens = min(bucket.tokens + passed / allowance.per, float(allowance.burst))
    if tokens >= 1:
        return Bucket(tokens - 1, now), None
    # rounded up, so that a client that waits that long is not refused again
    return Bucket(tokens, now), (1 - tokens) * allowance.per + timedelta.resolution
