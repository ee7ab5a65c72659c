"""Amanda's logs find their way into the ledger: each once, whoever started the run.

And of what they claim as much as the holding disk, the volumes and curinfo show.
"""

import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.system.amandafiles import AmandaFiles
from tests.system.ledger_rows import read_backups, read_newest

from asyncamanda.core.amanda.runlog import RunLog, parse_run_log
from asyncamanda.core.dispatch.records import ProtectionKind, RunEnd, RunKind, RunRow
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.server.ledger import log_import
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.log_import import scan_logs, take_in_all
from asyncamanda.system.clock import parse_local_stamp

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NEW_YEAR = datetime(2100, 1, 1, tzinfo=UTC)  # when logs are taken in: after all that is written
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
_PART = 'PART taper "ST:d" "POOL:d" {label} {file} laptop {{disk}} {{stamp}} {part}/-1 1 x\n'
PARTS = _PART.format(label="D-1", file=7, part=1) + _PART.format(label="D-2", file=1, part=2)
TAPED = (
    'DONE taper "ST:daily" "POOL:daily" laptop {disk} {stamp} 2 {level} {crc} {crc} 00000000:0 '
    "[sec 1.0 bytes 10000 kps 5010.0 orig-kb 10]\n"
)
CUT = (
    'PARTIAL taper "ST:daily" "POOL:daily" laptop {disk} {stamp} 2 {level} {crc} {crc} 00000000:0 '
    "[sec 1.0 bytes 10000 kps 5010.0 orig-kb 10]\n"
)
TRACE = (
    "driver: send-cmd time 2.077 to chunker0: SHM-WRITE 00-00001 "
    "/holding/{stamp}/laptop._home.1 laptop ffff {disk} 1 {stamp} 1048576 GNUTAR 3008 |;auth=ssh;\n"
)


@pytest.fixture
def files(tmp_path: Path) -> AmandaFiles:
    """Amanda's folders, all empty."""
    return AmandaFiles(tmp_path)


@pytest.fixture
def logdir(files: AmandaFiles) -> Path:
    """Amanda's logdir, with the folder of old ones."""
    return files.logdir


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


def take(ledger: Ledger, files: AmandaFiles, *, alive: bool = False) -> list[str]:
    """Take in all; return what the log is told."""
    return list(take_in_all(ledger, files.settings, lambda *_: alive, NEW_YEAR))


def gone(*_: object) -> bool:
    """No run goes on."""
    return False


def run_of(ledger: Ledger, stamp: str) -> RunRow:
    """The run of that timestamp, which there is."""
    row = ledger.runs.find("daily", stamp)
    assert row
    return row


