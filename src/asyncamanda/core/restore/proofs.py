"""What is remembered of the proofs of each disk: when the next one is due, and who is told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from asyncamanda.core.model import EPOCH, BackupState
from asyncamanda.core.restore.proof import ClientProof, ProofStanding

DEFAULT_EVERY = timedelta(days=7)
AGAIN_AFTER = timedelta(days=1)  # after a proof that was not good
WITHOUT_NAMES = "something did not come back as it is; as root, `asyncamanda status` names it"
NEVER_TRIED = "there was no good moment for it yet"
UNPROVED_AFTER = timedelta(days=30)
UNPROVED_TIMES = 3  # of what is between two proofs, if that is longer


@dataclass(frozen=True, slots=True)
class LastProof:
    """The last try to prove a disk, and when it was last proved, None if it never was.

    `since` is from when on it is waited for. `is_told`: the server knows how the last try ended.
    """

    proof: ClientProof
    tried_at: datetime
    good_at: datetime | None
    since: datetime
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class ProofMemory:
    """All that is remembered: the last proof of each disk, and what each channel was told."""

    disks: Mapping[str, LastProof]
    told: Mapping[str, BackupState]


NO_PROOFS = ProofMemory({}, {})


def choose_due(
    confirmed: Mapping[str, datetime], known: ProofMemory, every: timedelta | None, now: datetime
) -> tuple[str, ...]:
    """Return the disks that are to be proved now, those that wait longest first.

    `confirmed` is when the newest confirmed dump of each was made; `every` None: none ever.
    """
    if every is None:
        return ()
    due = [
        disk
        for disk, dumped_at in confirmed.items()
        if is_due(known.disks.get(disk), dumped_at, every, now)
    ]
    return tuple(sorted(due, key=lambda disk: _waits_since(known.disks.get(disk))))


def _waits_since(last: LastProof | None) -> float:
    return last.tried_at.timestamp() if last else 0.0


def is_due(last: LastProof | None, dumped_at: datetime, every: timedelta, now: datetime) -> bool:
    """Return whether a disk is to be proved again. A clock that was set back makes it so.

    After a failure the next dump is what matters: it may be whole.
    """
    if last is None or last.tried_at > now:
        return True
    if last.proof.standing is ProofStanding.GOOD:
        return now - last.tried_at >= every
    wait = every if last.proof.standing is ProofStanding.IMPOSSIBLE else AGAIN_AFTER
    is_failed = last.proof.standing is ProofStanding.FAILED
    return now - last.tried_at >= wait or (is_failed and dumped_at > last.tried_at)


def note_proofs(known: ProofMemory, proofs: Iterable[ClientProof], now: datetime) -> ProofMemory:
    """Return what is to be remembered after these.

    One that proved nothing does not make good what the one before has found.
    """
    disks = dict(known.disks)
    for proof in proofs:
        before = disks.get(proof.disk)
        if before and proof.standing is ProofStanding.NOTHING and list_failed([before]):
            disks[proof.disk] = replace(before, tried_at=now)
            continue
        is_good = proof.standing is ProofStanding.GOOD
        disks[proof.disk] = LastProof(
            proof,
            tried_at=now,
            good_at=now if is_good else before.good_at if before else None,
            since=min(before.since, now) if before else now,
        )
    return replace(known, disks=disks)


def keep_disks(known: ProofMemory, disks: Iterable[str], now: datetime) -> ProofMemory:
    """Return what is remembered of `disks`, those that are backed up, and of no others.

    For one that is new a proof is waited for from now on. Without any `disks`, as after a memory
    was lost, all is kept.
    """
    kept = {}
    for disk in tuple(disks) or known.disks:
        none = ClientProof(disk, ProofStanding.NOTHING, why=NEVER_TRIED)
        kept[disk] = known.disks.get(disk) or LastProof(none, EPOCH, None, now)
    return replace(known, disks=kept)


def note_told(known: ProofMemory, disks: Iterable[str]) -> ProofMemory:
    """Return what is remembered once the server knows of the last proofs of `disks`."""
    told = {*disks}
    return replace(
        known,
        disks={
            name: replace(one, is_told=True) if name in told else one
            for name, one in known.disks.items()
        },
    )


def list_untold(known: ProofMemory) -> tuple[LastProof, ...]:
    """Return the last proofs that the server is to hear of, and has not."""
    telling = {ProofStanding.GOOD, ProofStanding.FAILED}
    return tuple(
        one for one in known.disks.values() if not one.is_told and one.proof.standing in telling
    )


def list_unproved(known: Iterable[LastProof], every: timedelta, now: datetime) -> tuple[str, ...]:
    """Return the disks that were not proved for too long, though they could have been."""
    limit = max(UNPROVED_AFTER, UNPROVED_TIMES * every)
    return tuple(
        one.proof.disk
        for one in known
        if one.proof.standing is not ProofStanding.IMPOSSIBLE
        and now - (one.good_at or one.since) > limit
    )


def count_drills(
    known: Iterable[LastProof], proved: Mapping[str, datetime]
) -> tuple[LastProof, ...]:
    """Return what is known once the server's drills count as well: when it `proved` each disk."""
    return tuple(
        replace(one, good_at=max(at, one.good_at or at))
        if (at := proved.get(one.proof.disk))
        else one
        for one in known
    )


def list_failed(known: Iterable[LastProof]) -> tuple[LastProof, ...]:
    """Return the disks whose last proof failed."""
    return tuple(one for one in known if one.proof.standing is ProofStanding.FAILED)


def judge_proved(known: Iterable[LastProof], every: timedelta, now: datetime) -> BackupState:
    """Return the state that people hear about: a proof failed, none was made, or all is well."""
    known = tuple(known)
    if list_failed(known):
        return BackupState.FAILED
    return BackupState.STALE if list_unproved(known, every, now) else BackupState.WELL


def oldest_proof(known: Iterable[LastProof]) -> datetime | None:
    """Return since when all disks that can be proved are; None if one never was, or none can be."""
    times = [one.good_at for one in known if one.proof.standing is not ProofStanding.IMPOSSIBLE]
    if not times or None in times:
        return None
    return min(time for time in times if time)


def hide_names(one: LastProof) -> LastProof:
    """Return a proof as everybody may know of it: files of others have no names."""
    if not one.proof.faults:
        return one
    return replace(one, proof=replace(one.proof, faults=(WITHOUT_NAMES,)))
