"""What the server remembers survives kills, damage and other programs' locks.

The contract is tried on a SQLite file, and on the database whose URL is in
$ASYNCAMANDA_TEST_DATABASE, which is emptied.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from tests.system.ledger_rows import read_backups, read_newest

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.runlog import RunLog
from asyncamanda.core.dispatch.records import (
    LogFile,
    ProtectionKind,
    RequestRow,
    RequestState,
    RunEnd,
    RunKind,
    RunRow,
)
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.server.dispatch.new_ledger import take_on
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.ledger import (
    Ledger,
    LedgerBusy,
    LedgerDamaged,
    LedgerUnavailable,
)
from asyncamanda.server.ledger.schema import FORMAT, METADATA
from lab.patience import at_most

FILE = "a SQLite file"
DATABASES = (FILE, *filter(None, [os.environ.get("ASYNCAMANDA_TEST_DATABASE")]))
PATIENCE = timedelta(seconds=0.2)
NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EARLIER, STAMP, LATER = "20261124120000", "20261124130000", "20261124140000"
STORED, HELD, FAILED = DumpState.STORED, DumpState.HELD, DumpState.FAILED


@pytest.fixture(params=DATABASES)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    where = str(request.param)
    if where == FILE:
        where = str(tmp_path / "ledger.sqlite")
    else:
        engine = create_engine(where)
        METADATA.drop_all(engine)
        engine.dispose()
    opened = Ledger.open(where, PATIENCE)
    yield opened
    opened.close()


def spoil(
    ledger: Ledger, table: str, column: str, number: int, value: str = "no such thing"
) -> None:
    """Put into a row what no asyncamanda writes there."""
    with transaction(ledger.engine, is_writing=True) as connection:
        values = {"value": value, "number": number}
        connection.execute(text(f"UPDATE {table} SET {column} = :value WHERE id = :number"), values)  # noqa: S608 - ours


def verdict(
    state: DumpState,
    level: int | None = 0,
    *,
    host: str = "laptop",
    disk: str = "/home",
    timestamp: str = STAMP,
) -> DleVerdict:
    """A dump on whose way the client was at work."""
    dumped_at = datetime.strptime(timestamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return DleVerdict(
        host, disk, timestamp, state, level, "why", 1234, has_begun=True, dumped_at=dumped_at
    )


def begin(ledger: Ledger, *clients: str, timestamp: str = STAMP, at: datetime = NOON) -> RunRow:
    """A batch for these clients, on its way."""
    ids = [ledger.requests.open(client, "daily", at).id for client in clients]
    row = ledger.runs.begin(RunKind.BATCH, "daily", clients, ids, at)
    ledger.runs.note(row.id, timestamp=timestamp)
    return row


def end(*verdicts: DleVerdict, is_clean: bool = True) -> RunEnd:
    """An end with these verdicts."""
    return RunEnd(0 if is_clean else 4, is_clean, verdicts)


def log_file(timestamp: str, size: int = 100) -> LogFile:
    """The log of the run of that timestamp."""
    return LogFile(f"log.{timestamp}.0", size, NOON, NOON + MINUTE)


def take_in(
    ledger: Ledger,
    file: LogFile,
    log: RunLog | None,
    filters: Mapping[tuple[str, str], Filters] = {},
) -> bool:
    """Take in a log all of whose claims count."""
    return ledger.logs.take_in("daily", file, log, log.verdicts if log else (), NOON, filters)


def run_log(timestamp: str, *verdicts: DleVerdict, program: str = "amdump") -> RunLog:
    """What a finished log says."""
    dles = tuple((v.host, v.disk) for v in verdicts if v.timestamp == timestamp)
    return RunLog(
        program=program,
        pid=4711,
        timestamp=timestamp,
        dles=dles,
        verdicts=verdicts,
        is_finished=True,
        labels=("daily-7",),
        errors=(),
        hosts=frozenset(host for host, _ in dles),
    )


# -- requests


def test_a_client_has_one_open_request(ledger: Ledger) -> None:
    """Who asks again joins it, queued or running; after its end the request is a new one."""
    first = ledger.requests.open("laptop", "daily", NOON)
    assert (first.state, first.submitted_at) == (RequestState.QUEUED, NOON)
    assert ledger.requests.open("laptop", "daily", NOON + MINUTE) == first
    ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [first.id], NOON)
    running = ledger.requests.open("laptop", "daily", NOON + MINUTE)
    assert (running.id, running.state) == (first.id, RequestState.RUNNING)
    assert ledger.requests.finish(first.id, NOON + MINUTE, "backed up")
    second = ledger.requests.open("laptop", "daily", NOON + 2 * MINUTE)
    assert second.id > first.id
    assert ledger.requests.find_last("laptop") == second
    assert ledger.requests.find_last("desktop") is None


def test_the_database_itself_bears_no_second_open_request(ledger: Ledger) -> None:
    """Whatever writes into it."""
    ledger.requests.open("laptop", "daily", NOON)
    copy = (
        "INSERT INTO requests (client, amanda_config, submitted_at, state, outcome) "
        "SELECT client, amanda_config, submitted_at, '{}', '' FROM requests"
    )
    with ledger.engine.begin() as connection:
        connection.execute(text(copy.format("done")))
    with pytest.raises(Exception, match=r"(?i)unique"), ledger.engine.begin() as connection:
        connection.execute(text(copy.format("running")))


def test_open_requests_are_in_the_order_in_which_they_came(ledger: Ledger) -> None:
    """The oldest first, of one configuration or of all."""
    for number, client in enumerate(["c", "a", "b"]):
        ledger.requests.open(client, "daily", NOON - number * MINUTE)
    ledger.requests.open("x", "weekly", NOON - MINUTE / 2)
    assert [row.client for row in ledger.requests.list_open("daily")] == ["b", "a", "c"]
    assert [row.client for row in ledger.requests.list_open()] == ["b", "a", "x", "c"]


def test_a_queued_request_can_be_withdrawn_and_a_running_one_cannot(ledger: Ledger) -> None:
    """What a run has taken up goes on to its end."""
    queued = ledger.requests.open("laptop", "daily", NOON)
    assert ledger.requests.withdraw(queued.id, NOON + MINUTE, "left")
    assert not ledger.requests.withdraw(queued.id, NOON + 2 * MINUTE, "left again")
    last = ledger.requests.find_last("laptop")
    assert last
    assert (last.state, last.ended_at, last.outcome) == (
        RequestState.WITHDRAWN,
        NOON + MINUTE,
        "left",
    )
    begin(ledger, "laptop")
    (running,) = ledger.requests.list_open()
    assert not ledger.requests.withdraw(running.id, NOON, "left")
    assert ledger.requests.list_open() == [running]


# -- filters

FAST, ZSTD = Filters("client fast"), Filters("server custom", "/usr/bin/zst\udce9 d")
DUMP = ("laptop", "/home", STAMP)


def test_what_a_dump_went_through_is_recorded_when_it_is_confirmed(ledger: Ledger) -> None:
    """Early or at the run's end; a dump that failed, and a DLE that is not known, have none."""
    row = begin(ledger, "laptop")
    words = [verdict(HELD), verdict(FAILED, disk="/srv"), verdict(HELD, disk="/new")]
    places = {("laptop", "/home"): ZSTD, ("laptop", "/srv"): ZSTD, ("tower", "/new"): FAST}
    ledger.verdicts.note(row.id, words, places)
    assert ledger.verdicts.filters_of_run(row.id) == {DUMP: ZSTD}
    ledger.runs.end(row.id, NOON, end(*words), places)
    assert ledger.verdicts.filters_of_run(row.id) == {DUMP: ZSTD}
    assert ledger.verdicts.filters_of_run(row.id + 1) == {}


