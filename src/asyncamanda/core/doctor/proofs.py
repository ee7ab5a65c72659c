"""How the server's doctor judges whether a client's disks are proved restorable."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from asyncamanda.core.dispatch.drills import ALARM_AFTER, DiskProof, is_overdue
from asyncamanda.core.doctor.findings import Check, Health, well
from asyncamanda.core.values.shellwords import quote_word

PROOF = "proof"
_WHY = "a backup that cannot be restored is none"


def judge_restorable(
    client: str,
    proofs: Mapping[str, DiskProof],
    first_at: Mapping[str, datetime],
    now: datetime,
    after: timedelta = ALARM_AFTER,
) -> Check | None:
    """Return whether the disks were proved restorable; None for a client without a backup.

    `first_at` is when the first dump of each disk was made, or later when drills began, and
    `after` so long no proof may be good.
    """
    if not first_at:
        return None
    known = {disk: proofs.get(disk, DiskProof()) for disk in sorted(first_at)}
    failed = [f"{disk}: {proof.fault}" for disk, proof in known.items() if proof.fault]
    fix = f"asyncamanda server drill --full {quote_word(client)}"
    if failed:
        fix = f"the next backup is a full one where that helps; after it: {fix}"
        return Check(PROOF, Health.BAD, "; ".join(failed), _WHY, fix)
    late = [disk for disk, proof in known.items() if is_overdue(proof, first_at[disk], now, after)]
    if late:
        found = f"not proved restorable for a month: {', '.join(late)}"
        return Check(PROOF, Health.WARNING, found, _WHY, fix)
    dates = [proof.proved_at for proof in known.values()]
    proved = [date for date in dates if date]
    if len(proved) < len(dates):
        return well(PROOF, "not all disks were drilled yet; each has its turn within a week")
    return well(PROOF, f"proved restorable, last on {min(proved).astimezone(UTC):%Y-%m-%d}")
