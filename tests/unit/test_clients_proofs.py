"""What `server clients` says of proofs."""

from datetime import UTC, datetime

from asyncamanda.commands.server.clients import keep_meant
from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.server.restore.reach import Reach

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_a_disk_that_nobody_backs_up_any_more_alarms_nobody() -> None:
    """What its last proof found wrong stays so."""
    proofs = {"/home": DiskProof(NOON), "/old": DiskProof(NOON, "gone", "gone")}
    assert keep_meant(proofs, Reach(NOON, {"/home": NOON}, {})) == {"/home": DiskProof(NOON)}
    assert keep_meant(proofs, None) == proofs  # not known which are meant
