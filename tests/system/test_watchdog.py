"""What a run's watchdog does to real processes: to those of the run, and to no others."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from tests.system.amandafiles import AmandaFiles
from tests.system.hungfs import hung_file_system
from tests.system.watching import until

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.dispatch.records import RunKind, RunRow
from asyncamanda.core.dispatch.watchdog import WatchPolicy
from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.background.tasks import Background
from asyncamanda.server.dispatch.coordinator import Coordinator
from asyncamanda.server.dispatch.reach import ClientReach
from asyncamanda.server.dispatch.watchdog import Watchdog
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.relay.relay import Relay
from asyncamanda.system.clock import now
from asyncamanda.system.processes import has_session, read_process
from lab.patience import at_most

STAMP = "20261124010000"
SECOND = timedelta(seconds=1)
POLICY = WatchPolicy(silence=8 * SECOND, dump_silence=8 * SECOND, step=4 * SECOND)


def start_session() -> "subprocess.Popen[bytes]":
    """Start a process that leads a session, with another one in it."""
    # neither loads a program any more once it has said so, which would look like progress
    script = "exec 3<&0; (echo; read -r _ <&3) & echo; read -r _"
    argv = ["sh", "-c", script]
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout
    for _ in range(2):
        process.stdout.readline()
    return process


@pytest.fixture
def sessions() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Yield two sessions: the run's, and another."""
    both = [start_session(), start_session()]
    yield both
    for one in both:
        one.kill()
        one.communicate()


def watch(run: Run, folder: Path, doing: Callable[[Watchdog], Awaitable[None]]) -> list[str]:
    """Do something with a run's watchdog; return what it has to say."""
    said: list[str] = []

    async def do() -> None:
        reach = ClientReach(Relay(SECOND), Registry(folder / "authorized_keys"), "daily")
        await doing(Watchdog(run, POLICY, reach, said.append))

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

    async def look(watchdog: Watchdog) -> None:
        for seconds in (0, 5, 10, 15, 20):
            await watchdog.look(start + seconds * SECOND)
            if watchdog.was_killed:  # what is not gone by the next look would be killed again
                leader.wait(at_most(10))
                until(lambda: not has_session(leader.pid, run.row.pid_started), "all are gone")
        assert watchdog.was_killed

    (said,) = watch(run, tmp_path, look)
    assert said == f"run 1 ({STAMP}) is killed: the run made no progress for 8s"
    assert not run.is_alive()
    assert other.poll() is None
    assert (whole.exists(), half.exists(), foreign.exists()) == (True, False, True)


