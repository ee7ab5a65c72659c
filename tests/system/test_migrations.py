"""A ledger that an older asyncamanda has begun comes to what this one has, whenever that is killed.

tests/samples/ledgers has the statements by which each older one made its tables. The contract is
tried on SQLite files, and on the database whose URL is in $ASYNCAMANDA_TEST_DATABASE, which is
emptied.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect
from tests.samples import read_sample

from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.machines import read_machines
from asyncamanda.server.ledger.migrations import STEPS, find_missing_steps
from asyncamanda.server.ledger.schema import METADATA

OLDER = ("before-restores", "before-proofs", "before-fleet")
PATIENCE = timedelta(seconds=2)
SERVER = os.environ.get("ASYNCAMANDA_TEST_DATABASE")
AT = "2026-11-24T12:00:00.000000Z"
ROWS = f"""
INSERT INTO runs (id, amanda_config, timestamp, kind, hosts, begun_at, is_clean, labels, remark)
VALUES (7, 'daily', '20261124120000', 'other', '[]', '{AT}', 1, '[]', '');
INSERT INTO verdicts (amanda_config, host, disk, timestamp, run_id, state, level, reason, kilobytes,
is_strange, has_begun, has_failed_since, dumped_at)
VALUES ('daily', 'laptop', '/home', '20261124120000', 7, 'stored', 0, '', 5, 0, 1, 0, '{AT}');
INSERT INTO sessions (client, amanda_config, begun_at, seen_at, how)
VALUES ('laptop', 'daily', '{AT}', '{AT}', '');
INSERT INTO requests (client, amanda_config, submitted_at, state, outcome)
VALUES ('laptop', 'daily', '{AT}', 'queued', '');
INSERT INTO logs (amanda_config, name, size, taken_at)
VALUES ('daily', 'log.20261124120000.0', 5, '{AT}');
"""  # noqa: S608 - ours


def make_older(path: Path, name: str) -> None:
    """Write a ledger as that asyncamanda began it, with a row of each kind."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(read_sample(f"ledgers/{name}.sql") + ROWS)


def read_schema(path: Path) -> dict[str, str]:
    """Return how each table and index was made, as far as it counts."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'"
    with closing(sqlite3.connect(path)) as connection:
        return {name: re.sub(r"\s+", "", sql) for name, sql in connection.execute(query)}


def read_rows(path: Path) -> dict[str, list[object]]:
    """Return the rows of the tables that were there before."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608 - ours
            for table in ("ledger", "runs", "verdicts", "sessions", "requests", "logs")
        }


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """How a new ledger is made."""
    path = tmp_path_factory.mktemp("new") / "ledger.sqlite"
    Ledger.open(str(path), PATIENCE).close()
    return read_schema(path)


@pytest.mark.parametrize("name", OLDER)
def test_an_older_ledger_becomes_as_a_new_one_with_all_its_rows(
    tmp_path: Path, name: str, wanted: dict[str, str]
) -> None:
    """And its tables are as they were: the older asyncamanda can still use it."""
    path = tmp_path / "ledger.sqlite"
    make_older(path, name)
    rows, before = read_rows(path), read_schema(path)
    Ledger.open(str(path), PATIENCE).close()
    assert (read_rows(path), read_schema(path)) == (rows, wanted)
    assert before.items() <= wanted.items()


@pytest.mark.parametrize("name", OLDER)
def test_who_only_reads_an_older_ledger_reads_it_and_changes_nothing(
    tmp_path: Path, name: str
) -> None:
    """As `server clients` and `server runs` do, before the dispatcher has started again."""
    path = tmp_path / "ledger.sqlite"
    make_older(path, name)
    before = read_schema(path)
    ledger = Ledger.open(str(path), PATIENCE, is_owner=False)
    at = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert ledger.sessions.last_seen() == {"laptop": at}
    assert [run.id for run in ledger.runs.list_recent()] == [7]
    assert [run.id for run in ledger.runs.list_named("20261124120000")] == [7]
    assert ledger.verdicts.newest_confirmed("daily", "laptop")["/home"].dumped_at == at
    assert (read_machines(ledger), ledger.proofs.of_hosts("daily")) == ({}, {})
    assert ledger.restores.list_recent(None, 9) == []
    assert ledger.requests.find_last("laptop")
    ledger.close()
    assert read_schema(path) == before


