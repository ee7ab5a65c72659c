"""The logs of Amanda's that are in the ledger, each once."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.runlog import RunLog
from asyncamanda.core.dispatch.records import LogFile, RunKind
from asyncamanda.core.model import DleVerdict
from asyncamanda.server.ledger.dump_filters import put_filters
from asyncamanda.server.ledger.rows import note_log, put_other_run
from asyncamanda.server.ledger.schema import logs
from asyncamanda.server.ledger.transactions import Transactions
from asyncamanda.server.ledger.verdicts import Dle, drop_judged, put_protections, put_verdicts


class ImportedLogs:
    """The logs that were taken in, whoever started their runs."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def take_in(  # noqa: PLR0913, PLR0917 - what a log is, and what counts of it
        self,
        amanda_config: str,
        file: LogFile,
        log: RunLog | None,
        words: Sequence[DleVerdict],
        at: datetime,
        filters: Mapping[Dle, Filters] = {},
    ) -> bool:
        """Take in a finished run's log, once. Returns False if it was taken in, as long as it is.

        One that has grown since (it was cut off, and went on) is taken in again. `log` is None
        for one that is about no run: then it is only known to be none. `words` are what counts of
        its claims, and are added to the run of its timestamp; if that is not asyncamanda's, to one
        of kind OTHER. A run of asyncamanda's stays live until Runs.end(), whose
        verdict on what is not confirmed stands. `filters` is as there.
        """
        with self._transactions.writing() as connection:
            if not note_log(connection, amanda_config, file, at):
                return False
            if log and (log.dles or log.verdicts):
                run = put_other_run(connection, amanda_config, file, log)
                if run.kind is not RunKind.OTHER and run.ended_at:
                    words = drop_judged(connection, run, words)
                put_verdicts(connection, run, words)
                put_filters(connection, amanda_config, words, filters)
                put_protections(connection, run, words)
            return True

    def list_taken(self, amanda_config: str) -> dict[str, int]:
        """Return the logs that were taken in: their names, and their sizes then, in bytes."""
        query = select(logs.c.name, logs.c.size).where(logs.c.amanda_config == amanda_config)
        with self._transactions.reading() as connection:
            return {str(name): int(size) for name, size in connection.execute(query)}
