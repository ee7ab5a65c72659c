"""How the fleet is at the end of a day, for the curves of many days."""

from collections.abc import Sequence
from datetime import timedelta
from math import ceil

from asyncamanda.core.fleet.facts import FleetDay
from asyncamanda.core.fleet.judging import ALARM_FREE
from asyncamanda.core.fleet.standing import ClientState, FleetView

HALF, MOST = 0.5, 0.95


def sum_up_day(view: FleetView) -> FleetDay:
    """Return how the fleet is now; its day is that of `view.at` in that time's own zone.

    Those that are lost or retired are none of it. Exposures that nobody knows are left out.
    """
    members = [each for each in view.clients if each.standing.state not in ALARM_FREE]
    used = sorted(
        each.facts.exposure.used for each in members if each.facts.exposure.used is not None
    )
    protected = sum(each.standing.state is ClientState.PROTECTED for each in members)
    return FleetDay(view.at.date(), len(members), protected, _share(used, HALF), _share(used, MOST))


def _share(spans: Sequence[timedelta], share: float) -> timedelta | None:
    """Return the span that such a share of all `spans`, in order, does not exceed."""
    return spans[max(ceil(len(spans) * share) - 1, 0)] if spans else None
