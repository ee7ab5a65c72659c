"""Which disks are drilled next, and what their proofs say together.

Drills are spread: so many a day that each disk has its turn once in `every`. The one that was
proved longest ago is first. A drill of all bytes that failed is not made good by a lesser one.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncamanda.core.dispatch.records import ProofKind, ProofRow
from asyncamanda.core.model import DleVerdict

Dle = tuple[str, str]  # host, disk

DRILLS = (ProofKind.DRILL, ProofKind.FULL_DRILL)
DAY = timedelta(days=1)
_SLACK = timedelta(hours=4)
ALARM_AFTER = timedelta(days=31)  # without a good proof
TOO_LONG_AGO = "no proof that it can be restored was good for a month"


@dataclass(frozen=True, slots=True)
class DrillPolicy:
    """The `[drill]` table of server.toml: how often each disk is proved restorable.

    `full_every` is how often with all bytes. `sample` is how many files are read. Where drills are
    not `scheduled` only `server drill` makes them.
    """

    scheduled: bool = True
    every: timedelta = timedelta(days=7)
    full_every: timedelta = timedelta(days=30)
    sample: int = 20

    @property
    def alarm_after(self) -> timedelta:
        """How long no proof of a disk may be good."""
        return max(ALARM_AFTER, 3 * self.every)


@dataclass(frozen=True, slots=True)
class DueDrills:
    """Who is due, and whether for all bytes, in this order; `most` are to be drilled now.

    `most_whole` of them with all bytes. What cannot be drilled, or has nothing to prove, is none of
    these, so that it keeps no other from its turn.
    """

    order: tuple[tuple[Dle, bool], ...]
    most: int
    most_whole: int


def plan_drills(
    dles: Iterable[Dle],
    drills: Mapping[Dle, ProofRow],
    fulls: Mapping[Dle, ProofRow],
    policy: DrillPolicy,
    now: datetime,
) -> DueDrills:
    """Return which of `dles` are due.

    `drills` are their newest drills of either kind, `fulls` the newest of all bytes.
    """
    known = [*dict.fromkeys(dles)]
    every = min(policy.every, policy.full_every)
    due = [dle for dle in known if _is_due(drills.get(dle), every, now)]
    due.sort(key=lambda dle: _order(dle, drills))
    failed = [dle for dle in due if dle in drills and not drills[dle].is_good]
    # at its next turn it would be too late
    whole_every = max(policy.full_every - every, every)
    whole = {dle for dle in due if _is_due(fulls.get(dle), whole_every, now)}
    return DueDrills(
        tuple(
            (dle, dle in whole or must_be_full(drills.get(dle)))
            for dle in dict.fromkeys((*failed, *due))
        ),
        max(_portion(len(known), every) - _count_today(drills.values(), now), len(failed), 0),
        max(_portion(len(known), policy.full_every) - _count_today(fulls.values(), now), 0),
    )


def must_be_full(last: ProofRow | None) -> bool:
    """Return whether only a drill of all bytes can make good what the `last` drill found."""
    return last is not None and not last.is_good and last.kind is ProofKind.FULL_DRILL


def _is_due(last: ProofRow | None, every: timedelta, now: datetime) -> bool:
    if last is None or last.proved_at > now:  # by a clock that was ahead
        return True
    return now - last.proved_at >= nearly(every if last.is_good else min(DAY, every))


def nearly(span: timedelta) -> timedelta:
    """Return a little less: runs, after which is looked who is due, do not end by the clock."""
    return span - min(_SLACK, span / 6)


def _portion(count: int, every: timedelta) -> int:
    return math.ceil(count / max(every / DAY, 1.0))


def _count_today(proofs: Iterable[ProofRow], now: datetime) -> int:
    return sum(1 for proof in proofs if timedelta() <= now - proof.proved_at < nearly(DAY))


def _order(dle: Dle, proofs: Mapping[Dle, ProofRow]) -> tuple[bool, float, Dle]:
    last = proofs.get(dle)
    return last is not None, last.proved_at.timestamp() if last else 0.0, dle


@dataclass(frozen=True, slots=True)
class DiskProof:
    """What all proofs of a disk say: when it was proved restorable last, None if never.

    `fault` is what the last drill, or the client's last proof, has found to be wrong, `drill_fault`
    what the drill alone has, of which a client does not know yet; "" if nothing was.
    """

    proved_at: datetime | None = None
    fault: str = ""
    drill_fault: str = ""


def judge_proofs(newest: Iterable[ProofRow], good: Iterable[ProofRow]) -> DiskProof:
    """Return what they say: the `newest` of each kind of proof of a disk, and the newest `good`.

    A client that fails tries again each day. What it has not said again for so long is no news.
    """
    proved_at = max((proof.proved_at for proof in good), default=None)
    failed = [
        proof
        for proof in newest
        if not proof.is_good
        and not (
            proof.kind is ProofKind.CLIENT
            and proved_at
            and proved_at - proof.proved_at > ALARM_AFTER
        )
    ]
    faults = [proof.what for proof in failed]
    return DiskProof(
        proved_at,
        "; ".join(faults),
        "; ".join(proof.what for proof in failed if proof.kind in DRILLS),
    )


def find_first_dumps(verdicts: Iterable[DleVerdict]) -> dict[str, datetime]:
    """Return when the first confirmed dump of each disk of a host was made."""
    first_at: dict[str, datetime] = {}
    for each in verdicts:
        if each.state.is_confirmed and each.dumped_at:
            first_at[each.disk] = min(each.dumped_at, first_at.get(each.disk, each.dumped_at))
    return first_at


def waits_since(
    proof: DiskProof, first_at: datetime | None, began_at: datetime | None, now: datetime
) -> datetime:
    """Return since when a proof of a disk is waited for: see is_overdue().

    `first_at` is when the first dump was made, and `began_at` when drills were first made here: a
    server that has just begun with them has not failed to.
    """
    return max(proof.proved_at or first_at or now, began_at or now)


def name_fault(
    proof: DiskProof, since: datetime, now: datetime, after: timedelta = ALARM_AFTER
) -> str:
    """Return why a client is told that a disk is not proved restorable, "" if it is.

    What its own proof has found it knows. `since` and `after` are those of is_overdue().
    """
    return proof.drill_fault or (TOO_LONG_AGO if is_overdue(proof, since, now, after) else "")


def is_overdue(
    proof: DiskProof, since: datetime, now: datetime, after: timedelta = ALARM_AFTER
) -> bool:
    """Return whether no proof was good for so long; `since` is when the first dump was made."""
    return now - max(proof.proved_at or since, since) > after
