"""A run's log -> a verdict per DLE. The logs are Amanda 3.5.1's."""

import time

import pytest
from tests.samples import list_run_logs, read_sample

from asyncamanda.core.amanda.runlog import NO_WORD, PLANNER_DIED, RunLog, parse_run_log
from asyncamanda.core.model import DleVerdict, DumpState

STORED, HELD, FAILED = DumpState.STORED, DumpState.HELD, DumpState.FAILED
MISSING, SKIPPED = DumpState.MISSING, DumpState.SKIPPED

RUN = "20261123055457"
OLDER = "20261122010101"
DUMPS = ("20261123055253", "20261123055457", "20261123055758")  # runs that flushed nothing
HEAD = f"INFO amdump amdump pid 36\nSTART planner date {RUN}\nDISK planner lap /d\n"
CRC = "7bf3ee61:3153920 7bf3ee61:3153920"
DUMPED = f"SUCCESS dumper lap /d {RUN} 1 {CRC} [sec 0.073 kb 80 kps 1.0 orig-kb 3080]"
CHUNKED = f"SUCCESS chunker lap /d {RUN} 1 7bf3ee61:3153920 [sec 0.1 kb 80 kps 1.0]"
STRANGE = f"STRANGE dumper lap /d 1 {CRC} [sec 0.9 kb 80 kps 1.0 orig-kb 3080]"
PARTIAL = f"PARTIAL chunker lap /d {RUN} 1 7bf3ee61:3153920 [sec 0.1 kb 80 kps 1.0]"
STATS = "7bf3ee61:1 7bf3ee61:1 00000000:0 [sec 0.1 bytes 3153920 kps 1.0 orig-kb 3080]"
TAPED = f'"ST:s" "POOL:p" lap /d {RUN} 1 1 {STATS}'
PLANNED = f"FINISH planner date {RUN} time 2.1"
DIED = "WARNING driver dumper3 died while dumping lap:/d lev 1."
CUT = f"FAIL dumper lap /d {RUN} 1 [data read: Connection reset by peer]"
UNCHUNKED = f"FAIL chunker lap /d {RUN} 1 [No space left on device]"


def read_log(timestamp: str) -> RunLog:
    """Return what the real log of the run `timestamp` says."""
    log = parse_run_log(read_sample(f"run-logs/log.{timestamp}.0"))
    assert log
    return log


def parse(*lines: str) -> RunLog:
    """Return what a log says that has these lines behind HEAD."""
    log = parse_run_log(HEAD + "".join(f"{line}\n" for line in lines))
    assert log
    return log


def judge(*lines: str) -> DleVerdict:
    """Return the verdict on lap's /d of the run itself."""
    (verdict,) = (v for v in parse(*lines).verdicts if v.timestamp == RUN)
    return verdict


def confirmed(
    host: str, disk: str, timestamp: str, state: DumpState, level: int, kilobytes: int
) -> DleVerdict:
    """Return the verdict on a dump that the run made."""
    return DleVerdict(host, disk, timestamp, state, level, kilobytes=kilobytes, has_begun=True)


def flushed(host: str, disk: str, timestamp: str, level: int, kilobytes: int) -> DleVerdict:
    """Return the verdict on a dump that the run only brought to a volume."""
    return DleVerdict(host, disk, timestamp, STORED, level, kilobytes=kilobytes)


REFUSED = "Skipping: new disk can't be dumped in degraded mode"
UNRESOLVED = "Get header: resolve_hostname(localhost): Name or service not known"
BROKEN_PIPE = "failed: error sending REQ: write error to: Broken pipe"
NOT_SECURE = "lapb NAK: host localhost: port 37544 not secure"
NO_SIZE = (
    "no size line match in /usr/bin/tar output/usr/bin/tar exited with status 2: "
    "see /var/log/amanda/client/t8/amgtar.20261123061853000.debug"
)

