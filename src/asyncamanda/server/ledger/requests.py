"""The clients' requests in the ledger, from the queue to their end."""

from datetime import datetime

from sqlalchemy import and_

from asyncamanda.core.dispatch.records import RequestRow, RequestState
from asyncamanda.server.ledger.newest import newest_id
from asyncamanda.server.ledger.rows import end_request, find_requests, insert_row
from asyncamanda.server.ledger.schema import IS_OPEN, requests
from asyncamanda.server.ledger.transactions import Transactions


class Requests:
    """The requests; a client has at most one that is open."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def open(
        self, client: str, amanda_config: str, at: datetime, machine: int | None = None
    ) -> RequestRow:
        """Return the client's open request: the one there is, else a new one that is queued.

        `machine` is the lineage whose session carries the dumps, None if none does.
        """
        with self._transactions.writing() as connection:
            for row in find_requests(connection, IS_OPEN, requests.c.client == client):
                return row
            state = RequestState.QUEUED
            values = {"client": client, "amanda_config": amanda_config, "submitted_at": at}
            values |= {"state": state, "machine": machine}
            number = insert_row(connection, requests, values)
            return RequestRow(number, client, amanda_config, at, state, machine=machine)

    def withdraw(self, request_id: int, at: datetime, why: str) -> bool:
        """Take a queued request back. Returns False if it is not queued (any more)."""
        is_it = and_(requests.c.id == request_id, requests.c.state == RequestState.QUEUED)
        with self._transactions.writing() as connection:
            return end_request(connection, is_it, RequestState.WITHDRAWN, at, why)

    def finish(self, request_id: int, at: datetime, outcome: str) -> bool:
        """End an open request, before its run ends if need be. Returns False if it is not open."""
        is_it = and_(requests.c.id == request_id, IS_OPEN)
        with self._transactions.writing() as connection:
            return end_request(connection, is_it, RequestState.DONE, at, outcome)

    def list_open(self, amanda_config: str | None = None) -> list[RequestRow]:
        """Return the requests that are queued or running, oldest first; None: of every config."""
        where = [] if amanda_config is None else [requests.c.amanda_config == amanda_config]
        with self._transactions.reading() as connection:
            return find_requests(connection, IS_OPEN, *where)

    def find_last(self, client: str) -> RequestRow | None:
        """Return the client's newest request, open or not; None if it never had one."""
        with self._transactions.reading() as connection:
            newest = newest_id(requests, requests.c.client == client)
            found = find_requests(connection, requests.c.id == newest)
        return next(iter(found), None)
