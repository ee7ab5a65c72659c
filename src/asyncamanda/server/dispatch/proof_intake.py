"""What clients say of proofs that they made: written down, and after a failure a full is forced.

A client may lie about itself, and about nobody else: what it says is kept beside its own disks, and
costs at most one full dump of each of them a day.
"""

from datetime import datetime, timedelta

from asyncamanda.core.dispatch.rate_limit import Allowance, Bucket, fill, take
from asyncamanda.core.dispatch.records import ProofKind, ProofRow
from asyncamanda.core.protocol.messages import Later, Noted, Proof
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import Exit
from asyncamanda.server.background.tasks import Background
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.verdicts import plan_forced_full
from asyncamanda.system.clock import now as read_clock

PROOFS = Allowance(timedelta(minutes=5), 50)  # of one client
FORCED_EVERY = timedelta(days=1)
_GOOD = "{files} files came back as they are there"


class ProofIntake:
    """Takes in the proofs of all clients."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._buckets: dict[str, Bucket] = {}

    def hear(self, session: ClientSession, site: Site, proof: Proof) -> bool:
        """Write a proof down, and say so; return whether it is of a disk that was told."""
        if proof.disk_number >= len(session.told_disks):
            return False
        now = read_clock()
        bucket = self._buckets.get(session.client) or fill(PROOFS, now)
        self._buckets[session.client], wait = take(bucket, PROOFS, now)
        if wait:
            session.finish(Later(wait, "this client has reported too many proofs"), Exit.LATER)
            return True
        disk = session.told_disks[proof.disk_number]
        self._background.start(self._note(session, site, proof, disk))
        return True

    async def _note(self, session: ClientSession, site: Site, proof: Proof, disk: str) -> None:
        row = describe_proof(site.name, session.client, disk, proof, read_clock())
        is_forced = await site.access.write(lambda ledger: note_proof(ledger, row))
        if not proof.is_good:
            then = "; a full dump of it is forced" if is_forced else ""
            what = f"{session.client} could not prove that {printable(disk)} can be restored"
            site.log(f"{what}: {printable(row.what)}{then}")
        session.send(Noted(proof.disk_number))


def describe_proof(
    amanda_config: str, client: str, disk: str, proof: Proof, now: datetime
) -> ProofRow:
    """Return what is written down of a client's proof."""
    return ProofRow(
        amanda_config,
        client,
        disk,
        ProofKind.CLIENT,
        now,
        proof.run,
        None,
        proof.is_good,
        _GOOD.format(files=proof.files) if proof.is_good else proof.reason,
        proof.size,
    )


def note_proof(ledger: Ledger, row: ProofRow) -> bool:
    """Write a client's proof down; return whether a full dump was forced because it failed.

    Raises what the ledger raises.
    """
    since = row.proved_at - FORCED_EVERY
    is_forced = not row.is_good and not ledger.proofs.has_failed(row, since)
    dle = row.host, row.disk
    ledger.proofs.record(row, plan_forced_full(dle, row.proved_at) if is_forced else None)
    return is_forced
