"""Amanda's logs find their way into the ledger: each once, whoever started the run."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncamanda.core.books import ProtectionKind, RunKind, RunRow
from asyncamanda.core.model import DumpState
from asyncamanda.server.intake import scan_logs, take_in_all
from asyncamanda.server.ledger import Ledger

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HELD, STORED, FAILED = DumpState.HELD, DumpState.STORED, DumpState.FAILED
MONDAY, TUESDAY, WEDNESDAY = "20261123010000", "20261124010000", "20261125010000"

BEGIN = """\
INFO amdump amdump pid 101
INFO planner planner pid 103
DISK planner laptop {disk}
START planner date {stamp}
START driver date {stamp}
"""
DUMPED = """\
SUCCESS chunker laptop {disk} {stamp} {level} {crc} {size}
SUCCESS dumper laptop {disk} {stamp} {level} {crc} {crc} {size}
"""
BROKEN = """\
FAIL dumper laptop {disk} {stamp} {level} [data read: Connection reset by peer]
"""
END = """\
FINISH driver date {stamp} time 5.0
INFO amdump pid-done 101
"""
FLUSH = """\
INFO amflush amflush pid 266
DISK amflush laptop {disk}
START amflush date {stamp}
START driver date {stamp}
START taper datestamp {stamp} "ST:daily" "POOL:daily" label DAILY-008 tape 1
PART taper "ST:daily" "POOL:daily" DAILY-008 1 laptop {disk} {dumped} 1/-1 {level} {size}
DONE taper "ST:daily" "POOL:daily" laptop {disk} {dumped} 1 {level} {crc} {crc} {crc} {size}
FINISH driver date {stamp} time 0.2
INFO amflush pid-done 266
"""
TRACE = (
    "driver: send-cmd time 2.077 to chunker0: SHM-WRITE 00-00001 "
    "/holding/{stamp}/laptop._home.1 laptop ffff {disk} 1 {stamp} 1048576 GNUTAR 3008 |;auth=ssh;\n"
)


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """Amanda's logdir, with the folder of old ones."""
    folder = tmp_path / "logs"
    (folder / "oldlog").mkdir(parents=True)
    return folder


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    opened = Ledger.open(str(tmp_path / "ledger.sqlite"), timedelta(seconds=1))
    yield opened
    opened.close()


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server whose local time is an hour ahead of UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1")
        time.tzset()
        yield
    time.tzset()


def put(folder: Path, stamp: str, text: str, level: int = 1, disk: str = "/home") -> Path:
    """Write the log of a run, as Amanda would."""
    path = folder / f"log.{stamp}.0"
    text = text.format(
        stamp=stamp,
        level=level,
        disk=disk,
        dumped=MONDAY,
        crc="2c5e7be1:5130240",
        size="[sec 1.0 kb 5010 kps 5010.0 orig-kb 5010]",
    )
    path.write_text(text, "utf-8", "surrogateescape")
    return path


def take(ledger: Ledger, logdir: Path, *, alive: bool = False) -> list[str]:
    """Take in all; return what the diary is told."""
    return list(take_in_all(ledger, "daily", logdir, lambda _stamp, _pid: alive, NOON))


def run_of(ledger: Ledger, stamp: str) -> RunRow:
    """The run of that timestamp, which there is."""
    row = ledger.run_by_timestamp("daily", stamp)
    assert row
    return row


def test_logs_are_found_oldest_first_wherever_amanda_keeps_them(logdir: Path) -> None:
    """In `logdir` and in its `oldlog`; nothing else that lies there is taken for one."""
    put(logdir, WEDNESDAY, "w")
    put(logdir / "oldlog", MONDAY, "m")
    put(logdir, TUESDAY, "t")
    for number in (10, 9):
        (logdir / f"log.{TUESDAY}.{number}").write_text(f"t{number}")
    for name in ("log.20261123.0", f"amdump.{MONDAY}", f"log.{MONDAY}.0.gz", "log.error"):
        (logdir / name).write_text("no log")
    (logdir / "log").symlink_to(f"log.{WEDNESDAY}.0")
    assert [found.text for found in scan_logs(logdir, {})] == ["m", "t", "t9", "t10", "w"]
    taken = {f"log.{MONDAY}.0": 1, f"log.{TUESDAY}.0": 1, f"log.{WEDNESDAY}.0": 0}
    assert [found.text for found in scan_logs(logdir, taken)] == ["t9", "t10", "w"]