def test_a_dumptype_that_is_changed_later_changes_no_dump(ledger: Ledger) -> None:
    """Neither the run's own end, nor its log, nor a flush overwrites what was recorded."""
    row, place = begin(ledger, "laptop"), ("laptop", "/home")
    ledger.verdicts.note(row.id, [verdict(HELD)], {place: ZSTD})
    ledger.runs.end(row.id, NOON, end(verdict(HELD)), {place: FAST})
    take_in(ledger, log_file(STAMP), run_log(STAMP, verdict(HELD)), {place: FAST})
    flush = ledger.runs.begin(RunKind.FLUSH, "daily", [], [], NOON)
    ledger.runs.note(flush.id, timestamp=LATER)
    ledger.runs.end(flush.id, NOON, end(verdict(STORED)), {place: FAST})
    assert (
        ledger.verdicts.filters_of_run(row.id)
        == ledger.verdicts.filters_of_run(flush.id)
        == {DUMP: ZSTD}
    )
    assert ledger.verdicts.of_run(flush.id) == [verdict(STORED)]


def test_the_dumps_of_others_are_recorded_as_their_log_is_taken_in(ledger: Ledger) -> None:
    """With what their DLEs are dumped with then; the next dump has its own."""
    place = ("laptop", "/home")
    for stamp, filters in ((STAMP, FAST), (LATER, ZSTD)):
        log = run_log(stamp, verdict(HELD, timestamp=stamp))
        take_in(ledger, log_file(stamp), log, {place: filters})
    found = [ledger.verdicts.filters_of_run(run.id) for run in ledger.runs.list_recent("daily")]
    assert {DUMP: FAST} in found
    assert {(*place, LATER): ZSTD} in found


# -- runs


def test_a_run_takes_its_requests_and_ends_them(ledger: Ledger) -> None:
    """Each with its own client's outcome; who was told before keeps what it was told."""
    row = begin(ledger, "laptop", "desktop", "early")
    early = ledger.requests.find_last("early")
    assert early
    assert (early.state, early.run_id) == (RequestState.RUNNING, row.id)
    ledger.requests.finish(early.id, NOON + MINUTE, "told early")
    words = (
        verdict(HELD),
        verdict(FAILED, host="desktop"),
        verdict(HELD, host="early"),
        verdict(STORED, host="desktop", timestamp="20261101000000"),  # flushed on the way
    )
    ledger.runs.end(row.id, NOON + 2 * MINUTE, end(*words, is_clean=False))
    outcomes = {}
    for client in ("laptop", "desktop", "early"):
        request = ledger.requests.find_last(client)
        assert request
        assert request.state is RequestState.DONE
        outcomes[client] = (request.outcome, request.ended_at)
    assert outcomes == {
        "laptop": ("backed up", NOON + 2 * MINUTE),
        "desktop": ("1 of 1 not backed up: /home (why)", NOON + 2 * MINUTE),
        "early": ("told early", NOON + MINUTE),
    }


def test_a_run_is_kept_as_it_was_told(ledger: Ledger) -> None:
    """Every field comes back, with names that are not UTF-8."""
    row = ledger.runs.begin(RunKind.BATCH, "daily", ["b", "a\udce9"], [], NOON)
    assert ledger.runs.list_live("daily") == ledger.runs.list_live() == [row]
    assert ledger.runs.list_live("weekly") == []
    ledger.runs.note(row.id, pid=4711, boot_id="b00t")
    ledger.runs.note(row.id, timestamp=STAMP)
    how = RunEnd(5, False, (), ("daily-1", "daily 2"), "/reports/1\udcff.txt", "odd")
    ledger.runs.end(row.id, NOON + MINUTE, how)
    assert ledger.runs.list_live() == []
    kept = ledger.runs.find("daily", STAMP)
    assert kept == ledger.runs.get(row.id)
    assert kept == RunRow(
        id=row.id,
        amanda_config="daily",
        kind=RunKind.BATCH,
        hosts=("b", "a\udce9"),
        begun_at=NOON,
        timestamp=STAMP,
        pid=4711,
        boot_id="b00t",
        ended_at=NOON + MINUTE,
        exit_status=5,
        is_clean=False,
        labels=("daily-1", "daily 2"),
        report="/reports/1\udcff.txt",
        remark="odd",
    )
    with pytest.raises(ValueError, match="has no run"):
        ledger.runs.get(row.id + 1)
    assert ledger.runs.find("weekly", STAMP) is None


def test_a_run_that_never_began_gives_its_requests_back(ledger: Ledger) -> None:
    """They are queued as they were, with their place in the queue."""
    row = begin(ledger, "laptop", "gone")
    (before, gone) = ledger.requests.list_open()
    ledger.requests.finish(gone.id, NOON, "gone")
    ledger.runs.abandon(row.id, NOON + MINUTE, "no amdump")
    (after,) = ledger.requests.list_open()
    assert (after.state, after.run_id) == (RequestState.QUEUED, None)
    assert (after.id, after.submitted_at) == (before.id, before.submitted_at)
    kept = ledger.runs.get(row.id)
    assert (kept.ended_at, kept.remark) == (NOON + MINUTE, "no amdump")


