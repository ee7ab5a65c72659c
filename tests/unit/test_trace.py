"""A run's trace -> what was begun, and when it started. The trace is Amanda 3.5.1's."""

from datetime import datetime

import pytest
from tests.samples import read_sample

from asyncamanda.core.amanda.trace import find_begun, find_chunkers, find_dumpers, find_start

RUN = "20261123055457"


def test_the_trace_tells_what_was_started() -> None:
    """A real one: the chunker and the dumper were told."""
    trace = read_sample("run-logs/amdump.20261124151504")
    assert find_begun(trace) == {("laptop", "/srv/docs"): 0}
    before = trace[: trace.index("driver: started chunker0")]
    assert find_begun(before) == {}
    told_chunker = trace[: trace.index("driver: result time 2.180 from chunker0")]
    assert find_begun(told_chunker) == {("laptop", "/srv/docs"): 0}


DUMP = '1970:1:1:0:0:0 0 GNUTAR "" ""'


@pytest.mark.parametrize(
    ("line", "begun"),
    [
        (
            "driver: send-cmd time 2.077 to chunker10: PORT-WRITE 00-00001 "
            f'"/hold 1/lap.d.0" lap ffff "/srv/d 3" 2 {RUN} 1048576 GNUTAR 3008 |;',
            {("lap", "/srv/d 3"): 2},
        ),
        (
            "driver: send-cmd time 2.180 to dumper3: PORT-DUMP 00-00001 42071 127.0.0.1 2 "
            f'lap ffff "a:\\"b" "/dev/x y" 12 {DUMP}',
            {("lap", 'a:"b'): 12},
        ),
        ("driver: send-cmd time 2.1 to dumper3: ABORT 00-00001 42071 NULL 2 lap f /d /d 1 x", {}),
        ("driver: send-cmd time 2.1 to taper0: FILE-WRITE w 00-1 /h lap /d 1 20261123 0", {}),
        ("driver: result time 2.1 from chunker0: PORT-WRITE 00-1 /h lap f /d 1 x", {}),
        (" driver: send-cmd time 2.1 to chunker0: PORT-WRITE 00-1 /h lap f /d 1 x", {}),
    ],
)
def test_what_was_started_is_read_from_either_side(
    line: str, begun: dict[tuple[str, str], int]
) -> None:
    """The chunker's command, or the dumper's where the dump goes straight to a volume."""
    assert find_begun(f"x\n{line}\n") == begun


def test_a_dump_that_was_started_again_has_its_last_level() -> None:
    """A retry may be at another level."""
    line = "driver: send-cmd time 2.1 to chunker0: SHM-WRITE 00-1 /h lap f /d {} x\n"
    assert find_begun(line.format(1) + line.format(0)) == {("lap", "/d"): 0}


def test_the_trace_tells_which_dumper_has_a_dump() -> None:
    """A real one; and of several the last that was told, since the others have died or given up."""
    trace = read_sample("run-logs/amdump.20261124151504")
    assert find_dumpers(trace) == {("laptop", "/srv/docs"): "dumper0"}
    line = f"driver: send-cmd time 2.1 to dumper{{}}: PORT-DUMP 00-1 1 :: 2 lap f /d /x 1 {DUMP}\n"
    assert find_dumpers(line.format(3) + line.format(12)) == {("lap", "/d"): "dumper12"}
    assert find_dumpers(f"  {line.format(3)}{line.format('x')}") == {}


def test_the_trace_tells_what_a_chunker_writes() -> None:
    """By its process id; the first word counts, which no client can have been before."""
    trace = read_sample("run-logs/amdump.20261124151504")
    (found,) = find_chunkers(trace).items()
    assert found[1] == ("laptop", "/srv/docs")
    assert f"driver: started chunker0 pid {found[0]}\n" in trace
    start = "driver: started chunker1 pid {}\n"
    line = "driver: send-cmd time 2.1 to chunker{}: SHM-WRITE 00-1 /h {} f /d 1 x\n"
    assert find_chunkers(line.format(1, "lap")) == {}
    assert find_chunkers(start.format(7) + line.format(2, "lap")) == {}
    lines = [start.format(7), line.format(1, "lap"), start.format(7), line.format(1, "other")]
    assert find_chunkers("".join(lines)) == {7: ("lap", "/d")}
    lines = [start.format(7), line.format(1, "lap"), start.format(8), line.format(1, "other")]
    assert find_chunkers("".join(lines)) == {7: ("lap", "/d"), 8: ("other", "/d")}


def test_a_line_beyond_all_measure_tells_nothing() -> None:
    """Nor does it take long."""
    line = "driver: send-cmd time 2.1 to chunker0: SHM-WRITE 00-1 /h lap f /d 1 x"
    assert find_begun(line + " " * 70_000 + "\n") == {}


def test_the_trace_tells_when_the_run_started() -> None:
    """In local time, and what the zone was called."""
    noon = datetime(2026, 11, 24, 15, 15, 4)  # noqa: DTZ001 - as it is written
    assert find_start(read_sample("run-logs/amdump.20261124151504")) == (noon, "UTC")


@pytest.mark.parametrize(
    "head",
    [
        "",
        "amdump: start at Tue Nov 24 15:15:04 UTC 2026\n",
        "amdump: starttime-locale-independent 2026-13-24 15:15:04 UTC\n",
        "amdump: starttime-locale-independent 2026-11-24 15:15:04\n",
        "amdump: starttime-locale-independent 2026-11-24 15:15:04 UTC\r\n",
        "\n" * 20 + "amdump: starttime-locale-independent 2026-11-24 15:15:04 UTC\n",
    ],
)
def test_a_trace_that_does_not_begin_so_tells_nothing(head: str) -> None:
    """Further down stand words of others."""
    assert find_start(head) is None
