"""amstatus's words -> how far each dump is. The samples are Amanda 3.5.1's."""

import pytest
from tests.samples import read_sample

from asyncamanda.core.amanda.amstatus import parse_amstatus
from asyncamanda.core.model import DleProgress

RUN = "20261123055725"


def read_status(name: str, timestamp: str) -> tuple[DleProgress, ...]:
    """Return how far the run `timestamp` is by the sample `name`."""
    return parse_amstatus(read_sample(f"amstatus/{name}.txt"), timestamp)


@pytest.mark.parametrize(
    ("step", "phase", "done", "total"),
    [
        ("getting-estimate", "estimating", 0, 0),
        ("partial-estimate", "estimating", 0, 2940),
        ("estimate-done", "estimating", 0, 2940),
        ("waiting", "waiting", 0, 2940),
        ("starting", "dumping", 0, 2940),
        ("dumping", "dumping", 0, 2940),
        ("done", "done", 2940, 2940),
        ("dead-estimating", "failed", 0, 2940),
        ("dead-dumping", "failed", 0, 2940),
    ],
)
def test_a_dump_goes_through_its_phases(step: str, phase: str, done: int, total: int) -> None:
    """As a real run did, and as it would have looked had it died; the summary is no dump."""
    expected = DleProgress("laptop", "/srv/docs", 0, phase, done, total)
    assert read_status(f"20261124151504.{step}", "20261124151504") == (expected,)


def test_a_dump_that_goes_on_tells_how_much_is_done() -> None:
    """And what waits to be flushed is no dump of the run."""
    expected = DleProgress("lapy", "/srv/data1", 0, "dumping", 13792, 64520)
    assert read_status("dumping", RUN) == (expected,)


def test_a_flushed_dump_is_no_progress() -> None:
    """It has an older timestamp than the run."""
    assert read_status("20261123055725.finished", RUN) == (
        DleProgress("lapy", "/srv/data1", 0, "done", 64520, 64520),
        DleProgress("lapy", "/srv/data2", 0, "done", 3080, 3080),
    )


def test_a_dump_that_waits_for_its_volume_is_done() -> None:
    """Even where the run ended before; a failed estimate is a failure."""
    assert read_status("20261123055659.finished", "20261123055659") == (
        DleProgress("lapy", "/srv/data1", 1, "done", 10, 10),
        DleProgress("lapy", "/srv/data2", 0, "done", 3080, 3080),
        DleProgress("lapz", "/srv/data2", 0, "failed", 0, 0),
    )


def test_what_the_run_never_came_to_has_failed() -> None:
    """The run ended while the dump waited for its turn."""
    rows = read_status("20261123055253.finished", "20261123055253")
    assert [row.phase for row in rows] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("words", "phase", "done"),
    [
        ("dumping to tape (20k done (25.00%)) ( 5:57:29)", "dumping", 20),
        ("dump done, writing (20k done (25.00%)) (1+ 5:57:29)", "writing", 20),
        ("dump done ( 5:57:29), (vtl) writing (20k done (25.00%))", "writing", 20),
        ("dump done, wait for writing", "done", 80),
        ("dump done, waiting for a tape", "done", 80),
        ("dump done, write failed (will retry) ( 5:57:29)", "done", 80),
        ("dump done, partially written", "done", 80),
        ("dump to tape done ( 5:57:29)", "done", 80),
        ("dump failed: data read: Connection reset by peer ( 5:57:29)", "failed", 0),
        ("dump failed: (20k done (1%)", "failed", 0),
        ("dump failed: busy; will retry at level 1", "waiting", 0),
        ("dump to tape failed: no tape", "failed", 0),
        ("terminated while waiting for dumping", "failed", 0),
        ("quacking (20k done (25.00%))", "waiting", 0),
    ],
)
def test_amandas_words_are_understood(words: str, phase: str, done: int) -> None:
    """Those that are not known mean that the dump waits."""
    line = f"lapy:/srv/data1 {RUN} 1        80k {words}\n"
    assert parse_amstatus(line, RUN) == (DleProgress("lapy", "/srv/data1", 1, phase, done, 80),)


@pytest.mark.parametrize(
    ("name", "host", "disk"),
    [
        ("lapc:d1   ", "lapc", "d1"),
        ('lapc:"/srv/d 3"', "lapc", "/srv/d 3"),
        (
            'lapc:"C:\\\\a b: \\"c\\" 20261123055725 0 1k done"',
            "lapc",
            'C:\\a b: "c" 20261123055725 0 1k done',
        ),
        ('lapc:"d\udce9"', "lapc", "d\udce9"),
    ],
)
def test_an_odd_name_is_read_as_amanda_means_it(name: str, host: str, disk: str) -> None:
    """Colons, blanks and quotes within the quotes are the disk's."""
    (row,) = parse_amstatus(f"{name} {RUN} 0        80k wait for dumping\n", RUN)
    assert (row.host, row.disk) == (host, disk)


@pytest.mark.parametrize(
    ("unit", "done", "total"), [("k", 2, 3), ("m", 2048, 3072), ("g", 2 * 1024**2, 3 * 1024**2)]
)
def test_sizes_are_in_the_unit_of_the_configuration(unit: str, done: int, total: int) -> None:
    """Which is displayunit; they come back in KiB."""
    line = f"lapc:d1 {RUN} 0         3{unit} dumping (2{unit} done (66.67%)) ( 5:57:29)"
    assert parse_amstatus(line, RUN) == (DleProgress("lapc", "d1", 0, "dumping", done, total),)


def test_a_dump_that_is_estimated_may_lack_all_else() -> None:
    """Level and sizes are zero then; no other line may lack its timestamp."""
    text = "laptop:/srv/docs  getting estimate\nlaptop:/srv  no estimate\nlaptop:/  dumping\n"
    assert parse_amstatus(text, RUN) == (
        DleProgress("laptop", "/srv/docs", 0, "estimating", 0, 0),
        DleProgress("laptop", "/srv", 0, "estimating", 0, 0),
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Using: /var/log/amanda/roam/amdump",
        "From Mon Nov 23 05:57:25 UTC 2026",
        "dumping         :   0         0k         0k (  0.00%) (  0.00%)",
        f'lapc:"/srv/d 3 {RUN} 0 80k dumping',
        f"lapc:d1 {RUN} 0 80k ",
        "lapc:d1 20261122010101 0        0k getting estimate",
        "amstatus: could not open conf file",
    ],
)
def test_any_other_line_is_passed_over(line: str) -> None:
    """Headings, summaries, faults."""
    assert parse_amstatus(f"{line}\n", RUN) == ()