def test_a_withdrawn_request_is_in_no_run(ledger: Ledger) -> None:
    """It may have been withdrawn just before the run began."""
    request = ledger.requests.open("laptop", "daily", NOON)
    ledger.requests.withdraw(request.id, NOON, "left")
    ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [request.id], NOON)
    last = ledger.requests.find_last("laptop")
    assert last
    assert (last.state, last.run_id) == (RequestState.WITHDRAWN, None)


def test_the_newest_runs_come_first(ledger: Ledger) -> None:
    """By when they began, of one configuration or of all; so many and no more."""
    for number in (0, 2, 1):
        begin(ledger, timestamp=f"2026112412000{number}", at=NOON + number * MINUTE)
    other = ledger.runs.begin(RunKind.FLUSH, "weekly", [], [], NOON + 5 * MINUTE)
    stamps = [row.timestamp for row in ledger.runs.list_recent("daily", 2)]
    assert stamps == ["20261124120002", "20261124120001"]
    assert ledger.runs.list_recent()[0] == other
    assert len(ledger.runs.list_recent()) == 4


def test_the_mean_duration_is_of_batches_that_really_ran(ledger: Ledger) -> None:
    """The last few; none that never began, that another started, or that ended before it began."""
    assert ledger.runs.mean_duration("daily") is None
    for number, minutes in enumerate([50, 2, 4, -3]):
        row = begin(ledger, timestamp=f"2026112412000{number}")
        ledger.runs.end(row.id, NOON + minutes * MINUTE, end())
    never = ledger.runs.begin(RunKind.BATCH, "daily", [], [], NOON)
    ledger.runs.abandon(never.id, NOON, "no amdump")
    flush = ledger.runs.begin(RunKind.FLUSH, "daily", [], [], NOON)
    ledger.runs.note(flush.id, timestamp=LATER)
    ledger.runs.end(flush.id, NOON + 99 * MINUTE, end())
    begin(ledger, timestamp="20261124120009")
    assert ledger.runs.mean_duration("daily", 2) == 3 * MINUTE
    assert ledger.runs.mean_duration("daily") == 56 * MINUTE / 3
    assert ledger.runs.mean_duration("weekly") is None


# -- verdicts


def test_the_newest_confirmed_dump_of_each_disk(ledger: Ledger) -> None:
    """A later failure does not hide it; another host's and another configuration's are others."""
    first = begin(ledger, "laptop")
    words = (verdict(STORED), verdict(HELD, disk="/srv"), verdict(HELD, host="desktop"))
    ledger.runs.end(first.id, NOON, end(*words))
    second = begin(ledger, "laptop", timestamp=LATER)
    failed = verdict(FAILED, 1, timestamp=LATER)
    newer = verdict(HELD, 1, disk="/srv", timestamp=LATER)
    ledger.runs.end(second.id, NOON + MINUTE, end(failed, newer, is_clean=False))
    assert ledger.verdicts.newest_confirmed("daily", "laptop") == {"/home": words[0], "/srv": newer}
    assert read_backups(ledger, "daily") == {
        ("laptop", "/home"): words[0],
        ("laptop", "/srv"): newer,
        ("desktop", "/home"): words[2],
    }
    assert read_newest(ledger, "daily")["laptop", "/home"] == failed
    assert ledger.verdicts.newest_confirmed("weekly", "laptop") == {}
    assert ledger.verdicts.of_run(second.id) == [failed, newer]


def test_an_early_word_is_kept_and_the_end_has_the_last_one(ledger: Ledger) -> None:
    """What is held counts at once; the run's end may take it back."""
    row = begin(ledger, "laptop")
    ledger.verdicts.note(row.id, [verdict(HELD), verdict(FAILED, disk="/srv")])
    assert set(ledger.verdicts.newest_confirmed("daily", "laptop")) == {"/home"}
    assert ledger.runs.list_live() == [ledger.runs.get(row.id)]
    assert ledger.protections.list_pending("daily") == []
    ledger.runs.end(row.id, NOON, end(verdict(FAILED), verdict(HELD, disk="/srv")))
    assert set(ledger.verdicts.newest_confirmed("daily", "laptop")) == {"/srv"}


def test_a_flush_brings_a_held_dump_to_a_volume(ledger: Ledger) -> None:
    """It stays the dump of its run, with its level, and is shown with the flush as well."""
    dump = begin(ledger, "laptop")
    ledger.runs.end(dump.id, NOON, end(verdict(HELD, 2), verdict(HELD, 1, disk="/srv")))
    flush = ledger.runs.begin(RunKind.FLUSH, "daily", [], [], NOON)
    ledger.runs.note(flush.id, timestamp=LATER)
    ledger.runs.end(flush.id, NOON, end(DleVerdict("laptop", "/home", STAMP, STORED)))
    stored, held = ledger.verdicts.of_run(dump.id)
    assert (stored.state, stored.level, stored.kilobytes) == (STORED, 2, 1234)
    assert held.state is HELD
    assert ledger.verdicts.of_run(flush.id) == [stored]


def test_a_dump_is_shown_with_the_run_that_first_brought_it_to_a_volume(ledger: Ledger) -> None:
    """A second copy is no news; and a dump that was not heard of is that of its run, if known."""
    dump = begin(ledger, "laptop")
    ledger.runs.end(dump.id, NOON, end())
    stored = verdict(STORED)
    first = begin(ledger, timestamp=LATER)
    ledger.runs.end(first.id, NOON, end(stored))
    second = begin(ledger, timestamp="20261124150000")
    ledger.runs.end(second.id, NOON, end(stored))
    assert ledger.verdicts.of_run(dump.id) == ledger.verdicts.of_run(first.id) == [stored]
    assert ledger.verdicts.of_run(second.id) == []


def test_what_is_on_a_volume_stays_there(ledger: Ledger) -> None:
    """Whatever is said later of that dump."""
    row = begin(ledger, "laptop")
    ledger.verdicts.note(row.id, [verdict(STORED)])
    ledger.runs.end(row.id, NOON, end(verdict(FAILED)))
    take_in(ledger, log_file(STAMP), run_log(STAMP, verdict(DumpState.MISSING)))
    assert ledger.verdicts.newest_confirmed("daily", "laptop")["/home"].state is STORED


