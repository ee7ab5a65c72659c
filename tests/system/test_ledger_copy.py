"""A copy of the ledger is as it was at one moment, while it is written; rows go both ways.

The rows' way is tried between SQLite files, and through the database whose URL is in
$ASYNCAMANDA_TEST_DATABASE, which is emptied.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from tests.system.watching import until

from asyncamanda.core.dispatch.records import RunKind
from asyncamanda.core.protocol.tickets import Claim, MachineFinding
from asyncamanda.errors import AsyncamandaError, BadDataError
from asyncamanda.server.export.ledger_copy import copy_ledger, copy_rows, has_rows
from asyncamanda.server.export.ledger_import import (
    KEPT,
    prepare_ledger,
    put_file,
    put_rows,
)
from asyncamanda.server.export.staging import Undo, set_aside
from asyncamanda.server.ledger.database import BESIDE, make_engine, read_url
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.machines import receive
from asyncamanda.server.ledger.schema import METADATA

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
PATIENCE = timedelta(seconds=5)
FILE = "a SQLite file"
OTHERS = (FILE, *filter(None, [os.environ.get("ASYNCAMANDA_TEST_DATABASE")]))
WRITE = """
import sys
from datetime import UTC, datetime, timedelta
from asyncamanda.server.ledger.ledger import Ledger
ledger = Ledger.open(sys.argv[1], timedelta(seconds=30))
at = datetime(2026, 11, 30, tzinfo=UTC)
print("begins", flush=True)
while True:
    request = ledger.requests.open(f"client-{at:%s}", "daily", at)
    ledger.sessions.begin(request.client, "daily", at)
    at += timedelta(seconds=1)
"""


def fill(where: str) -> None:
    """Let a ledger remember something in most of its tables."""
    ledger = Ledger.open(where, PATIENCE)
    claim = Claim("", "laptop")
    receive(
        *(ledger, "laptop", claim, NOON), is_elsewhere=False, random="0" * 32, dles=("daily", ["/"])
    )
    for client in ("laptop", "tower", "na\\me\udce9"):
        request = ledger.requests.open(client, "daily", NOON)
        ledger.sessions.begin(client, "daily", NOON)
        ledger.runs.begin(RunKind.BATCH, "daily", [client], [request.id], NOON)
    ledger.close()


def dump(path: Path) -> list[str]:
    """Return all that is in a SQLite file, but how it counts."""
    with closing(sqlite3.connect(path)) as connection:
        return sorted(line for line in connection.iterdump() if "sqlite_sequence" not in line)


def _size(path: Path) -> int:
    return path.stat().st_size + Path(f"{path}-wal").stat().st_size


def _has_grown(path: Path, before: int) -> bool:
    return _size(path) != before


def copy(where: str, scratch: Path, to: Path) -> None:
    """Write a ledger's copy into a file."""
    with copy_ledger(where, scratch) as file:
        assert file
        to.write_bytes(file.read())
    assert not scratch.exists()


def test_the_copy_is_of_one_moment_while_others_write(tmp_path: Path) -> None:
    """Each client has its request and its session, or is the last one."""
    ledger = tmp_path / "ledger.sqlite"
    fill(str(ledger))
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(ledger)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout
        assert writer.stdout.readline() == b"begins\n"
        for number in range(5):
            to = tmp_path / f"copy-{number}"
            copy(str(ledger), tmp_path / "scratch", to)
            with closing(sqlite3.connect(to)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                counts = [
                    connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - ours
                    for table in ("requests", "sessions")
                ]
            assert counts[0] - counts[1] in {0, 1}
            before = _size(ledger)
            until(partial(_has_grown, ledger, before), "it is written meanwhile", 10)
    finally:
        writer.kill()
        writer.communicate()


@pytest.mark.parametrize("where", OTHERS)
def test_rows_go_to_another_database_and_back_as_they_are(tmp_path: Path, where: str) -> None:
    """With names that are no UTF-8, and invalid rows; the next row gets a new number."""
    ledger, back = tmp_path / "ledger.sqlite", tmp_path / "back.sqlite"
    fill(str(ledger))
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("UPDATE runs SET kind = 'nonsense' WHERE id = 2")
        connection.commit()
    if where == FILE:
        where = str(tmp_path / "other.sqlite")
    else:
        engine = create_engine(where)
        METADATA.drop_all(engine)
        engine.dispose()
    before = dump(ledger)
    assert put_rows(ledger, where) == "the ledger was written into its database"
    assert put_rows(ledger, where) == KEPT
    source, target = (make_engine(read_url(each), PATIENCE) for each in (where, str(back)))
    copy_rows(source, target)
    assert has_rows(source)
    source.dispose()
    target.dispose()
    assert dump(back) == before
    opened = Ledger.open(where, PATIENCE)
    assert opened.requests.open("fresh", "daily", NOON).id == 4
    opened.close()


def test_no_ledger_is_none_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    """What a kill has left in the scratch folder is in nobody's way."""
    scratch = tmp_path / "scratch"
    with copy_ledger(str(tmp_path / "none"), scratch) as file:
        assert file is None
    (damaged := tmp_path / "damaged").write_bytes(b"no database" * 1000)
    scratch.mkdir()
    (scratch / "ledger.sqlite").write_text("left")
    with pytest.raises(AsyncamandaError) as error, copy_ledger(str(damaged), scratch):
        pass
    assert error.value.reference == "ledger-not-copied"
    assert not scratch.exists()


def test_a_client_comes_to_an_imported_ledger_with_a_newer_ticket(tmp_path: Path) -> None:
    """One that it was given after the export: it is no second machine. A damaged one is refused."""
    ledger, place = tmp_path / "ledger.sqlite", tmp_path / "place.sqlite"
    fill(str(ledger))
    prepare_ledger(ledger)
    Path(f"{place}-wal").write_text("of another one")
    put_file(ledger, place)
    assert [path.name for path in tmp_path.iterdir()] == [place.name]
    opened = Ledger.open(str(place), PATIENCE)
    claim = Claim(f"{int(NOON.timestamp()) + 99}-{'1' * 32}", "laptop")
    received = receive(
        *(opened, "laptop", claim, NOON), is_elsewhere=False, random="2" * 32, dles=("daily", ["/"])
    )
    opened.close()
    assert received.finding is MachineFinding.UNKNOWN
    assert received.finding.is_served
    place.write_bytes(b"no database" * 1000)
    with pytest.raises(BadDataError):
        prepare_ledger(place)


def test_a_ledger_that_is_set_aside_has_what_a_kill_left_beside_it(tmp_path: Path) -> None:
    """And if the import fails, it is again what it was."""
    place, undo = tmp_path / "ledger.sqlite", Undo()
    script = WRITE.replace('print("begins", flush=True)', "").replace("while True:", "if True:")
    killed = f"{script}\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", killed, place], check=False)
    assert place.with_name("ledger.sqlite-wal").stat().st_size
    aside = set_aside(place, ".before", undo, BESIDE)
    assert [path for path in tmp_path.iterdir() if ".before" not in path.name] == []
    copy = shutil.copytree(tmp_path, tmp_path / "copy")
    assert _count_requests(copy / aside.name) == 1
    undo.do()
    assert _count_requests(place) == 1


def _count_requests(place: Path) -> int:
    with closing(sqlite3.connect(place)) as connection:
        return int(connection.execute("SELECT count(*) FROM requests").fetchone()[0])
