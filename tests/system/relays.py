"""A relay for tests: a real ssh calls, stand-ins for clients' lines answer.

Whoever carries a stream is played by the test as well, so that both ends can be looked at. The
relay's time is the test's: it passes as beat() says.
"""

from __future__ import annotations

import asyncio
import os
import re
import select
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from asyncamanda.core.protocol import mux
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.protocol.messages import Open, Shut
from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.relay import relay as relay_module
from asyncamanda.server.relay import request as request_module
from asyncamanda.server.relay.relay import Relay
from asyncamanda.server.relay.request import SESSION
from asyncamanda.system.clock import now
from lab.patience import Limit, at_most

AMANDAD = "/usr/lib/amanda/amandad -auth=ssh"
LAPTOP = Identity("laptop", "daily")
TABLET = Identity("tablet", "daily")
SSHD, OTHER_SSHD = 101, 102  # processes that connections belong to
GRACE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)


@dataclass(eq=False)
class StandIn:
    """A client's line, as far as the relay knows one."""

    identity: Identity
    opened_at: datetime = field(default_factory=now)
    heard_at: datetime = field(default_factory=now)
    is_open: bool = True
    is_greeted: bool = True
    is_probe: bool = False
    tokens: list[str] = field(default_factory=list)
    lives: int = 0
    on_life: Callable[[], object] = int

    @property
    def client(self) -> str:
        """The client's name."""
        return self.identity.client

    def send(self, message: object) -> None:
        """Note what the client is asked for."""
        assert isinstance(message, Open)
        self.tokens.append(message.token)

    def note_life(self, _now: datetime) -> None:
        """Count how often the client was taken for heard."""
        self.lives += 1
        self.on_life()


class Carrier:
    """The process that carries a stream: its end of the talk with the dispatcher."""

    def __init__(self) -> None:
        self.end, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.descriptors: list[int] = []
        self._wells = 0
        self._heard: list[list[str]] = []

    def hear(self, seconds: float = 5) -> list[str]:
        """Return the dispatcher's next words, but for `well`; [""] at its end."""
        limit = Limit(seconds)
        while not self._heard:
            if not select.select([self.end], [], [], 0.05)[0]:
                assert not limit.is_over(), "nothing is said"
                continue
            self._take()
        return self._heard.pop(0)

    def has_words(self) -> bool:
        """Return whether there is something to hear, but for `well`."""
        self._take_all()
        return bool(self._heard)

    def count_wells(self) -> int:
        """Return how often `well` was said since this was last asked."""
        self._take_all()
        count, self._wells = self._wells, 0
        return count

    def _take_all(self) -> None:
        while self._heard[-1:] != [[""]] and select.select([self.end], [], [], 0)[0]:
            self._take()

    def _take(self) -> None:
        packet, descriptors, _, _ = socket.recv_fds(self.end, ipc.LARGEST, 8)
        self.descriptors += descriptors
        words = ipc.unpack(packet)
        if words == ["well"]:
            self._wells += 1
        else:
            self._heard.append(words)

    def finish(self, status: int) -> None:
        """End the call as attach does."""
        with socket.socket(fileno=self.descriptors.pop()) as call:
            call.send(mux.exit_message(SESSION, status))
        self.close()

    def close(self) -> None:
        """Be gone."""
        while self.descriptors:
            os.close(self.descriptors.pop())
        self.end.close()


