"""What the server's administrator has set for the fleet."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class FleetPolicy:
    """The `[fleet]` table of server.toml.

    `interval` and `stale_after` are for clients that do not say what theirs are. `never_after` is
    how long a client may be without any backup before that is an alarm.
    """

    interval: timedelta = timedelta(days=1)
    stale_after: timedelta = timedelta(days=7)
    never_after: timedelta = timedelta(days=3)