def test_names_that_are_no_utf8_are_kept(ledger: Ledger) -> None:
    """They come back as they were, are found again, and no two of them are taken for one."""
    names = [
        "/caf\udce9",
        r"/caf\udce9",
        "/café",
        "\\",
        "\\\\",
        'a "b" \n',
        "\udc80\udcff",
        "/日本",
    ]
    row = begin(ledger, "laptop")
    words = [verdict(HELD, disk=name) for name in names]
    ledger.runs.end(row.id, NOON, end(*words))
    flush = begin(ledger, timestamp=LATER)
    ledger.runs.end(flush.id, NOON, end(*(verdict(STORED, disk=name) for name in names[::2])))
    found = ledger.verdicts.newest_confirmed("daily", "laptop")
    assert set(found) == set(names)
    stored = {name for name, word in found.items() if word.state is STORED}
    assert stored == set(names[::2])


def test_a_reason_may_hold_anything(ledger: Ledger) -> None:
    """A log is foreign text, with a NUL in it if need be."""
    row = begin(ledger, "laptop")
    odd = replace(verdict(FAILED, None), reason="a\0b\udcff\\u0000 é")
    ledger.runs.end(row.id, NOON, end(odd))
    assert ledger.verdicts.of_run(row.id) == [odd]


# -- protections


def test_a_failed_dump_asks_for_protection_until_amanda_is_told(ledger: Ledger) -> None:
    """Written with the end of the run, so that no crash comes between."""
    row = begin(ledger, "laptop")
    unbegun = replace(verdict(FAILED, disk="/var"), has_begun=False)
    words = (verdict(FAILED), verdict(FAILED, 2, disk="/srv"), unbegun)
    ledger.runs.end(row.id, NOON, end(*words))
    force, no_bump = ledger.protections.list_pending("daily")
    assert [(need.disk, need.kind, need.level) for need in (force, no_bump)] == [
        ("/home", ProtectionKind.FORCE, 0),
        ("/srv", ProtectionKind.FORCE_NO_BUMP, 2),
    ]
    assert {(need.timestamp, need.dumped_at) for need in (force, no_bump)} == {
        (STAMP, verdict(FAILED).dumped_at)
    }
    assert ledger.protections.list_pending("weekly") == []
    assert ledger.protections.note_made("daily", force, NOON)
    assert ledger.protections.list_pending("daily") == [no_bump]
    take_in(ledger, log_file(STAMP), run_log(STAMP, *words))
    assert ledger.protections.list_pending("daily") == [no_bump]


def test_a_good_dump_settles_what_was_asked_for(ledger: Ledger) -> None:
    """Nobody is forced to a full dump by a failure that is fixed."""
    row = begin(ledger, "laptop", timestamp=EARLIER)
    ledger.runs.end(row.id, NOON, end(verdict(HELD, 0, timestamp=EARLIER)))
    row = begin(ledger, "laptop")
    ledger.runs.end(row.id, NOON, end(verdict(FAILED, 1)))
    (need,) = ledger.protections.list_pending("daily")
    row = begin(ledger, "laptop", timestamp=LATER)
    ledger.runs.end(row.id, NOON, end(verdict(HELD, 1, timestamp=LATER)))
    assert ledger.protections.list_pending("daily") == []
    assert not ledger.protections.note_made("daily", need, NOON)


def test_what_amanda_was_told_of_an_older_failure_does_not_do(ledger: Ledger) -> None:
    """Another dump failed while it was being told."""
    row = begin(ledger, "laptop", timestamp=EARLIER)
    ledger.runs.end(row.id, NOON, end(verdict(HELD, 0, timestamp=EARLIER)))
    row = begin(ledger, "laptop")
    ledger.runs.end(row.id, NOON, end(verdict(FAILED, 1)))
    (need,) = ledger.protections.list_pending("daily")
    row = begin(ledger, "laptop", timestamp=LATER)
    ledger.runs.end(row.id, NOON, end(verdict(FAILED, 1, timestamp=LATER)))
    assert not ledger.protections.note_made("daily", need, NOON)
    (need,) = ledger.protections.list_pending("daily")
    assert need.timestamp == LATER


def test_an_old_failure_asks_for_nothing(ledger: Ledger) -> None:
    """Its log may be taken in after that of a newer dump."""
    row = begin(ledger, "laptop", timestamp=LATER)
    ledger.runs.end(row.id, NOON, end(verdict(HELD, timestamp=LATER)))
    take_in(ledger, log_file(STAMP), run_log(STAMP, verdict(FAILED)))
    assert ledger.protections.list_pending("daily") == []


# -- sessions


def test_when_a_client_was_last_there(ledger: Ledger) -> None:
    """When it went; for one whose end nobody saw, when it came."""
    left = ledger.sessions.begin("laptop", "daily", NOON)
    ledger.sessions.begin("desktop", "daily", NOON)
    ledger.sessions.end(left, NOON + MINUTE, "bye")
    assert ledger.sessions.end_all(NOON + 60 * MINUTE, "the dispatcher died") == 1
    assert ledger.sessions.end_all(NOON + 61 * MINUTE, "again") == 0
    ledger.sessions.end(left, NOON + 99 * MINUTE, "twice")
    assert ledger.sessions.last_seen() == {"laptop": NOON + MINUTE, "desktop": NOON}
    ledger.sessions.begin("laptop", "daily", NOON + 70 * MINUTE)
    assert ledger.sessions.last_seen()["laptop"] == NOON + 70 * MINUTE


def test_a_time_without_a_zone_is_refused(ledger: Ledger) -> None:
    """Nobody knows when that is."""
    with pytest.raises(Exception, match="has no time zone"):
        ledger.sessions.begin("laptop", "daily", NOON.replace(tzinfo=None))
    assert ledger.sessions.last_seen() == {}


def test_what_is_old_is_forgotten_but_for_each_clients_newest(ledger: Ledger) -> None:
    """Requests and sessions; runs and verdicts stay."""
    for client in ("laptop", "laptop", "desktop"):
        request = ledger.requests.open(client, "daily", NOON)
        ledger.requests.finish(request.id, NOON, "")
        ledger.sessions.end(ledger.sessions.begin(client, "daily", NOON), NOON, "bye")
    row = begin(ledger, "open")
    ledger.verdicts.note(row.id, [verdict(HELD)])
    assert ledger.forget(NOON) == 0
    assert ledger.forget(NOON + MINUTE) == 2
    assert ledger.forget(NOON + MINUTE) == 0
    assert set(ledger.sessions.last_seen()) == {"laptop", "desktop"}
    assert ledger.requests.find_last("laptop")
    assert [request.client for request in ledger.requests.list_open()] == ["open"]
    assert ledger.verdicts.newest_confirmed("daily", "laptop")


