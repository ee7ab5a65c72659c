"""What the server makes of the total use that a client says: bounded, and never falling.

A client may say anything. What it says counts for no more than the time that has gone by between
two of its reports, and only a confirmed backup makes its exposure smaller.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from asyncamanda.core.exposure.values import UNSURE, Exposure


@dataclass(frozen=True, slots=True)
class UseTotal:
    """What a client said at `at`: the seconds of use since it began to count.

    They are None where it does not count. `gaps` is how often it could not count for a while.
    """

    at: datetime
    used: float | None
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class UseBase:
    """What a client's total was when its last confirmed backup began; None where not known.

    `is_least`: since then it was used for more than its totals say, or may have been.
    """

    backed_up_at: datetime
    used: float | None
    is_least: bool = False


def begin_base(
    total: UseTotal | None, base: UseBase | None, backed_up_at: datetime, *, was_here: bool
) -> UseBase | None:
    """Return the new base after a backup that began at `backed_up_at`; None if it is no newer.

    A machine that is connected is awake: `was_here` says that it was all the time from its report
    until then.
    """
    if base and backed_up_at <= base.backed_up_at:
        return None
    if total is None or total.used is None:
        return UseBase(backed_up_at, None)
    since = (backed_up_at - total.at).total_seconds()
    if since >= 0:
        return UseBase(backed_up_at, total.used + since if was_here else None)
    if -since <= UNSURE.total_seconds():
        return UseBase(backed_up_at, total.used + since)
    return UseBase(backed_up_at, total.used, is_least=True)


def heed_total(known: UseTotal | None, base: UseBase | None, said: UseTotal) -> UseBase | None:
    """Return `base` as it counts from now on, where `known` was said before, and `said` is now.

    What was said too much is left out. Where the total has fallen (a new machine, or a lost count)
    the exposure goes on from what it was.
    """
    if base is None or said.used is None:
        return base
    if base.used is None:
        return replace(base, used=said.used, is_least=True)
    if known is None or known.used is None:
        return replace(base, used=min(base.used, said.used), is_least=True)
    grown = said.used - known.used
    if grown < 0:
        exposed = max(known.used - base.used, 0.0)
        return replace(base, used=said.used - exposed, is_least=True)
    gone_by = max((said.at - known.at).total_seconds(), 0.0)
    return replace(
        base,
        used=base.used + max(grown - gone_by, 0.0),
        is_least=base.is_least or said.gaps != known.gaps,
    )


def judge_total(total: UseTotal, base: UseBase | None) -> Exposure:
    """Return a client's exposure when it said its total."""
    if base is None or base.used is None or total.used is None:
        return Exposure(None, as_of=total.at)
    gone_by = (total.at - base.backed_up_at).total_seconds()
    used = max(min(total.used - base.used, gone_by), 0.0)
    return Exposure(timedelta(seconds=used), base.is_least, max(total.at, base.backed_up_at))
