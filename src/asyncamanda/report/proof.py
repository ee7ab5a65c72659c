"""Proofs, for people and as JSON."""

from collections.abc import Sequence
from datetime import datetime

from asyncamanda.core.restore.proof import ClientProof, ProofStanding, sum_up_faults
from asyncamanda.core.restore.proofs import LastProof, list_failed, oldest_proof
from asyncamanda.core.values.printable import printable
from asyncamanda.core.values.size import format_size
from asyncamanda.report.json import time_value
from asyncamanda.report.status import format_ago, format_when


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


def describe_proved(known: Sequence[LastProof], now: datetime) -> str:
    """Return when what is backed up was last proved restorable; "" where nothing is known."""
    if failed := list_failed(known):
        first = failed[0]
        more = f" (and {len(failed) - 1} more disks)" if len(failed) > 1 else ""
        words = printable(sum_up_faults(first.proof.faults))
        disk = f"{printable(first.proof.disk)}{more}"
        return f"proof of {disk} FAILED {format_when(first.tried_at, now)}: {words}"
    if proved_at := oldest_proof(known):
        when = f"{proved_at.astimezone():%A}, {format_ago(proved_at, now)}"
        return f"last proved restorable: {when}"
    tried = [one for one in known if one.proof.standing is ProofStanding.NOTHING]
    if tried:
        return f"not proved restorable yet: {printable(tried[0].proof.why)}"
    return ""


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
