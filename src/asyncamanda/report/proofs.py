"""Proofs that disks can be restored, for people and as JSON."""

from asyncamanda.core.dispatch.drills import DiskProof, Dle
from asyncamanda.core.dispatch.records import ProofRow
from asyncamanda.core.values.printable import printable
from asyncamanda.report.json import time_value
from asyncamanda.report.text import format_time

NOTHING = "there is nothing to prove: no client is enrolled, or none has a disk in the disklist"


def describe_proof(dle: Dle, proof: ProofRow | None) -> str:
    """Return in a line what a drill has found of a disk; None: nothing of it is promised."""
    name = printable(":".join(dle))
    if proof is None:
        return f"{name}: no backup of it is there that is promised; nothing to prove"
    words = "proved restorable" if proof.is_good else "NOT PROVED RESTORABLE"
    return f"{name}: {words}: {printable(proof.what)}"


def proof_value(amanda_config: str, dle: Dle, proof: ProofRow | None) -> dict[str, object]:
    """Return the same for JSON: `good` is null where there was nothing to prove."""
    host, disk = dle
    return {
        "client": host,
        "amanda_config": amanda_config,
        "disk": disk,
        "kind": proof and proof.kind.value,
        "proved_at": time_value(proof.proved_at if proof else None),
        "run": proof and proof.timestamp,
        "level": proof and proof.level,
        "good": proof and proof.is_good,
        "what": proof and proof.what,
        "bytes": proof and proof.size,
    }


def tell_proofs(proofs: dict[str, DiskProof]) -> str:
    """Return of a client's disks since when all are proved, in a few words for a table's cell."""
    if any(proof.fault for proof in proofs.values()):
        return "FAILED"
    dates = [proof.proved_at for proof in proofs.values()]
    known = [date for date in dates if date]
    return format_time(min(known)) if known and len(known) == len(dates) else "-"
