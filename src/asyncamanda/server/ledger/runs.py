"""The runs in the ledger: those of asyncamanda's own, and those whose logs were imported."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from sqlalchemy import select, update

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.dispatch.records import RequestState, RunEnd, RunKind, RunRow
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.dump_filters import put_filters
from asyncamanda.server.ledger.newest import Dle
from asyncamanda.server.ledger.rows import (
    end_requests_of,
    find_runs,
    free_timestamp,
    get_run,
    insert_row,
    queue_again,
    run_of,
    take_over,
)
from asyncamanda.server.ledger.schema import IS_LIVE, requests, runs
from asyncamanda.server.ledger.transactions import Transactions
from asyncamanda.server.ledger.verdicts import put_protections, put_verdicts


class Runs:
    """The runs, and what follows from each for its requests."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def begin(
        self,
        kind: RunKind,
        amanda_config: str,
        hosts: Sequence[str],
        request_ids: Iterable[int],
        at: datetime,
    ) -> RunRow:
        """Return a new run, which the given requests, as far as they are queued, now run in."""
        with self._transactions.writing() as connection:
            run = RunRow(0, amanda_config, kind, tuple(hosts), begun_at=at)
            values = asdict(run)
            del values["id"]
            run = replace(run, id=insert_row(connection, runs, values))
            connection.execute(
                update(requests)
                .where(
                    requests.c.id.in_(list(request_ids)),
                    # the numbers may be of a ledger that is gone
                    requests.c.client.in_(list(hosts)),
                    requests.c.state == RequestState.QUEUED,
                )
                .values(state=RequestState.RUNNING, run_id=run.id)
            )
            return run

    def note(  # noqa: PLR0913 (by keyword only)
        self,
        run_id: int,
        *,
        pid: int | None = None,
        pid_started: int | None = None,
        boot_id: str | None = None,
        timestamp: str | None = None,
        remark: str | None = None,
    ) -> None:
        """Write down what has become known of a run. None: it stays as it is.

        If the run's log was taken in before anybody knew whose it is, what it said is its own.
        """
        known: dict[str, object] = {
            "pid": pid,
            "pid_started": pid_started,
            "boot_id": boot_id,
            "timestamp": timestamp,
            "remark": remark,
        }
        known = {name: value for name, value in known.items() if value is not None}
        if not known:
            return
        with self._transactions.writing() as connection:
            if timestamp is not None:
                run = get_run(connection, run_id)
                take_over(connection, run, timestamp)
                if run_of(connection, run.amanda_config, timestamp) is None:
                    free_timestamp(connection, run.amanda_config, timestamp)
            connection.execute(update(runs).where(runs.c.id == run_id).values(known))

    def end(
        self,
        run_id: int,
        at: datetime,
        end: RunEnd,
        filters: Mapping[Dle, Filters] = {},
        again: Collection[int] = (),
    ) -> None:
        """Write down how a run ended, with its verdicts, and what its DLEs need now.

        `filters` are what the DLEs are dumped with: recorded with each dump that is confirmed.
        The requests `again` are queued once more, as old as before. Its others are done, each with
        its client's verdicts in a few words as the outcome; those that were finished before stay
        as they are.
        """
        with self._transactions.writing() as connection:
            run = get_run(connection, run_id)
            queue_again(connection, run_id, requests.c.id.in_(list(again)))
            put_verdicts(connection, run, end.verdicts)
            put_filters(connection, run.amanda_config, end.verdicts, filters)
            put_protections(connection, run, end.verdicts)
            connection.execute(
                update(runs)
                .where(runs.c.id == run_id)
                .values(
                    ended_at=at,
                    exit_status=end.exit_status,
                    is_clean=end.is_clean,
                    labels=end.labels,
                    report=end.report,
                    remark=end.remark,
                )
            )
            end_requests_of(connection, run, end.verdicts, at)

    def abandon(self, run_id: int, at: datetime, why: str) -> None:
        """End a run whose amdump never started: its requests are queued again, as old as before."""
        with self._transactions.writing() as connection:
            connection.execute(
                update(runs).where(runs.c.id == run_id).values(ended_at=at, remark=why)
            )
            queue_again(connection, run_id)

    def list_live(self, amanda_config: str | None = None) -> list[RunRow]:
        """Return the runs whose end is not written down, oldest first; None: of every config."""
        where = [] if amanda_config is None else [runs.c.amanda_config == amanda_config]
        with self._transactions.reading() as connection:
            return find_runs(connection, IS_LIVE, *where)

    def list_recent(self, amanda_config: str | None = None, limit: int = 20) -> list[RunRow]:
        """Return the `limit` runs that began last, newest first; None: of every config."""
        where = [] if amanda_config is None else [runs.c.amanda_config == amanda_config]
        with self._transactions.reading() as connection:
            return find_runs(connection, *where, limit=limit, is_newest_first=True)

    def list_named(self, timestamp: str, amanda_config: str | None = None) -> list[RunRow]:
        """Return the runs that Amanda calls so, the newest first; None: of every config."""
        where = [] if amanda_config is None else [runs.c.amanda_config == amanda_config]
        is_it = runs.c.timestamp == timestamp
        with self._transactions.reading() as connection:
            return find_runs(connection, is_it, *where, is_newest_first=True)

    def get(self, run_id: int) -> RunRow:
        """Return the run of that number. Raises ValueError if there is none."""
        with self._transactions.reading() as connection:
            return get_run(connection, run_id)

    def find(self, amanda_config: str, timestamp: str) -> RunRow | None:
        """Return the run that Amanda calls so; None if there is none."""
        with self._transactions.reading() as connection:
            return run_of(connection, amanda_config, timestamp)

    def mean_duration(self, amanda_config: str, last: int = 10) -> timedelta | None:
        """Return how long the `last` batches took on the average; None if none has ended yet."""
        query = (
            select(runs.c.begun_at, runs.c.ended_at)
            .where(
                runs.c.amanda_config == amanda_config,
                runs.c.kind == RunKind.BATCH,
                runs.c.ended_at >= runs.c.begun_at,  # a clock may be set back
                runs.c.timestamp.is_not(None),  # else amdump never began
            )
            .order_by(runs.c.id.desc())
            .limit(last)
        )
        with self._transactions.reading() as connection:
            spans = read_each(connection, query, _span, "runs")
        return sum(spans, timedelta(0)) / len(spans) if spans else None


def _span(begun_at: datetime, ended_at: datetime) -> timedelta:
    return ended_at - begun_at