@pytest.mark.usefixtures("in_berlin")
def test_a_log_knows_its_times_and_its_size(logdir: Path) -> None:
    """Begun by its name, which is local time; written by the file's own."""
    path = put(logdir, TUESDAY, "text\n\udce9")
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    (logdir / "log.20269999999999.0").write_text("")
    found, nonsense = scan_logs(logdir, {})
    assert (found.file.size, found.text) == (6, "text\n\udce9")
    assert found.file.begun_at == datetime(2026, 11, 24, 0, tzinfo=UTC)
    assert found.file.written_at == NOON
    assert nonsense.file.begun_at == nonsense.file.written_at


def test_a_log_that_vanishes_or_cannot_be_read_hinders_no_other(
    ledger: Ledger, logdir: Path
) -> None:
    """amtrmlog may move one to `oldlog` at any moment; what cannot be read is named."""
    put(logdir, MONDAY, BEGIN + DUMPED + END)
    moved = put(logdir, TUESDAY, BEGIN + DUMPED + END)
    gone = put(logdir, WEDNESDAY, BEGIN + DUMPED + END)
    (logdir / "log.20261201000000.0").mkdir()
    lines = take_in_all(ledger, "daily", logdir, lambda _stamp, _pid: False, NOON)
    next(lines)
    moved.rename(logdir / "oldlog" / moved.name)
    gone.unlink()
    assert list(lines) == [
        f"log.{TUESDAY}.0 taken in: amdump, verdicts: 1",
        "log.20261201000000.0 cannot be read: Is a directory",
    ]
    assert set(ledger.logs_taken("daily")) == {f"log.{MONDAY}.0", moved.name}


def test_a_missing_logdir_is_an_error(ledger: Ledger, tmp_path: Path) -> None:
    """Nobody should take it for one without logs."""
    with pytest.raises(FileNotFoundError):
        take(ledger, tmp_path / "nowhere")


def test_each_log_is_taken_in_once_before_and_after(ledger: Ledger, logdir: Path) -> None:
    """What was there before the ledger, and what the night brings: with all that it says."""
    put(logdir / "oldlog", MONDAY, BEGIN + DUMPED + END, level=0)
    assert len(take(ledger, logdir)) == 1
    assert take(ledger, logdir) == []
    put(logdir, TUESDAY, BEGIN + DUMPED + END)
    assert take(ledger, logdir) == [f"log.{TUESDAY}.0 taken in: amdump, verdicts: 1"]
    assert take(ledger, logdir) == []
    nightly = run_of(ledger, TUESDAY)
    assert (nightly.kind, nightly.hosts, nightly.pid) == (RunKind.OTHER, ("laptop",), 101)
    assert nightly.is_clean
    assert [row.timestamp for row in ledger.recent_runs("daily")] == [TUESDAY, MONDAY]
    newest = ledger.newest_confirmed("daily", "laptop")["/home"]
    assert (newest.timestamp, newest.state, newest.level) == (TUESDAY, HELD, 1)


def test_a_log_that_moves_to_oldlog_is_not_taken_in_again(ledger: Ledger, logdir: Path) -> None:
    """It is the same log."""
    path = put(logdir, MONDAY, BEGIN + DUMPED + END)
    take(ledger, logdir)
    path.rename(logdir / "oldlog" / path.name)
    assert take(ledger, logdir) == []


def test_a_flush_turns_what_was_held_into_stored(ledger: Ledger, logdir: Path) -> None:
    """And the dump keeps the level that its own run had told."""
    put(logdir, MONDAY, BEGIN + DUMPED + END, level=2)
    take(ledger, logdir)
    put(logdir, TUESDAY, FLUSH, level=2)
    take(ledger, logdir)
    dump = ledger.newest_confirmed("daily", "laptop")["/home"]
    assert (dump.timestamp, dump.state, dump.level) == (MONDAY, STORED, 2)
    flush = run_of(ledger, TUESDAY)
    assert (flush.labels, flush.remark) == (("DAILY-008",), "amflush")
    assert ledger.verdicts_of(flush.id) == [dump]


def test_the_log_of_our_own_run_is_added_to_it(ledger: Ledger, logdir: Path) -> None:
    """No second run comes of it."""
    request = ledger.open_request("laptop", "daily", NOON)
    row = ledger.begin_run(RunKind.BATCH, "daily", ["laptop"], [request.id], NOON)
    ledger.note_run(row.id, timestamp=MONDAY)
    put(logdir, MONDAY, BEGIN + DUMPED + END)
    take(ledger, logdir)
    assert [(run.id, run.kind) for run in ledger.recent_runs()] == [(row.id, RunKind.BATCH)]
    assert [word.state for word in ledger.verdicts_of(row.id)] == [HELD]
    assert [run.id for run in ledger.live_runs()] == [row.id]