# checked by hand against each log
REAL: dict[str, tuple[DleVerdict, ...]] = {
    # a chunker that failed, then straight to a volume
    "20261123054501": (confirmed("laptop1", "/srv/data1", "20261123054501", STORED, 0, 3080),),
    # refused in degraded mode
    "20261123055253": (
        DleVerdict("lapx", "/srv/data1", "20261123055253", FAILED, 0, REFUSED),
        DleVerdict("lapx", "/srv/data2", "20261123055253", FAILED, 0, REFUSED),
    ),
    # a chunker that failed twice, and no word of the dumper's; a disk whose name is quoted
    "20261123055436": tuple(
        DleVerdict("lapc", disk, "20261123055436", FAILED, 0, UNRESOLVED, has_begun=True)
        for disk in ("/srv/d 3", "/srv/d2", "d1")
    ),
    "20261123055457": (
        confirmed("lapc", "/srv/d 3", "20261123055457", STORED, 0, 10),
        confirmed("lapc", "/srv/d2", "20261123055457", STORED, 0, 10),
        confirmed("lapc", "d1", "20261123055457", STORED, 0, 20490),
    ),
    # whole in the holding disk, and a PARTIAL of the taper's
    "20261123055552": (
        DleVerdict(
            "lapd",
            "/srv/d2",
            "20261123055552",
            FAILED,
            0,
            "not all of it was written",
            has_begun=True,
        ),
    ),
    # the chunker's line before the dumper's
    "20261123055553": (confirmed("lapc", "d1", "20261123055553", STORED, 0, 20490),),
    "20261123055619": (confirmed("lapc", "d1", "20261123055619", HELD, 1, 10),),
    "20261123055623": (confirmed("lapc", "d1", "20261123055623", HELD, 1, 10),),
    # the client was not there
    "20261123055652": (
        DleVerdict("lapc", "d1", "20261123055652", FAILED, None, f"Request to lapc {BROKEN_PIPE}"),
    ),
    # one was there, one was not
    "20261123055724": (
        confirmed("lapc", "d1", "20261123055724", HELD, 1, 10),
        DleVerdict(
            "lapd", "/srv/d2", "20261123055724", FAILED, None, f"Request to lapd {BROKEN_PIPE}"
        ),
    ),
    # a cut, a retry that went well, and a flush of older dumps of the same disks
    "20261123055725": (
        flushed("lapy", "/srv/data1", "20261123055659", 1, 10),
        confirmed("lapy", "/srv/data1", "20261123055725", STORED, 0, 64520),
        flushed("lapy", "/srv/data2", "20261123055659", 0, 3080),
        confirmed("lapy", "/srv/data2", "20261123055725", STORED, 0, 3080),
    ),
    "20261123055758": (
        DleVerdict(
            "lapc",
            "d1",
            "20261123055758",
            FAILED,
            0,
            "Skipping: Can't bump a 'force' dle in degraded mode",
        ),
    ),
    # cut twice; the second try left a part in the holding disk
    "20261123055839": (
        DleVerdict(
            "lapc",
            "d1",
            "20261123055839",
            FAILED,
            0,
            "missing size line from sendbackup",
            has_begun=True,
        ),
    ),
    # cut twice; it was the first try that left a part
    "20261123055857": (
        DleVerdict(
            "lapc",
            "d1",
            "20261123055857",
            FAILED,
            0,
            "missing size line from sendbackup",
            has_begun=True,
        ),
    ),
    "20261123061137": (confirmed("lapc", "d1", "20261123061137", HELD, 0, 40970),),
    "20261123061148": (confirmed("lapc", "d1", "20261123061148", HELD, 0, 40970),),
    "20261123061237": (confirmed("lapd", "/srv/d2", "20261123061237", STORED, 1, 10),),
    "20261123061242": (),
    # nothing but a flush, by amdump: its DISK lines are no wish for a dump
    "20261123061304": (
        flushed("lapc", "d1", "20261123061127", 0, 40970),
        flushed("lapc", "d1", "20261123061137", 0, 40970),
        flushed("lapc", "d1", "20261123061148", 0, 40970),
    ),
    "20261123061335": (),
    "20261123061406": (),
    # ambackupd, killed
    "20261123061528": (
        DleVerdict(
            "lapa",
            "d1",
            "20261123061528",
            MISSING,
            None,
            "the run ended without reporting it",
        ),
    ),
    "20261123061603": (confirmed("lapa", "d1", "20261123061603", HELD, 0, 40970),),
    "20261123061608": (DleVerdict("lapb", "d1", "20261123061608", FAILED, None, NOT_SECURE),),
    # ambackupd: the chunker's reason, behind the dumper's "chunker failed"
    "20261123061646": (
        DleVerdict(
            "lapa",
            "d1",
            "20261123061646",
            FAILED,
            0,
            "No more holding disk space",
            has_begun=True,
        ),
    ),
    "20261123061838": (confirmed("lapd", "/srv/d2", "20261123061838", HELD, 1, 10),),
    # amflush
    "20261123061848": (flushed("lapa", "d1", "20261123061603", 0, 40970),),
    "20261123061851": (DleVerdict("lapc", "gone", "20261123061851", FAILED, None, NO_SIZE),),
    # a file that changed as it was read
    "20261123061853": (
        DleVerdict("lapc", "d1", "20261123061853", HELD, 1, "", 237610, True, True),
    ),
    "20261123061858": (
        confirmed("lapc", "/srv/d 3", "20261123061858", HELD, 1, 10),
        confirmed("lapc", "d1", "20261123061858", HELD, 0, 40970),
    ),
    "20261124151504": (confirmed("laptop", "/srv/docs", "20261124151504", HELD, 0, 2940),),
}


