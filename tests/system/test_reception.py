"""Who says hello to the dispatcher: real lines and a real ledger, and a client at the other end."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.dispatch.rate_limit import Allowance
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.protocol.messages import Hello, Later, Refused
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.background.tasks import Background
from asyncamanda.server.dispatch import reception as reception_module
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.queue import Queue
from asyncamanda.server.dispatch.reception import Reception
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.machines import open_anew, read_machines
from lab.patience import at_most

LAPTOP = Identity("laptop", "daily")
DLES = ("daily", ["/home"])


class Office:
    """A reception, and the lines that have come to it."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger.open(str(folder / "ledger.sqlite"), timedelta(seconds=1))
        self.record = LedgerAccess(self.ledger)
        self.lines: list[ClientSession] = []
        self.ends: dict[
            ClientSession, tuple[int, int]
        ] = {}  # the client's: what it reads, and writes
        self.reception = Reception(self.record, lambda client: [*self.lines] * (client == "laptop"))

    @contextmanager
    def line(self) -> Iterator[ClientSession]:
        """Yield a line on which a client may be heard."""
        reads, server_writes = os.pipe()
        server_reads, writes = os.pipe()
        gate, kept = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line = ClientSession(
            LAPTOP,
            gate=gate,
            descriptors=(server_reads, server_writes),
            is_resumed=False,
            heartbeat=timedelta(seconds=60),
            messages=Allowance(timedelta(seconds=1), 1000),
            on_message=lambda _line, _message: None,
            on_end=lambda ended, _why: self.lines.remove(ended),
        )
        line.open()
        self.lines.append(line)
        self.ends[line] = reads, writes
        with kept:
            yield line
            line.drop("the test is over", 0)
        os.close(reads)
        os.close(writes)

    async def come(self, line: ClientSession, ticket: str = "", **more: Any) -> Refused | None:
        """Say hello."""
        hello = Hello((1,), "a test", False, ticket, "larch", **more)
        return await self.reception.receive(line, hello, DLES)

    async def answer(self, line: ClientSession) -> None:
        """Answer one Ping, as an agent does that lives."""
        reads, writes = self.ends[line]
        said = b""
        while b"ping" not in said:
            said = await asyncio.to_thread(os.read, reads, 4096)
            assert said, "the line has ended"
        os.write(writes, b'{"type":"pong"}\n')

    def is_silent(self, line: ClientSession) -> bool:
        """Return whether nothing was said to the client."""
        return not select.select([self.ends[line][0]], [], [], 0)[0]

    def noted(self, capsys: pytest.CaptureFixture[str]) -> str:
        """Return the log since the last call."""
        return capsys.readouterr().err


def play(tmp_path: Path, story: Callable[[Office], Awaitable[None]]) -> None:
    """Let `story` happen."""

    async def go() -> None:
        office = Office(tmp_path)
        try:
            await asyncio.wait_for(story(office), at_most(30))
        finally:
            office.ledger.close()

    asyncio.run(go())


def test_another_line_that_answers_is_another_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both come with the same ticket, or with none, before the first has written its new one."""

    async def story(office: Office) -> None:
        with office.line() as first, office.line() as second:
            assert await office.come(first) is None
            office.noted(capsys)
            answering = asyncio.create_task(office.answer(first))
            refused = await office.come(second)
            await answering
            assert refused is not None
            assert refused.reference == "second-machine"
            assert second.ticket == ""
            assert "two machines use the key of laptop" in office.noted(capsys)
        with office.line() as third:
            assert await office.come(third, first.ticket) == refused
            assert office.noted(capsys) == ""

    play(tmp_path, story)


def test_another_line_that_is_silent_is_the_same_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its agent was killed before it wrote its ticket; each start is served, and told once."""
    monkeypatch.setattr(reception_module, "ROLL_CALL", 0.1)

    async def story(office: Office) -> None:
        with office.line() as first, office.line() as second, office.line() as third:
            assert await office.come(first) is None
            office.noted(capsys)
            assert await office.come(second) is None
            assert office.noted(capsys).count("came without a ticket") == 1
            assert await office.come(third) is None
            assert office.noted(capsys) == ""
            assert len({first.ticket, second.ticket, third.ticket}) == 3

    play(tmp_path, story)


