"""What the ledger has of each dump, and which of them are backups."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import or_, select

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.witness import Dump
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.dump_filters import put_filters, read_filters
from asyncamanda.server.ledger.recorded_dumps import read_dumps
from asyncamanda.server.ledger.rows import get_run
from asyncamanda.server.ledger.schema import verdicts
from asyncamanda.server.ledger.transactions import Transactions
from asyncamanda.server.ledger.verdicts import (
    VERDICT,
    Dle,
    carried_by,
    dles_with_full,
    find_backups,
    known_verdicts,
    put_verdicts,
)


class RecordedVerdicts:
    """The verdicts on all dumps."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def note(
        self, run_id: int, words: Sequence[DleVerdict], filters: Mapping[Dle, Filters] = {}
    ) -> None:
        """Write down verdicts of a run that goes on; its end may still take back a held dump.

        `filters` is as in Runs.end().
        """
        with self._transactions.writing() as connection:
            run = get_run(connection, run_id)
            put_verdicts(connection, run, words)
            put_filters(connection, run.amanda_config, words, filters)

    def filters_of_run(self, run_id: int) -> dict[Dump, Filters]:
        """Return what a run's dumps went through, by host, disk and timestamp, where recorded."""
        with self._transactions.reading() as connection:
            return read_filters(connection, run_id)

    def of_run(self, run_id: int) -> list[DleVerdict]:
        """Return a run's verdicts, by host, disk and timestamp.

        They are as they stand now, so a dump that was flushed since is stored; and those of
        older dumps that this run brought to a volume are among them.
        """
        query = select(*VERDICT).where(
            or_(verdicts.c.run_id == run_id, verdicts.c.flushed_in == run_id)
        )
        with self._transactions.reading() as connection:
            found = read_each(connection, query, DleVerdict, "verdicts")
        return sorted(found, key=lambda verdict: (verdict.host, verdict.disk, verdict.timestamp))

    def newest_confirmed(
        self, amanda_config: str, host: str, machine: int | None = None
    ) -> dict[str, DleVerdict]:
        """Return the newest dump that the server has, of each disk of `host`.

        One of a disk of which it has no full dump of just that name is no backup, and left out.
        With a `machine`, those that another one's session carried do not count.
        """
        where = [verdicts.c.host == host, *carried_by(machine)]
        with self._transactions.reading() as connection:
            found = find_backups(connection, amanda_config, *where)
        return {disk: verdict for (_, disk), verdict in found.items()}

    def disks_with_full(
        self, amanda_config: str, host: str, machine: int | None = None
    ) -> set[str]:
        """Return the disks of `host` of which the server has a full dump, of just that name.

        With a `machine`, those that another one's session carried do not count.
        """
        where = [verdicts.c.host == host, *carried_by(machine)]
        with self._transactions.reading() as connection:
            found = dles_with_full(connection, amanda_config, *where)
        return {disk for _, disk in found}

    def of_host(self, amanda_config: str, host: str) -> list[RecordedDump]:
        """Return all dumps of a host and the attempts at them, by when their runs began."""
        with self._transactions.reading() as connection:
            return read_dumps(connection, amanda_config, verdicts.c.host == host)

    def held(self, amanda_config: str) -> list[RecordedDump]:
        """Return the dumps that are in the holding disk, by when their runs began."""
        with self._transactions.reading() as connection:
            return read_dumps(connection, amanda_config, verdicts.c.state == DumpState.HELD)

    def known(self, amanda_config: str, stamps: Iterable[str]) -> dict[Dump, DleVerdict]:
        """Return what is known of the dumps of these timestamps."""
        with self._transactions.reading() as connection:
            return known_verdicts(connection, amanda_config, {*stamps})