@pytest.mark.parametrize("timestamp", REAL)
def test_each_real_log_gives_its_verdicts(timestamp: str) -> None:
    """Every DLE that it reports, with level, size, reason, and whether the client was at it."""
    assert read_log(timestamp).verdicts == REAL[timestamp]


def test_no_real_log_is_left_out() -> None:
    """The table above has all of them."""
    assert list_run_logs() == [f"run-logs/log.{timestamp}.0" for timestamp in REAL]


def test_a_run_is_known_by_its_first_line_and_its_time() -> None:
    """Program, process, timestamp and the DLEs in the run's order, an odd name included."""
    log = read_log("20261123055436")
    assert (log.program, log.pid, log.timestamp) == ("amdump", 157, "20261123055436")
    assert log.dles == (("lapc", "d1"), ("lapc", "/srv/d 3"), ("lapc", "/srv/d2"))


@pytest.mark.parametrize(
    ("timestamp", "program", "dles"),
    [
        ("20261123061528", "ambackupd", (("lapa", "d1"),)),
        ("20261123061848", "amflush", ()),
        ("20261123061304", "amdump", ()),
        ("20261123061335", "amidxtaped", ()),
        ("20261123055725", "amdump", (("lapy", "/srv/data1"), ("lapy", "/srv/data2"))),
    ],
)
def test_only_a_dle_that_was_to_be_dumped_is_listed(
    timestamp: str, program: str, dles: tuple[tuple[str, str], ...]
) -> None:
    """Once each; what amdump or amflush only flushes is none."""
    log = read_log(timestamp)
    assert (log.program, log.dles) == (program, dles)


def test_only_a_run_that_said_so_has_ended() -> None:
    """By the pid of its first line; what the driver or planner says of its own end is not it."""
    unfinished = [timestamp for timestamp in REAL if not read_log(timestamp).is_finished]
    assert unfinished == ["20261123061137", "20261123061335", "20261123061406", "20261123061528"]
    others = ("INFO driver pid-done 36", "INFO amdump pid-done 37", "INFO amdump pid-done 3")
    assert not parse(*others).is_finished
    assert parse("INFO amdump pid-done 36").is_finished


def test_an_amflush_that_went_to_the_background_ends_with_its_child() -> None:
    """Its own process is gone long before."""
    text = "INFO amflush amflush pid 36\nINFO amflush fork amflush 36 40\n"
    gone = parse_run_log(f"{text}INFO amflush pid-done 36\n")
    ended = parse_run_log(f"{text}INFO amflush pid-done 40\n")
    assert gone
    assert ended
    assert (gone.is_finished, ended.is_finished, ended.pid) == (False, True, 36)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "INFO amdump amdump pid 36",  # its end may be lacking
        "INFO amdump amdump pid\n",
        "INFO driver driver pid 25\nINFO driver pid-done 25\n",
        " INFO amdump amdump pid 36\n",
        "From MAILER-DAEMON\nINFO amdump amdump pid 36\n",
    ],
)
def test_what_does_not_begin_as_a_run_is_no_log(text: str) -> None:
    """A part of a run has its own such line, which is not the run's."""
    assert parse_run_log(text) is None


def test_the_volumes_written_are_listed() -> None:
    """Each once, quoted or not, with or without a storage's name."""
    assert read_log("20261123055725").labels == ("ROAM-006",)
    start = f"START taper datestamp {RUN}"
    log = parse(
        f'{start} "ST:s" "POOL:p" label "T 1" tape 1',
        f"{start} label T2 tape 2",
        f'{start} "ST:s" "POOL:p" label "T 1" tape 1',
    )
    assert log.labels == ("T 1", "T2")


