"""Proofs that disks can be restored, for people and as JSON."""

from collections.abc import Mapping

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


def tell_proofs(clients: Mapping[str, Mapping[str, DiskProof]]) -> list[str]:
    """Return what the proofs of these clients' disks say: a line for each in which one failed.

    And one for all in which none did.
    """
    lines = []
    for client, proofs in clients.items():
        if faults := [f"{disk}: {proof.fault}" for disk, proof in proofs.items() if proof.fault]:
            lines.append(f"{client}: NOT PROVED RESTORABLE: {printable('; '.join(faults))}")
    dates = {
        client: min(proof.proved_at for proof in proofs.values() if proof.proved_at)
        for client, proofs in clients.items()
        if any(proof.proved_at for proof in proofs.values())
        and not any(proof.fault for proof in proofs.values())
    }
    if dates:
        first = min(dates, key=lambda client: dates[client])
        which = f"{len(dates)} clients, longest ago {first}" if len(dates) > 1 else first
        lines.append(f"proved restorable: {which}, on {format_time(dates[first])}")
    return lines


def proofs_value(proofs: Mapping[str, DiskProof]) -> list[dict[str, object]]:
    """Return the same for JSON, by disk."""
    return [
        {"disk": disk, "proved_at": time_value(proof.proved_at), "fault": proof.fault or None}
        for disk, proof in sorted(proofs.items())
    ]
