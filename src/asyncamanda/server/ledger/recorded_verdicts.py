"""What the ledger has of each dump, and which of them are backups."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import or_, select

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.witness import Dump
from asyncamanda.core.model import DleVerdict
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.dump_filters import put_filters, read_filters
from asyncamanda.server.ledger.newest import (
    VERDICT,
    Dle,
    confirmed_after,
    dles_with_full,
    find_backups,
    first_confirmed,
    list_dles,
    newest_fulls,
)
from asyncamanda.server.ledger.recorded_dumps import read_dumps
from asyncamanda.server.ledger.rows import get_run
from asyncamanda.server.ledger.schema import IS_HELD, verdicts
from asyncamanda.server.ledger.transactions import Transactions
from asyncamanda.server.ledger.verdicts import known_verdicts, put_verdicts


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
        with self._transactions.reading() as connection:
            found = find_backups(connection, amanda_config, host, machine)
        return {disk: verdict for (_, disk), verdict in found.items()}

    def disks_with_full(
        self, amanda_config: str, host: str, machine: int | None = None
    ) -> set[str]:
        """Return the disks of `host` of which the server has a full dump, of just that name.

        With a `machine`, those that another one's session carried do not count.
        """
        with self._transactions.reading() as connection:
            dles = list_dles(connection, amanda_config, host)
            found = dles_with_full(connection, amanda_config, dles, machine)
        return {disk for _, disk in found}

    def first_confirmed(self, amanda_config: str, host: str) -> dict[str, datetime]:
        """Return when the first confirmed dump of each disk of `host` was made."""
        with self._transactions.reading() as connection:
            return first_confirmed(connection, amanda_config, host)

    def confirmed_after(self, amanda_config: str, host: str, after: datetime) -> list[DleVerdict]:
        """Return the confirmed dumps of `host` whose runs began after that."""
        with self._transactions.reading() as connection:
            return confirmed_after(connection, amanda_config, host, after)

    def newest_fulls(self, amanda_config: str, host: str) -> dict[str, DleVerdict]:
        """Return the newest confirmed dump of level 0 of each disk of `host`."""
        with self._transactions.reading() as connection:
            return newest_fulls(connection, amanda_config, host)

    def of_host(self, amanda_config: str, host: str, since: str = "") -> list[RecordedDump]:
        """Return all dumps of a host and the attempts at them, by when their runs began.

        `since` leaves out what was made, and brought to a volume, by runs before that timestamp;
        what is held stays.
        """
        with self._transactions.reading() as connection:
            return read_dumps(connection, amanda_config, verdicts.c.host == host, since)

    def held(self, amanda_config: str) -> list[RecordedDump]:
        """Return the dumps that are in the holding disk, by when their runs began."""
        with self._transactions.reading() as connection:
            return read_dumps(connection, amanda_config, IS_HELD)

    def known(self, amanda_config: str, stamps: Iterable[str]) -> dict[Dump, DleVerdict]:
        """Return what is known of the dumps of these timestamps."""
        with self._transactions.reading() as connection:
            return known_verdicts(connection, amanda_config, {*stamps})
