"""The proofs in the ledger: which disks were found restorable, when, and by what."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, delete, func, inspect, select

from asyncamanda.core.dispatch.drills import DRILLS, DiskProof, judge_proofs
from asyncamanda.core.dispatch.records import ProofKind, ProofRow, Protection
from asyncamanda.core.values.printable import clip
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.newest import Dle, in_pieces, newest_id, walk_pairs
from asyncamanda.server.ledger.rows import insert_row
from asyncamanda.server.ledger.schema import proofs
from asyncamanda.server.ledger.transactions import Transactions
from asyncamanda.server.ledger.verdicts import put_protection

LONGEST_WHAT = 2000  # characters that are kept of what was proved, or failed


@dataclass(frozen=True, slots=True)
class LastProofs:
    """The newest proof of a disk, whatever it found, and the newest that was good, if any."""

    newest: ProofRow
    newest_good: ProofRow | None


class Proofs:
    """The proofs. Who has proved something records it; the dispatcher only reads."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def record(self, proof: ProofRow, needed: Protection | None = None) -> ProofRow:
        """Write a proof down; return it with its number, and as much of `what` as is kept.

        `needed` is what its disk's next dump needs from now on, in place of what it needed.
        """
        kept = replace(proof, what=clip(proof.what, LONGEST_WHAT))
        values = asdict(kept)
        del values["id"]
        with self._transactions.writing() as connection:
            proofs.create(connection, checkfirst=True)
            if needed:
                put_protection(connection, proof.amanda_config, (proof.host, proof.disk), needed)
            return replace(kept, id=insert_row(connection, proofs, values))

    def of_dles(
        self, amanda_config: str, host: str | None = None, kinds: Iterable[ProofKind] = ProofKind
    ) -> dict[Dle, LastProofs]:
        """Return the newest proofs by host and disk, of one host or of all; only of `kinds`.

        Newest means recorded last. A disk that was never proved so is left out.
        """
        with self._transactions.reading() as connection:
            if not has_proofs(connection):
                return {}
            rows = _find_newest(connection, amanda_config, host, [*kinds])
        newest = {(row.host, row.disk): row for row in rows}  # the last one stays
        good = {(row.host, row.disk): row for row in rows if row.is_good}
        return {dle: LastProofs(proof, good.get(dle)) for dle, proof in newest.items()}

    def of_hosts(
        self, amanda_config: str, host: str | None = None
    ) -> dict[str, dict[str, DiskProof]]:
        """Return what the proofs of disks say, by host and disk; of one host or of all.

        That is both the drills' and the client's own.
        """
        lasts: dict[Dle, list[LastProofs]] = {}
        for kinds in (DRILLS, (ProofKind.CLIENT,)):
            for dle, last in self.of_dles(amanda_config, host, kinds).items():
                lasts.setdefault(dle, []).append(last)
        found: dict[str, dict[str, DiskProof]] = {}
        for (name, disk), own in lasts.items():
            good = [each.newest_good for each in own if each.newest_good]
            found.setdefault(name, {})[disk] = judge_proofs([each.newest for each in own], good)
        return found

    def of_disks(self, amanda_config: str, host: str) -> dict[str, DiskProof]:
        """Return the same of one host, by disk."""
        return self.of_hosts(amanda_config, host).get(host, {})

    def drills_begun_at(self, amanda_config: str) -> datetime | None:
        """Return when the oldest drill was made that is known, None if none was."""
        where = (proofs.c.amanda_config == amanda_config, proofs.c.kind.in_(DRILLS))
        with self._transactions.reading() as connection:
            if not has_proofs(connection):
                return None
            return connection.execute(select(func.min(proofs.c.proved_at)).where(*where)).scalar()

    def bad_dates(self, amanda_config: str, host: str, disk: str) -> set[str]:
        """Return the timestamps of those dumps of a disk whose last proof failed."""
        where = [
            proofs.c.amanda_config == amanda_config,
            proofs.c.host == host,
            proofs.c.disk == disk,
            proofs.c.kind.in_(DRILLS),
        ]
        last = select(func.max(proofs.c.id)).where(*where).group_by(proofs.c.timestamp)
        with self._transactions.reading() as connection:
            if not has_proofs(connection):
                return set()
            query = select(proofs).where(proofs.c.id.in_(last), proofs.c.is_good.is_(False))
            found = read_each(connection, query, ProofRow, "proofs")
        return {proof.timestamp for proof in found}

    def has_failed(self, like: ProofRow, since: datetime) -> bool:
        """Return whether a proof of the disk and kind of `like` failed after `since`, and by it."""
        query = select(func.count()).where(
            proofs.c.amanda_config == like.amanda_config,
            proofs.c.host == like.host,
            proofs.c.disk == like.disk,
            proofs.c.kind == like.kind,
            proofs.c.is_good.is_(False),
            proofs.c.proved_at > since,
            proofs.c.proved_at <= like.proved_at,
        )
        with self._transactions.reading() as connection:
            return has_proofs(connection) and bool(connection.execute(query).scalar())

    def list_recent(self, amanda_config: str, host: str | None, count: int) -> list[ProofRow]:
        """Return the last `count` proofs, of one host or of all, the newest first."""
        query = select(proofs).where(proofs.c.amanda_config == amanda_config)
        if host is not None:
            query = query.where(proofs.c.host == host)
        with self._transactions.reading() as connection:
            if not has_proofs(connection):
                return []
            query = query.order_by(proofs.c.id.desc()).limit(count)
            return read_each(connection, query, ProofRow, "proofs")


def _find_newest(
    connection: Connection, amanda_config: str, host: str | None, kinds: Sequence[ProofKind]
) -> list[ProofRow]:
    """Return the last proof of each DLE and kind, and the last good one; the oldest first."""
    where = [proofs.c.amanda_config == amanda_config]
    dles = walk_pairs(
        proofs.c.host, proofs.c.disk, *where, *([proofs.c.host == host] if host else [])
    )
    is_its = [*where, proofs.c.host == dles.c.first, proofs.c.disk == dles.c.second]
    last = [
        newest_id(proofs, *is_its, proofs.c.kind == kind, proofs.c.is_good.is_(is_good))
        for kind in kinds
        for is_good in (True, False)
    ]
    numbers = {
        number
        for row in connection.execute(select(*last).select_from(dles))
        for number in row
        if number
    }
    found: list[ProofRow] = []
    for some in in_pieces(numbers):
        query = select(proofs).where(proofs.c.id.in_(some)).order_by(proofs.c.id)
        found += read_each(connection, query, ProofRow, "proofs")
    return found


def has_proofs(connection: Connection) -> bool:
    """Return whether the table is there: an older asyncamanda has not made it."""
    return inspect(connection).has_table(proofs.name)


def forget_proofs(connection: Connection, before: datetime) -> int:
    """Drop the proofs of before that; return how many. Of each kind and verdict the last stays."""
    later = proofs.alias("later")
    same = ("amanda_config", "host", "disk", "kind", "is_good")
    is_later = [*(later.c[name] == proofs.c[name] for name in same), later.c.id > proofs.c.id]
    has_later = select(later.c.id).where(*is_later).exists()
    old = delete(proofs).where(proofs.c.proved_at < before, has_later)
    return connection.execute(old).rowcount
