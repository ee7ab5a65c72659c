"""Requests, runs and logs, read and written within a transaction of the ledger's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    TextClause,
    delete,
    func,
    insert,
    select,
    update,
)

from asyncamanda.core.amanda.runlog import RunLog
from asyncamanda.core.amanda.witness import UNREADABLE
from asyncamanda.core.dispatch.records import (
    LogFile,
    RequestRow,
    RequestState,
    RunKind,
    RunRow,
    summarise_verdicts,
)
from asyncamanda.core.model import DleVerdict
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.schema import IS_OPEN, logs, requests, runs, verdicts


def insert_row(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    """Write a new row, and return its number."""
    (number,) = connection.execute(insert(table).values(values)).inserted_primary_key or (0,)
    return int(number)


def follow_numbers(connection: Connection, table: Table) -> None:
    """Let the next number that is given be one after all that are there, whoever chose those.

    SQLite does so by itself.
    """
    if connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, "id")
        newest = select(func.coalesce(func.max(table.c.id), 0) + 1).scalar_subquery()
        connection.execute(select(func.setval(sequence, newest, False)))


def find_requests(
    connection: Connection, *where: ColumnElement[bool] | TextClause
) -> list[RequestRow]:
    """Return the requests for which `where` holds, oldest first."""
    query = select(requests).where(*where).order_by(requests.c.submitted_at, requests.c.id)
    return read_each(connection, query, RequestRow, "requests")


def end_request(
    connection: Connection,
    which: ColumnElement[bool],
    state: RequestState,
    at: datetime,
    outcome: str,
) -> bool:
    """End a request. Returns False if `which` is none."""
    done = connection.execute(
        update(requests).where(which).values(state=state, ended_at=at, outcome=outcome)
    )
    return done.rowcount > 0


def queue_again(connection: Connection, run_id: int, *where: ColumnElement[bool]) -> None:
    """Put the requests of a run that is no more, as far as `where` holds, back into the queue."""
    is_it = (requests.c.run_id == run_id, requests.c.state == RequestState.RUNNING, *where)
    connection.execute(
        update(requests).where(*is_it).values(state=RequestState.QUEUED, run_id=None)
    )


def end_requests_of(
    connection: Connection, run: RunRow, words: Sequence[DleVerdict], at: datetime
) -> None:
    """End what is still open of the run's requests: the outcome is what it says of the client."""
    own = [word for word in words if run.timestamp in {None, word.timestamp}]
    for request in find_requests(connection, IS_OPEN, requests.c.run_id == run.id):
        outcome = summarise_verdicts(word for word in own if word.host == request.client)
        is_it = requests.c.id == request.id
        end_request(connection, is_it, RequestState.DONE, at, outcome)


def find_runs(
    connection: Connection,
    *where: ColumnElement[bool] | TextClause,
    limit: int | None = None,
    is_newest_first: bool = False,
) -> list[RunRow]:
    """Return the runs for which `where` holds, by when they began; at most `limit`."""
    order: Sequence[ColumnElement[Any]] = (runs.c.begun_at, runs.c.id)
    if is_newest_first:
        order = [column.desc() for column in order]
    query = select(runs).where(*where).order_by(*order).limit(limit)
    return read_each(connection, query, RunRow, "runs")


def get_run(connection: Connection, run_id: int) -> RunRow:
    """Return a run that is there. Raises ValueError if it is not."""
    for run in find_runs(connection, runs.c.id == run_id):
        return run
    raise ValueError(f"the ledger has no run {run_id}")


def run_of(connection: Connection, amanda_config: str, timestamp: str) -> RunRow | None:
    """Return the run that Amanda calls so; None if there is none."""
    is_it = (runs.c.amanda_config == amanda_config, runs.c.timestamp == timestamp)
    return next(iter(find_runs(connection, *is_it)), None)


def free_timestamp(connection: Connection, amanda_config: str, timestamp: str) -> None:
    """Take a timestamp from a run that cannot be read (bad_rows.py): another may have it."""
    is_it = (runs.c.amanda_config == amanda_config, runs.c.timestamp == timestamp)
    connection.execute(update(runs).where(*is_it).values(timestamp=None))


def take_over(connection: Connection, run: RunRow, timestamp: str) -> None:
    """Make what the run of `timestamp` said the word of `run`, if they are two: they are one."""
    other = run_of(connection, run.amanda_config, timestamp)
    if other is None or other.id == run.id or other.kind is not RunKind.OTHER:
        return
    for column in (verdicts.c.run_id, verdicts.c.flushed_in):
        connection.execute(update(verdicts).where(column == other.id).values({column.name: run.id}))
    connection.execute(delete(runs).where(runs.c.id == other.id))


def note_log(connection: Connection, amanda_config: str, file: LogFile, at: datetime) -> bool:
    """Write down that a log is taken in. Returns False if it was before, and has not grown."""
    is_it = (logs.c.amanda_config == amanda_config, logs.c.name == file.name)
    known = connection.execute(select(logs.c.size).where(*is_it)).scalar_one_or_none()
    if known == file.size:
        return False
    values = {"size": file.size, "taken_at": at}
    if known is None:
        values |= {"amanda_config": amanda_config, "name": file.name}
        connection.execute(insert(logs).values(values))
    else:
        connection.execute(update(logs).where(*is_it).values(values))
    return True


def put_other_run(connection: Connection, amanda_config: str, file: LogFile, log: RunLog) -> RunRow:
    """Return the run that a log is about: as it is known, or else as the log has it."""
    timestamp = file.name.split(".")[1]
    known = run_of(connection, amanda_config, timestamp)
    if known and known.kind is not RunKind.OTHER:
        return known
    values: dict[str, Any] = {
        "amanda_config": amanda_config,
        "kind": RunKind.OTHER,
        "timestamp": timestamp,
        "hosts": tuple(sorted(log.hosts)),
        "pid": log.pid,
        "begun_at": file.begun_at,
        "ended_at": max(file.begun_at, file.written_at),
        "is_clean": log.is_finished and not log.errors,
        "labels": log.labels,
        "remark": "; ".join((log.program, *log.errors, *([UNREADABLE] if log.is_doubtful else []))),
    }
    if known is None:
        free_timestamp(connection, amanda_config, timestamp)
        return get_run(connection, insert_row(connection, runs, values))
    connection.execute(update(runs).where(runs.c.id == known.id).values(values))
    return get_run(connection, known.id)
