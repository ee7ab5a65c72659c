"""The text file, read as strictly as Prometheus reads it."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.model import Outcome
from asyncamanda.core.values.printable import printable_lines
from asyncamanda.report.prometheus import Metrics, render_prometheus

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

# prometheus.io/docs/instrumenting/exposition_formats: lines end with \n only
HEAD = re.compile(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) ([^\n]+)")
SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)"
    r'(?:\{([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"\})? '
    r"([-+]?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)"
)
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Samples = dict[tuple[str, str | None], float]


def parse(text: str) -> Samples:
    """Return each sample by metric and label; refuse what Prometheus would."""
    assert text.endswith("\n")
    text.encode("utf-8")
    samples: Samples = {}
    metric = ""
    heads: list[str] = []
    for line in text.removesuffix("\n").split("\n"):
        if head := HEAD.fullmatch(line):
            if head[1] == "HELP":
                assert head[2] not in {name for name, _ in samples}, "a metric in two pieces"
                metric, heads = head[2], []
            assert head[2] == metric
            heads.append(head[1])
            assert head[1] == "HELP" or head[3] == "gauge"
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        assert (sample[1], heads) == (metric, ["HELP", "TYPE"])
        value = sample[3]
        if value is not None:
            value = re.sub(r'\\[\\"n]', lambda found: ESCAPES[found[0]], value)
        assert (metric, value) not in samples, "a sample twice"
        samples[metric, value] = float(sample[4])
    return samples


def test_how_the_backup_stands_is_in_it() -> None:
    """Each metric with its value; times are seconds since 1970."""
    standing = Metrics(
        looked_at=NOW,
        confirmed={"/home": NOW - timedelta(hours=1), "/srv": NOW - timedelta(days=9)},
        is_stale=True,
        is_overdue=True,
        attempted_at=NOW - timedelta(minutes=5),
        outcome=Outcome.BACKED_UP,
        exposure=timedelta(hours=6),
    )
    now = NOW.timestamp()
    assert parse(render_prometheus(standing)) == {
        ("asyncamanda_last_confirmed_timestamp_seconds", "/home"): now - 3600,
        ("asyncamanda_last_confirmed_timestamp_seconds", "/srv"): now - 9 * 86400,
        ("asyncamanda_stale", None): 1,
        ("asyncamanda_overdue", None): 1,
        ("asyncamanda_deferred", None): 0,
        ("asyncamanda_last_attempt_timestamp_seconds", None): now - 300,
        ("asyncamanda_last_attempt_outcome", "backed up"): 1,
        ("asyncamanda_exposure_seconds", None): 21_600,
        ("asyncamanda_last_look_timestamp_seconds", None): now,
    }


def test_what_is_not_known_is_left_out() -> None:
    """A metric without a sample would have a head without a body."""
    text = render_prometheus(Metrics(NOW, {}))
    assert "confirmed" not in text
    assert "attempt" not in text
    names = {name for name, _ in parse(text)}
    assert names == {
        f"asyncamanda_{name}"
        for name in ("stale", "overdue", "deferred", "last_look_timestamp_seconds")
    }


@pytest.mark.parametrize(
    "disk",
    ['/a "b"', "/line\nbreak", "C:\\new", "\\", "\\n", "}", "é \U0001f4be", "\r", "\x85", ""],
)
def test_any_name_of_a_disk_comes_back(disk: str) -> None:
    """Quotes, backslashes and line breaks included; what else does not print is written out."""
    found = parse(render_prometheus(Metrics(NOW, {disk: NOW})))
    name = printable_lines(disk)
    assert found["asyncamanda_last_confirmed_timestamp_seconds", name] == NOW.timestamp()


def test_a_name_that_is_no_text_is_written_out() -> None:
    """One byte that is not UTF-8, and the exporter would drop the whole file."""
    found = parse(render_prometheus(Metrics(NOW, {"/caf\udce9": NOW, "/café": NOW})))
    assert ("asyncamanda_last_confirmed_timestamp_seconds", "/caf\\udce9") in found
    assert ("asyncamanda_last_confirmed_timestamp_seconds", "/café") in found
