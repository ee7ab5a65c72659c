"""What a dispatcher that goes on looks at of the logs: what came, went or grew, and little else."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.bench.growth import Server, make_server
from tests.bench.years import LOG, Years

from asyncamanda.server.ledger.log_import import take_in_all
from asyncamanda.server.ledger.log_watch import LogWatch

YEARS = Years(verdicts=400, sessions=20, logs=40)
NOW = datetime(2026, 12, 20, tzinfo=UTC)
OLD, FRESH = "20200101120000", "20261219120000"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server whose logs are all taken in; its folders were changed long ago."""
    made = make_server(tmp_path / "server", YEARS)
    settle(made)
    yield made
    made.ledger.close()


def settle(server: Server) -> None:
    """Let the folders look as if nothing had come or gone for a while."""
    before = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    for folder in (server.settings.logdir / "oldlog", server.settings.logdir):
        os.utime(folder, (before, before))


def put(server: Server, stamp: str, folder: str = ".", more: str = "") -> Path:
    """Write a log, which ended when its run began."""
    path = server.settings.logdir / folder / f"log.{stamp}.0"
    path.write_text(LOG.format(stamp=stamp, pid=7, host="pc000") + more, "ascii")
    at = datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    os.utime(path, (at, at))
    return path


def look(
    server: Server, watch: LogWatch, at: datetime = NOW, *, is_live: bool = False
) -> list[str]:
    """Return which logs were taken in, or else what was said of them."""
    said = take_in_all(server.ledger, server.settings, lambda *_: is_live, at, watch=watch)
    return [line.split()[0] if "imported" in line else line for line in said]


def planned(server: Server, watch: LogWatch) -> int:
    """Return how many logs the next look would look at."""
    return len(watch.plan(server.ledger, server.settings.logdir, NOW).names)


def test_only_what_is_new_is_looked_at(server: Server) -> None:
    """Also by the next dispatcher, which has only the mark in the ledger."""
    watch = LogWatch("daily")
    assert (look(server, watch), planned(server, watch)) == ([], 0)
    for each in (watch, LogWatch("daily")):
        stamp = FRESH if each is watch else "20261219130000"
        put(server, stamp)
        assert look(server, each) == [f"log.{stamp}.0"]
        settle(server)
        look(server, each)
        assert 1 <= planned(server, each) <= 3


@pytest.mark.parametrize("folder", [".", "oldlog"])
@pytest.mark.parametrize("is_fresh", [True, False])
def test_an_old_log_that_is_copied_back_is_taken_in_at_the_next_look(
    server: Server, folder: str, *, is_fresh: bool
) -> None:
    """However old it is, wherever it comes, and also if no dispatcher ran then."""
    watch = LogWatch("daily")
    look(server, watch)
    put(server, OLD, folder)
    assert look(server, LogWatch("daily") if is_fresh else watch) == [f"log.{OLD}.0"]


def test_a_log_that_took_the_place_of_another_is_seen(server: Server) -> None:
    """The number of logs is the same, and the names are not."""
    look(server, LogWatch("daily"))
    next(server.settings.logdir.glob("log.*")).unlink()
    put(server, OLD)
    assert look(server, LogWatch("daily")) == [f"log.{OLD}.0"]


def test_logs_that_are_moved_away_are_not_taken_in_again(server: Server) -> None:
    """As amtrmlog does it."""
    watch = LogWatch("daily")
    look(server, watch)
    for path in list(server.settings.logdir.glob("log.*"))[:5]:
        path.rename(path.parent / "oldlog" / path.name)
    assert look(server, watch) == []


def test_a_log_that_grows_is_taken_in_again(server: Server) -> None:
    """A new one at the next look; one of years ago within a day."""
    watch = LogWatch("daily")
    new = put(server, FRESH)
    old = next(server.settings.logdir.glob("log.*"))
    look(server, watch)
    settle(server)
    look(server, watch)
    for path in (new, old):
        with path.open("a") as file:
            file.write("INFO driver more\n")
    assert look(server, watch) == [new.name]
    assert look(server, watch, NOW + timedelta(hours=30)) == [old.name]


def test_a_run_that_goes_on_for_days_is_looked_at_until_it_ends(server: Server) -> None:
    """Although its log was written long ago."""
    watch = LogWatch("daily")
    put(server, OLD)
    assert look(server, watch, is_live=True) == [f"log.{OLD}.0 is of a run in progress"]
    settle(server)
    look(server, watch, is_live=True)
    assert look(server, watch) == [f"log.{OLD}.0"]


def test_a_look_that_is_broken_off_is_made_again(server: Server) -> None:
    """As where the ledger was locked between two logs."""
    watch = LogWatch("daily")
    look(server, watch)
    put(server, OLD)
    put(server, FRESH)
    next(take_in_all(server.ledger, server.settings, lambda *_: False, NOW, watch=watch))
    assert look(server, watch) == [f"log.{FRESH}.0"]
