"""What the server remembers: requests, runs, a verdict per dump, and who was there.

The dispatcher is the one that writes; others may read meanwhile. Each method is one
transaction: after a crash at any moment all of it is there, or nothing. Each one raises
LedgerBusy if the ledger is locked for longer than `patience`, and LedgerUnavailable if it
cannot be read or written (LedgerDamaged: opening it anew mends it, as far as that goes).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, func, or_, select, update

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.runlog import RunLog
from asyncamanda.core.amanda.witness import Dump
from asyncamanda.core.dispatch.records import (
    LogFile,
    Protection,
    RequestRow,
    RequestState,
    RunEnd,
    RunKind,
    RunRow,
)
from asyncamanda.core.model import DleVerdict
from asyncamanda.server.ledger import database as ledgerfile
from asyncamanda.server.ledger.bad_rows import close_bad_rows, read_each, take_noted
from asyncamanda.server.ledger.database import (
    LedgerBusy,
    LedgerDamaged,
    LedgerUnavailable,
    transaction,
)
from asyncamanda.server.ledger.dump_filters import put_filters, read_filters
from asyncamanda.server.ledger.rows import (
    IS_OPEN,
    end_request,
    end_requests_of,
    find_requests,
    find_runs,
    free_timestamp,
    get_run,
    insert_row,
    note_log,
    put_other_run,
    queue_again,
    run_of,
    take_over,
)
from asyncamanda.server.ledger.schema import (
    logs,
    protections,
    requests,
    runs,
    sessions,
    verdicts,
)
from asyncamanda.server.ledger.verdicts import (
    IS_CONFIRMED,
    VERDICT,
    Dle,
    carried_by,
    dles_with_full,
    known_verdicts,
    newest_verdicts,
    put_protections,
    put_verdicts,
    read_protections,
)
from asyncamanda.system.clock import now

__all__ = ["Ledger", "LedgerBusy", "LedgerDamaged", "LedgerUnavailable"]


@dataclass(frozen=True, slots=True)
class Ledger:
    """An open ledger. `remark` says what opening it met with: a damaged one, set aside.

    `bad_rows` has a line on each row that made no sense and was passed over.
    """

    engine: Engine
    path: Path | None  # of SQLite's file
    inode: tuple[int, int] | None
    remark: str = ""
    bad_rows: dict[str, None] = field(default_factory=dict)

    @classmethod
    def open(cls, url_or_path: str, patience: timedelta, *, is_owner: bool = True) -> "Ledger":
        """Return the ledger in a SQLite file, or in the database of a URL.

        Its owner makes what is missing, and sets a damaged file aside and begins anew, which
        `remark` tells. Others change nothing. Raises LedgerUnavailable, with the reason, if it
        cannot be used, is locked for longer than `patience`, or (for others) is not there.
        """
        url = ledgerfile.read_url(url_or_path)
        is_file = url.get_backend_name() == "sqlite" and url.database
        path = Path(url.database) if is_file and url.database else None
        if path and not is_owner and not path.exists():
            raise ledgerfile.missing(url)
        engine = ledgerfile.make_engine(url, patience)
        try:
            remark = _prepare(engine, path if is_owner else None, is_owner=is_owner)
        except LedgerBusy as error:
            engine.dispose()
            raise LedgerUnavailable(error.reference, error.message, error.hint) from error
        except BaseException:
            engine.dispose()  # else its connection lives as long as the error does
            raise
        return cls(engine, path, _inode(path), remark)

    @property
    def is_remote(self) -> bool:
        """Whether a server keeps it, which may not answer."""
        return ledgerfile.is_remote(self.engine)

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def is_gone(self) -> bool:
        """Return whether the file was taken away, or another put in its place: open it anew."""
        return _inode(self.path) != self.inode

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with transaction(self.engine, is_writing=False) as connection:
            yield connection
            self.bad_rows.update(dict.fromkeys(take_noted(connection)))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with transaction(self.engine, is_writing=True) as connection:
            yield connection
            self.bad_rows.update(dict.fromkeys(take_noted(connection)))

    def set_bad_rows_aside(self, at: datetime) -> list[str]:
        """End the open requests and runs that cannot be read; return a line on each of them."""
        with self._writing() as connection:
            return close_bad_rows(connection, at)

    # -- requests

    def open_request(
        self, client: str, amanda_config: str, at: datetime, machine: int | None = None
    ) -> RequestRow:
        """Return the client's open request: the one there is, else a new one that is queued.

        `machine` is the lineage whose session carries the dumps, None if none does.
        """
        with self._writing() as connection:
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
        with self._writing() as connection:
            return end_request(connection, is_it, RequestState.WITHDRAWN, at, why)

    def finish_request(self, request_id: int, at: datetime, outcome: str) -> bool:
        """End an open request, before its run ends if need be. Returns False if it is not open."""
        is_it = and_(requests.c.id == request_id, IS_OPEN)
        with self._writing() as connection:
            return end_request(connection, is_it, RequestState.DONE, at, outcome)

    def open_requests(self, amanda_config: str | None = None) -> list[RequestRow]:
        """Return the requests that are queued or running, oldest first; None: of every config."""
        where = [] if amanda_config is None else [requests.c.amanda_config == amanda_config]
        with self._reading() as connection:
            return find_requests(connection, IS_OPEN, *where)

    def last_request(self, client: str) -> RequestRow | None:
        """Return the client's newest request, open or not; None if it never had one."""
        newest = select(func.max(requests.c.id)).where(requests.c.client == client)
        with self._reading() as connection:
            found = find_requests(connection, requests.c.id == newest.scalar_subquery())
        return next(iter(found), None)

    # -- runs

    def begin_run(
        self,
        kind: RunKind,
        amanda_config: str,
        hosts: Sequence[str],
        request_ids: Iterable[int],
        at: datetime,
    ) -> RunRow:
        """Return a new run, which the given requests, as far as they are queued, now run in."""
        with self._writing() as connection:
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

    def note_run(
        self,
        run_id: int,
        *,
        pid: int | None = None,
        pid_started: int | None = None,
        boot_id: str | None = None,
        timestamp: str | None = None,
    ) -> None:
        """Write down what has become known of a run. None: it stays as it is.

        If the run's log was taken in before anybody knew whose it is, what it said is its own.
        """
        known: dict[str, object] = {
            "pid": pid,
            "pid_started": pid_started,
            "boot_id": boot_id,
            "timestamp": timestamp,
        }
        known = {name: value for name, value in known.items() if value is not None}
        if not known:
            return
        with self._writing() as connection:
            if timestamp is not None:
                run = get_run(connection, run_id)
                take_over(connection, run, timestamp)
                if run_of(connection, run.amanda_config, timestamp) is None:
                    free_timestamp(connection, run.amanda_config, timestamp)
            connection.execute(update(runs).where(runs.c.id == run_id).values(known))

    def end_run(
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
        with self._writing() as connection:
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

    def abandon_run(self, run_id: int, at: datetime, why: str) -> None:
        """End a run whose amdump never started: its requests are queued again, as old as before."""
        with self._writing() as connection:
            connection.execute(
                update(runs).where(runs.c.id == run_id).values(ended_at=at, remark=why)
            )
            queue_again(connection, run_id)

    def live_runs(self, amanda_config: str | None = None) -> list[RunRow]:
        """Return the runs whose end is not written down, oldest first; None: of every config."""
        where = [] if amanda_config is None else [runs.c.amanda_config == amanda_config]
        with self._reading() as connection:
            return find_runs(connection, runs.c.ended_at.is_(None), *where)

    def recent_runs(self, amanda_config: str | None = None, limit: int = 20) -> list[RunRow]:
        """Return the `limit` runs that began last, newest first; None: of every config."""
        where = [] if amanda_config is None else [runs.c.amanda_config == amanda_config]
        with self._reading() as connection:
            return find_runs(connection, *where, limit=limit, is_newest_first=True)

    def run(self, run_id: int) -> RunRow:
        """Return the run of that number. Raises ValueError if there is none."""
        with self._reading() as connection:
            return get_run(connection, run_id)

    def run_by_timestamp(self, amanda_config: str, timestamp: str) -> RunRow | None:
        """Return the run that Amanda calls so; None if there is none."""
        with self._reading() as connection:
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
        with self._reading() as connection:
            spans = read_each(connection, query, _span, "runs")
        return sum(spans, timedelta(0)) / len(spans) if spans else None

    # -- verdicts

    def note_verdicts(
        self, run_id: int, words: Sequence[DleVerdict], filters: Mapping[Dle, Filters] = {}
    ) -> None:
        """Write down verdicts of a run that goes on; its end may still take back a held dump.

        `filters` is as in end_run().
        """
        with self._writing() as connection:
            run = get_run(connection, run_id)
            put_verdicts(connection, run, words)
            put_filters(connection, run.amanda_config, words, filters)

    def filters_of(self, run_id: int) -> dict[Dump, Filters]:
        """Return what a run's dumps went through, by host, disk and timestamp, where recorded."""
        with self._reading() as connection:
            return read_filters(connection, run_id)

    def verdicts_of(self, run_id: int) -> list[DleVerdict]:
        """Return a run's verdicts, by host, disk and timestamp.

        They are as they stand now, so a dump that was flushed since is stored; and those of
        older dumps that this run brought to a volume are among them.
        """
        query = select(*VERDICT).where(
            or_(verdicts.c.run_id == run_id, verdicts.c.flushed_in == run_id)
        )
        with self._reading() as connection:
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
        with self._reading() as connection:
            found = _find_backups(connection, amanda_config, *where)
        return {disk: verdict for (_, disk), verdict in found.items()}

    def newest_confirmed_all(self, amanda_config: str) -> dict[Dle, DleVerdict]:
        """Return the same of each (host, disk)."""
        with self._reading() as connection:
            return _find_backups(connection, amanda_config)

    def disks_with_full(
        self, amanda_config: str, host: str, machine: int | None = None
    ) -> set[str]:
        """Return the disks of `host` of which the server has a full dump, of just that name.

        With a `machine`, those that another one's session carried do not count.
        """
        where = [verdicts.c.host == host, *carried_by(machine)]
        with self._reading() as connection:
            found = dles_with_full(connection, amanda_config, *where)
        return {disk for _, disk in found}

    def known_verdicts(self, amanda_config: str, stamps: Iterable[str]) -> dict[Dump, DleVerdict]:
        """Return what is known of the dumps of these timestamps."""
        with self._reading() as connection:
            return known_verdicts(connection, amanda_config, {*stamps})

    def newest_verdicts(self, amanda_config: str) -> dict[Dle, DleVerdict]:
        """Return the newest verdict on each (host, disk), be it a failure."""
        with self._reading() as connection:
            return newest_verdicts(connection, amanda_config)

    # -- protections

    def pending_protections(self, amanda_config: str) -> list[Protection]:
        """Return what Amanda is still to be told, by host and disk."""
        with self._reading() as connection:
            needs = read_protections(connection, amanda_config)
        return [need for need in needs if need.made_at is None]

    def protection_made(self, amanda_config: str, made: Protection, at: datetime) -> bool:
        """Write down that Amanda was told. Returns False if something else is needed by now."""
        with self._writing() as connection:
            done = connection.execute(
                update(protections)
                .where(
                    protections.c.amanda_config == amanda_config,
                    protections.c.host == made.host,
                    protections.c.disk == made.disk,
                    protections.c.timestamp == made.timestamp,
                    protections.c.kind == made.kind,
                )
                .values(made_at=at)
            )
            return done.rowcount == 1

    # -- sessions

    def begin_session(self, client: str, amanda_config: str, at: datetime) -> int:
        """Return the number of a new session: the client is connected."""
        with self._writing() as connection:
            times = {"begun_at": at, "seen_at": at}
            who = {"client": client, "amanda_config": amanda_config}
            return insert_row(connection, sessions, who | times)

    def end_session(self, session_id: int, at: datetime, how: str) -> None:
        """Write down that the client went at `at`, and how."""
        with self._writing() as connection:
            connection.execute(
                update(sessions)
                .where(sessions.c.id == session_id, sessions.c.ended_at.is_(None))
                .values(ended_at=at, seen_at=at, how=how)
            )

    def end_all_sessions(self, at: datetime, how: str) -> int:
        """End what an earlier dispatcher left open, and return how many those were.

        When those clients went nobody knows: they count as last seen when they came.
        """
        with self._writing() as connection:
            done = connection.execute(
                update(sessions).where(sessions.c.ended_at.is_(None)).values(ended_at=at, how=how)
            )
            return done.rowcount

    def last_seen(self) -> dict[str, datetime]:
        """Return when each client was last known to be connected."""
        query = select(sessions.c.client, func.max(sessions.c.seen_at)).group_by(sessions.c.client)
        with self._reading() as connection:
            return {str(client): at for client, at in connection.execute(query)}

    # -- logs

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

        One that has grown since (it was cut off, and went on) is taken in anew. `log` is None
        for one that tells of no run: then it is only known to be none. `words` are what counts of
        its claims, and are added to the run of its timestamp; if that is none of ours, to one of
        kind OTHER. A run of ours stays live until end_run(). `filters` is as there.
        """
        with self._writing() as connection:
            if not note_log(connection, amanda_config, file, at):
                return False
            if log and (log.dles or log.verdicts):
                run = put_other_run(connection, amanda_config, file, log)
                put_verdicts(connection, run, words)
                put_filters(connection, amanda_config, words, filters)
                put_protections(connection, run, words)
            return True

    def logs_taken(self, amanda_config: str) -> dict[str, int]:
        """Return the logs that were taken in: their names, and their sizes then, in bytes."""
        query = select(logs.c.name, logs.c.size).where(logs.c.amanda_config == amanda_config)
        with self._reading() as connection:
            return {str(name): int(size) for name, size in connection.execute(query)}

    # -- upkeep

    def forget(self, before: datetime) -> int:
        """Drop requests and sessions that ended before that, and return how many those were.

        Each client's newest stay, and so do runs and verdicts: backups are judged by them.
        """
        forgotten = 0
        with self._writing() as connection:
            for table in (requests, sessions):
                newest = select(func.max(table.c.id)).group_by(table.c.client)
                done = connection.execute(
                    delete(table).where(table.c.ended_at < before, table.c.id.not_in(newest))
                )
                forgotten += done.rowcount
        return forgotten


def _span(begun_at: datetime, ended_at: datetime) -> timedelta:
    return ended_at - begun_at


def _prepare(engine: Engine, path: Path | None, *, is_owner: bool) -> str:
    """Prepare the database; what is damaged at its owner's `path` is set aside first.

    Returns a remark on that, "" if nothing was damaged.
    """
    try:
        ledgerfile.prepare(engine, is_owner=is_owner)
    except LedgerDamaged as error:
        if path is None:
            raise
        engine.dispose()
        aside = ledgerfile.set_aside(path, now())
        ledgerfile.prepare(engine, is_owner=True)
        return f"{error.message}: it is kept as {aside.name}, and a new one is started"
    return ""


def _find_backups(
    connection: Connection, amanda_config: str, *where: ColumnElement[bool]
) -> dict[Dle, DleVerdict]:
    """Return each DLE's newest dump that the server has, if it has a full one as well."""
    found = newest_verdicts(connection, amanda_config, IS_CONFIRMED, *where)
    with_full = dles_with_full(connection, amanda_config, *where)
    return {dle: verdict for dle, verdict in found.items() if dle in with_full}


def _inode(path: Path | None) -> tuple[int, int] | None:
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status else None
