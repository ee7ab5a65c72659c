"""The logs of Amanda's that are in the ledger, each once."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.runlog import RunLog
from asyncamanda.core.dispatch.records import LogFile, RunKind
from asyncamanda.core.model import DleVerdict
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.dump_filters import put_filters
from asyncamanda.server.ledger.newest import Dle
from asyncamanda.server.ledger.rows import note_log, put_other_run
from asyncamanda.server.ledger.schema import log_looks, logs
from asyncamanda.server.ledger.transactions import Transactions
from asyncamanda.server.ledger.verdicts import drop_judged, put_protections, put_verdicts


@dataclass(frozen=True, slots=True)
class LogLook:
    """That all logs before `stamp` were looked at: how many, a sum of their names, and when."""

    stamp: str
    count: int
    digest: int
    looked_at: datetime


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

    def list_taken(self, amanda_config: str, since: str = "") -> dict[str, int]:
        """Return the logs that were taken in: their names, and their sizes then, in bytes.

        Only those whose names sort from `since` on.
        """
        query = select(logs.c.name, logs.c.size).where(
            logs.c.amanda_config == amanda_config, logs.c.name >= since
        )
        with self._transactions.reading() as connection:
            return {str(name): int(size) for name, size in connection.execute(query)}

    def read_look(self, amanda_config: str) -> LogLook | None:
        """Return which logs need not be looked at; None if nobody has said that."""
        columns = [log_looks.c[name] for name in LogLook.__dataclass_fields__]
        query = select(*columns).where(log_looks.c.amanda_config == amanda_config)
        with self._transactions.reading() as connection:
            return next(iter(read_each(connection, query, LogLook, "looks")), None)

    def write_look(self, amanda_config: str, look: LogLook) -> None:
        """Write down which logs need not be looked at."""
        with self._transactions.writing() as connection:
            connection.execute(delete(log_looks).where(log_looks.c.amanda_config == amanda_config))
            values = asdict(look) | {"amanda_config": amanda_config}
            connection.execute(insert(log_looks).values(values))
