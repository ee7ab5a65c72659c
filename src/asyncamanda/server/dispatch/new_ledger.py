"""What is open goes on in another ledger: in a new one, or one that was put there instead.

It keeps its numbers, by which files are named and other parts know it, unless the ledger has them
for something else: it may be a copy of another one.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection, Table, select, update

from asyncamanda.core.dispatch.records import RequestRow, RunRow
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.rows import (
    find_requests,
    find_runs,
    follow_numbers,
    free_timestamp,
    insert_row,
    run_of,
    take_over,
)
from asyncamanda.server.ledger.schema import IS_OPEN, requests, runs


@dataclass(frozen=True, slots=True)
class TakenOn:
    """What is open as the ledger has it now, by the numbers that it had before."""

    runs: dict[int, RunRow]
    requests: dict[int, RequestRow]


def take_on(ledger: Ledger, live: Iterable[RunRow], waiting: Iterable[RequestRow]) -> TakenOn:
    """Write down what is open, in one transaction; raises what those of the ledger raise."""
    with transaction(ledger.engine, is_writing=True) as connection:
        taken = TakenOn({}, {})
        for run in live:
            taken.runs[run.id] = _take_run(connection, run)
        follow_numbers(connection, runs)
        for request in waiting:
            run_id = request.run_id and taken.runs[request.run_id].id
            row = replace(request, run_id=run_id)
            taken.requests[request.id] = _take_request(connection, row)
        follow_numbers(connection, requests)
    return taken


def _take_run(connection: Connection, run: RunRow) -> RunRow:
    for known in find_runs(connection, runs.c.id == run.id):
        if (known.amanda_config, known.begun_at) == (run.amanda_config, run.begun_at):
            values = asdict(run) | {"timestamp": known.timestamp}
            connection.execute(update(runs).where(runs.c.id == run.id).values(values))
            return _name(connection, replace(run, timestamp=known.timestamp), run.timestamp)
    placed = replace(run, id=_put(connection, runs, run), timestamp=None)
    return _name(connection, placed, run.timestamp)


def _name(connection: Connection, run: RunRow, timestamp: str | None) -> RunRow:
    """Let a run have the timestamp that is its own, if no other run of asyncamanda's has it."""
    if timestamp is None or run.timestamp == timestamp:
        return run
    take_over(connection, run, timestamp)
    if run_of(connection, run.amanda_config, timestamp) is not None:
        return run
    free_timestamp(connection, run.amanda_config, timestamp)
    connection.execute(update(runs).where(runs.c.id == run.id).values(timestamp=timestamp))
    return replace(run, timestamp=timestamp)


def _take_request(connection: Connection, request: RequestRow) -> RequestRow:
    """Return a client's request: the one that it has there, if it has one."""
    for known in find_requests(connection, IS_OPEN, requests.c.client == request.client):
        values = {"state": request.state, "run_id": request.run_id}
        connection.execute(update(requests).where(requests.c.id == known.id).values(values))
        return replace(known, state=request.state, run_id=request.run_id)
    return replace(request, id=_put(connection, requests, request))


def _put(connection: Connection, table: Table, row: RunRow | RequestRow) -> int:
    """Write a row, a run's without its timestamp; return its number, its own if that is free."""
    values = asdict(row)
    if isinstance(row, RunRow):
        values["timestamp"] = None
    number = select(table.c.id).where(table.c.id == row.id)
    if connection.execute(number).first() is not None:
        del values["id"]
    return insert_row(connection, table, values)
