"""No step of the dispatcher's reads what grows with the years: SQLite's own plans say so.

The steps are those of tests/bench/growth.py, which measures what they take. SQLite plans without
knowing how many rows there are, as long as nobody has run ANALYZE.
"""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from tests.bench.growth import STEPS, Server, make_server
from tests.bench.years import Years

YEARS = Years(verdicts=1600, sessions=200, logs=16)
GROWING = ("verdicts", "sessions", "requests", "runs", "logs", "proofs", "restores")
SMALL = ("held_dumps", "live_runs", "one_open_request_a_client")  # indexes of what is open
LINEAR = {"export's copy (linear)"}  # a copy of all

_TABLES = f"({'|'.join(GROWING)}) (?!USING INDEX ({'|'.join(SMALL)})\\b)"
_SCAN = re.compile(rf"SCAN {_TABLES}|SEARCH {_TABLES}.*\(amanda_config=\?\)")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with something of everything."""
    folder = tmp_path_factory.mktemp("years") / "server"
    make_server(folder, YEARS).ledger.close()
    return folder


@pytest.fixture
def server(filled: Path, tmp_path: Path) -> Iterator[Server]:
    """Its dispatcher."""
    folder = shutil.copytree(filled, tmp_path / "server")
    made = make_server(folder, YEARS, is_filled=True)
    with closing(made.ledger):
        yield made


@pytest.mark.parametrize("name", [name for name in STEPS if name not in LINEAR])
def test_a_step_searches_by_an_index_and_scans_nothing(server: Server, name: str) -> None:
    """Neither a table nor a whole index of it."""
    asked: list[tuple[str, Any]] = []

    def hear(
        _connection: object, _cursor: object, statement: str, given: object, *_: object
    ) -> None:
        asked.append((statement, given))

    event.listen(Engine, "before_cursor_execute", hear)  # a start has an engine of its own
    try:
        STEPS[name](server)
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    assert asked
    assert [*find_scans(server.folder / "ledger.sqlite", asked)] == []


def find_scans(path: Path, asked: list[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield what is read whole, and the statement that does so.

    An index is walked to its LIMIT, and to the min() of a column.
    """
    with closing(sqlite3.connect(path)) as connection:
        for statement, given in asked:
            if statement.split()[0] not in {"SELECT", "WITH", "UPDATE", "DELETE"}:
                continue
            some = given[0] if isinstance(given, list) else given
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", some):
                is_short = "LIMIT" in statement or "min(" in statement
                is_walk = is_short and " USING " in row[3]
                if not is_walk and _SCAN.search(f"{row[3]} "):
                    yield row[3], statement
