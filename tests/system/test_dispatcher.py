"""Whom the dispatcher lets carry a stream: a process of a client that may come in."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from tests.system.registering import enroll
from tests.system.relays import lend_state

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.dispatch.records import RequestRow, RunKind, RunRow
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.errors import LaterError
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.background.tasks import Background
from asyncamanda.server.dispatch import ledger_care
from asyncamanda.server.dispatch.coordinator import Coordinator
from asyncamanda.server.dispatch.dispatcher import Dispatcher
from asyncamanda.server.dispatch.ledger_care import open_ledger
from asyncamanda.server.dispatch.queue import OpenRequest
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.registry import Registry, revoke
from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.ipc import LARGEST, pack, relay_folder, unpack
from asyncamanda.server.ledger.ledger import Ledger, LedgerUnavailable
from asyncamanda.system.clock import now
from lab.patience import at_most


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep this machine's own state folder out of it."""
    for name in ("socket_path", "relay_folder", "relay_path", "make_runtime_folder"):
        function = getattr(ipc, name)
        *others, _ = function.__defaults__
        monkeypatch.setattr(function, "__defaults__", (*others, str(tmp_path / "state")))


TOKEN = "0123456789abcdef" * 2
KEY = PublicKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIAAA", "")
LAPTOP = Enrolled("laptop", "daily", KEY)


def probe(registry: Path, *words: str) -> list[list[str]]:
    """Return what the dispatcher says to a process that says `words`, to the end or a pause."""

    async def talk() -> list[list[str]]:
        dispatcher = Dispatcher(ServerConfig(), cast(Ledger, None), Registry(registry))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setblocking(False)
        ours.settimeout(0.3)
        ours.send(pack(*words))
        await dispatcher._listener.hear_caller(theirs)
        heard: list[list[str]] = []
        with ours:
            while heard[-1:] != [[""]]:
                try:
                    heard.append(unpack(ours.recv(LARGEST)))
                except TimeoutError:
                    break
        await asyncio.sleep(0.01)
        return heard

    return asyncio.run(talk())


def test_a_stream_of_another_dispatchers_goes_on(tmp_path: Path) -> None:
    """It is vouched for, to begin with."""
    keys = tmp_path / "authorized_keys"
    enroll(keys, LAPTOP)
    assert probe(keys, "attached", "laptop", "daily", TOKEN) == [["well"]]


def test_a_token_that_nobody_gave_ends_a_process(tmp_path: Path) -> None:
    """It is told why, and let go."""
    keys = tmp_path / "authorized_keys"
    enroll(keys, LAPTOP)
    why = ["no", "no stream of this client's is waited for"]
    assert probe(keys, "attach", "laptop", "daily", TOKEN) == [why, [""]]


def _revoke(keys: Path) -> None:
    assert revoke(keys, "laptop")


@pytest.mark.parametrize("word", ["attach", "attached"])
@pytest.mark.parametrize(
    ("identity", "change"),
    [
        (Identity("laptop", "daily"), _revoke),
        (Identity("laptop", "weekly"), bool),
        (Identity("tablet", "daily"), bool),
    ],
)
def test_who_may_not_come_in_any_more_carries_nothing(
    tmp_path: Path, word: str, identity: Identity, change: Callable[[Path], object]
) -> None:
    """Though its stream was joined before, or it knows a token."""
    keys = tmp_path / "authorized_keys"
    enroll(keys, LAPTOP)
    change(keys)
    assert probe(keys, word, *identity, TOKEN) == [["stop"], [""]]


def test_it_goes_on_with_whom_it_knows_while_nobody_can_read_who_is_enrolled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end would cut the dumps that are under way, and Amanda's calls find somebody."""
    keys = tmp_path / "authorized_keys"
    enroll(keys, LAPTOP)
    registry = Registry(keys)
    assert registry.contains(LAPTOP.identity)
    keys.unlink()
    keys.mkdir()  # not even root reads that

    async def expect() -> list[str]:
        dispatcher = Dispatcher(ServerConfig(), cast(Ledger, None), registry)
        dispatcher._expect_enrolled(now())
        called = [path.name for path in Path(relay_folder()).iterdir()]
        dispatcher._relay.close()
        return called

    with lend_state(monkeypatch):
        assert asyncio.run(expect()) == ["laptop"]
    with pytest.raises(LaterError):
        registry.contains(LAPTOP.identity)


async def _take_in_nothing(_coordinator: Coordinator) -> None:
    """Be a coordinator without Amanda."""


