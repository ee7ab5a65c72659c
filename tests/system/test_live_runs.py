"""Whether a run goes on is told by its processes, and never by a number that was given again."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles

from asyncamanda.core.books import RunKind, RunRow
from asyncamanda.server.amanda import LiveRuns
from asyncamanda.server.runs import adopt
from asyncamanda.system.clock import now
from asyncamanda.system.processes import began_at, read_boot_id, read_process

STAMP = "20261124010000"
HOUR = timedelta(hours=1)
Start = Callable[..., int]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program that is called so and waits, in a session of its own; return its number."""
    with ExitStack() as stack:

        def start_one(name: str, *words: str) -> int:
            program = tmp_path / name
            shutil.copy(shutil.which("cat") or "/bin/cat", program)
            process = stack.enter_context(
                subprocess.Popen(
                    [program, "-", *words],
                    stdin=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
            return process.pid

        yield start_one


def test_a_run_is_alive_with_its_first_process_or_one_that_writes_its_log(start: Start) -> None:
    """Programs of other names, and other runs' logs, are none of it."""
    first = start("amdump")
    start("driver", f"/logs/log.{STAMP}.0")
    other = start("sleeper", "/logs/log.20261124020000.0")
    live = LiveRuns()
    assert live("20260101000000", first, now())
    assert live(STAMP, 0, now())
    assert not live("20260101000000", other, now())
    assert not live("20261124020000", 0, now())


def test_a_number_that_was_given_again_is_no_run(start: Start) -> None:
    """Its process has begun after the log was last written."""
    pid = start("amdump")
    process = read_process(pid)
    assert process
    assert abs(began_at(process) - datetime.now(UTC).timestamp()) < 3600
    assert not LiveRuns()("20260101000000", pid, now() - HOUR)


def test_an_adopted_run_is_alive_with_its_own_leader_only(start: Start, tmp_path: Path) -> None:
    """Another process of the same number began at another time; in another boot, none is ours."""
    pid = start("amdump")
    process = read_process(pid)
    assert process
    files = AmandaFiles(tmp_path)

    def is_alive(pid_started: int | None, boot_id: str) -> bool:
        row = RunRow(
            1,
            "daily",
            RunKind.BATCH,
            ("laptop",),
            now(),
            pid=pid,
            pid_started=pid_started,
            boot_id=boot_id,
        )
        return adopt(row, files.settings, tmp_path / "out").is_alive()

    assert is_alive(process.started, read_boot_id())
    assert not is_alive(process.started + 1, read_boot_id())
    assert not is_alive(process.started, "another")
    os.kill(pid, 9)
