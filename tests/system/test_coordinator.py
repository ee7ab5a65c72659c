"""A coordinator that cannot go on says why to those who wait, and does not try again and again.

Its ledger, its queue and its clients' lines are real; Amanda is not there.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.dispatch.rate_limit import Allowance
from asyncamanda.core.dispatch.records import RunKind, RunRow
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.errors import LaterError
from asyncamanda.server.amanda import run as run_module
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.background.tasks import Background
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.batches import Batches
from asyncamanda.server.dispatch.coordinator import Coordinator
from asyncamanda.server.dispatch.flushes import Flushes
from asyncamanda.server.dispatch.launching import launch_run
from asyncamanda.server.dispatch.reach import ClientReach
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.ledger import access as access_module
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.ledger.ledger import Ledger, LedgerUnavailable
from asyncamanda.server.relay.relay import Relay
from asyncamanda.system.clock import now
from lab.patience import Limit, at_most

SECOND = timedelta(seconds=1)
FULL = "cannot be used: database or disk is full"


TAKE_UP = Coordinator._take_up
STAMP = "20261124010000"
DEAD_PLANNER = f"""\
INFO amdump amdump pid 28
INFO planner planner pid 29
START planner date {STAMP}
DISK planner laptop /home
DISK planner tower /home
START driver date {STAMP}
"""
Play = Callable[[Callable[["Office"], Awaitable[None]]], None]


class Office:
    """A coordinator of `daily`, open, and its clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger.open(str(folder / "ledger.sqlite"), 0.2 * SECOND)
        self.is_broken = False
        background = Background(self._note_bug)
        config = ServerConfig(batch_window=0.01 * SECOND)
        reach = ClientReach(Relay(SECOND), Registry(folder / "authorized_keys"), "daily")
        self.coordinator = Coordinator(
            "daily", config, LedgerAccess(self.ledger), background, reach
        )
        self.coordinator.site.reports = folder / "reports"
        self.coordinator.site._settings = Settings("daily", folder, (), ())
        self.ends: dict[ClientSession, tuple[int, int, socket.socket]] = {}
        self.heard: dict[str, list[dict[str, Any]]] = {}

    def _note_bug(self) -> None:
        self.is_broken = True

    def come(self, client: str) -> ClientSession:
        """Let a client connect that answers whatever it is asked."""
        self.coordinator.site._dles[client, "/home"] = Dle(client, "/home")
        reads, server_writes = os.pipe()
        server_reads, writes = os.pipe()
        gate, kept = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line = ClientSession(
            Identity(client, "daily"),
            gate=gate,
            descriptors=(server_reads, server_writes),
            is_resumed=False,
            heartbeat=timedelta(seconds=60),
            messages=Allowance(SECOND / 100, 1000),
            on_message=lambda _line, _message: None,
            on_end=lambda ended, _why: self.coordinator.queue.leave(ended, is_withdrawn=False),
        )
        line.open()
        self.ends[line] = reads, writes, kept
        heard = self.heard[client] = []
        os.set_blocking(reads, False)
        asyncio.get_running_loop().add_reader(reads, self._answer, line, heard)
        return line

    def _answer(self, line: ClientSession, heard: list[dict[str, Any]]) -> None:
        reads, writes, _ = self.ends[line]
        for said in os.read(reads, 65536).splitlines():
            message = json.loads(said)
            if message["type"] == "ping":
                os.write(writes, b'{"type":"pong"}\n')
            else:
                heard.append(message)

    async def pump(self, is_done: Callable[[], object], seconds: float = 15) -> None:
        """Pump until something is so."""
        limit = Limit(seconds)
        while not is_done():
            assert not limit.is_over(), self.heard
            assert not self.is_broken
            self.coordinator.pump()
            await asyncio.sleep(0.02)

    def fill(self) -> None:
        """Let SQLite find no room for one more run, as on a full disk."""

        def limit(connection: Any, _record: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")

        self.ledger.engine.dispose()
        event.listen(self.ledger.engine, "connect", limit)
        with suppress(LedgerUnavailable):
            while True:
                row = self.ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [], now())
                self.ledger.runs.abandon(row.id, now(), "it filled the disk")

    def close(self) -> None:
        """Release everything."""
        loop = asyncio.get_running_loop()
        for line, (reads, writes, kept) in self.ends.items():
            line.drop("the test is over", 0)
            loop.remove_reader(reads)
            os.close(reads)
            os.close(writes)
            kept.close()