def test_a_run_keeps_its_number_when_the_ledger_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one that starts meanwhile does not get it, nor does it take up others' requests."""
    monkeypatch.setattr(Coordinator, "refresh", _take_in_nothing)
    config = ServerConfig(ledger=str(tmp_path / "ledger.sqlite"))
    settings = Settings("daily", tmp_path, (), ())

    async def lose() -> tuple[list[RunRow], int, dict[int, Run], RequestRow | None]:
        dispatcher = Dispatcher(config, open_ledger(config), Registry(tmp_path / "keys"))
        coordinator = dispatcher._coordinators.get("daily")
        record = dispatcher._access
        for client in ("tower", "larch", "laptop"):
            entry = coordinator.queue.entries[client] = OpenRequest(client, now())
            await coordinator.queue.write_down(entry)
        row = record.ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [3], now())
        run = Run(row, settings, tmp_path / "out")
        coordinator.batches.runs[row.id] = coordinator.queue.entries["laptop"].run = run
        for name in ("", "-wal", "-shm"):
            Path(f"{config.ledger}{name}").unlink()
        record.is_damaged = True
        async with record._turn:  # as while the ledger cannot be used
            starting = asyncio.create_task(
                record.write(
                    lambda one: one.runs.begin(RunKind.BATCH, "daily", ["tower"], [1], now())
                )
            )
            await asyncio.sleep(0)
            replacing = asyncio.create_task(dispatcher._ledger_care.replace())
            await asyncio.sleep(0)
        other = await starting
        await replacing
        live, runs = record.ledger.runs.list_live(), dict(coordinator.batches.runs)
        last = record.ledger.requests.find_last("tower")
        dispatcher.close()
        return live, other.id, runs, last

    live, other, runs, last = asyncio.run(lose())
    assert sorted((run.id, run.hosts) for run in live) == [(1, ("laptop",)), (2, ("tower",))]
    assert other == 2
    assert [(number, run.row.id) for number, run in runs.items()] == [(1, 1)]
    assert last
    assert last.run_id == 2


def test_a_ledger_that_takes_its_time_to_fail_is_tried_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A gate waits for the reason, and not forever: with a server that hangs each try is long."""
    tries = 0

    def fail(_config: ServerConfig) -> Ledger:
        nonlocal tries
        tries += 1
        raise LedgerUnavailable("ledger-silent", "it does not answer", "is it stopped?")

    async def open_it() -> None:
        await ledger_care.open_ledger_soon(ServerConfig())

    monkeypatch.setattr(ledger_care, "open_ledger", fail)
    monkeypatch.setattr(ledger_care, "OPEN_AGAIN_SECONDS", 0.1)
    for seconds, expected in ((10, 4), (0.05, 2)):
        tries = 0
        monkeypatch.setattr(ledger_care, "OPEN_SECONDS", seconds)
        with pytest.raises(LedgerUnavailable, match="does not answer"):
            asyncio.run(open_it())
        assert tries == expected


def test_what_never_began_is_let_go_of_without_a_complaint(
    recwarn: pytest.WarningsRecorder,
) -> None:
    """A dispatcher ends in the very turn in which somebody comes: its log says nothing of it."""

    async def end_at_once() -> None:
        background = Background(lambda: None)
        asyncio.get_running_loop().call_soon(background.start, asyncio.sleep(0))

    warnings.simplefilter("always")
    asyncio.run(end_at_once())
    gc.collect()
    assert [str(one.message) for one in recwarn] == []


ENDS = """
import asyncio
from asyncamanda.server.background.tasks import run_to_end
async def main():
    for _ in range({turns}):
        await asyncio.sleep(0)
    return "ended"
async def begin():
    asyncio.create_task(asyncio.create_subprocess_exec("sleep", "0"))
    return await main()
print(run_to_end(begin()))
"""


@pytest.mark.parametrize("turns", range(4))
def test_it_ends_though_a_program_is_just_being_started(turns: int) -> None:
    """Else it kept the lock, and the next one from serving, until the gates killed it."""
    argv = [sys.executable, "-c", ENDS.format(turns=turns)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=at_most(30), check=False)
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr


HANGS = """
import asyncio, sys
from pathlib import Path
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.background.tasks import run_to_end
from asyncamanda.server.amanda.own_disklist import write_own_list
folder = Path(sys.argv[1])
async def begin():
    settings = Settings("daily", folder, (), 0, diskfile=folder / "disklist")
    asyncio.create_task(write_own_list(settings, ["laptop"], folder / "own", {}))
    await asyncio.sleep(0.1)
    return "ended"
print(run_to_end(begin()))
"""


def test_it_ends_though_a_disklist_hangs(tmp_path: Path) -> None:
    """On a network file system that does not answer: as a pipe into which nobody writes."""
    os.mkfifo(tmp_path / "disklist")
    argv = [sys.executable, "-c", HANGS, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=at_most(30), check=False)
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr
