"""What is remembered of proofs, beside the agent's memory: one JSON file, replaced whole.

After a crash at any moment, or on a full disk, it is the old one or the new one. A damaged one
counts as none: then every disk is proved again.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asyncamanda.client.state.stored import read_text, read_time
from asyncamanda.core.model import BackupState
from asyncamanda.core.restore.proof import ClientProof, ProofStanding
from asyncamanda.core.restore.proofs import NO_PROOFS, LastProof, ProofMemory
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.core.values.printable import clip
from asyncamanda.report.json import time_value
from asyncamanda.system.files import read_regular, write_whole

FILE_NAME = "proofs.json"
FORMAT = 1
LARGEST = 4 << 20  # bytes
MOST_FAULTS = 20  # of a disk
LONGEST_FAULT = 1000  # characters; a name may be as long as it likes

MOST = 10**15  # of anything that is counted

UNDECODABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def read_proofs(folder: Path) -> ProofMemory:
    """Return what is remembered in `folder`; nothing where nothing is, or it is damaged."""
    try:
        value = parse_json(read_regular(folder / FILE_NAME, LARGEST))
        if value["format"] != FORMAT:
            return NO_PROOFS
        disks = [decode_proof(each) for each in value["disks"]]
        told = {str(channel): BackupState(state) for channel, state in value["told"]}
        return ProofMemory({one.proof.disk: one for one in disks}, told)
    except (OSError, *UNDECODABLE):
        return NO_PROOFS


def change_proofs(folder: Path, change: Callable[[ProofMemory], ProofMemory]) -> ProofMemory:
    """Write down what `change` makes of what is remembered, and return it.

    Raises OSError; then the old one stays. Of two who do that at once the later one counts.
    """
    after = change(read_proofs(folder))
    write_whole(folder / FILE_NAME, _encode(after), 0o600)
    return after


def _encode(proofs: ProofMemory) -> str:
    value = {
        "format": FORMAT,
        "disks": [encode_proof(one) for one in proofs.disks.values()],
        "told": [[channel, state.value] for channel, state in proofs.told.items()],
    }
    return json.dumps(value, indent=1) + "\n"


def encode_proof(one: LastProof) -> dict[str, object]:
    """Return a disk's last proof as JSON has it."""
    proof = one.proof
    return {
        "disk": proof.disk,
        "standing": proof.standing.value,
        "run": proof.run,
        "files": proof.files,
        "size": proof.size,
        "faults": [clip(fault, LONGEST_FAULT) for fault in proof.faults[:MOST_FAULTS]],
        "why": clip(proof.why, LONGEST_FAULT),
        "tried_at": time_value(one.tried_at),
        "good_at": time_value(one.good_at),
        "since": time_value(one.since),
        "is_told": one.is_told,
    }


def decode_proof(value: dict[str, Any]) -> LastProof:
    """Return the last proof that JSON holds. Raises one of UNDECODABLE if it holds none."""
    proof = decode_disk_proof(value)
    good_at = value["good_at"]
    return LastProof(
        proof,
        tried_at=read_time(value["tried_at"]),
        good_at=None if good_at is None else read_time(good_at),
        since=read_time(value["since"]),
        is_told=value["is_told"] is True,
    )


def decode_disk_proof(value: dict[str, Any]) -> ClientProof:
    """Return what a proof came to. Raises one of UNDECODABLE."""
    return ClientProof(
        disk=read_text(value["disk"]),
        standing=ProofStanding(value["standing"]),
        run=read_text(value["run"]),
        files=_whole(value["files"]),
        size=_whole(value["size"]),
        faults=tuple(
            clip(read_text(each), LONGEST_FAULT) for each in value["faults"][:MOST_FAULTS]
        ),
        why=read_text(value["why"]),
    )


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise ValueError("no number that was counted")
    return value