def test_the_runs_troubles_are_told_in_a_line_each() -> None:
    """Errors, a volume that was not to be had, what the taper failed to write; each once."""
    assert read_log("20261123061148").errors == ("amdump killed by ctrl-c",)
    assert read_log("20261123061608").errors == (f"planner: {NOT_SECURE}",)
    log = parse(
        "ERROR taper no-tape error [No acceptable volumes found]",
        "ERROR taper no-tape error [No acceptable volumes found]",
        "ERROR taper no-tape config [Reached runtapes]",
        "WARNING driver Taper error: quack",
        "WARNING planner tapecycle (7) <= runspercycle (7)",
        f'FAIL taper "ST:s" "POOL:p" lap "/d 2" {RUN} 0 error "No space left on device"',
        f'PARTIAL taper {TAPED} "crc differs"',
        f'FAIL taper VAULT "ST:s" "POOL:p" lap /d {OLDER} 0 error "no source"',
    )
    assert log.errors == (
        "taper: No acceptable volumes found",
        "taper: Reached runtapes",
        "driver: Taper error: quack",
        f"taper: lap:/d 2 of {RUN}: No space left on device",
        f"taper: lap:/d of {RUN}: crc differs",
        f"taper: lap:/d of {OLDER}: no source",
    )


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ((DUMPED, CHUNKED), HELD),
        ((CHUNKED, DUMPED), HELD),
        ((STRANGE, CHUNKED), HELD),
        ((DUMPED, CHUNKED, f"DONE taper {TAPED}"), STORED),
        ((DUMPED, f"DONE taper {TAPED}"), STORED),
        ((f"DONE taper {TAPED}", DUMPED), STORED),
        ((DUMPED, CHUNKED, f"PARTIAL taper {TAPED}"), FAILED),  # the held file is removed
        ((DUMPED, CHUNKED, f'PARTIAL taper {TAPED} "no volume"'), HELD),
        ((DUMPED, CHUNKED, f'FAIL taper "ST:s" "POOL:p" lap /d {RUN} 1 error "x"'), HELD),
        ((DUMPED, CHUNKED, f"PARTIAL taper {TAPED}", f"DONE taper {TAPED}"), STORED),
        ((DUMPED, CHUNKED, f"DONE taper {TAPED}", f"PARTIAL taper {TAPED}"), STORED),
        ((DUMPED, CHUNKED, f"FAIL driver lap /d {RUN} 1 [Taper protocol error]"), HELD),
        ((DUMPED,), FAILED),
        ((CHUNKED,), FAILED),
        ((DUMPED, PARTIAL), FAILED),
        ((CUT, PARTIAL), FAILED),
        ((CUT, CHUNKED), FAILED),
        ((DUMPED, UNCHUNKED), FAILED),
        ((DUMPED, f"PARTIAL taper {TAPED}"), FAILED),
        ((CUT, PARTIAL, f"PARTIAL taper {TAPED}"), FAILED),
        ((f"DONE taper {TAPED}", CUT), FAILED),
        ((), MISSING),
    ],
)
def test_a_dump_is_confirmed_when_both_its_ends_did_well(
    lines: tuple[str, ...], state: DumpState
) -> None:
    """The dumper and where it was written to; part of a dump is none."""
    assert judge(*lines).state is state


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ((CUT, PARTIAL, DUMPED, CHUNKED), HELD),
        ((UNCHUNKED, CUT, CHUNKED, DUMPED), HELD),
        ((UNCHUNKED, DUMPED, CHUNKED), HELD),  # the dumper was never asked the first time
        ((UNCHUNKED, CUT, f"DONE taper {TAPED}", DUMPED), STORED),
        ((CUT, f"DONE taper {TAPED}", DUMPED), STORED),
        ((DUMPED, f"PARTIAL taper {TAPED}", DUMPED, f"DONE taper {TAPED}"), STORED),
        ((DUMPED, f"PARTIAL taper {TAPED}", f"DONE taper {TAPED}", DUMPED), STORED),
        ((f"FAIL driver lap /d {RUN} 1 [dumper0 died]", DUMPED, CHUNKED), HELD),
        ((f"RETRY dumper lap /d {RUN} 1 delay 5 level 0 message busy", DUMPED, CHUNKED), HELD),
        ((CUT, PARTIAL, CUT, PARTIAL), FAILED),
        ((CUT, PARTIAL, DUMPED), FAILED),
        ((CUT, PARTIAL, UNCHUNKED), FAILED),
        # the later word on the client
        ((DUMPED, CHUNKED, DUMPED), FAILED),
        ((DUMPED, CHUNKED, CHUNKED), FAILED),
        ((DUMPED, f"DONE taper {TAPED}", CUT, PARTIAL, DUMPED, CHUNKED), HELD),
        ((DUMPED, CHUNKED, CUT, PARTIAL), FAILED),
        ((DUMPED, CHUNKED, f"DONE taper {TAPED}", CUT), FAILED),
        ((DUMPED, CHUNKED, f"FAIL driver lap /d {RUN} 1 [dumper0 died]"), FAILED),
    ],
)
def test_the_last_attempt_counts(lines: tuple[str, ...], state: DumpState) -> None:
    """And no success of one attempt is joined to that of another."""
    assert judge(*lines).state is state