def test_a_log_that_nobody_can_take_in_is_set_aside(
    files: AmandaFiles, logdir: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named once, and keeps none of the others out."""
    for stamp in (MONDAY, TUESDAY):
        put(logdir, stamp, f"INFO amdump amdump pid {stamp[-8:]}\n")

    def stumble(text: str, *more: Any) -> RunLog | None:
        if MONDAY[-8:] in text:
            raise ZeroDivisionError("a bug")
        return parse_run_log(text, *more)

    monkeypatch.setattr(log_import, "parse_run_log", stumble)
    aside: set[str] = set()
    said = [list(take_in_all(ledger, files.settings, gone, NEW_YEAR, aside=aside)) for _ in "12"]
    assert "is set aside because it cannot be imported: ZeroDivisionError('a bug')" in said[0][0]
    assert f"log.{TUESDAY}.0 imported" in said[0][1]
    assert (said[1], aside) == ([], {f"log.{MONDAY}.0"})


def test_logs_are_found_oldest_first_wherever_amanda_keeps_them(
    files: AmandaFiles, logdir: Path
) -> None:
    """In `logdir` and in its `oldlog`; nothing else that lies there is taken for one."""
    put(logdir, WEDNESDAY, "w")
    put(logdir / "oldlog", MONDAY, "m")
    put(logdir, TUESDAY, "t")
    for number in (10, 9):
        (logdir / f"log.{TUESDAY}.{number}").write_text(f"t{number}")
    for name in ("log.20261123.0", f"amdump.{MONDAY}", f"log.{MONDAY}.0.gz", "log.error"):
        (logdir / name).write_text("no log")
    (logdir / "log").symlink_to(f"log.{WEDNESDAY}.0")
    assert [found.text for found in scan_logs(files.settings, {}, NEW_YEAR)] == [
        "m",
        "t",
        "t9",
        "t10",
        "w",
    ]
    taken = {f"log.{MONDAY}.0": 1, f"log.{TUESDAY}.0": 1, f"log.{WEDNESDAY}.0": 0}
    assert [found.text for found in scan_logs(files.settings, taken, NEW_YEAR)] == [
        "t9",
        "t10",
        "w",
    ]


@pytest.mark.usefixtures("in_berlin")
def test_a_log_knows_its_times_and_its_size(files: AmandaFiles, logdir: Path) -> None:
    """Begun by its name, which is local time; written by the file's own."""
    path = put(logdir, TUESDAY, "text\n\udce9")
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    (logdir / "log.20269999999999.0").write_text("")
    (found,) = scan_logs(files.settings, {}, NEW_YEAR)
    assert (found.file.size, found.text) == (6, "text\n\udce9")
    assert found.file.begun_at == datetime(2026, 11, 24, 0, tzinfo=UTC)
    assert found.file.written_at == NOON


def test_a_log_that_vanishes_or_cannot_be_read_hinders_no_other(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """amtrmlog may move one to `oldlog` at any moment; what cannot be read is named."""
    put(logdir, MONDAY, BEGIN + DUMPED + END)
    moved = put(logdir, TUESDAY, BEGIN + DUMPED + END)
    removed = put(logdir, WEDNESDAY, BEGIN + DUMPED + END)
    (logdir / "log.20261201000000.0").mkdir()
    lines = take_in_all(ledger, files.settings, gone, NEW_YEAR)
    next(lines)
    moved.rename(logdir / "oldlog" / moved.name)
    removed.unlink()
    assert list(lines) == [
        f"log.{TUESDAY}.0 imported: amdump, verdicts: 1, without a witness: 1",
        "log.20261201000000.0 cannot be read: Is a directory",
    ]
    assert set(ledger.logs.list_taken("daily")) == {f"log.{MONDAY}.0", moved.name}


def test_a_missing_logdir_is_an_error(ledger: Ledger, files: AmandaFiles) -> None:
    """Nobody should take it for one without logs."""
    shutil.rmtree(files.logdir)
    with pytest.raises(FileNotFoundError):
        take(ledger, files)


def test_each_log_is_taken_in_once_before_and_after(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """What was there before the ledger, and what the night brings: with all that it says."""
    put(logdir / "oldlog", MONDAY, BEGIN + DUMPED + END, level=0)
    files.hold(MONDAY, level=0)
    assert len(take(ledger, files)) == 1
    assert take(ledger, files) == []
    put(logdir, TUESDAY, BEGIN + DUMPED + END)
    files.hold(TUESDAY)
    assert take(ledger, files) == [f"log.{TUESDAY}.0 imported: amdump, verdicts: 1"]
    assert take(ledger, files) == []
    nightly = run_of(ledger, TUESDAY)
    assert (nightly.kind, nightly.hosts, nightly.pid) == (RunKind.OTHER, ("laptop",), 101)
    assert nightly.is_clean
    assert [row.timestamp for row in ledger.runs.list_recent("daily")] == [TUESDAY, MONDAY]
    newest = ledger.verdicts.newest_confirmed("daily", "laptop")["/home"]
    assert (newest.timestamp, newest.state, newest.level) == (TUESDAY, HELD, 1)


def test_a_log_that_moves_to_oldlog_is_not_taken_in_again(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """It is the same log."""
    path = put(logdir, MONDAY, BEGIN + DUMPED + END)
    take(ledger, files)
    path.rename(logdir / "oldlog" / path.name)
    assert take(ledger, files) == []


def test_a_flush_turns_what_was_held_into_stored(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """And the dump keeps the level that its own run had told."""
    put(logdir, MONDAY, BEGIN + DUMPED + END, level=0)
    held = files.hold(MONDAY, level=0)
    take(ledger, files)
    held.unlink()
    put(logdir, TUESDAY, FLUSH, level=2)
    take(ledger, files)
    dump = ledger.verdicts.newest_confirmed("daily", "laptop")["/home"]
    assert (dump.timestamp, dump.state, dump.level) == (MONDAY, STORED, 0)
    flush = run_of(ledger, TUESDAY)
    assert (flush.labels, flush.remark) == (("DAILY-008",), "amflush")
    assert ledger.verdicts.of_run(flush.id) == [dump]


def test_the_log_of_our_own_run_is_added_to_it(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """No second run comes of it."""
    request = ledger.requests.open("laptop", "daily", NEW_YEAR)
    row = ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [request.id], NEW_YEAR)
    ledger.runs.note(row.id, timestamp=MONDAY)
    files.hold(MONDAY)
    put(logdir, MONDAY, BEGIN + DUMPED + END)
    take(ledger, files)
    assert [(run.id, run.kind) for run in ledger.runs.list_recent()] == [(row.id, RunKind.BATCH)]
    assert [word.state for word in ledger.verdicts.of_run(row.id)] == [HELD]
    assert [run.id for run in ledger.runs.list_live()] == [row.id]


def test_a_run_that_goes_on_is_not_taken_in(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """Its log is not its last word: a dump may fail and be tried again."""
    path = put(logdir, MONDAY, BEGIN + BROKEN)
    asked = []

    def is_alive(stamp: str, pid: int, written_at: datetime) -> bool:
        asked.append((stamp, pid, round(written_at.timestamp(), 3)))
        return True

    for text in (BEGIN + BROKEN, BEGIN + BROKEN + END):  # whatever it says of its end
        put(logdir, MONDAY, text)
        lines = list(take_in_all(ledger, files.settings, is_alive, NEW_YEAR))
        assert lines == [f"{path.name} is of a run in progress"]
        assert asked[-1] == (MONDAY, 101, round(path.stat().st_mtime, 3))
        assert (ledger.runs.list_recent(), ledger.logs.list_taken("daily")) == ([], {})
    put(logdir, MONDAY, BEGIN + BROKEN + DUMPED + END)
    files.hold(MONDAY, level=0)
    take(ledger, files)
    assert [word.state for word in read_newest(ledger, "daily").values()] == [HELD]
    assert ledger.protections.list_pending("daily") == []


def test_a_crashed_runs_log_is_its_last_word(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """Its processes are gone: what it has no result of is missing, and may have been begun."""
    (logdir / f"amdump.{MONDAY}").write_text(TRACE.format(stamp=MONDAY, disk="/home"))
    put(logdir, MONDAY, BEGIN)
    assert take(ledger, files) == [f"log.{MONDAY}.0 imported: amdump, verdicts: 1, cut off"]
    assert take(ledger, files) == []
    word = read_newest(ledger, "daily")["laptop", "/home"]
    assert (word.state, word.level, word.has_begun) == (DumpState.MISSING, 1, True)
    assert not run_of(ledger, MONDAY).is_clean
    (need,) = ledger.protections.list_pending("daily")
    assert (need.kind, need.level) == (ProtectionKind.FORCE_NO_BUMP, 1)
    put(logdir, MONDAY, BEGIN + DUMPED + END, level=0)  # it went on after all
    files.hold(MONDAY, level=0)
    take(ledger, files)
    assert read_newest(ledger, "daily")["laptop", "/home"].state is HELD
    assert ledger.protections.list_pending("daily") == []


def test_a_run_that_crashed_before_it_named_itself(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """Its log's name tells what it is called."""
    put(logdir, MONDAY, "INFO amdump amdump pid 101\nDISK planner laptop {disk}\n")
    take(ledger, files)
    (word,) = ledger.verdicts.of_run(run_of(ledger, MONDAY).id)
    assert (word.timestamp, word.state, word.has_begun) == (MONDAY, DumpState.MISSING, False)


def test_a_failure_asks_for_protection_with_the_log(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """Whoever started the run: the next dump must not build on a false snapshot."""
    put(logdir, MONDAY, BEGIN + BROKEN + END, level=0)
    take(ledger, files)
    (need,) = ledger.protections.list_pending("daily")
    assert (need.timestamp, need.kind) == (MONDAY, ProtectionKind.FORCE)
    put(logdir, TUESDAY, BEGIN + DUMPED + END, level=0)
    files.hold(TUESDAY, level=0)
    take(ledger, files)
    assert ledger.protections.list_pending("daily") == []


def test_a_disk_whose_name_is_no_utf8(ledger: Ledger, files: AmandaFiles, logdir: Path) -> None:
    """It is one DLE, from log to log."""
    for stamp in (MONDAY, TUESDAY):
        put(logdir, stamp, BEGIN + DUMPED + END, disk='"/caf\udce9"', level=0)
        files.hold(stamp, disk="/caf\udce9", level=0)
    take(ledger, files)
    assert list(ledger.verdicts.newest_confirmed("daily", "laptop")) == ["/caf\udce9"]


def test_what_is_no_runs_log_is_looked_at_once(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """A restore's, and nonsense; neither is a run."""
    put(logdir, MONDAY, "INFO amidxtaped amidxtaped pid 7\nINFO amidxtaped pid-done 7\n")
    put(logdir, TUESDAY, "nonsense")
    assert len(take(ledger, files)) == 2
    assert take(ledger, files) == []
    assert ledger.runs.list_recent() == []


def test_others_get_their_turn_between_two_logs(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """After each line that is yielded one more is taken in, and no lock is held meanwhile."""
    for stamp in (MONDAY, TUESDAY):
        put(logdir, stamp, BEGIN + DUMPED + END)
    lines = take_in_all(ledger, files.settings, gone, NEW_YEAR)
    next(lines)
    assert len(ledger.logs.list_taken("daily")) == 1
    ledger.requests.open("laptop", "daily", NEW_YEAR)
    next(lines)
    assert len(ledger.logs.list_taken("daily")) == 2


# -- witnesses


def state(ledger: Ledger, host: str = "laptop", disk: str = "/home") -> DumpState | None:
    """Return the newest verdict on a DLE, None for none."""
    word = read_newest(ledger, "daily").get((host, disk))
    return word.state if word else None


@pytest.mark.parametrize(
    "hold",
    [
        {"host": "desktop"},
        {"disk": "/homes"},
        {"level": 0, "size": None},
        {"size": 4999},
        {"size": 5001},
        {"name": "laptop._home.1.tmp"},
        {"lines": ["PARTIAL=YES"]},
        {"lines": ["CONT_FILENAME=/etc/passwd"]},
        {"lines": ["CONT_FILENAME=laptop._home.1"]},
    ],
    ids=str,
)
def test_a_file_that_is_not_the_whole_dump_is_no_witness(
    ledger: Ledger, files: AmandaFiles, logdir: Path, hold: dict[str, Any]
) -> None:
    """Another's, one that is not ended, of another size, or cut; nor is one of another run."""
    files.hold(MONDAY, **hold)
    files.hold(TUESDAY)
    (files.holding / MONDAY / "laptop.garbage").write_bytes(b"no header")
    (files.holding / MONDAY / "laptop.link").symlink_to(files.hold(WEDNESDAY))
    put(logdir, MONDAY, BEGIN + DUMPED + END)
    take(ledger, files)
    assert state(ledger) is DumpState.CLAIMED
    assert ledger.verdicts.newest_confirmed("daily", "laptop") == {}
    assert [need.kind for need in ledger.protections.list_pending("daily")] == [
        ProtectionKind.FORCE_NO_BUMP
    ]


def test_a_dump_in_several_files_is_whole_with_all_of_them(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """Each names the next; the size is that of all."""
    first = files.hold(
        MONDAY, size=12_000, lines=[f"CONT_FILENAME={files.holding}/{MONDAY}/laptop._home.1.1"]
    )
    put(logdir, MONDAY, BEGIN + DUMPED + END)
    take(ledger, files)
    assert state(ledger) is DumpState.CLAIMED
    second = f"CONT_FILENAME={files.holding}/{MONDAY}/laptop._home.1.1.1"
    files.go_on(files.go_on(first, MONDAY, more=second), MONDAY, data=b"y" * 2000)
    put(logdir, MONDAY, BEGIN + DUMPED + END + "\n")
    take(ledger, files)
    assert state(ledger) is HELD


def test_nothing_is_looked_for_outside_the_holding_disk(
    ledger: Ledger, files: AmandaFiles, logdir: Path, tmp_path: Path
) -> None:
    """Neither by a link in it, nor where a header says that the dump goes on."""
    first = files.hold(MONDAY, size=10_000, lines=[f"CONT_FILENAME={tmp_path}/laptop._home.1.1"])
    files.go_on(first, MONDAY).rename(tmp_path / "laptop._home.1.1")
    put(logdir, MONDAY, BEGIN + DUMPED + END)
    take(ledger, files)
    assert state(ledger) is DumpState.CLAIMED
    whole = files.hold(MONDAY, name="laptop.whole")
    whole.rename(tmp_path / "whole")
    whole.symlink_to(tmp_path / "whole")
    put(logdir, MONDAY, BEGIN + DUMPED + END + "\n")
    take(ledger, files)
    assert state(ledger) is DumpState.CLAIMED


def test_a_failure_does_not_take_back_what_the_holding_disk_has(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """It may be another client's report; but the next dump is made so that it does no harm."""
    put(logdir, MONDAY, BEGIN + BROKEN + END)
    files.hold(MONDAY, level=0)
    take(ledger, files)
    word = ledger.verdicts.newest_confirmed("daily", "laptop")["/home"]
    assert (word.state, word.level, word.has_failed_since) == (HELD, 0, True)
    assert len(ledger.protections.list_pending("daily")) == 1


@pytest.mark.parametrize("ending", ["\r", "\x0b", "\x0c", "\x85", "\u2028"])
def test_words_about_a_host_that_the_run_was_not_for_are_nothing(
    ledger: Ledger, files: AmandaFiles, logdir: Path, ending: str
) -> None:
    """Neither good ones nor bad ones, on lines of their own or within another's."""
    good, bad = (text.replace("laptop", "desktop") for text in (DUMPED, BROKEN))
    late = "ERROR planner laptop: odd\nDISK planner desktop /home\n"
    inside = "INFO planner said " + ending.join((DUMPED + END).splitlines()) + "\n"
    put(logdir, MONDAY, BEGIN + late + good + bad + inside + END)
    files.hold(MONDAY, host="desktop")
    take(ledger, files)
    assert state(ledger, "desktop") is None
    assert state(ledger) is DumpState.MISSING
    assert run_of(ledger, MONDAY).hosts == ("laptop",)
    assert ledger.protections.list_pending("daily") == []


def test_a_flush_of_what_was_never_held_is_nothing(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """For volumes `amadmin find` repeats the logs, so that it would believe this."""
    put(logdir, TUESDAY, FLUSH)
    take(ledger, files)
    assert state(ledger) is None
    files.tape(MONDAY, "DAILY-008", 1, level=0)
    put(logdir, TUESDAY, FLUSH + "\n")
    take(ledger, files)
    word = ledger.verdicts.newest_confirmed("daily", "laptop")["/home"]
    assert (word.state, word.level) == (STORED, 0)
    assert word.dumped_at == parse_local_stamp(MONDAY)


@pytest.mark.parametrize(
    "tape",
    [
        {"label": "DAILY-009", "number": 1},
        {"label": "DAILY-008", "number": 2},
        {"label": "DAILY-008", "number": 1, "disk": "/homes"},
        {"label": "DAILY-008", "number": 1, "host": "desktop"},
        {"label": "DAILY-008", "number": 1, "size": 10_000},
        {"label": "DAILY-008", "number": 1, "part": 2},
    ],
    ids=str,
)
def test_a_part_elsewhere_or_of_something_else_is_no_witness(
    ledger: Ledger, files: AmandaFiles, logdir: Path, tape: dict[str, Any]
) -> None:
    """On a volume it has to be just where the log says, with all its parts."""
    files.tape(MONDAY, **tape)
    put(logdir, TUESDAY, FLUSH)
    take(ledger, files)
    assert state(ledger) is None


@pytest.mark.parametrize(
    ("stamp", "label", "number", "is_it"),
    [
        (MONDAY, "DAILY-008", 1, True),
        (MONDAY, "DAILY-008", 2, False),
        (MONDAY, "DAILY-009", 1, False),
        (TUESDAY, "DAILY-008", 1, False),
    ],
)
def test_the_drivers_own_word_is_a_witness(
    ledger: Ledger,
    files: AmandaFiles,
    logdir: Path,
    stamp: str,
    label: str,
    number: int,
    is_it: bool,
) -> None:
    """curinfo, where a volume cannot be looked at: its date and place are those of the log."""
    files.remember(stamp, label, number, level=0)
    put(logdir, TUESDAY, FLUSH)
    take(ledger, files)
    assert state(ledger) is (STORED if is_it else None)


def test_a_dump_of_several_parts_is_stored_with_all_of_them(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """Each header has the size of the whole."""
    files.tape(MONDAY, "D-1", 7, size=10_000)
    put(logdir, MONDAY, BEGIN + PARTS + TAPED + END)
    take(ledger, files)
    assert state(ledger) is DumpState.CLAIMED
    files.tape(MONDAY, "D-2", 1, part=2, size=10_000, slot=2)
    put(logdir, MONDAY, BEGIN + PARTS + TAPED + END + "\n")
    take(ledger, files)
    assert state(ledger) is STORED


@pytest.mark.parametrize(
    ("begin", "results", "is_it"),
    [
        (BEGIN, TAPED, True),
        (BEGIN, TAPED.replace("bytes 10000", "bytes 10001"), False),
        (BEGIN, TAPED.replace("bytes 10000 ", ""), False),
        (BEGIN, TAPED + TAPED, False),
        (BEGIN, CUT + TAPED, False),
        (BEGIN.replace("START driver", "DISK planner tower /home\nSTART driver"), TAPED, False),
    ],
    ids=["whole", "cut", "of no size", "said twice", "also cut", "of a run with others"],
)
def test_a_dump_that_went_straight_to_a_volume_is_stored(
    ledger: Ledger,
    files: AmandaFiles,
    logdir: Path,
    begin: str,
    results: str,
    is_it: bool,
) -> None:
    """If all parts make up what the taper says, once, in the log of a run for this client alone.

    Their headers were written before anybody knew the size: a dump that was cut looks like it.
    """
    files.tape(MONDAY, "D-1", 7, size=None)
    files.tape(MONDAY, "D-2", 1, part=2, size=None, slot=2)
    put(logdir, MONDAY, begin + PARTS + results + END)
    take(ledger, files)
    assert (state(ledger) is STORED) is is_it


# -- times and names


@pytest.mark.usefixtures("in_berlin")
def test_a_run_began_when_its_trace_says_and_never_after_its_log(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """A name may lie ahead of its run, even of its end: Amanda takes the next one that is free."""
    path = put(logdir, TUESDAY, BEGIN + DUMPED + END, level=0)
    files.hold(TUESDAY, level=0)
    trace = logdir / f"amdump.{TUESDAY}"
    trace.write_text("amdump: starttime-locale-independent 2026-11-24 00:59:00 CET\n")
    take(ledger, files)
    begun_at = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
    assert run_of(ledger, TUESDAY).begun_at == begun_at
    assert ledger.verdicts.newest_confirmed("daily", "laptop")["/home"].dumped_at == begun_at
    path = put(logdir, WEDNESDAY, BEGIN + DUMPED + END, level=0)
    files.hold(WEDNESDAY, level=0)
    written_at = datetime(2026, 11, 24, 12, tzinfo=UTC)  # half a day before its own name
    os.utime(path, (written_at.timestamp(), written_at.timestamp()))
    take(ledger, files)
    row = run_of(ledger, WEDNESDAY)
    assert (row.begun_at, row.ended_at) == (written_at, written_at)


def test_the_newest_dump_is_the_one_that_began_last(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """By the clock, whatever its name: no date of a name makes a client look wrong forever."""
    path = put(logdir, WEDNESDAY, BEGIN + DUMPED + END, level=0)
    files.hold(WEDNESDAY, level=0)
    early = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
    os.utime(path, (early, early))
    put(logdir, TUESDAY, BEGIN + DUMPED + END, level=0)
    files.hold(TUESDAY, level=0)
    take(ledger, files)
    assert ledger.verdicts.newest_confirmed("daily", "laptop")["/home"].timestamp == TUESDAY


@pytest.mark.parametrize("date", ["20261123", "20269999999999", WEDNESDAY])
def test_a_log_whose_date_is_not_its_names_gives_no_verdict(
    ledger: Ledger, files: AmandaFiles, logdir: Path, date: str
) -> None:
    """Of a configuration that names runs by their day, or by somebody else's report."""
    put(logdir, MONDAY, (BEGIN + DUMPED + END).replace("{stamp}", date))
    files.hold(MONDAY)
    assert take(ledger, files) == [f"log.{MONDAY}.0 imported: amdump, verdicts: 0"]
    assert state(ledger) is None


def test_a_dump_of_a_time_to_come_is_none(ledger: Ledger, files: AmandaFiles, logdir: Path) -> None:
    """No log can speak of one."""
    future = "20361123010000"
    files.tape(future, "DAILY-008", 1, level=0)
    put(logdir, TUESDAY, FLUSH.replace("{dumped}", future))
    take(ledger, files)
    assert state(ledger) is None


def test_a_log_that_amanda_moved_away_at_its_own_end_is_read_whole(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """With a dumpcycle of 0 its last line begins a new file of the old name."""
    text = BEGIN + DUMPED + END
    lines = text.splitlines(keepends=True)
    put(logdir / "oldlog", MONDAY, "".join(lines[:-1]), level=0)
    put(logdir, MONDAY, lines[-1])
    files.hold(MONDAY, level=0)
    assert take(ledger, files) == [f"log.{MONDAY}.0 imported: amdump, verdicts: 1"]
    assert take(ledger, files) == []
    assert state(ledger) is HELD
    assert run_of(ledger, MONDAY).is_clean


def test_a_log_with_an_unreadable_answer_is_marked_and_told(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """Of it only what is witnessed counts."""
    odd = "ERROR planner laptop: invalid reply from sendsize: `x'\n"
    more = (BEGIN + DUMPED).replace("{disk}", "/srv")
    put(logdir, MONDAY, BEGIN + more + odd + DUMPED + END, level=0)
    files.hold(MONDAY, level=0)
    said = take(ledger, files)
    assert "Amanda could not read what a client of this run answered" in said[1]
    assert said[1].startswith("warning: ")
    assert "could not read" in run_of(ledger, MONDAY).remark
    assert (state(ledger), state(ledger, disk="/srv")) == (HELD, DumpState.CLAIMED)


def test_an_incremental_without_a_full_of_that_name_is_no_backup(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """A disk that was renamed to what Amanda writes alike inherits levels; a full is forced."""
    put(logdir, MONDAY, BEGIN + DUMPED + END, level=0, disk="/srv/a")
    files.hold(MONDAY, level=0, disk="/srv/a")
    put(logdir, TUESDAY, BEGIN + DUMPED + END, disk="/srv:a")
    files.hold(TUESDAY, disk="/srv:a")
    take(ledger, files)
    assert set(ledger.verdicts.newest_confirmed("daily", "laptop")) == {"/srv/a"}
    assert set(read_backups(ledger, "daily")) == {("laptop", "/srv/a")}
    (need,) = ledger.protections.list_pending("daily")
    assert (need.disk, need.kind) == ("/srv:a", ProtectionKind.FORCE)
    put(logdir, WEDNESDAY, BEGIN + DUMPED + END, disk="/srv:a", level=0)
    files.hold(WEDNESDAY, disk="/srv:a", level=0)
    take(ledger, files)
    assert set(ledger.verdicts.newest_confirmed("daily", "laptop")) == {"/srv/a", "/srv:a"}
    assert ledger.protections.list_pending("daily") == []


def test_a_dump_of_a_clock_that_was_ahead_hides_nothing(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """What failed since is guarded against, and what was dumped since is the newest."""
    far = datetime.now(UTC) + timedelta(days=3650)
    row = ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [], far)
    ledger.runs.note(row.id, timestamp="20361123010000")
    word = DleVerdict("laptop", "/home", "20361123010000", HELD, 0, dumped_at=far)
    ledger.runs.end(row.id, far, RunEnd(0, True, (word,)))
    assert set(ledger.verdicts.newest_confirmed("daily", "laptop")) == {
        "/home"
    }  # there is nothing else
    put(logdir, TUESDAY, BEGIN + BROKEN + END)
    take(ledger, files)
    assert [need.timestamp for need in ledger.protections.list_pending("daily")] == [TUESDAY]
    put(logdir, WEDNESDAY, BEGIN + DUMPED + END, level=0)
    files.hold(WEDNESDAY, level=0)
    take(ledger, files)
    assert ledger.verdicts.newest_confirmed("daily", "laptop")["/home"].timestamp == WEDNESDAY
    assert ledger.protections.list_pending("daily") == []


def test_of_two_dumps_of_one_time_the_good_one_is_the_backup(ledger: Ledger) -> None:
    """A failure is none, whatever its name."""
    at = datetime(2026, 11, 24, 1, tzinfo=UTC)
    for stamp, outcome in ((MONDAY, HELD), (TUESDAY, FAILED)):
        row = ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [], at)
        ledger.runs.note(row.id, timestamp=stamp)
        word = DleVerdict("laptop", "/home", stamp, outcome, 0, dumped_at=at)
        ledger.runs.end(row.id, at, RunEnd(0, True, (word,)))
    assert ledger.verdicts.newest_confirmed("daily", "laptop")["/home"].timestamp == MONDAY


def test_a_log_that_names_very_many_dumps_is_read_all_the_same(
    ledger: Ledger, files: AmandaFiles, logdir: Path
) -> None:
    """Each of another time: none of them counts, and no database is asked for all at once."""
    done = FLUSH.splitlines(keepends=True)[-3]
    stamps = [
        f"20{year:02}01{day:02}010{n:03}"
        for year in range(1, 25)
        for day in range(1, 29)
        for n in (0, 1)
    ]
    text = FLUSH + "".join(done.replace("{dumped}", stamp) for stamp in stamps)
    put(logdir, TUESDAY, text)
    assert take(ledger, files) == [f"log.{TUESDAY}.0 imported: amflush, verdicts: 0"]