# -- logs


def test_a_log_is_taken_in_once(ledger: Ledger) -> None:
    """A run of somebody else's, with all that its log says; the second time nothing changes."""
    log = run_log(STAMP, verdict(STORED), verdict(FAILED, 1, host="desktop"))
    assert take_in(ledger, log_file(STAMP), log)
    row = ledger.runs.find("daily", STAMP)
    assert row
    assert (row.kind, row.hosts, row.pid) == (RunKind.OTHER, ("desktop", "laptop"), 4711)
    assert (row.begun_at, row.ended_at, row.labels) == (NOON, NOON + MINUTE, ("daily-7",))
    assert (row.is_clean, row.remark) == (True, "amdump")
    assert set(ledger.verdicts.newest_confirmed("daily", "laptop")) == {"/home"}
    assert [need.host for need in ledger.protections.list_pending("daily")] == ["desktop"]
    empty = run_log(STAMP, verdict(DumpState.MISSING))
    assert not take_in(ledger, log_file(STAMP), empty)
    assert ledger.runs.find("daily", STAMP) == row
    assert ledger.logs.list_taken("daily") == {f"log.{STAMP}.0": 100}
    assert ledger.logs.list_taken("weekly") == {}


def test_a_log_that_has_grown_is_taken_in_anew(ledger: Ledger) -> None:
    """It was cut off, and what came after is added."""
    cut = run_log(STAMP, verdict(FAILED))
    take_in(ledger, log_file(STAMP), cut)
    (need,) = ledger.protections.list_pending("daily")
    whole = run_log(STAMP, verdict(HELD))
    assert take_in(ledger, log_file(STAMP, size=200), whole)
    assert need.level == 0
    assert ledger.protections.list_pending("daily") == []
    assert set(ledger.verdicts.newest_confirmed("daily", "laptop")) == {"/home"}
    assert len(ledger.runs.list_recent()) == 1


def test_the_log_of_our_own_run_is_added_to_that(ledger: Ledger) -> None:
    """While it lives it is the dispatcher that ends it."""
    row = begin(ledger, "laptop")
    assert take_in(ledger, log_file(STAMP), run_log(STAMP, verdict(HELD)))
    assert [run.id for run in ledger.runs.list_live()] == [row.id]
    assert [run.kind for run in ledger.runs.list_recent()] == [RunKind.BATCH]
    assert ledger.verdicts.of_run(row.id) == [verdict(HELD)]
    assert [request.state for request in ledger.requests.list_open()] == [RequestState.RUNNING]


def test_what_a_run_was_judged_stands_when_its_log_is_read_again(ledger: Ledger) -> None:
    """Only its end knew why it was killed, say; a dump that is there by now counts anyway."""
    row = begin(ledger, "laptop")
    judged = replace(verdict(DumpState.MISSING), reason="it was ended because it was stuck")
    ledger.runs.end(row.id, NOON, end(judged, is_clean=False))
    take_in(ledger, log_file(STAMP), run_log(STAMP, verdict(DumpState.CLAIMED)))
    assert ledger.verdicts.of_run(row.id) == [judged]
    take_in(ledger, log_file(STAMP, 200), run_log(STAMP, verdict(HELD)))
    assert [word.state for word in ledger.verdicts.of_run(row.id)] == [HELD]


def test_a_run_whose_log_was_taken_in_before_it_was_known_to_be_ours(ledger: Ledger) -> None:
    """Once its timestamp is known the two are one."""
    row = ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [], NOON)
    old = verdict(STORED, timestamp="20261101000000")
    take_in(ledger, log_file(STAMP), run_log(STAMP, verdict(HELD), old))
    assert len(ledger.runs.list_recent()) == 2
    ledger.runs.note(row.id, timestamp=STAMP)
    assert [run.id for run in ledger.runs.list_recent()] == [row.id]
    assert ledger.verdicts.of_run(row.id) == [old, verdict(HELD)]


def test_two_runs_of_ours_never_become_one(ledger: Ledger) -> None:
    """That would be a bug, which is not to be papered over with a run less."""
    begin(ledger)
    second = ledger.runs.begin(RunKind.BATCH, "daily", [], [], NOON)
    with pytest.raises(IntegrityError):
        ledger.runs.note(second.id, timestamp=STAMP)
    assert len(ledger.runs.list_live()) == 2


def test_the_log_of_a_flush_may_be_taken_in_before_that_of_the_dump(ledger: Ledger) -> None:
    """In the end it is anyway."""
    flush = run_log(LATER, DleVerdict("laptop", "/home", STAMP, STORED), program="amflush")
    take_in(ledger, log_file(LATER), flush)
    assert ledger.verdicts.newest_confirmed("daily", "laptop")["/home"].level is None
    take_in(ledger, log_file(STAMP), run_log(STAMP, verdict(HELD, 1)))
    dump, flushed = (ledger.runs.find("daily", stamp) for stamp in (STAMP, LATER))
    assert dump
    assert flushed
    (stored,) = ledger.verdicts.of_run(dump.id)
    assert (stored.state, stored.level) == (STORED, 1)
    assert ledger.verdicts.of_run(flushed.id) == [stored]


def test_a_log_of_no_run_is_only_known_to_be_none(ledger: Ledger) -> None:
    """A restore's, which reports no DLE, or one that is invalid."""
    assert take_in(ledger, log_file(STAMP), None)
    assert take_in(ledger, log_file(LATER), run_log(LATER, program="amfetchdump"))
    assert len(ledger.logs.list_taken("daily")) == 2
    assert ledger.runs.list_recent() == []


# -- locks


def test_one_writes_at_a_time(ledger: Ledger) -> None:
    """Who comes second waits before it reads, and is told that the ledger is busy; readers read."""
    request = ledger.requests.open("laptop", "daily", NOON)
    with transaction(ledger.engine, is_writing=True):
        with pytest.raises(LedgerBusy):
            ledger.requests.open("laptop", "daily", NOON)
        assert ledger.requests.list_open() == [request]
    assert ledger.requests.withdraw(request.id, NOON, "left")


# -- the file


def open_file(folder: Path) -> Ledger:
    """The ledger in that folder."""
    return Ledger.open(str(folder / "ledger.sqlite"), PATIENCE)


def test_what_is_written_is_there_after_opening_anew(tmp_path: Path) -> None:
    """And no remark is made of a ledger that is well."""
    first = open_file(tmp_path)
    request = first.requests.open("laptop", "daily", NOON)
    first.close()
    again = open_file(tmp_path)
    assert (again.remark, again.requests.list_open()) == ("", [request])
    again.close()


