"""Whether a run goes on is told by its processes, and never by a number that was given again."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles

from asyncamanda.core.dispatch.records import RunKind, RunRow
from asyncamanda.server.amanda.commands import LiveRuns
from asyncamanda.server.amanda.hiding import KEEPER
from asyncamanda.server.amanda.run import Run, adopt
from asyncamanda.system.clock import now, parse_local_stamp
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


def test_a_session_of_a_number_that_was_given_again_is_none_of_a_run(
    start: Start, tmp_path: Path
) -> None:
    """Its leader began at another time."""
    pid = start("sh-like")
    process = read_process(pid)
    assert process
    files = AmandaFiles(tmp_path)
    row = RunRow(1, "daily", RunKind.BATCH, ("laptop",), now(), STAMP, pid, process.started - 1)
    run = adopt(replace(row, boot_id=read_boot_id()), files.settings, tmp_path / "out")
    assert not run.is_alive()
    assert run.members() == []


@pytest.mark.parametrize(("told", "is_its"), [(f"/x/log.{STAMP}.0", True), ("/x/log.2.0", False)])
def test_what_a_dead_leader_left_is_known_by_the_log_that_it_was_told(
    tmp_path: Path, told: str, is_its: bool
) -> None:
    """As Amanda's programs are told it."""
    files = AmandaFiles(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    leader = subprocess.Popen(
        ["sh", "-c", f"sh -c 'read -r x <{tmp_path}/pipe' driver {told} & echo $!"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert leader.stdout
    left = int(leader.stdout.readline())
    leader.wait()
    leader.stdout.close()
    row = RunRow(1, "daily", RunKind.BATCH, ("laptop",), now(), STAMP, leader.pid, 1)
    run = adopt(replace(row, boot_id=read_boot_id()), files.settings, tmp_path / "out")
    assert run.is_alive() is is_its
    os.kill(left, 9)


def test_a_runs_log_is_the_one_with_its_process_in_it(tmp_path: Path) -> None:
    """A newer one is that of a run that began at the same time."""
    files = AmandaFiles(tmp_path)
    row = RunRow(1, "daily", RunKind.BATCH, ("laptop",), parse_local_stamp(STAMP), pid=77)
    for run in (
        adopt(row, files.settings, tmp_path / "out"),
        Run(row, files.settings, tmp_path / "out"),
    ):
        own, other = "log.20261124010002.0", "log.20261124010003.0"
        (files.logdir / other).write_text("INFO amdump amdump pid 78\n", "utf-8")
        assert not run.find_log()
        (files.logdir / own).write_text("INFO amdump amdump pid 77\n", "utf-8")
        assert run.find_log()
        assert run.log_name == own
        (files.logdir / own).unlink()


def test_a_run_gets_the_keeper_that_it_has_not_got_yet(tmp_path: Path) -> None:
    """However long its driver takes to make the directory."""
    files = AmandaFiles(tmp_path)
    row = RunRow(1, "daily", RunKind.BATCH, ("laptop",), now(), STAMP, 77, 1)
    run = adopt(row, files.settings, tmp_path / "out")
    run.keep_place()
    assert not (files.holding / STAMP).exists()
    (files.holding / STAMP).mkdir()
    run.keep_place()
    assert (files.holding / STAMP / KEEPER).read_text("ascii") == "77"


def test_an_adopted_runs_log_is_not_older_than_the_run(tmp_path: Path) -> None:
    """An older one with its process's number in it is another run's."""
    files = AmandaFiles(tmp_path)
    begun_at = parse_local_stamp(STAMP)
    row = RunRow(1, "daily", RunKind.BATCH, ("laptop",), begun_at, pid=77, pid_started=1)
    run = adopt(row, files.settings, tmp_path / "out")
    older, newer = "log.20261124005959.0", "log.20261124010002.0"
    (files.logdir / older).write_text("INFO amdump amdump pid 77\n", "utf-8")
    assert not run.find_log()
    (files.logdir / newer).write_text("INFO amdump amdump pid 77\n", "utf-8")
    assert run.find_log()
    assert run.log_name == newer