def test_a_held_dump_that_cannot_be_read_is_no_dump() -> None:
    """The driver says so in passing, and would dump it again."""
    words = "Will retry dump because of holding disk error: Input/output error"
    verdict = judge(DUMPED, CHUNKED, f"INFO driver lap /d {RUN} 1 [{words}]")
    assert (verdict.state, verdict.has_begun) == (FAILED, True)
    assert verdict.reason == "holding disk error: Input/output error"


def test_a_size_beyond_all_measure_is_none() -> None:
    """Rather than an error."""
    assert judge(DUMPED.replace("3080]", "9" * 5000 + "]"), CHUNKED).kilobytes == 0


def test_a_strange_dump_is_a_dump() -> None:
    """Its line has no timestamp."""
    verdict = judge(STRANGE, "  ? /usr/bin/tar: ./a: file changed as we read it", CHUNKED)
    assert verdict == DleVerdict("lap", "/d", RUN, HELD, 1, "", 3080, True, True)


def test_strangeness_is_that_of_the_attempt_that_counts() -> None:
    """What was strange in a dump that then failed is of no interest."""
    assert not judge(STRANGE, PARTIAL, DUMPED, CHUNKED).is_strange


def test_a_dump_left_out_by_the_configuration_is_skipped() -> None:
    """The planner calls that a success."""
    verdict = judge(f"SUCCESS planner lap /d {RUN} 1 [skipped: skip-incr]")
    assert verdict == DleVerdict("lap", "/d", RUN, SKIPPED, 1, "skip-incr")


@pytest.mark.parametrize(
    ("line", "level", "has_begun"),
    [
        (f'FAIL planner lap /d {RUN} 0 "[no estimate]"', None, False),
        ("FAIL planner lap /d 19000101 1 [Skipping incronly]", None, False),
        (f"FAIL driver lap /d {RUN} 2 [Skipping: force-bump disk]", 2, False),
        (f"FAIL driver lap /d {RUN} 2 [out of holding space in degraded mode]", 2, False),
        (f"FAIL driver lap /d {RUN} 2 [too many dumper retry: x]", 2, True),
        (f"FAIL driver lap /d {RUN} 2 [chunker0 died]", 2, True),
        (f"INFO driver lap /d {RUN} 2 [Will retry dump because of holding disk error: x]", 2, True),
        (CUT, 1, True),
        (UNCHUNKED, 1, True),
        (f"RETRY dumper lap /d {RUN} 1 delay -1 level 0 message busy", 1, True),
        (f"PARTIAL taper {TAPED}", 1, True),
    ],
)
def test_a_failure_tells_whether_the_client_was_at_it(
    line: str, level: int | None, has_begun: bool
) -> None:
    """And at which level; the planner's 0 means nothing."""
    verdict = judge(line)
    assert (verdict.state, verdict.level, verdict.has_begun) == (FAILED, level, has_begun)


@pytest.mark.parametrize("lines", [(), (f'FAIL planner lap /d {RUN} 0 "[x]"',), (PARTIAL,)])
def test_the_trace_fills_in_where_the_log_is_silent(lines: tuple[str, ...]) -> None:
    """A run that was killed may have no line on a dump that had begun."""
    text = HEAD + "".join(f"{line}\n" for line in lines)
    log = parse_run_log(text, {("lap", "/d"): 1, ("other", "/d"): 0})
    assert log
    (verdict,) = log.verdicts
    assert (verdict.level, verdict.has_begun) == (1, True)
    assert not verdict.state.is_confirmed


ABORTED = f"FAIL dumper lap /d {RUN} 1 [Aborted by driver]"
ECHOED = f"FAIL chunker lap /d {RUN} 1 [shm_ring cancelled]"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((CUT, ECHOED), "data read: Connection reset by peer"),
        ((ECHOED, CUT), "data read: Connection reset by peer"),
        ((UNCHUNKED, ABORTED), "No space left on device"),
        ((ABORTED, UNCHUNKED), "No space left on device"),
        (
            (UNCHUNKED, f"FAIL dumper lap /d {RUN} 1 [data write: Broken pipe]"),
            "No space left on device",
        ),
        (
            (CUT, PARTIAL, f"FAIL driver lap /d {RUN} 1 [too many dumper retry: x]"),
            "data read: Connection reset by peer",
        ),
        ((UNCHUNKED, CUT), "data read: Connection reset by peer"),  # of two alike the later
        ((ABORTED,), "Aborted by driver"),
        ((PARTIAL,), "only a part of the dump arrived"),
        ((DUMPED,), "the run ended before the dump was known to be whole"),
        ((DUMPED, f"PARTIAL taper {TAPED}"), "not all of it was written"),
        ((DUMPED, f'PARTIAL taper {TAPED} "crc differs; x"'), "crc differs; x"),
        ((CUT, f"PARTIAL taper {TAPED}"), "data read: Connection reset by peer"),
        ((f'FAIL planner lap /d {RUN} 0 "[a \\"b\\"\\nc]"',), 'a "b" c'),
        ((f'FAIL taper "ST:s" "POOL:p" lap /d {RUN} 1 config "[x]"',), "x"),
        ((f"RETRY dumper lap /d {RUN} 1 delay 5 level 0 message [busy]",), "busy"),
    ],
)
def test_the_reason_is_the_one_that_says_most(lines: tuple[str, ...], reason: str) -> None:
    """Not that of the side which only gave up after the other; in one plain line."""
    assert judge(*lines).reason == reason