# The writer ends a run over and over, and is killed in the middle of it.
WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from asyncamanda.core.dispatch.records import RunEnd, RunKind
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.server.ledger.ledger import Ledger
ledger = Ledger.open(sys.argv[1], timedelta(seconds=5))
for number in range(100_000):
    now, stamp = datetime.now(UTC), f"2026{number:010}"
    request = ledger.requests.open("laptop", "daily", now)
    run = ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [request.id], now)
    ledger.runs.note(run.id, timestamp=stamp)
    dumps = [DleVerdict("laptop", f"/{n}", stamp, DumpState.FAILED, 1, has_begun=True)
             for n in range(200)]
    print(number, flush=True)
    ledger.runs.end(run.id, now, RunEnd(0, True, tuple(dumps)))
"""


def test_a_kill_at_any_moment_leaves_a_transaction_whole_or_undone(tmp_path: Path) -> None:
    """Killed again and again, later each time: run, verdicts, requests and protections agree."""
    for number in range(8):
        folder = tmp_path / str(number)
        folder.mkdir()
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, folder / "ledger.sqlite"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout
        for _ in range(3):
            writer.stdout.readline()
        time.sleep(0.002 * number)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        ledger = open_file(folder)
        assert ledger.remark == ""
        for row in ledger.runs.list_recent("daily"):
            assert len(ledger.verdicts.of_run(row.id)) == (200 if row.ended_at else 0)
        last = ledger.requests.find_last("laptop")
        assert last
        run = ledger.runs.get(last.run_id) if last.run_id else None
        if run:
            assert (run.ended_at is None) == last.state.is_open
        stamps = {need.timestamp for need in ledger.protections.list_pending("daily")}
        newest = max(
            row.timestamp or "" for row in ledger.runs.list_recent("daily") if row.ended_at
        )
        assert stamps == {newest}
        ledger.close()


def test_a_lock_is_waited_for_with_patience_and_no_longer(tmp_path: Path) -> None:
    """Another program writes: busy is said in time, nothing is changed, and it works after."""
    ledger = open_file(tmp_path)
    request = ledger.requests.open("laptop", "daily", NOON)
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    with pytest.raises(LedgerBusy, match="is locked by another program"):
        ledger.requests.withdraw(request.id, NOON, "left")
    assert PATIENCE.total_seconds() * 0.9 < time.monotonic() - begun < at_most(3)
    assert ledger.requests.list_open() == [request]  # reading goes on meanwhile
    with pytest.raises(LedgerUnavailable, match="is locked by another program"):
        open_file(tmp_path)
    other.execute("ROLLBACK")
    other.close()
    assert ledger.requests.withdraw(request.id, NOON, "left")
    ledger.close()


def test_a_reader_sees_what_is_written_meanwhile(tmp_path: Path) -> None:
    """And cannot keep the dispatcher from writing."""
    ledger = open_file(tmp_path)
    reader = Ledger.open(str(tmp_path / "ledger.sqlite"), PATIENCE, is_owner=False)
    with reader.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM requests")).scalar_one() == 0
        request = ledger.requests.open("laptop", "daily", NOON)
        assert connection.execute(text("SELECT count(*) FROM requests")).scalar_one() == 0
    assert reader.requests.list_open() == [request]
    reader.close()
    ledger.close()


def test_who_only_reads_makes_nothing_and_mends_nothing(tmp_path: Path) -> None:
    """Neither a ledger where there is none, nor a new one for a damaged one."""
    path = tmp_path / "ledger.sqlite"
    with pytest.raises(LedgerUnavailable, match="there is no ledger"):
        Ledger.open(str(path), PATIENCE, is_owner=False)
    assert not path.exists()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerDamaged):
        Ledger.open(str(path), PATIENCE, is_owner=False)
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.sqlite"]


def _cut_short(path: Path) -> None:
    """Leave out the file's second half."""
    os.truncate(path, path.stat().st_size // 2)


def _scribble(path: Path) -> None:
    """Write over a page in the middle."""
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * 4096)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no database": lambda path: path.write_bytes(b"nonsense" * 1000),
    "zeros": lambda path: path.write_bytes(bytes(8192)),
    "cut short": _cut_short,
    "a page of nonsense": _scribble,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    """Kept as it was, with what lay beside it; the remark says where and why."""
    path = tmp_path / "ledger.sqlite"
    ledger = open_file(tmp_path)
    ledger.requests.open("laptop", "daily", NOON)
    ledger.close()
    damage(path)
    damaged = path.read_bytes()
    ledger = open_file(tmp_path)
    (aside,) = (p for p in tmp_path.glob("ledger.sqlite.damaged-*Z"))
    assert aside.read_bytes() == damaged
    assert aside.name in ledger.remark
    assert "is damaged" in ledger.remark
    assert ledger.requests.list_open() == []
    assert ledger.requests.open("laptop", "daily", NOON).state is RequestState.QUEUED
    ledger.close()


def test_what_sqlite_keeps_beside_a_damaged_file_is_set_aside_with_it(tmp_path: Path) -> None:
    """It is there as long as somebody reads, and must not be taken for the new file's."""
    open_file(tmp_path).close()
    reader = sqlite3.connect(tmp_path / "ledger.sqlite")
    reader.execute("SELECT * FROM ledger").fetchall()
    _scribble(tmp_path / "ledger.sqlite")
    ledger = open_file(tmp_path)
    ends = {path.name.partition("Z")[2] for path in tmp_path.glob("*.damaged-*")}
    assert ends == {"", "-wal", "-shm"}
    ledger.close()
    reader.close()


