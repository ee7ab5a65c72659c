"""How the server's doctor judges the sizes of a client's dumps, level by level."""

from collections.abc import Collection, Iterable

from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.amanda.full_again import describe_full_again, is_full_again, name_remedy
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.model import DleVerdict


def judge_levels(verdicts: Iterable[DleVerdict], dles: Collection[Dle]) -> Check | None:
    """Return a warning if a disk's newest dump is an incremental about as large as its full.

    `verdicts` are of one client, by when their runs began. None if there is no such disk.
    """
    fulls: dict[str, int] = {}
    newest: dict[str, DleVerdict] = {}
    for verdict in verdicts:
        if verdict.state.is_confirmed and verdict.level is not None:
            newest[verdict.disk] = verdict
            if verdict.level == 0:
                fulls[verdict.disk] = verdict.kilobytes
    known = {dle.disk: dle for dle in dles if not dle.is_parked}
    found = [
        verdict
        for disk, verdict in newest.items()
        if is_full_again(verdict, fulls.get(disk, 0), known.get(disk))
    ]
    if not found:
        return None
    first = found[0]
    more = f" (and {len(found) - 1} more disks)" if len(found) > 1 else ""
    said = f"{first.disk}: {describe_full_again(first)}{more}"
    why = "all of it crosses the client's line at each backup"
    return Check("levels", Health.WARNING, said, why, name_remedy(first))