@pytest.mark.parametrize(
    "echo",
    [
        "Aborted by driver",
        "chunker failed",
        "dumper returned FAILED",
        "shm_ring cancelled",
        "data write: Broken pipe",
        "data write1: Broken pipe",
        "too many dumper retry: x",
        "chunker0 died",
        "00-00001",
        "",
    ],
)
def test_who_only_gave_up_after_the_other_gives_no_reason(echo: str) -> None:
    """The other's is told."""
    assert (
        judge(UNCHUNKED, f"FAIL dumper lap /d {RUN} 1 [{echo}]").reason == "No space left on device"
    )


def test_the_programs_words_are_the_reason_where_nothing_else_is_said() -> None:
    """The first that reports a trouble; they end with the next line of the log."""
    verdict = judge(
        ABORTED,
        "  sendbackup: info end",
        "  | Total bytes written: 1054720 (1.1MiB, ?/s)",
        "  ? /bin/tar: -: Cannot write: Broken pipe",
        "  sendbackup: error [/bin/tar returned 2]",
    )
    assert verdict.reason == "/bin/tar: -: Cannot write: Broken pipe"
    verdict = judge(ABORTED, "  sendbackup: error [/bin/tar returned 2]")
    assert verdict.reason == "/bin/tar returned 2"
    verdict = judge(ABORTED, "INFO dumper gzip pid 5", "  ? of something else")
    assert verdict.reason == "Aborted by driver"


def test_a_planner_without_an_end_has_died() -> None:
    """Then nobody was dumped, and each DLE is missing for that reason; a flush has no planner."""
    dead, silent = parse(), parse(PLANNED)
    assert (dead.is_planned, silent.is_planned) == (False, True)
    assert [v.reason for v in dead.verdicts] == [PLANNER_DIED]
    assert [v.reason for v in silent.verdicts] == [NO_WORD]
    assert not parse(f"FINISH driver date {RUN} time 2.1", f"  {PLANNED}").is_planned
    assert [s for s in REAL if read_log(s).program == "amdump" and not read_log(s).is_planned] == []


@pytest.mark.parametrize(
    ("stamp", "laptop", "tower"),
    [
        ("20261128201737", (MISSING, PLANNER_DIED), (MISSING, PLANNER_DIED)),
        ("20261128201634", (HELD, ""), (HELD, "")),
        ("20261128201652", (HELD, ""), (HELD, "")),
        (
            "20261128201643",
            (FAILED, "Amanda's chunker died in the middle of the dump"),
            (HELD, ""),
        ),
    ],
)
def test_a_run_of_354s_in_which_a_part_died_is_understood(
    stamp: str, laptop: tuple[DumpState, str], tower: tuple[DumpState, str]
) -> None:
    """Real ones. What was made again in the same run counts; nobody is dumped without a planner."""
    log = parse_run_log(read_sample(f"run-logs-3.5.4/log.{stamp}.0"))
    assert log
    assert log.is_planned is (laptop[1] != PLANNER_DIED)
    assert [(v.host, v.state, v.reason) for v in log.verdicts] == [
        ("laptop", *laptop),
        ("tower", *tower),
    ]


@pytest.mark.parametrize(
    "end", [[], [PARTIAL], [f"FAIL chunker lap /d {RUN} 1 [Aborted by driver]"]]
)
def test_a_dumper_that_died_has_failed(end: list[str]) -> None:
    """Amanda 3.5.4 has no FAIL of the dumper's then, and perhaps none at all."""
    for lines in ([DIED, *end], [*end, DIED]):
        verdict = judge(*lines)
        assert (verdict.state, verdict.level, verdict.has_begun) == (FAILED, 1, True)
        assert verdict.reason == "Amanda's dumper died in the middle of the dump"
        assert judge(*lines, DUMPED, CHUNKED).state is HELD
        assert judge(*lines, CHUNKED, DUMPED).state is HELD
        assert judge(DUMPED, CHUNKED, *lines).state is FAILED


