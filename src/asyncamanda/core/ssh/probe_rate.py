"""How often a set-up asks whether it is enrolled: never so often that others suffer for it.

Since 9.8 sshd counts by address (PerSourcePenalties; seen with 10.0): a login that fails costs 5 s,
a connection without one 1 s, and above 15 s owed the address is shut out until it has run down. An
office is one address. So each machine probes at moments of its own, and rarely enough for four.
"""

import re
from enum import StrEnum

PUNISHING_FROM = (9, 8)
QUIET = 10.0  # seconds in which the penalty for the first look at the host key expires
PERIOD = 60.0  # seconds between two probes; four machines owe 20 in it
SHUT_OUT = 60.0  # seconds; what is owed has run down by then
BRISK_FIRST, BRISK_LONGEST, GROWTH = 0.5, 10.0, 1.5  # seconds, where nobody is punished

_BANNER = re.compile(r"SSH-2\.0-OpenSSH_(\d{1,4})\.(\d{1,4})")


class ProbeReception(StrEnum):
    """How a server received a probe: it heard it, shut it out, or was not reached at all."""

    HEARD = "heard"
    SHUT_OUT = "shut out"
    NOT_REACHED = "not reached"


def punishes(banner: str) -> bool:
    """Return whether the sshd that greets so may shut out an address; True for one not known."""
    found = _BANNER.search(banner)
    return not found or (int(found[1]), int(found[2])) >= PUNISHING_FROM


def plan_nap(
    probes: int, chance: float, *, is_gentle: bool, last: ProbeReception = ProbeReception.HEARD
) -> float:
    """Return how long to wait, in seconds, before the next probe, after so many of this set-up's.

    `chance`, from 0 to 1, is this machine's own: it spreads those that began together, and those
    that were shut out together. `is_gentle`: the server punishes(). What did not reach it costs
    nothing there, so a server that was away is asked again soon.
    """
    if not is_gentle:
        return float(min(BRISK_FIRST * GROWTH ** min(probes, 20), BRISK_LONGEST))
    if last is ProbeReception.SHUT_OUT:
        return SHUT_OUT + PERIOD * chance
    if last is ProbeReception.NOT_REACHED:
        return QUIET + QUIET * chance
    return QUIET + PERIOD * chance if probes == 0 else PERIOD
