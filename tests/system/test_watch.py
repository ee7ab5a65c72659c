"""What a run's watchdog does to real processes: to those of the run, and to no others."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles

from asyncamanda.core.books import RunKind, RunRow
from asyncamanda.core.watchdog import WatchPolicy
from asyncamanda.server.reach import Reach
from asyncamanda.server.registry import Registry
from asyncamanda.server.relay import Relay
from asyncamanda.server.runs import Run
from asyncamanda.server.watch import Watchdog
from asyncamanda.system.clock import now
from asyncamanda.system.processes import has_session, read_process

STAMP = "20261124010000"
SECOND = timedelta(seconds=1)
POLICY = WatchPolicy(silence=8 * SECOND, dump_silence=8 * SECOND, step=4 * SECOND)


def start_session() -> "subprocess.Popen[bytes]":
    """Start a process that leads a session, with another one in it."""
    argv = ["sh", "-c", "echo; cat & cat"]
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout
    process.stdout.readline()
    return process


@pytest.fixture
def sessions() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Lend two sessions: the run's, and another."""
    both = [start_session(), start_session()]
    yield both
    for one in both:
        one.kill()
        one.communicate()


def watch(run: Run, folder: Path, doing: Callable[[Watchdog], object]) -> list[str]:
    """Do something with a run's watchdog; return what it has to say."""
    said: list[str] = []

    async def do() -> None:
        reach = Reach(Relay(SECOND), Registry(folder / "authorized_keys"), "daily")
        doing(Watchdog(run, POLICY, reach, said.append))

    asyncio.run(do())
    return said


def make_run(leader: "subprocess.Popen[bytes]", files: AmandaFiles) -> Run:
    """Return a run whose session is that of `leader`."""
    process = read_process(leader.pid)
    assert process
    row = RunRow(1, "daily", RunKind.BATCH, ("laptop",), now(), STAMP, leader.pid, process.started)
    return Run(row, files.settings, files.logdir / "out", leader, timestamp=STAMP)


def test_a_run_that_stands_is_killed_and_its_half_written_files_go(
    sessions: list["subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    """All of its session, and nothing else; whole dumps stay."""
    files = AmandaFiles(tmp_path)
    whole, half = files.hold(STAMP), files.hold(STAMP, disk="/srv", name="laptop._srv.0.tmp")
    foreign = files.hold("20261124020000", name="laptop._srv.0.tmp")
    leader, other = sessions
    run, start = make_run(leader, files), now()

    def look(watchdog: Watchdog) -> None:
        for seconds in (0, 5, 10, 15, 20):
            watchdog.look(start + seconds * SECOND)
        assert watchdog.was_killed

    (said,) = watch(run, tmp_path, look)
    assert said == f"run 1 ({STAMP}) is killed: nothing came of the run for 8s"
    leader.wait(10)
    assert not run.is_alive()
    assert not has_session(leader.pid, run.row.pid_started)
    assert other.poll() is None
    assert (whole.exists(), half.exists(), foreign.exists()) == (True, False, True)


def test_a_clock_that_steps_kills_nothing(
    sessions: list["subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    """Nor does a machine that slept."""
    leader, _ = sessions
    run, start = make_run(leader, AmandaFiles(tmp_path)), now()

    def look(watchdog: Watchdog) -> None:
        for days in (0, 1, -1):
            watchdog.look(start + timedelta(days=days))
        assert not watchdog.was_killed

    assert watch(run, tmp_path, look) == []
    assert run.is_alive()


def test_a_number_that_was_given_again_is_not_killed(
    sessions: list["subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    """Its session is another's."""
    leader, _ = sessions
    run, start = make_run(leader, AmandaFiles(tmp_path)), now()
    assert run.row.pid_started
    run.row = RunRow(
        1, "daily", RunKind.BATCH, ("laptop",), now(), STAMP, leader.pid, run.row.pid_started - 1
    )

    def look(watchdog: Watchdog) -> None:
        for seconds in range(0, 30, 5):
            watchdog.look(start + seconds * SECOND)

    watch(run, tmp_path, look)
    assert leader.poll() is None


def test_a_run_is_watched_though_nobody_can_read_who_is_enrolled(
    sessions: list["subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    """Else it would be followed by nobody any more, and its clients would wait for ever."""
    leader, _ = sessions
    run, start = make_run(leader, AmandaFiles(tmp_path)), now()
    (tmp_path / "authorized_keys").mkdir()  # not even root reads that

    def look(watchdog: Watchdog) -> None:
        for seconds in (0, 5, 10, 15, 20):
            watchdog.look(start + seconds * SECOND)
        assert watchdog.was_killed

    watch(run, tmp_path, look)