@pytest.mark.parametrize(
    "line",
    [
        DIED.replace("dumper3", "taper"),
        DIED.replace("driver", "planner"),
        DIED.replace("lap:/d", "lap /d"),
        f" {DIED}",
    ],
)
def test_another_warning_is_no_dumpers_death(line: str) -> None:
    """It says nothing of a dump."""
    assert judge(line).state is MISSING


def test_a_dumpers_death_is_told_of_any_disk() -> None:
    """Its name is quoted where needed, and may hold a colon."""
    (verdict,) = (v for v in parse(DIED.replace("/d", '"a:\\"b c"')).verdicts if v.disk != "/d")
    assert (verdict.host, verdict.disk, verdict.state) == ("lap", 'a:"b c', FAILED)


def test_a_flushed_dump_is_no_dump_of_the_run() -> None:
    """It is stored under its own timestamp; what the taper failed to flush is not."""
    done = f'DONE taper "ST:s" "POOL:p" lap /d {OLDER} 1 2 {STATS}'
    partial = f'PARTIAL taper "ST:s" "POOL:p" lap /e {OLDER} 1 2 {STATS}'
    log = parse("DISK planner lap /d", done, "DISK planner lap /e", partial, PLANNED)
    assert log.dles == (("lap", "/d"),)
    assert log.verdicts == (
        flushed("lap", "/d", OLDER, 2, 3080),
        DleVerdict("lap", "/d", RUN, MISSING, reason="the run ended without reporting it"),
    )


def test_a_dump_is_judged_however_the_lines_of_its_disk_are() -> None:
    """One that has a result was to be dumped, and one that has no line was dumped anyway."""
    done = f'DONE taper "ST:s" "POOL:p" lap /d {OLDER} 1 2 {STATS}'
    log = parse(done, DUMPED, CHUNKED, DUMPED.replace("/d", "/e"), CHUNKED.replace("/d", "/e"))
    assert log.dles == (("lap", "/d"),)
    assert [(v.disk, v.timestamp, v.state) for v in log.verdicts] == [
        ("/d", OLDER, STORED),
        ("/d", RUN, HELD),
        ("/e", RUN, HELD),
    ]


def test_the_first_date_is_the_runs() -> None:
    """Its parts have the same; the date of a volume is another matter."""
    log = parse(f"START driver date {OLDER}", f"START taper datestamp {OLDER} label T tape 1")
    assert log.timestamp == RUN


def test_a_dump_of_another_time_is_none_of_the_runs() -> None:
    """A line with a timestamp that is not the run's says nothing of it."""
    lines = [line.replace(RUN, OLDER) for line in (DUMPED, CHUNKED, CUT)]
    assert judge(*lines).state is MISSING


def test_a_line_without_its_end_is_not_read() -> None:
    """The run may be writing it, and a cut number is another number."""
    log = parse_run_log(f"{HEAD}{DUMPED}\n{CHUNKED}")
    assert log
    assert [verdict.state for verdict in log.verdicts] == [FAILED]


@pytest.mark.parametrize(
    "line",
    [
        "SUCCESS",
        "SUCCESS dumper",
        f"SUCCESS dumper lap /d {RUN}",
        f"SUCCESS dumper lap /d {RUN} x {CRC} [sec 1]",
        f"SUCCESS dumper lap /d 1 {CRC} [sec 0.9 kb 80 kps 1.0 orig-kb 3080]",
        f"STRANGE dumper lap /d {RUN} 1 {CRC} [sec 0.9 kb 80 kps 1.0 orig-kb 3080]",
        f'SUCCESS dumper lap "/d {RUN} 1 {CRC} [sec 1]',
        f"SUCCESS amdump lap /d {RUN} 1 {CRC} [sec 1]",
        f"SUCCESS planner lap /d {RUN} 1 [dumped]",
        f"SUCCESS taper {TAPED}",
        f'DONE taper "ST:s lap /d {RUN} 1 1 [sec 1]',
        f"DONE chunker {TAPED}",
        f" {DUMPED}",
        "BOGUS line",
        "",
    ],
)
def test_a_line_that_is_not_amandas_says_nothing(line: str) -> None:
    """It is passed over."""
    assert judge(line).state is MISSING


# -- who reports it