class Ground:
    """A relay in a loop of its own, and those who call it.

    Calls are a dumper's, as long as `are_dumps` says so.
    """

    def __init__(self, state: str, log: Callable[[], str]) -> None:
        self.state = state
        self.log = log
        self.are_dumps = True
        self.loop = asyncio.new_event_loop()
        self.faults: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _loop, context: self.faults.append(context))
        self.relay = self.run(self._make)
        self.began_at = now()
        self.stream = subprocess.Popen(["sleep", "600"])  # the process that carries all streams
        self._started: list[subprocess.Popen[bytes]] = []
        self._carriers: list[Carrier] = []

    async def _make(self) -> Relay:
        return Relay(GRACE)

    def run(self, doing: Callable[[], Any]) -> Any:
        """Return what a coroutine returns, in the relay's loop."""
        return self.loop.run_until_complete(doing())

    def until(self, condition: Callable[[], object], what: str, seconds: float = 5) -> None:
        """Let the relay work until `condition` holds."""

        async def wait() -> None:
            limit = Limit(seconds)
            while not condition():
                assert not limit.is_over(), f"not within {seconds} s: {what}"
                await asyncio.sleep(0.002)

        self.run(wait)
        assert not self.faults

    def settle(self, seconds: float = 0.05) -> None:
        """Let the relay work for a moment."""
        self.run(partial(asyncio.sleep, seconds))
        assert not self.faults

    def beat(self, after: timedelta = timedelta(0)) -> None:
        """Let the relay look around, so long after its beginning."""
        self.relay.beat(self.began_at + after)

    def admit(self, identity: Identity = LAPTOP, connection: int | None = SSHD) -> StandIn:
        """Let a client come, which is not greeted yet."""
        line = StandIn(identity, is_greeted=False)
        self.relay.admit(cast(ClientSession, line), connection)
        return line

    def arrive(self, identity: Identity = LAPTOP, connection: int | None = SSHD) -> StandIn:
        """Let a client come."""
        line = self.admit(identity, connection)
        self.greet(line)
        return line

    def greet(self, line: StandIn) -> None:
        """Greet a client that has come."""
        line.is_greeted = True
        self.relay.arrive(cast(ClientSession, line))

    def leave(self, line: StandIn, *, is_lost: bool) -> None:
        """Let a line end."""
        line.is_open = False
        self.relay.leave(cast(ClientSession, line), is_lost=is_lost)

    def shut(
        self, line: StandIn, token: str, status: int, reason: str = "", *, is_refused: bool = False
    ) -> None:
        """Let a client say how a stream ended."""
        self.relay.shut(cast(ClientSession, line), Shut(token, status, reason, is_refused))

    def path(self, client: str = "laptop") -> Path:
        """Return where a client is called."""
        return Path(ipc.relay_path(client))

    def call(
        self, *words: str, client: str = "laptop", starter: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """Start an ssh as Amanda does, with a command or other words of ssh's."""
        settings = ["BatchMode=yes", "ControlMaster=no", f"ControlPath={self.path(client)}"]
        settings += ["ProxyCommand=false"]
        options = [word for setting in settings for word in ("-o", setting)]
        argv = ["ssh", "-F", "none", "-x", *options, "-l", "backup", client, *(words or [AMANDAD])]
        if words and words[0].startswith("-"):
            argv = [*argv[:4], words[0], *argv[4 : -len(words)], *words[1:]]
        pipe = subprocess.PIPE
        ssh = subprocess.Popen([*starter, *argv], stdin=pipe, stdout=pipe, stderr=pipe)
        self._started.append(ssh)
        return ssh

    def hold(self, count: int = 1) -> subprocess.Popen[bytes]:
        """Start an ssh for a client that is away; return it when the relay waits."""
        ssh = self.call()
        self.until(lambda: self.log().count("waits for the client") >= count, "the call is held")
        return ssh

    def asked(self, line: StandIn, count: int = 1) -> str:
        """Return the token of a client that is asked for its stream of that number."""
        self.until(lambda: len(line.tokens) >= count, "the client is asked")
        assert len(line.tokens) == count
        assert re.fullmatch("[0-9a-f]{32}", line.tokens[-1])
        return line.tokens[-1]

    def attach(
        self, token: str, identity: Identity = LAPTOP, connection: int | None = SSHD
    ) -> Carrier:
        """Let a process come for a stream."""
        carrier = self._carrier()
        place = identity.client, connection
        if self.relay.attach(place, identity, token, carrier.theirs):
            self.relay.watch(place, token, carrier.theirs, self.stream.pid)
        else:
            carrier.theirs.close()
        return carrier

    def take_over(
        self, token: str = "", identity: Identity = LAPTOP, connection: int | None = SSHD
    ) -> Carrier:
        """Let a process come with a stream that another dispatcher joined."""
        carrier = self._carrier()
        place = identity.client, connection
        self.relay.watch(place, token, carrier.theirs, self.stream.pid)
        return carrier

    def _carrier(self) -> Carrier:
        carrier = Carrier()
        self._carriers.append(carrier)
        return carrier

    def wait(self, ssh: subprocess.Popen[bytes], seconds: float = 5) -> tuple[int, str, str]:
        """Return how an ssh ended: its status, stdout and stderr."""
        self.until(lambda: ssh.poll() is not None, "ssh ends", seconds)
        stdout, stderr = ssh.communicate(timeout=at_most(5))
        return ssh.returncode, stdout.decode(), stderr.decode()

    def is_waiting(self, ssh: subprocess.Popen[bytes], seconds: float = 0.1) -> bool:
        """Return whether an ssh goes on, though the relay works."""
        self.settle(seconds)
        return ssh.poll() is None

    def close(self) -> None:
        """End all."""
        for process in [self.stream, *self._started]:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        for carrier in self._carriers:
            carrier.close()
        self.settle(0.01)
        self.relay.close()
        self.loop.close()
        assert not self.faults


@contextmanager
def lend_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield a folder for the sockets, which would be this machine's own; its path is short."""
    with tempfile.TemporaryDirectory() as state:
        for name in ("relay_path", "relay_folder", "make_runtime_folder"):
            monkeypatch.setattr(getattr(ipc, name), "__defaults__", (state,))
        yield state


@contextmanager
def lend_ground(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Ground]:
    """Yield a relay with a folder of its own."""
    said = ""

    def log() -> str:
        nonlocal said
        said += capsys.readouterr().err
        return said

    with lend_state(monkeypatch) as state:
        monkeypatch.setattr(request_module, "REFUSED_WITHIN", 0)  # nobody here waits for an answer
        ground = Ground(state, log)
        monkeypatch.setattr(relay_module, "is_of_a_dump", lambda _ssh: ground.are_dumps)
        try:
            yield ground
        finally:
            ground.close()


def is_hung_up_on(caller: socket.socket) -> bool:
    """Return whether a caller's connection has ended."""
    with suppress(BlockingIOError):
        try:
            return caller.recv(4096) == b""
        except ConnectionResetError:
            return True
    return False
