"""How a ledger that an older asyncamanda has begun becomes one of this one: in numbered steps.

Each step is one transaction, with its number written in it, so a kill between two statements
leaves nothing of a step, and the next start goes on with it. A step adds, and changes nothing that
an older asyncamanda reads: that one can still use the ledger, and FORMAT is raised where it cannot
(docs/design/0029-migrations.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, insert, inspect, select

from asyncamanda.server.ledger import fleet_tables
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.schema import METADATA, ledger, ledger_steps
from asyncamanda.system.clock import now


@dataclass(frozen=True, slots=True)
class Step:
    """A step: the tables it makes, as they are in METADATA, and then indexes of those before it."""

    number: int
    tables: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()


_FLEET = ("reports", "bases", "strips", "fleet_days", "told")

STEPS = (
    Step(1, tables=("restores",)),
    Step(2, tables=("proofs",)),
    Step(3, tables=_FLEET),
    Step(
        4,
        indexes=(
            "runs_of_a_configuration",
            "runs_of_a_kind",
            "runs_by_timestamp",
            "live_runs",
            "requests_by_end",
            "sessions_by_sight",
            "sessions_by_end",
            "restores_of_a_client",
            "newest_proofs",
            "proofs_of_a_kind",
        ),
    ),
    Step(5, indexes=("verdicts_by_timestamp",)),
    Step(6, indexes=("verdicts_by_age",)),
    Step(7, indexes=("full_dumps", "held_dumps")),
    Step(8, tables=("ledger_owner", "log_looks")),
)
assert all(name in METADATA.tables for name in _FLEET), fleet_tables.__name__


def make_new(connection: Connection, number: int) -> None:
    """Make all tables and indexes of a new ledger, of the format `number`."""
    METADATA.create_all(connection)
    connection.execute(insert(ledger).values(format=number))
    _mark(connection, *STEPS)


def migrate(engine: Engine) -> None:
    """Do the steps that are not done yet; a ledger of a newer asyncamanda may have more.

    Raises as transaction() does.
    """
    for step in list(find_missing_steps(engine)):
        with transaction(engine, is_writing=True) as connection:
            _take(connection, step)


def find_missing_steps(engine: Engine) -> Iterator[Step]:
    """Yield the steps that are not done, in their order. Raises as transaction() does."""
    with transaction(engine, is_writing=False) as connection:
        last = _read_last(connection)
    yield from (step for step in STEPS if step.number > last)


def _read_last(connection: Connection) -> int:
    if not inspect(connection).has_table(ledger_steps.name):
        return 0
    return connection.execute(select(func.max(ledger_steps.c.step))).scalar_one() or 0


def _take(connection: Connection, step: Step) -> None:
    """Do a step, unless another process has done it meanwhile."""
    ledger_steps.create(connection, checkfirst=True)
    if _read_last(connection) >= step.number:
        return
    for name in step.tables:
        METADATA.tables[name].create(connection, checkfirst=True)
    indexes = {
        str(index.name): index for table in METADATA.tables.values() for index in table.indexes
    }
    for name in step.indexes:
        indexes[name].create(connection, checkfirst=True)
    _mark(connection, step)


def _mark(connection: Connection, *steps: Step) -> None:
    rows = [{"step": step.number, "made_at": now()} for step in steps]
    connection.execute(insert(ledger_steps), rows)