def test_its_own_hosts_stand_there_before_any_client_was_asked() -> None:
    """A line that comes after the first answer may be anybody's; flushed ones come early, too."""
    early = ("WARNING planner tapecycle (5) <= runspercycle (7)", "DISK planner tab /x")
    log = parse(*early, "ERROR planner lap: anything", "DISK planner other /home")
    assert log.hosts == {"lap", "tab"}
    assert parse("WARNING planner lap /d said something", "DISK planner other /x").hosts == {"lap"}
    assert all(read_log(stamp).hosts == {h for h, _ in read_log(stamp).dles} for stamp in DUMPS)


@pytest.mark.parametrize("ending", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_only_a_newline_ends_a_line(ending: str) -> None:
    """Whatever else ends lines elsewhere is a part of the text, which is a client's perhaps."""
    said = f"INFO planner said{ending}{DUMPED}{ending}{CHUNKED}"
    assert judge(said).state is MISSING


def test_a_line_longer_than_any_of_amandas_is_none() -> None:
    """Amanda cuts its lines at 4 KB; so nothing takes longer than its length."""
    assert judge(DUMPED, CHUNKED).state is HELD
    assert judge(DUMPED + " " * 9000, CHUNKED).state is FAILED


@pytest.mark.parametrize(
    "line",
    [
        "ERROR planner lap: invalid reply from sendsize: `/d 0 NOTHING'",
        f"FAIL planner lap /d {RUN} 0 [badly formatted response from lap]",
        f"FAIL dumper lap /d {RUN} 1 [parse of reply message failed: x]",
    ],
)
def test_an_answer_that_amanda_could_not_read_marks_the_log(line: str) -> None:
    """What stands in it behind that may be anybody's words."""
    assert parse(line).is_doubtful
    assert not parse(DUMPED, f"INFO planner {line}").is_doubtful
    assert not any(read_log(stamp).is_doubtful for stamp in REAL)


@pytest.mark.parametrize("date", ["20140101", "20269999999999", "20260229120000", "19000101000000"])
def test_a_date_that_is_no_time_names_no_run(date: str) -> None:
    """As of a configuration that names runs by their day; nothing is made up in its place."""
    log = parse_run_log(HEAD.replace(RUN, date))
    assert log
    assert log.timestamp is None
    done = f'DONE taper "ST:s" "POOL:p" lap /d {date} 1 2 {STATS}'
    assert all(verdict.timestamp == RUN for verdict in parse(done).verdicts)


def test_the_place_of_each_part_is_known() -> None:
    """The label and the file's number there, of its own dumps and of those that it flushed."""
    log = read_log("20261123055725")
    assert log.places["lapy", "/srv/data1", "20261123055659"] == (("ROAM-006", 1),)
    assert log.places["lapy", "/srv/data1", "20261123055725"] == (("ROAM-006", 4),)
    part = 'PART taper "ST:s" "POOL:p" "A B" 7 lap "/d e" {} {}/-1 1 [sec 1]'
    log = parse(part.format(RUN, 1), part.format(RUN, 2).replace(" 7 ", " 8 "))
    assert log.places["lap", "/d e", RUN] == (("A B", 7), ("A B", 8))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("[sec 0.1 kb 1 kps 1.0 orig-kb 1] no volume left", "no volume left"),
        ("[sec 0.1 bytes 1 kps 1.0 orig-kb 1] [error: x]", "error: x"),
        ("[sec 0.1 kb 1 kps 1.0 orig-kb 1]", ""),
    ],
)
def test_what_stands_behind_the_numbers_is_the_reason(said: str, reason: str) -> None:
    """Of a dump that the taper wrote a part of."""
    log = parse(f'PARTIAL taper "ST:s" "POOL:p" lap /d {OLDER} 1 1 {CRC} 0:0 {said}')
    assert log.errors == (f"taper: lap:/d of {OLDER}: {reason or 'not all of it was written'}",)


@pytest.mark.parametrize("word", ["[sec ", "[sec ] ", "orig-kb ", '"', "\\", "\t"])
@pytest.mark.parametrize("kind", ["PARTIAL taper", "DONE taper", "SUCCESS dumper", "FAIL planner"])
def test_a_line_takes_as_long_as_it_is(kind: str, word: str) -> None:
    """Ten times as long takes ten times as long, not a hundred times: whatever a client writes."""

    def measure(times: int) -> float:
        line = f"{kind} lap /d {OLDER} 1 1 {word * times}"[:8000]
        spans = []
        for _ in range(5):
            begun = time.process_time()
            for _ in range(20):
                parse(line)
            spans.append(time.process_time() - begun)
        return min(spans)

    assert measure(1000) < 60 * measure(100)