def test_a_run_that_goes_on_is_not_taken_in(ledger: Ledger, logdir: Path) -> None:
    """Its log is not its last word: a dump may fail and be tried again."""
    path = put(logdir, MONDAY, BEGIN + BROKEN)
    asked = []

    def is_alive(stamp: str, pid: int) -> bool:
        asked.append((stamp, pid))
        return True

    lines = list(take_in_all(ledger, "daily", logdir, is_alive, NOON))
    assert lines == [f"{path.name} is of a run that goes on"]
    assert asked == [(MONDAY, 101)]
    assert (ledger.recent_runs(), ledger.logs_taken("daily")) == ([], {})
    put(logdir, MONDAY, BEGIN + BROKEN + DUMPED + END)
    take(ledger, logdir, alive=True)
    assert [word.state for word in ledger.newest_verdicts("daily").values()] == [HELD]
    assert ledger.pending_protections("daily") == []


def test_a_crashed_runs_log_is_its_last_word(ledger: Ledger, logdir: Path) -> None:
    """Its processes are gone: what it has no result of is missing, and may have been begun."""
    (logdir / f"amdump.{MONDAY}").write_text(TRACE.format(stamp=MONDAY, disk="/home"))
    put(logdir, MONDAY, BEGIN)
    assert take(ledger, logdir) == [f"log.{MONDAY}.0 taken in: amdump, verdicts: 1, cut off"]
    assert take(ledger, logdir) == []
    word = ledger.newest_verdicts("daily")["laptop", "/home"]
    assert (word.state, word.level, word.has_begun) == (DumpState.MISSING, 1, True)
    assert not run_of(ledger, MONDAY).is_clean
    (need,) = ledger.pending_protections("daily")
    assert (need.kind, need.level) == (ProtectionKind.FORCE_NO_BUMP, 1)
    put(logdir, MONDAY, BEGIN + DUMPED + END)  # it went on after all
    take(ledger, logdir)
    assert ledger.newest_verdicts("daily")["laptop", "/home"].state is HELD
    assert ledger.pending_protections("daily") == []


def test_a_run_that_crashed_before_it_named_itself(ledger: Ledger, logdir: Path) -> None:
    """Its log's name tells what it is called."""
    put(logdir, MONDAY, "INFO amdump amdump pid 101\nDISK planner laptop {disk}\n")
    take(ledger, logdir)
    (word,) = ledger.verdicts_of(run_of(ledger, MONDAY).id)
    assert (word.timestamp, word.state, word.has_begun) == (MONDAY, DumpState.MISSING, False)


def test_a_failure_asks_for_protection_with_the_log(ledger: Ledger, logdir: Path) -> None:
    """Whoever started the run: the next dump must not build on a false snapshot."""
    put(logdir, MONDAY, BEGIN + BROKEN + END, level=0)
    take(ledger, logdir)
    (need,) = ledger.pending_protections("daily")
    assert (need.timestamp, need.kind) == (MONDAY, ProtectionKind.FORCE)
    put(logdir, TUESDAY, BEGIN + DUMPED + END, level=0)
    take(ledger, logdir)
    assert ledger.pending_protections("daily") == []


def test_a_disk_whose_name_is_no_utf8(ledger: Ledger, logdir: Path) -> None:
    """It is one DLE, from log to log."""
    for stamp in (MONDAY, TUESDAY):
        put(logdir, stamp, BEGIN + DUMPED + END, disk='"/caf\udce9"')
    take(ledger, logdir)
    assert list(ledger.newest_confirmed("daily", "laptop")) == ["/caf\udce9"]


def test_what_is_no_runs_log_is_looked_at_once(ledger: Ledger, logdir: Path) -> None:
    """A restore's, and nonsense; neither is a run."""
    put(logdir, MONDAY, "INFO amidxtaped amidxtaped pid 7\nINFO amidxtaped pid-done 7\n")
    put(logdir, TUESDAY, "nonsense")
    assert len(take(ledger, logdir)) == 2
    assert take(ledger, logdir) == []
    assert ledger.recent_runs() == []


def test_others_get_their_turn_between_two_logs(ledger: Ledger, logdir: Path) -> None:
    """After each line that is yielded one more is taken in, and no lock is held meanwhile."""
    for stamp in (MONDAY, TUESDAY):
        put(logdir, stamp, BEGIN + DUMPED + END)
    lines = take_in_all(ledger, "daily", logdir, lambda _stamp, _pid: False, NOON)
    next(lines)
    assert len(ledger.logs_taken("daily")) == 1
    ledger.open_request("laptop", "daily", NOON)
    next(lines)
    assert len(ledger.logs_taken("daily")) == 2
