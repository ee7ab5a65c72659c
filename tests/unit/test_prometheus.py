"""The text file, read as strictly as Prometheus reads it."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.exposition import parse_exposition

from asyncamanda import __version__
from asyncamanda.core.model import Outcome
from asyncamanda.core.values.printable import printable_lines
from asyncamanda.report.prometheus import Metrics, render_prometheus

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

Samples = dict[tuple[str, str | None], float]


def parse(text: str) -> Samples:
    """Return each sample by its metric and the value of its label."""
    found = parse_exposition(text)
    return {
        (name, labels[0][1] if labels else None): value for (name, labels), value in found.items()
    }


def test_how_the_backup_stands_is_in_it() -> None:
    """Each metric with its value; times are seconds since 1970."""
    standing = Metrics(
        looked_at=NOW,
        confirmed={"/home": NOW - timedelta(hours=1), "/srv": NOW - timedelta(days=9)},
        is_stale=True,
        is_overdue=True,
        attempted_at=NOW - timedelta(minutes=5),
        outcome=Outcome.BACKED_UP,
        success_at=NOW - timedelta(days=9),
        exposure=timedelta(hours=6),
    )
    now = NOW.timestamp()
    assert parse(render_prometheus(standing)) == {
        ("asyncamanda_last_confirmed_timestamp_seconds", "/home"): now - 3600,
        ("asyncamanda_last_confirmed_timestamp_seconds", "/srv"): now - 9 * 86400,
        ("asyncamanda_last_success_timestamp_seconds", None): now - 9 * 86400,
        ("asyncamanda_stale", None): 1,
        ("asyncamanda_overdue", None): 1,
        ("asyncamanda_deferred", None): 0,
        ("asyncamanda_last_attempt_timestamp_seconds", None): now - 300,
        ("asyncamanda_last_attempt_outcome", "backed up"): 1,
        ("asyncamanda_exposure_seconds", None): 21_600,
        ("asyncamanda_last_look_timestamp_seconds", None): now,
        ("asyncamanda_info", __version__): 1,
    }


def test_what_is_not_known_is_left_out() -> None:
    """A metric without a sample would have a head without a body."""
    text = render_prometheus(Metrics(NOW, {}))
    names = {name for name, _ in parse(text)}
    assert names == {
        f"asyncamanda_{name}"
        for name in ("stale", "overdue", "deferred", "last_look_timestamp_seconds", "info")
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
