"""What `server restores` says of each."""

from datetime import UTC, datetime

from asyncamanda.core.dispatch.records import RestoreRow
from asyncamanda.report.restores import describe_restore

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
PATHS = ("anna/letters", "", "anna/a\nb")
ROW = RestoreRow(
    1, "daily", "laptop", "admin:root", "/home", PATHS, 7, "20261120120000", AT, 1, 1, "boot"
)


def test_a_restore_has_two_lines() -> None:
    """When, whose, by whom, how much, how it ended; and which files of which run."""
    head, what = describe_restore(ROW, is_alive=True)
    assert head.startswith("2026-11-20 ")
    assert head.endswith("  laptop, by admin:root: 0 files, 0 B, under way")
    assert what == "/home (run 20261120120000): anna/letters, ., anna/a\\x0ab, and 7 more"
    assert describe_restore(ROW, is_alive=False)[0].endswith("ended without a result")