def test_a_file_that_is_taken_away_is_noticed(tmp_path: Path) -> None:
    """SQLite would go on writing into nothing; opened again it works."""
    path = tmp_path / "ledger.sqlite"
    ledger = open_file(tmp_path)
    assert not ledger.is_gone()
    ledger.requests.open("laptop", "daily", NOON)
    assert not ledger.is_gone()
    path.unlink()
    assert ledger.is_gone()
    ledger.close()
    again = open_file(tmp_path)
    assert not again.is_gone()
    path.rename(tmp_path / "elsewhere")
    other = open_file(tmp_path)
    assert again.is_gone()
    again.close()
    other.close()


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("no/such/folder/ledger.sqlite", "unable to open database file"),
        (".", "unable to open database file"),
        ("mysql://root@localhost/x", "cannot be kept in mysql"),
        ("://", "cannot be read"),
    ],
)
def test_a_place_that_cannot_be_used_is_named_with_the_reason(
    tmp_path: Path, where: str, says: str
) -> None:
    """With a hint at what to do."""
    place = where if "://" in where else str(tmp_path / where)
    with pytest.raises(LedgerUnavailable, match=says) as caught:
        Ledger.open(place, PATIENCE)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("by", "hint"),
    [
        (1, "install the newer asyncamanda again"),
        (-1, "install the older asyncamanda again, or move this ledger away"),
    ],
)
def test_a_ledger_of_another_format_is_left_alone(tmp_path: Path, by: int, hint: str) -> None:
    """This asyncamanda would misread it; which one reads it depends on which is older."""
    open_file(tmp_path).close()
    other = sqlite3.connect(tmp_path / "ledger.sqlite")
    other.execute("UPDATE ledger SET format = ?", (FORMAT + by,))
    other.commit()
    other.close()
    with pytest.raises(LedgerUnavailable, match="another asyncamanda") as caught:
        open_file(tmp_path)
    assert hint in caught.value.hint
    assert list(tmp_path.glob("*.damaged-*")) == []


def _is_open(path: Path) -> bool:
    """Return whether this process has the file open."""
    links = list(Path("/proc/self/fd").iterdir())
    return any(os.path.realpath(link) == str(path) for link in links)


@pytest.mark.parametrize("is_owner", [True, False])
def test_a_ledger_that_cannot_be_used_is_let_go(tmp_path: Path, *, is_owner: bool) -> None:
    """A connection would else live as long as the error, and Python 3.13 complains of it."""
    path = tmp_path / "ledger.sqlite"
    open_file(tmp_path).close()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE ledger SET format = 99")
    with pytest.raises(LedgerUnavailable) as caught:
        Ledger.open(str(path), PATIENCE, is_owner=is_owner)
    assert (caught.value.reference, _is_open(path)) == ("ledger-format", False)


def test_a_damaged_ledger_that_is_only_read_is_let_go(tmp_path: Path) -> None:
    """Whether its pages are damaged, or it is no database at all."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"nonsense" * 1000)
    with pytest.raises(LedgerDamaged) as caught:
        Ledger.open(str(path), PATIENCE, is_owner=False)
    assert (caught.value.reference, _is_open(path)) == ("ledger-damaged", False)


def test_a_ledger_that_becomes_damaged_in_use_is_said_to_be(tmp_path: Path) -> None:
    """No foreign error comes out, and the next opening fixes it."""
    ledger = open_file(tmp_path)
    path = tmp_path / "ledger.sqlite"
    ledger.requests.open("laptop", "daily", NOON)
    ledger.close()
    path.write_bytes(b"nonsense" * 1000)
    with pytest.raises(LedgerDamaged, match="is damaged"):
        ledger.requests.list_open()
    again = open_file(tmp_path)
    assert again.remark
    again.close()


def test_a_commit_is_on_the_disk_before_it_is_answered(tmp_path: Path) -> None:
    """A power cut takes back nothing that a client was told."""
    ledger = open_file(tmp_path)
    with ledger.engine.connect() as connection:
        found = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()
            for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 200,
    }
    ledger.close()


@pytest.mark.parametrize("column", ["kind", "hosts", "begun_at"])
def test_a_run_that_makes_no_sense_is_set_aside_and_stops_nothing(
    ledger: Ledger, column: str
) -> None:
    """It is named and ended; the others are there, and so are their requests."""
    bad, good = begin(ledger, "tower", timestamp=EARLIER), begin(ledger, "laptop")
    spoil(ledger, "runs", column, bad.id)
    assert [run.id for run in ledger.runs.list_live()] == [good.id]
    (words,) = ledger.set_bad_rows_aside(NOON)
    assert words.startswith(f"run {bad.id} of the ledger is set aside because its row is invalid:")
    assert ledger.set_bad_rows_aside(NOON) == []
    assert [run.id for run in ledger.runs.list_recent("daily")] == [good.id]
    assert not ledger.runs.mean_duration("daily")
    assert len(ledger.bad_rows) == 1


@pytest.mark.parametrize("column", ["submitted_at", "ended_at"])
def test_a_request_that_makes_no_sense_is_set_aside_and_its_client_may_ask_again(
    ledger: Ledger, column: str
) -> None:
    """As others may."""
    bad = ledger.requests.open("laptop", "daily", NOON)
    good = ledger.requests.open("tower", "daily", NOON)
    spoil(ledger, "requests", column, bad.id)
    assert [request.id for request in ledger.requests.list_open()] == [good.id]
    (words,) = ledger.set_bad_rows_aside(NOON)
    assert words.startswith(f"request {bad.id} of the ledger is set aside")
    assert ledger.requests.open("laptop", "daily", NOON).id > bad.id


def test_a_time_without_a_zone_makes_no_sense(ledger: Ledger) -> None:
    """It cannot be compared with another, and whoever tried would end."""
    bad = ledger.requests.open("laptop", "daily", NOON)
    good = ledger.requests.open("tower", "daily", NOON)
    spoil(ledger, "requests", "submitted_at", bad.id, "2026-11-24T12:00:00")
    assert [request.id for request in ledger.requests.list_open()] == [good.id]
    assert len(ledger.set_bad_rows_aside(NOON)) == 1


def test_a_text_that_is_damaged_stops_nothing_else(tmp_path: Path) -> None:
    """SQLite keeps what is not UTF-8, as a disk that lies may leave it."""
    ledger = open_file(tmp_path)
    bad, good = begin(ledger, "tower", timestamp=EARLIER), begin(ledger, "laptop")
    with transaction(ledger.engine, is_writing=True) as connection:
        for what in ("kind", "remark"):
            broken = f"UPDATE runs SET {what} = CAST(x'ff' AS TEXT) WHERE id = {bad.id}"  # noqa: S608 - ours
            connection.execute(text(broken))
    assert [run.id for run in ledger.runs.list_live()] == [good.id]
    assert len(ledger.set_bad_rows_aside(NOON)) == 1
    ledger.close()


def test_a_verdict_that_makes_no_sense_hides_no_other(ledger: Ledger) -> None:
    """The dump of which it is counts as none."""
    run = begin(ledger, "laptop")
    words = [verdict(HELD), verdict(HELD, disk="/srv")]
    ledger.runs.end(run.id, NOON + MINUTE, RunEnd(0, True, tuple(words)))
    with transaction(ledger.engine, is_writing=True) as connection:
        connection.execute(text("UPDATE verdicts SET state = 'held?' WHERE disk = '/home'"))
    assert [one.disk for one in ledger.verdicts.of_run(run.id)] == ["/srv"]
    with transaction(ledger.engine, is_writing=True) as connection:
        connection.execute(
            text("UPDATE verdicts SET state = 'held', dumped_at = 'no' WHERE disk = '/home'")
        )
    assert set(ledger.verdicts.newest_confirmed("daily", "laptop")) == {"/srv"}
    assert any("the ledger's verdicts is invalid" in words for words in ledger.bad_rows)
    ledger.runs.end(run.id, NOON + MINUTE, RunEnd(0, True, tuple(words)))
    assert set(ledger.verdicts.newest_confirmed("daily", "laptop")) == {"/home", "/srv"}


def test_a_run_that_makes_no_sense_keeps_no_timestamp_from_another(ledger: Ledger) -> None:
    """Be it ours, or one that is known by its log."""
    for stamp in (STAMP, LATER):
        bad = begin(ledger, "tower", timestamp=stamp)
        ledger.runs.end(bad.id, NOON, RunEnd(0, True))
        spoil(ledger, "runs", "begun_at", bad.id)
    assert ledger.runs.get(begin(ledger, "laptop").id).timestamp == STAMP
    file = LogFile(f"log.{LATER}.0", 1, NOON, NOON)
    log = RunLog("amdump", 1, LATER, (("tower", "/d"),), (), True, (), ())
    ledger.logs.take_in("daily", file, log, (), NOON)
    assert {run.timestamp for run in ledger.runs.list_recent("daily")} == {STAMP, LATER}


def test_a_run_that_came_to_nothing_puts_some_of_its_clients_back(ledger: Ledger) -> None:
    """As old as they were; the others' requests are done."""
    run = begin(ledger, "laptop", "tower")
    laptop, tower = ledger.requests.list_open()
    ledger.runs.end(run.id, NOON + MINUTE, RunEnd(9, False), again=[laptop.id])
    assert ledger.requests.list_open() == [
        replace(laptop, state=RequestState.QUEUED, run_id=None),
    ]
    last = ledger.requests.find_last("tower")
    assert last
    assert (last.id, last.state) == (tower.id, RequestState.DONE)


