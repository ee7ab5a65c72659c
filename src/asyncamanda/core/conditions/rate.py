"""How fast the data of a backup may go out: limits, each for some networks or for all."""

import re
from dataclasses import dataclass

from asyncamanda.core.conditions.findings import is_any_like
from asyncamanda.core.conditions.surroundings import Surroundings
from asyncamanda.core.values.size import format_size, parse_size

ALLOWED = '"2 MB/s", or limits for some networks: ["2 MB/s on metered, Hotel*", "10 MB/s"]'
METERED = "metered"
NO_EFFECT = "`rate` has no effect: Amanda connects to this client by itself (--direct)"
LEAST = 10_000  # bytes a second: with less no backup comes to its end
MOST = 10**12

_RATE = re.compile(r"(?P<size>[^/]+)/s(?:\s+on\s+(?P<where>.+))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit in bytes a second; it applies on the networks that `patterns` are like.

    They are as those of `networks`, and METERED is a network whose data costs money. None: on all.
    """

    bytes_per_second: int
    patterns: tuple[str, ...] = ()

    def applies(self, surroundings: Surroundings) -> bool:
        """Return whether it does here and now; what is not known is not metered."""
        if not self.patterns:
            return True
        if METERED in {pattern.lower() for pattern in self.patterns} and surroundings.is_metered:
            return True
        return is_any_like(surroundings.networks or (), self.patterns)


def parse_rate(text: str) -> RateLimit:
    """Return the limit that `text` says: "2 MB/s", "2 MB/s on metered, Hotel*".

    Raises ValueError where it says none.
    """
    found = _RATE.fullmatch(text.strip())
    if not found:
        raise ValueError("no rate")
    rate = parse_size(found["size"])
    if not LEAST <= rate <= MOST:
        raise ValueError(f"not from {format_rate(LEAST)} to {format_rate(MOST)}")
    where = found["where"]
    patterns = tuple(pattern.strip() for pattern in where.split(",")) if where else ()
    if "" in patterns:
        raise ValueError("an empty pattern")
    return RateLimit(rate, patterns)


def choose_rate(limits: tuple[RateLimit, ...], surroundings: Surroundings) -> int | None:
    """Return the bytes a second that the first limit which applies allows; None: any."""
    found = (limit.bytes_per_second for limit in limits if limit.applies(surroundings))
    return next(found, None)


def format_rate(rate: int) -> str:
    """Return bytes a second for people."""
    return f"{format_size(rate)}/s"


@dataclass(frozen=True, slots=True)
class RateAllowance:
    """What may still go out: `left` bytes, negative where some went out in advance, as of `at`.

    `at` is in seconds of a clock that only runs forward.
    """

    left: float
    at: float


BURST = 0.25  # seconds' worth that may go out at once


def spend(known: RateAllowance, rate: int, count: int, now: float) -> tuple[RateAllowance, float]:
    """Return the allowance after `count` bytes, and for how many seconds to wait before more."""
    gained = max(now - known.at, 0.0) * rate
    left = min(known.left + gained, rate * BURST) - count
    return RateAllowance(left, now), max(-left / rate, 0.0)
