"""When to try again: later each time, each client at its own moment, earlier if things changed."""

import hashlib
from datetime import datetime, timedelta

from asyncamanda.core.conditions.surroundings import Surroundings

FIRST = timedelta(minutes=5)
TOLERANCE = timedelta(minutes=5)  # by how much clocks are corrected all the time

_MOST_DOUBLINGS = 32  # 40,000 years


def plan_retry(tries: int, within: timedelta, chance: float) -> timedelta:
    """Return how long to wait after `tries` earlier failures: at most `within`.

    `chance`, from 0 to 1, says how much of that time it is: clients that one outage has cut off
    do not come back all at once.
    """
    longest = FIRST * (1 << min(max(tries, 0), _MOST_DOUBLINGS))
    return chance * min(within, longest)


def retry_at(not_before: datetime | None, now: datetime, within: timedelta) -> datetime | None:
    """Return until when to wait, None if there is nothing to wait for.

    A time further ahead than any wait was planned while the clock was wrong.
    """
    if not_before is None or not now < not_before <= now + within + TOLERANCE:
        return None
    return not_before


def spread_offset(identity: str, spread: timedelta) -> timedelta:
    """Return a time from 0 to below `spread`: always the same for one `identity`."""
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()
    steps = spread // timedelta.resolution
    return (int.from_bytes(digest[:8]) * steps >> 64) * timedelta.resolution


def fingerprint(surroundings: Surroundings) -> str:
    """Return what ends a wait when it differs: kind of power, metered or not, and networks.

    Neither charge nor load, which differ all the time. "?" is what is unknown.
    """
    power = _word(surroundings.is_on_battery, "battery", "mains")
    metered = _word(surroundings.is_metered, "yes", "no")
    networks = "?"
    if surroundings.networks is not None:
        names = ((each.name, each.kind.value, each.ssid or "") for each in surroundings.networks)
        networks = ascii(sorted(names))
    return f"power={power} metered={metered} networks={networks}"


def _word(claim: bool | None, if_true: str, if_false: str) -> str:
    if claim is None:
        return "?"
    return if_true if claim else if_false