DEEP = "[" * 20_000 + "]" * 20_000


def test_a_run_whose_names_are_nested_too_deeply_is_set_aside(ledger: Ledger) -> None:
    """It ends no dispatcher: the others are there."""
    bad, good = begin(ledger, "tower", timestamp=EARLIER), begin(ledger, "laptop")
    spoil(ledger, "runs", "hosts", bad.id, DEEP)
    assert [run.id for run in ledger.runs.list_live()] == [good.id]
    (words,) = ledger.set_bad_rows_aside(NOON)
    assert words.endswith("its row is invalid: it is nested too deeply")


def test_a_dump_whose_filters_are_nested_too_deeply_has_none_recorded(ledger: Ledger) -> None:
    """And hides no other."""
    run = begin(ledger, "laptop")
    words = [verdict(HELD), verdict(HELD, disk="/srv")]
    ledger.verdicts.note(run.id, words, {(word.host, word.disk): FAST for word in words})
    with transaction(ledger.engine, is_writing=True) as connection:
        update = text("UPDATE verdicts SET filters = :deep WHERE disk = '/home'")
        connection.execute(update, {"deep": DEEP})
    assert [disk for _, disk, _ in ledger.verdicts.filters_of_run(run.id)] == ["/srv"]


RUN = RunRow(41, "daily", RunKind.BATCH, ("laptop",), NOON, STAMP, 7, 8, "boot")
RUNNING = RequestRow(17, "laptop", "daily", NOON, RequestState.RUNNING, 41)
WAITING = RequestRow(16, "tower", "daily", NOON, RequestState.QUEUED, machine=3)


def test_what_is_open_keeps_its_number_in_a_new_ledger(ledger: Ledger) -> None:
    """Files are named by it; what comes then has another one."""
    taken = take_on(ledger, [RUN], [RUNNING, WAITING, WAITING])
    assert (taken.runs, taken.requests) == ({41: RUN}, {17: RUNNING, 16: WAITING})
    assert ledger.runs.list_live() == [RUN]
    assert ledger.requests.list_open() == [WAITING, RUNNING]
    assert ledger.requests.open("larch", "daily", NOON).id == 18
    assert ledger.runs.begin(RunKind.FLUSH, "daily", [], [], NOON).id == 42


def test_what_is_open_is_known_again_in_a_copy_of_the_ledger(ledger: Ledger) -> None:
    """Which somebody has put in its place, as it was a while ago."""
    request = ledger.requests.open("laptop", "daily", NOON)
    row = ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [request.id], NOON)
    run = replace(RUN, id=row.id)
    running = replace(RUNNING, id=request.id, run_id=run.id)
    taken = take_on(ledger, [run], [running])
    assert (taken.runs, taken.requests) == ({run.id: run}, {request.id: running})
    assert ledger.runs.list_live() == [run]
    assert ledger.requests.list_open() == [running]


def test_what_is_open_gets_another_number_where_its_own_is_taken(ledger: Ledger) -> None:
    """The ledger is another one's: nothing in it becomes ours, and no client has two requests."""
    stamps = STAMP, LATER
    theirs = [ledger.runs.get(begin(ledger, "larch", timestamp=stamp).id) for stamp in stamps]
    own = replace(RUN, id=theirs[0].id, begun_at=NOON + MINUTE)
    older = ledger.requests.open("laptop", "daily", NOON - MINUTE)
    running = replace(RUNNING, id=theirs[0].id, run_id=own.id)
    taken = take_on(ledger, [own], [running])
    run, request = taken.runs[own.id], taken.requests[running.id]
    assert run == replace(own, id=theirs[1].id + 1, timestamp=None)
    assert request == replace(older, state=RequestState.RUNNING, run_id=run.id)
    assert ledger.runs.get(theirs[0].id) == theirs[0]
    assert ledger.runs.list_live("daily") == [*theirs, run]
    assert request in ledger.requests.list_open()


def test_a_run_takes_up_no_request_of_others_by_its_number(ledger: Ledger) -> None:
    """Numbers may be of a ledger that is gone."""
    request = ledger.requests.open("tower", "daily", NOON)
    ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [request.id], NOON)
    assert ledger.requests.list_open() == [request]
