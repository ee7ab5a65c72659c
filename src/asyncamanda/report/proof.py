"""Proofs, for people and as JSON."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from asyncamanda.core.agent.summary import Status
from asyncamanda.core.model import EPOCH
from asyncamanda.core.restore.proof import ClientProof, ProofStanding, sum_up_faults
from asyncamanda.core.restore.proofs import LastProof, list_failed, oldest_proof
from asyncamanda.core.values.printable import printable
from asyncamanda.core.values.size import format_size
from asyncamanda.report.json import time_value
from asyncamanda.report.status import format_ago, format_when, meant_disks
from asyncamanda.report.text import name_disks

WEEK = timedelta(days=7)


def describe_proof(proof: ClientProof) -> str:
    """Return what a disk's proof came to, in a line."""
    name = printable(proof.disk)
    match proof.standing:
        case ProofStanding.GOOD:
            files = f"{proof.files} file{'' if proof.files == 1 else 's'}"
            are = "is as it is" if proof.files == 1 else "are as they are"
            return f"{name}: {files} ({format_size(proof.size)}) came back, and {are} here"
        case ProofStanding.FAILED:
            return f"{name}: FAILED: {printable(sum_up_faults(proof.faults))}"
        case ProofStanding.NOTHING:
            return f"{name}: nothing was proved: {printable(proof.why)}"
        case ProofStanding.IMPOSSIBLE:
            return f"{name}: cannot be proved from here: {printable(proof.why)}"


def describe_proved(status: Status, known: Sequence[LastProof], now: datetime) -> list[str]:
    """Return when what is backed up was last proved restorable: by the server, or from here.

    First what is wrong; nothing where nothing is known.
    """
    disks = meant_disks(status)
    faults = {disk.name: disk.proof_fault for disk in disks if disk.proof_fault}
    lines = [f"NOT PROVED RESTORABLE: {printable(': '.join(fault))}" for fault in faults.items()]
    failed = list_failed(known)
    lines += [_describe_failed(failed, now)] if failed else []
    bad = {*faults, *(one.proof.disk for one in failed)}
    good = {one.proof.disk: one.good_at for one in known}
    dates = {disk.name: _latest(disk.proved_at, good.get(disk.name)) for disk in disks}
    well = {name: at for name, at in dates.items() if at and name not in bad}
    if well:
        which = "" if len(well) == len(disks) else f" ({name_disks([*well])})"
        return [*lines, f"last proved restorable: {_format_day(min(well.values()), now)}{which}"]
    return lines or ([standing] if (standing := describe_standing(known, now)) else [])


def describe_standing(known: Sequence[LastProof], now: datetime) -> str:
    """Return in a line what is known of the proofs of all disks; "" where that is nothing."""
    if failed := list_failed(known):
        return _describe_failed(failed, now)
    if proved_at := oldest_proof(known):
        return f"last proved restorable: {_format_day(proved_at, now)}"
    tried = [one for one in known if one.proof.standing is ProofStanding.NOTHING]
    return f"not proved restorable yet: {printable(tried[0].proof.why)}" if tried else ""


def _describe_failed(failed: Sequence[LastProof], now: datetime) -> str:
    first = failed[0]
    more = f" (and {len(failed) - 1} more disks)" if len(failed) > 1 else ""
    words = printable(sum_up_faults(first.proof.faults))
    disk = f"{printable(first.proof.disk)}{more}"
    return f"proof of {disk} FAILED {format_when(first.tried_at, now)}: {words}"


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one or EPOCH, other or EPOCH) if one or other else None


def _format_day(at: datetime, now: datetime) -> str:
    here = at.astimezone()
    day = f"{here:%A}" if now - at < WEEK else f"{here:%Y-%m-%d}"
    return f"{day}, {format_ago(at, now)}"


def proof_value(proof: ClientProof) -> dict[str, object]:
    """Return a proof for JSON."""
    return {
        "disk": proof.disk,
        "standing": proof.standing.value,
        "run": proof.run or None,
        "files": proof.files,
        "bytes": proof.size,
        "faults": list(proof.faults),
        "reason": proof.why or None,
    }


def last_proof_value(one: LastProof) -> dict[str, object]:
    """Return the last proof of a disk for JSON."""
    return {
        **proof_value(one.proof),
        "tried_at": time_value(one.tried_at),
        "proved_at": time_value(one.good_at),
    }