# Opens copies of a ledger, and is killed at the first statement, at the second, and so on.
KILLED = """
import os, shutil, signal, sys
from datetime import timedelta
from sqlalchemy import Engine, event
from asyncamanda.server.ledger.ledger import Ledger
path, number = sys.argv[1], 0
while True:
    number += 1
    copy = f"{path}.{number}"
    shutil.copy(path, copy)
    if not os.fork():
        left = number
        def count(*_):
            global left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
        for name in ("before_cursor_execute", "commit"):
            event.listen(Engine, name, count)
        Ledger.open(copy, timedelta(seconds=5)).close()
        os._exit(0)
    if os.wait()[1] == 0:
        break
"""


def test_an_older_ledger_that_is_killed_at_any_statement_comes_to_the_same(
    tmp_path: Path, wanted: dict[str, str]
) -> None:
    """Killed before each statement and each commit; the next start goes on."""
    path = tmp_path / "ledger.sqlite"
    make_older(path, OLDER[0])
    rows = read_rows(path)
    subprocess.run([sys.executable, "-c", KILLED, path], check=True)
    copies = [copy for copy in tmp_path.glob("ledger.sqlite.*") if copy.suffix[1:].isdigit()]
    assert len(copies) > 3 * len(STEPS)
    unfinished = 0
    for copy in copies:
        ledger = Ledger.open(str(copy), PATIENCE, is_owner=False)
        missing = [step.number for step in find_missing_steps(ledger.engine)]
        ledger.close()
        assert missing == [step.number for step in STEPS][len(STEPS) - len(missing) :]
        unfinished += 0 < len(missing) < len(STEPS)
        Ledger.open(str(copy), PATIENCE).close()
        assert (read_rows(copy), read_schema(copy)) == (rows, wanted)
    assert unfinished > len(STEPS)


def test_a_ledger_with_more_steps_than_are_known_is_used_as_it_is(tmp_path: Path) -> None:
    """A newer asyncamanda has made them, and says by the format that older ones may go on."""
    path = tmp_path / "ledger.sqlite"
    Ledger.open(str(path), PATIENCE).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO ledger_steps VALUES (999, ?)", (AT,))
        connection.execute("CREATE TABLE newer (id INTEGER)")
    ledger = Ledger.open(str(path), PATIENCE)
    assert ledger.requests.list_open() == []
    ledger.close()
    shutil.copy(path, tmp_path / "copy")


@pytest.mark.skipif(SERVER is None, reason="no database server is given")
def test_a_database_server_takes_the_same_steps() -> None:
    """From a ledger without any of them to one with all."""
    assert SERVER
    engine = create_engine(SERVER)
    METADATA.drop_all(engine)
    Ledger.open(SERVER, PATIENCE).close()
    all_names = _names(engine)
    with transaction(engine, is_writing=True) as connection:
        for step in reversed(STEPS):
            for name in step.indexes:
                connection.exec_driver_sql(f"DROP INDEX {name}")
            for name in step.tables:
                connection.exec_driver_sql(f"DROP TABLE {name}")
        connection.exec_driver_sql("DROP TABLE ledger_steps")
    assert len(_names(engine)) < len(all_names) / 2
    Ledger.open(SERVER, PATIENCE).close()
    assert _names(engine) == all_names
    engine.dispose()


def _names(engine: Engine) -> set[str]:
    """Return the names of the tables and indexes."""
    there = inspect(engine)
    tables = there.get_table_names()
    indexes = [str(each["name"]) for table in tables for each in there.get_indexes(table)]
    return {*tables, *indexes}