def test_a_clock_that_steps_kills_nothing(
    sessions: list["subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    """Nor does a machine that slept."""
    leader, _ = sessions
    run, start = make_run(leader, AmandaFiles(tmp_path)), now()

    async def look(watchdog: Watchdog) -> None:
        for days in (0, 1, -1):
            await watchdog.look(start + timedelta(days=days))
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

    async def look(watchdog: Watchdog) -> None:
        for seconds in range(0, 30, 5):
            await watchdog.look(start + seconds * SECOND)

    watch(run, tmp_path, look)
    assert leader.poll() is None


def test_a_run_is_watched_though_nobody_can_read_who_is_enrolled(
    sessions: list["subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    """Else it would be followed by nobody any more, and its clients would wait forever."""
    leader, _ = sessions
    run, start = make_run(leader, AmandaFiles(tmp_path)), now()
    (tmp_path / "authorized_keys").mkdir()  # not even root reads that

    async def look(watchdog: Watchdog) -> None:
        for seconds in (0, 5, 10, 15, 20):
            await watchdog.look(start + seconds * SECOND)
        assert watchdog.was_killed

    watch(run, tmp_path, look)


FOLLOWING = """
import asyncio, subprocess, sys
from pathlib import Path
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.dispatch.records import RunKind, RunRow
from asyncamanda.server.background import threads
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.background.tasks import Background
from asyncamanda.server.dispatch.batches import Batches
from asyncamanda.server.dispatch.messenger import Messenger
from asyncamanda.server.dispatch.queue import Queue
from asyncamanda.server.dispatch.reach import ClientReach
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.relay.relay import Relay
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.system.clock import now
from asyncamanda.system.processes import read_process

threads.WITHIN = 0.2
logs, holding, stamp = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
amdump = subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True)
started = read_process(amdump.pid).started
row = RunRow(1, "daily", RunKind.BATCH, ("laptop",), now(), stamp, amdump.pid, started)
run = Run(row, Settings("daily", logs, (holding,), 1), logs / "out", amdump, timestamp=stamp)

async def main():
    site = Site("daily", ServerConfig(), None, Background(lambda: None))
    reach = ClientReach(Relay(site.config.grace), Registry(logs / "authorized_keys"), "daily")
    queue = Queue(site)
    batches = Batches(site, queue, reach, Messenger(site, queue, dict))
    following = asyncio.create_task(batches._follow(run))
    for _ in range(10):
        await asyncio.sleep(0.1)
    print("others are served" if not following.done() else following.result(), flush=True)
    amdump.stdin.close()

asyncio.run(main())
"""


def test_a_holding_disk_that_hangs_holds_up_nobody_but_its_run(tmp_path: Path) -> None:
    """Whoever follows that looks into it all the time."""
    place = tmp_path / "holding"
    place.mkdir()
    argv = [sys.executable, "-c", FOLLOWING, str(tmp_path), str(place), STAMP]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with hung_file_system(place):
        follower = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE)
        assert follower.stdout
        is_heard = select.select([follower.stdout], [], [], at_most(60))[0]
        said = follower.stdout.readline() if is_heard else b""
    follower.kill()
    follower.communicate()
    assert said == b"others are served\n"


def test_a_run_is_followed_by_one_desk_only(
    sessions: list["subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    """One that cannot be opened releases the runs that it took over: the next one has them."""
    leader, _ = sessions
    run = make_run(leader, AmandaFiles(tmp_path))

    async def open_desk() -> None:
        background = Background(lambda: None)
        config = ServerConfig()
        reach = ClientReach(Relay(SECOND), Registry(tmp_path / "authorized_keys"), "daily")
        coordinator = Coordinator("daily", config, cast(LedgerAccess, None), background, reach)
        following = asyncio.create_task(coordinator.batches._follow(run))
        with pytest.raises(AsyncamandaError):  # there is no such configuration here
            await coordinator.opened
        await asyncio.wait_for(following, 20)

    asyncio.run(open_desk())
    assert run.is_alive()


WRITES = """#!/bin/sh
exec 9<>"$1"
echo open
read -r _
exec 9<&-
echo closed
read -r _
"""
TRACE = (
    "driver: send-cmd time 2.605 to dumper1: SHM-DUMP 01-00002 56545 NULL 2 laptop ffff /home"
    ' NODEVICE 0 1970:1:1:0:0:0 GNUTAR "" ssh AMANDA\n'
)
CHUNKER_TRACE = (
    "driver: started chunker1 pid {}\n"
    f"driver: send-cmd time 2.604 to chunker1: START {STAMP}\n"
    "driver: send-cmd time 2.604 to chunker1: SHM-WRITE 01-00002 /x/laptop._home.0 laptop ffff"
    f" /home 0 {STAMP} 1048576 GNUTAR 96 |;auth=ssh;index;\n"
)


@pytest.fixture
def chunker(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield a session of Amanda's names: a chunker, which has its file open, and a dumper."""
    files = AmandaFiles(tmp_path)
    half = files.hold(STAMP, level=0, name="laptop._home.0.tmp")
    (files.logdir / f"amdump.{STAMP}").write_text(TRACE)
    (tmp_path / "dumper").symlink_to("/bin/sleep")
    (tmp_path / "chunker").write_text(WRITES)
    (tmp_path / "chunker").chmod(0o755)
    is_dumper = '[ "$(cat /proc/$!/comm)" = dumper ]'
    begin = f'(exec -a dumper1 "$1/dumper" 600) & until {is_dumper}; do :; done'
    script = f'{begin}; exec "$1/chunker" "$2"'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", str(tmp_path), str(half)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout
    assert process.stdout.readline() == b"open\n"
    yield process
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("is_seen_open", [True, False])
def test_a_chunker_that_has_closed_its_file_still_waits_for_its_dumper(
    chunker: "subprocess.Popen[bytes]", tmp_path: Path, is_seen_open: bool
) -> None:
    """Amanda 3.5.4's dumper can die when all its bytes are written: the dump counts as stuck.

    A small dump is written between two looks: then the trace tells whose it is.
    """
    files = AmandaFiles(tmp_path)
    run, start = make_run(chunker, files), now()
    if not is_seen_open:
        trace = CHUNKER_TRACE.format(chunker.pid) + TRACE
        (files.logdir / f"amdump.{STAMP}").write_text(trace)

    def end_dumper() -> None:
        (dumper,) = (process for process in run.members() if process.name == "dumper")
        os.kill(dumper.pid, signal.SIGKILL)
        while any(process.name == "dumper" for process in run.members()):
            os.sched_yield()

    async def look(watchdog: Watchdog) -> None:
        if is_seen_open:
            await watchdog.look(start)
        assert chunker.stdin
        chunker.stdin.write(b"\n")
        chunker.stdin.flush()
        assert chunker.stdout
        assert chunker.stdout.readline() == b"closed\n"
        if not is_seen_open:
            await watchdog.look(start)
        end_dumper()
        for seconds in (2, 6, 10):
            await watchdog.look(start + seconds * SECOND)

    assert watch(run, tmp_path, look) == [
        "laptop: the dumper of its dump has died: its streams are cut",
        f"laptop: its dump is still stuck: its process {chunker.pid} is ended",
    ]
    assert chunker.wait(at_most(10)) == -signal.SIGTERM