async def _nothing(*_: object) -> None:
    """Be what needs Amanda."""


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Yield what lets a story happen at a coordinator whose Amanda finds everything in order."""
    monkeypatch.setattr(Coordinator, "_take_up", _nothing)
    monkeypatch.setattr(Site, "_read", _nothing)
    monkeypatch.setattr(Batches, "find_others", _nothing)  # this machine may have some
    monkeypatch.setattr(access_module, "BROKEN_FOR", 0.2 * SECOND)

    def go(story: Callable[[Office], Awaitable[None]]) -> None:
        async def happen() -> None:
            office = Office(tmp_path)
            await office.coordinator.opened
            try:
                await asyncio.wait_for(story(office), at_most(30))
            finally:
                office.close()
                office.ledger.close()

        asyncio.run(happen())

    return go


def test_who_is_to_be_in_a_run_that_cannot_be_written_down_is_told_why(play: Play) -> None:
    """With its place, which it keeps; and it is told when that is over."""

    async def story(office: Office) -> None:
        line, queue = office.come("laptop"), office.coordinator.queue
        office.coordinator.messenger.submit(line)
        await office.pump(lambda: queue.entries["laptop"].row)
        office.fill()
        heard = office.heard["laptop"]
        await office.pump(lambda: heard and FULL in heard[-1]["reason"])
        assert (heard[-1]["type"], heard[-1]["place"], heard[-1]["of"]) == ("queued", 1, 1)
        assert line.is_open
        with office.ledger.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        await office.pump(lambda: FULL not in heard[-1].get("reason", ""))

    play(story)


def test_whose_end_cannot_be_written_down_is_put_off(play: Play) -> None:
    """Its run is over; it comes back, and is told then."""

    async def story(office: Office) -> None:
        line, queue = office.come("laptop"), office.coordinator.queue
        office.coordinator.messenger.submit(line)
        entry = queue.entries["laptop"]
        while not entry.row:
            await asyncio.sleep(0.01)
        row = RunRow(7, "daily", RunKind.BATCH, ("laptop",), now(), pid=2**22 + 1, boot_id="past")
        run = Run(
            row, office.coordinator.site.settings, office.folder / "out", is_of_this_boot=False
        )
        entry.run = office.coordinator.batches.runs[7] = run
        office.fill()
        writing = asyncio.create_task(
            office.coordinator.site.access.write(
                lambda ledger: ledger.runs.begin(RunKind.BATCH, "daily", ["x" * 9999], [], now())
            )
        )
        heard = office.heard["laptop"]
        await office.pump(lambda: heard and heard[-1]["type"] == "later")
        assert FULL in heard[-1]["reason"]
        assert queue.entries["laptop"].run is run
        writing.cancel()

    play(story)


async def _fail(_flushes: Flushes) -> None:
    raise LaterError("file-system-hangs", "the holding disk hangs", "look there")


def test_tidying_up_that_fails_is_tried_less_and_less_and_said_once(
    play: Play, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was ten times a second; who waits for it is told why."""
    tries = 0

    async def clear(_flushes: Flushes) -> None:
        nonlocal tries
        tries += 1
        await _fail(_flushes)

    monkeypatch.setattr(Flushes, "clear_keepers", clear)

    async def story(office: Office) -> None:
        office.coordinator.batches.needs_cleanup = True
        line = office.come("laptop")
        office.coordinator.messenger.submit(line)
        await office.pump(lambda: tries == 3)
        heard = office.heard["laptop"]
        await office.pump(lambda: heard[-1]["reason"] == "the holding disk hangs")
        assert tries == 3
        assert office.coordinator._turns._setbacks["tidying up"].times == 3

    play(story)
    assert capsys.readouterr().err.count("the holding disk hangs") == 1


def test_whose_planner_died_while_no_dispatcher_lived_waits_again(play: Play) -> None:
    """Nobody knows yet who is there; who comes is in the next run, and is told about no failure."""

    async def story(office: Office) -> None:
        coordinator, ledger = office.coordinator, office.ledger
        (office.folder / f"log.{STAMP}.0").write_text(DEAD_PLANNER)
        ids = [ledger.requests.open(name, "daily", now()).id for name in ("laptop", "tower")]
        row = ledger.runs.begin(RunKind.BATCH, "daily", ["laptop", "tower"], ids, now())
        ledger.runs.note(row.id, pid=2**22 + 1, pid_started=1, boot_id="past", timestamp=STAMP)
        for name in ("laptop", "tower"):
            coordinator.site._dles[name, "/home"] = Dle(name, "/home")
        await TAKE_UP(coordinator)
        assert [run.id for run in ledger.runs.list_live()] == []
        assert [request.id for request in ledger.requests.list_open()] == ids
        line = office.come("laptop")
        welcome = await coordinator.messenger.welcome(line)
        assert (welcome.standing, welcome.last) == ("queued", None)
        coordinator.messenger.submit(line)
        assert coordinator.queue.present() == ["laptop"]
        assert coordinator.queue.entries["laptop"].times == 1

    play(story)


