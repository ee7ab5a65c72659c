"""The ledger's tables; column_types.py has how values are kept in them.

Nothing here is SQLite's alone: PostgreSQL takes it as well. A column is called like the field
of the value (core/dispatch/records.py, core/model.py) that it keeps.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from asyncamanda.core.dispatch.records import ProofKind, ProtectionKind, RequestState, RunKind
from asyncamanda.core.model import DumpState
from asyncamanda.server.ledger.column_types import Moment, Name, Names, Recorded, one_of

FORMAT = 2  # raised with every change that an older asyncamanda would misread

METADATA = MetaData()


def complete_for_postgresql() -> None:
    """Say what only PostgreSQL has to know: SQLAlchemy loads all of its dialect for that.

    Who waits for a file waits for all that is loaded here.
    """
    for table in METADATA.tables.values():
        for index in table.indexes:
            where = index.dialect_options["sqlite"]["where"]
            if where is not None:
                index.dialect_options["postgresql"]["where"] = where


# Conditions of partial indexes. SQLite uses such an index only for a query that says the same in
# the same words, so these are in the queries as well.
IS_OPEN = text("state IN ('queued', 'running')")
IS_LIVE = text("ended_at IS NULL")
IS_HELD = text("state = 'held'")
IS_FULL = text("coalesce(level, 0) = 0")

ledger = Table("ledger", METADATA, Column("format", Integer, nullable=False))

# one row for each step of migrations.py that was done
ledger_steps = Table(
    "ledger_steps",
    METADATA,
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("made_at", Moment, nullable=False),
)

# at most one row: the server whose dispatcher writes this ledger, where others could reach it
ledger_owner = Table(
    "ledger_owner",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("machine", Text, nullable=False),
    Column("host_name", Name, nullable=False),
    Column("since", Moment, nullable=False),
)

runs = Table(
    "runs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("amanda_config", Name, nullable=False),
    Column("timestamp", String(14)),
    Column("kind", one_of(RunKind), nullable=False),
    Column("hosts", Names, nullable=False),
    Column("pid", Integer),
    Column("pid_started", BigInteger),
    Column("boot_id", Text),
    Column("begun_at", Moment, nullable=False, index=True),
    Column("ended_at", Moment),
    Column("exit_status", Integer),
    Column("is_clean", Boolean, nullable=False, default=False),
    Column("labels", Names, nullable=False, default=()),
    Column("report", Name),
    Column("remark", Name, nullable=False, default=""),
    UniqueConstraint("amanda_config", "timestamp"),
    Index("runs_of_a_configuration", "amanda_config", "begun_at", "id"),
    Index("runs_of_a_kind", "amanda_config", "kind", "id"),
    Index("runs_by_timestamp", "timestamp"),
    Index("live_runs", "begun_at", "id", sqlite_where=IS_LIVE),
    sqlite_autoincrement=True,  # the number of a run that is gone is not given again
)

requests = Table(
    "requests",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("client", Name, nullable=False, index=True),
    Column("amanda_config", Name, nullable=False),
    Column("submitted_at", Moment, nullable=False),
    Column("state", one_of(RequestState), nullable=False),
    Column("run_id", ForeignKey(runs.c.id), index=True),
    Column("ended_at", Moment),
    Column("outcome", Name, nullable=False, default=""),
    Column("machine", Integer),
    Index("one_open_request_a_client", "client", unique=True, sqlite_where=IS_OPEN),
    Index("requests_by_end", "ended_at"),
    sqlite_autoincrement=True,
)

# one row a dump: `run_id` made it, `flushed_in` is the later run that brought it to a volume;
# `machine` is the lineage (core/protocol/tickets.py) whose session carried it, NULL where none did
verdicts = Table(
    "verdicts",
    METADATA,
    Column("amanda_config", Name, primary_key=True),
    Column("host", Name, primary_key=True),
    Column("disk", Name, primary_key=True),
    Column("timestamp", String(14), primary_key=True),
    Column("run_id", ForeignKey(runs.c.id), nullable=False, index=True),
    Column("flushed_in", ForeignKey(runs.c.id), index=True),
    Column("state", one_of(DumpState), nullable=False),
    Column("level", Integer),
    Column("reason", Name, nullable=False),
    Column("kilobytes", BigInteger, nullable=False),
    Column("is_strange", Boolean, nullable=False),
    Column("has_begun", Boolean, nullable=False),
    Column("has_failed_since", Boolean, nullable=False),
    Column("dumped_at", Moment, nullable=False),
    Column("filters", Recorded),  # as they were when the dump was confirmed
    Column("machine", Integer),
    Index("verdicts_by_timestamp", "amanda_config", "timestamp"),
    Index("verdicts_by_age", "amanda_config", "host", "disk", "state", "dumped_at", "timestamp"),
    Index("full_dumps", "amanda_config", "host", "disk", "state", "machine", sqlite_where=IS_FULL),
    Index("held_dumps", "amanda_config", sqlite_where=IS_HELD),
)

# at most one row a DLE; it goes when a dump has made a new snapshot
protections = Table(
    "protections",
    METADATA,
    Column("amanda_config", Name, primary_key=True),
    Column("host", Name, primary_key=True),
    Column("disk", Name, primary_key=True),
    Column("timestamp", String(14), nullable=False),
    Column("kind", one_of(ProtectionKind), nullable=False),
    Column("level", Integer, nullable=False),
    Column("made_at", Moment),
    Column("dumped_at", Moment),
)

# `seen_at` is the last time at which the client was certainly there
sessions = Table(
    "sessions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("client", Name, nullable=False, index=True),
    Column("amanda_config", Name, nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("how", Name, nullable=False, default=""),
    Index("sessions_by_sight", "client", "seen_at"),
    Index("sessions_by_end", "ended_at"),
    sqlite_autoincrement=True,
)

# one row a client: which machine it is (core/protocol/tickets.py)
machines = Table(
    "machines",
    METADATA,
    Column("client", Name, primary_key=True),
    Column("lineage", Integer, nullable=False),
    Column("ticket", Name, nullable=False),
    Column("previous", Name, nullable=False),
    Column("is_written", Boolean, nullable=False),
    Column("host_name", Name, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("disputed_at", Moment),
    Column("other_host_name", Name, nullable=False),
    Column("noted", Name, nullable=False),
)

logs = Table(
    "logs",
    METADATA,
    Column("amanda_config", Name, primary_key=True),
    Column("name", Name, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("taken_at", Moment, nullable=False),
)

# one row a configuration: the logs before `stamp` of which all are in `logs` (log_watch.py)
log_looks = Table(
    "log_looks",
    METADATA,
    Column("amanda_config", Name, primary_key=True),
    Column("stamp", String(14), nullable=False),
    Column("count", Integer, nullable=False),
    Column("digest", BigInteger, nullable=False),
    Column("looked_at", Moment, nullable=False),
)

# one row for each time that files were given back, or begun to be. Whoever serves it makes the
# table in a ledger that an older asyncamanda has begun, and which that one can still use
restores = Table(
    "restores",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("amanda_config", Name, nullable=False),
    Column("client", Name, nullable=False, index=True),
    Column("who", Name, nullable=False),
    Column("disk", Name, nullable=False),
    Column("paths", Names, nullable=False),
    Column("more_paths", Integer, nullable=False),
    Column("run", String(14), nullable=False),
    Column("begun_at", Moment, nullable=False, index=True),
    Column("pid", Integer, nullable=False),
    Column("pid_started", BigInteger, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("ended_at", Moment),
    Column("files", BigInteger, nullable=False, default=0),
    Column("size", BigInteger, nullable=False, default=0),
    Column("outcome", Name, nullable=False, default=""),
    Index("restores_of_a_client", "client", "begun_at"),
    sqlite_autoincrement=True,
)

# one row for each time that a disk was proved restorable, or was found not to be. As with
# `restores`, whoever proves it makes the table in a ledger that an older asyncamanda has begun
proofs = Table(
    "proofs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("amanda_config", Name, nullable=False),
    Column("host", Name, nullable=False),
    Column("disk", Name, nullable=False),
    Column("kind", one_of(ProofKind), nullable=False),
    Column("proved_at", Moment, nullable=False, index=True),
    Column("timestamp", String(14), nullable=False),
    Column("level", Integer),
    Column("is_good", Boolean, nullable=False),
    Column("what", Name, nullable=False, default=""),
    Column("size", BigInteger, nullable=False, default=0),
    Index("proofs_of_a_disk", "amanda_config", "host", "disk"),
    Index("newest_proofs", "amanda_config", "host", "disk", "kind", "is_good", "id"),
    Index("proofs_of_a_kind", "amanda_config", "kind", "proved_at"),
    sqlite_autoincrement=True,
)