def test_newest_ticket_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent was killed, or is on another network: it is served at once."""
    monkeypatch.setattr(reception_module, "ROLL_CALL", 1000)

    async def story(office: Office) -> None:
        with office.line() as first, office.line() as second:
            assert await office.come(first) is None
            assert await office.come(second, first.ticket) is None
            assert office.is_silent(first)

    play(tmp_path, story)


def test_who_only_looks_or_has_not_said_hello_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a line is of no machine that is served: doctor's, for one."""
    monkeypatch.setattr(reception_module, "ROLL_CALL", 1000)

    async def story(office: Office) -> None:
        with office.line() as first:
            assert await office.come(first) is None
        with office.line() as probe, office.line() as mute, office.line() as second:
            assert await office.come(probe, is_probe=True) is None
            assert await office.come(second) is None
            assert office.is_silent(probe)
            assert office.is_silent(mute)

    play(tmp_path, story)


def test_a_line_that_ends_is_waited_for_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is gone does not answer."""
    monkeypatch.setattr(reception_module, "ROLL_CALL", 1000)

    async def story(office: Office) -> None:
        with office.line() as first, office.line() as second:
            assert await office.come(first) is None
            coming = asyncio.create_task(office.come(second))
            asked = await asyncio.to_thread(os.read, office.ends[first][0], 4096)
            assert b"ping" in asked
            first.drop("left", 0)
            assert await coming is None

    play(tmp_path, story)


def test_what_comes_after_the_welcome_shows_the_ticket_written(tmp_path: Path) -> None:
    """Then one who comes with the ticket before is a second machine; a probe shows nothing."""

    async def story(office: Office) -> None:
        with office.line() as first, office.line() as probe:
            assert await office.come(first) is None
            old = first.ticket
            assert await office.come(first, old) is None
            assert await office.come(probe, old, is_probe=True) is None
            assert probe.ticket == ""
            assert probe.machine == 1
            await office.reception.note_written(probe)
            assert not read_machines(office.ledger)["laptop"].is_written
            await office.reception.note_written(first)
            assert read_machines(office.ledger)["laptop"].is_written
            refused = await office.come(probe, old, is_probe=True)
            assert refused is not None
            assert read_machines(office.ledger)["laptop"].disputed_at is None
            assert open_anew(office.ledger, "laptop", is_settling=False)
            await office.reception.note_written(probe)
            assert not read_machines(office.ledger)["laptop"].is_written

    play(tmp_path, story)


def test_another_machine_does_not_join_what_the_one_before_asked_for(tmp_path: Path) -> None:
    """What waits is withdrawn; a run that goes on is waited for."""

    async def story(office: Office) -> None:
        site = Site("daily", ServerConfig(), office.record, Background(lambda: None))
        site._dles = {("laptop", "/home"): Dle("laptop", "/home")}
        queue = Queue(site)
        with office.line() as first, office.line() as second, office.line() as third:
            first.is_relayed = second.is_relayed = third.is_relayed = True
            assert await office.come(first) is None
            queue.submit(first)
            entry = queue.entries["laptop"]
            await queue.write_down(entry)
            assert entry.row
            assert entry.row.machine == 1
            open_anew(office.ledger, "laptop", is_settling=False)
            assert await office.come(second) is None
            assert queue.find(second) is None
            queue.submit(second)
            newer = queue.entries["laptop"]
            assert (newer.machine, newer.sessions) == (2, [second])
            assert queue.find(second) is newer

            newer.run = cast(Run, object())
            open_anew(office.ledger, "laptop", is_settling=False)
            assert await office.come(third) is None
            assert isinstance(queue.submit(third), Later)
            assert queue.entries["laptop"] is newer
            newer.run = None
        await asyncio.sleep(0)

    play(tmp_path, story)


def test_a_probe_counts_as_the_clients_only_with_its_newest_ticket(tmp_path: Path) -> None:
    """A copy of the machine, or one that has lost its memory, may probe as well."""

    async def story(office: Office) -> None:
        with office.line() as first, office.line() as probe:
            assert await office.come(first) is None
            assert await office.come(probe, first.ticket, is_probe=True) is None
            assert probe.is_known
            assert await office.come(probe, is_probe=True) is None
            assert not probe.is_known

    play(tmp_path, story)