def test_who_does_not_come_back_after_its_planner_died_is_forgotten(play: Play) -> None:
    """After `grace`, as everybody who was lost."""

    async def story(office: Office) -> None:
        coordinator, ledger = office.coordinator, office.ledger
        ledger.requests.open("tower", "daily", now())
        await TAKE_UP(coordinator)
        entry = coordinator.queue.entries["tower"]
        assert entry.may_be_there(coordinator.site.config.grace)
        entry.left_at = now() - coordinator.site.config.grace - SECOND
        assert not entry.may_be_there(coordinator.site.config.grace)
        await office.pump(lambda: not ledger.requests.list_open())
        last = ledger.requests.find_last("tower")
        assert last
        assert last.outcome == "left"

    play(story)


def test_what_was_closed_for_a_run_that_never_began_is_opened_again(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dispatcher was killed; a run of somebody else's goes on, which may have to flush."""

    async def has_others(_batches: Batches) -> bool:
        return True

    monkeypatch.setattr(Batches, "find_others", has_others)

    async def story(office: Office) -> None:
        coordinator, ledger = office.coordinator, office.ledger
        held = office.folder / "holding" / STAMP
        held.mkdir(parents=True)
        held.chmod(0o500)
        coordinator.site._settings = Settings("daily", office.folder, (held.parent,), (0,))
        row = ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [], now())
        ledger.runs.note(row.id, pid=2**22 + 1, pid_started=1, boot_id="past")
        await TAKE_UP(coordinator)
        assert ledger.runs.list_live() == []
        assert stat.S_IMODE(held.stat().st_mode) == 0o700

    play(story)


def test_nothing_starts_while_what_was_hidden_for_the_last_run_is_being_shown(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else that would show what is hidden for the next one; and it is shown once."""
    shown, go_on = threading.Semaphore(0), threading.Event()

    def show(_folders: list[Path]) -> None:
        shown.release()
        assert go_on.wait(20)

    async def begin(_site: Site) -> None:
        raise LaterError("begun", "it goes on to read the configuration", "")

    monkeypatch.setattr(run_module, "show_dumps", show)
    monkeypatch.setattr(Site, "read_anew", begin)

    async def story(office: Office) -> None:
        batches = office.coordinator.batches
        row = RunRow(7, "daily", RunKind.BATCH, ("laptop",), now(), pid=2**22 + 1, boot_id="past")
        batches.runs[7] = Run(
            row, office.coordinator.site.settings, office.folder / "out", is_of_this_boot=False
        )
        first = asyncio.create_task(batches._see_begun(batches.runs[7]))
        await asyncio.to_thread(shown.acquire)
        starting = asyncio.create_task(batches.start(("laptop",)))
        done, _ = await asyncio.wait({starting}, timeout=0.1)
        assert not done
        go_on.set()
        await first
        with pytest.raises(LaterError, match="goes on"):
            await starting
        assert not shown.acquire(blocking=False)

    play(story)


@pytest.mark.parametrize(
    ("kind", "words", "has_taper"),
    [
        (RunKind.BATCH, ["--no-taper"], False),
        (RunKind.BATCH, ["--no-flush"], True),
        (RunKind.FLUSH, [], True),
    ],
)
def test_a_dispatcher_knows_by_the_ledger_whether_another_s_run_may_write_to_volumes(
    play: Play, kind: RunKind, words: list[str], has_taper: bool
) -> None:
    """Also before there is a taper, and when the run is over: no process of it shows that."""

    async def plan(_row: RunRow) -> list[str]:
        return ["true", *words]

    async def story(office: Office) -> None:
        site = office.coordinator.site
        site.reports.mkdir(exist_ok=True)
        row = office.ledger.runs.begin(kind, "daily", ["laptop"], [], now())
        own = Run(row, site.settings, site.output_path(row.id))
        await launch_run(site, own, plan)
        assert own.process
        own.process.wait(30)
        other = run_module.adopt(office.ledger.runs.get(row.id), site.settings, own.output)
        assert (own.has_taper, other.has_taper) == (has_taper, has_taper)

    play(story)


def test_whoever_has_no_disk_hears_the_command_that_gives_it_one(play: Play) -> None:
    """As its administrator types it."""

    async def story(office: Office) -> None:
        refused = office.coordinator.queue.find_nothing("laptop")
        assert refused
        assert refused.reference == "no-dle"
        assert refused.hint.endswith(": asyncamanda server disk add laptop /home")

    play(story)
