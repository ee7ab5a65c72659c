"""When a broken connection is retried: soon at first, then less and less often, not forever."""

from dataclasses import dataclass
from datetime import datetime, timedelta

STEADY = timedelta(seconds=30)  # a session that has stood for so long makes up for earlier breaks
WAITS = tuple(timedelta(seconds=s) for s in (1, 2, 4, 8, 15))  # the last again and again


@dataclass(frozen=True, slots=True)
class Break:
    """The connection has been broken since then; so often was a new one tried."""

    since: datetime
    tries: int = 0


def plan_reconnect(
    broken: Break | None,
    reconnect_for: timedelta,
    now: datetime,
    stood: timedelta = timedelta(0),
) -> tuple[Break, datetime | None]:
    """Return the break with one more try, and when that is; None where it is too late for one.

    `broken` is None where the connection has only just broken; `stood` is how long the session
    stood after its welcome. A clock that is set back lengthens nothing.
    """
    if stood >= STEADY:
        broken = None
    if broken is None or broken.since > now:
        broken = Break(now, broken.tries if broken else 0)
    give_up_at = broken.since + reconnect_for
    if now >= give_up_at:
        return broken, None
    wait = WAITS[min(broken.tries, len(WAITS) - 1)]
    return Break(broken.since, broken.tries + 1), min(now + wait, give_up_at)
