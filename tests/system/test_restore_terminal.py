"""A restore on a terminal: a bar while it goes on, and nothing of it afterwards."""

import sys

import pexpect

SCRIPT = """\
import sys, time
from datetime import UTC, datetime
from asyncamanda.core.restore.outcome import RestoreOutlook
from asyncamanda.report.restore_narrator import RestoreNarrator

narrator = RestoreNarrator()
with narrator.live():
    at = datetime(2026, 11, 20, tzinfo=UTC)
    outlook = RestoreOutlook("/home", "20261120000000", at, 12, 1, 2_000_000, ("a\\x1b[31mdoubt",))
    narrator.begin([outlook], "/root/out")
    for step in range(1, 100):
        narrator.progress(step // 10, step * 20_000)
        time.sleep(0.02)
    narrator.tell("the connection broke; trying again")
print("restored")
"""


def test_a_bar_is_shown_and_gone_at_the_end() -> None:
    """With how many files, how much and how fast; what is said stands above it."""
    program = pexpect.spawn(
        sys.executable,
        ["-c", SCRIPT],
        env={"TERM": "xterm", "PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"},
        dimensions=(24, 100),
        encoding="utf-8",
        timeout=60,
    )
    program.expect_exact("restoring to /root/out:")
    program.expect_exact("(run 20261120000000): 12 files, 1 folder, 2 MB")
    program.expect_exact("a\\x1b[31mdoubt")
    program.expect("[1-9] of 12 files")
    program.expect("MB/s|kB/s")
    program.expect_exact("the connection broke; trying again")
    program.expect_exact("\x1b[2K")  # the bar's line is cleared
    program.expect_exact("restored\r\n")
    program.expect(pexpect.EOF)
    assert program.before == ""
