"""A restore on a terminal: a bar while it goes on, and nothing of it afterwards."""

import re
import sys

import pexpect

SCRIPT = """\
import sys, time
from datetime import UTC, datetime
from asyncamanda.core.restore.outcome import RestoreOutlook
from asyncamanda.report.restore_narrator import RestoreNarrator

narrator = RestoreNarrator(is_streaming="--json" in sys.argv)
with narrator.live():
    at = datetime(2026, 11, 20, tzinfo=UTC)
    outlook = RestoreOutlook("/home", "20261120000000", at, 12, 1, 2_000_000, ("a\\x1b[31mdoubt",))
    narrator.begin([outlook], "/root/out-" + "x" * 54)
    for step in range(1, 100):
        narrator.progress(step // 10, step * 20_000)
        time.sleep(0.02)
    narrator.tell("the connection broke; trying again")
print("restored")
"""


def spawn(*words: str) -> "pexpect.spawn[str]":
    """Start the script, with these words, on a terminal of 80 columns."""
    return pexpect.spawn(
        "/bin/sh",
        ["-c", *words] if words else ["-c", 'exec "$0" -c "$1"', sys.executable, SCRIPT],
        env={"TERM": "xterm", "PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"},
        dimensions=(24, 80),
        encoding="utf-8",
        timeout=60,
    )


def test_a_bar_leaves_room_for_the_echo_of_ctrl_c() -> None:
    """Else the echo goes to the next line, and a bar stays when its line is cleared."""
    program = spawn()
    program.expect(pexpect.EOF)
    assert program.before
    lines = re.split(r"\r|\n", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", program.before))
    bars = [line for line in lines if " of 12 files" in line]
    assert bars
    assert {len(line) for line in bars} == {76}
    assert any(len(line) > 76 for line in lines)  # what is said has them all


def test_events_go_to_stdout_though_stderr_is_a_terminal() -> None:
    """For a program behind a pipe; no bar is drawn where lines of JSON are shown."""
    program = spawn('"$0" -c "$1" --json | sed s/^/piped:/', sys.executable, SCRIPT)
    program.expect(pexpect.EOF)
    assert program.before
    lines = program.before.splitlines()
    assert any(line.startswith('piped:{"event": "plan"') for line in lines)
    assert any(line.startswith('piped:{"event": "progress"') for line in lines)
    assert not any(" of 12 files" in line for line in lines)


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
    program.expect("restoring to /root/out-x{54}:")
    program.expect_exact("(run 20261120000000): 12 files, 1 folder, 2 MB")
    program.expect_exact("a\\x1b[31mdoubt")
    program.expect("[1-9] of 12 files")
    program.expect("MB/s|kB/s")
    program.expect_exact("the connection broke; trying again")
    program.expect_exact("\x1b[2K")  # the bar's line is cleared
    program.expect_exact("restored\r\n")
    program.expect(pexpect.EOF)
    assert program.before == ""
