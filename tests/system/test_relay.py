"""Amanda's calls at the relay: a real ssh calls, a stand-in for the client's line answers.

Whoever carries a stream is played by the test as well, so that both ends can be looked at.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from asyncamanda.core import mux
from asyncamanda.core.authority import Identity
from asyncamanda.core.protocol import Open, Shut
from asyncamanda.server import relay as relay_module
from asyncamanda.server import switchboard
from asyncamanda.server.line import Line
from asyncamanda.server.relay import SESSIONS, Relay
from asyncamanda.system.clock import now

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
        self.theirs.setblocking(False)
        self.end.settimeout(5)
        self.descriptors: list[int] = []

    def hear(self) -> list[str]:
        """Return the dispatcher's next words; [""] at its end."""
        packet, descriptors, _, _ = socket.recv_fds(self.end, switchboard.LARGEST, 8)
        self.descriptors += descriptors
        return switchboard.unpack(packet)

    def has_words(self) -> bool:
        """Return whether there is something to hear."""
        return bool(select.select([self.end], [], [], 0)[0])

    def finish(self, status: int) -> None:
        """End the call as attach does."""
        with socket.socket(fileno=self.descriptors.pop()) as call:
            call.send(mux.exit_message(relay_module.SESSION, status))
        self.close()

    def close(self) -> None:
        """Be gone."""
        while self.descriptors:
            os.close(self.descriptors.pop())
        self.end.close()


class Ground:
    """A relay in a loop of its own, and those who call it."""

    def __init__(self, state: str, log: Callable[[], str]) -> None:
        self.state = state
        self.log = log
        self.loop = asyncio.new_event_loop()
        self.faults: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _loop, context: self.faults.append(context))
        self.relay = self.run(self._make)
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
            give_up_at = time.monotonic() + seconds
            while not condition():
                assert time.monotonic() < give_up_at, f"not within {seconds} s: {what}"
                await asyncio.sleep(0.002)

        self.run(wait)
        assert not self.faults

    def settle(self, seconds: float = 0.05) -> None:
        """Let the relay work for a moment."""
        self.run(partial(asyncio.sleep, seconds))
        assert not self.faults

    def beat(self, after: timedelta = timedelta(0)) -> None:
        """Let the relay look around, as if so much time had passed."""
        self.relay.beat(now() + after)

    def arrive(self, identity: Identity = LAPTOP, connection: int | None = SSHD) -> StandIn:
        """Let a client come."""
        line = StandIn(identity)
        self.relay.arrive(cast(Line, line), connection)
        return line

    def leave(self, line: StandIn, *, is_lost: bool) -> None:
        """Let a line end."""
        line.is_open = False
        self.relay.leave(cast(Line, line), is_lost=is_lost)

    def shut(self, line: StandIn, token: str, status: int, reason: str = "") -> None:
        """Let a client say how a stream ended."""
        self.relay.shut(cast(Line, line), Shut(token, status, reason))

    def path(self, client: str = "laptop") -> Path:
        """Return where a client is called."""
        return Path(switchboard.relay_path(client))

    def call(self, *words: str, client: str = "laptop") -> subprocess.Popen[bytes]:
        """Start an ssh as Amanda does, with a command or other words of ssh's."""
        settings = ["BatchMode=yes", "ControlMaster=no", f"ControlPath={self.path(client)}"]
        settings += ["ProxyCommand=false"]
        options = [word for setting in settings for word in ("-o", setting)]
        argv = ["ssh", "-F", "none", "-x", *options, "-l", "backup", client, *(words or [AMANDAD])]
        if words and words[0].startswith("-"):
            argv = [*argv[:4], words[0], *argv[4 : -len(words)], *words[1:]]
        pipe = subprocess.PIPE
        ssh = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe)
        self._started.append(ssh)
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
        self.relay.attach(identity, token, connection, carrier.theirs)
        return carrier

    def take_over(
        self, token: str = "", identity: Identity = LAPTOP, connection: int | None = SSHD
    ) -> Carrier:
        """Let a process come with a stream that another dispatcher joined."""
        carrier = self._carrier()
        self.relay.take_over(identity, token, connection, carrier.theirs)
        return carrier

    def _carrier(self) -> Carrier:
        carrier = Carrier()
        self._carriers.append(carrier)
        return carrier

    def wait(self, ssh: subprocess.Popen[bytes], seconds: float = 5) -> tuple[int, str, str]:
        """Return how an ssh ended: its status, stdout and stderr."""
        self.until(lambda: ssh.poll() is not None, "ssh ends", seconds)
        stdout, stderr = ssh.communicate(timeout=5)
        return ssh.returncode, stdout.decode(), stderr.decode()

    def is_waiting(self, ssh: subprocess.Popen[bytes], seconds: float = 0.1) -> bool:
        """Return whether an ssh goes on, though the relay works."""
        self.settle(seconds)
        return ssh.poll() is None

    def close(self) -> None:
        """End all."""
        for ssh in self._started:
            ssh.kill()
            ssh.wait()
            for stream in (ssh.stdin, ssh.stdout, ssh.stderr):
                if stream:
                    stream.close()
        for carrier in self._carriers:
            carrier.close()
        self.settle(0.01)
        self.relay.close()
        self.loop.close()
        assert not self.faults


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Ground]:
    """Lend a relay with a folder of its own, whose path is short, as a socket's has to be."""
    said = ""

    def log() -> str:
        nonlocal said
        said += capsys.readouterr().err
        return said

    with tempfile.TemporaryDirectory() as state:
        for name in ("relay_path", "make_runtime_folder"):
            monkeypatch.setattr(switchboard, name, partial(getattr(switchboard, name), state=state))
        ground = Ground(state, log)
        try:
            yield ground
        finally:
            ground.close()


def count_descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as in processes


# -- a call


@pytest.mark.parametrize("status", [0, 3])
def test_a_call_is_joined_to_its_client(ground: Ground, status: int) -> None:
    """It has Amanda's stdin, stdout and stderr; nothing is left of it here afterwards."""
    line = ground.arrive()
    before = count_descriptors()
    ssh = ground.call()
    carrier = ground.attach(ground.asked(line))
    assert carrier.hear() == ["go", str(relay_module.SESSION)]
    reads, writes, errors, _ = carrier.descriptors
    assert ground.relay.is_busy
    assert ssh.stdin
    ssh.stdin.write(b"question")
    ssh.stdin.flush()
    assert os.read(reads, 100) == b"question"
    os.write(writes, b"answer")
    os.write(errors, b"remark")
    carrier.finish(status)
    assert ground.wait(ssh) == (status, "answer", "remark")
    ground.until(lambda: not ground.relay.is_busy, "the stream is forgotten")
    assert count_descriptors() == before


@pytest.mark.parametrize(
    "command",
    ["amandad -auth=ssh", "/usr/libexec/amanda/amandad -auth=ssh", f"{AMANDAD} amdump"],
)
def test_amandas_command_is_known_wherever_it_lies(ground: Ground, command: str) -> None:
    """As its configuration may say."""
    line = ground.arrive()
    ground.call(command)
    ground.asked(line)


@pytest.mark.parametrize(
    "words",
    [
        ("id",),
        ("/usr/lib/amanda/amandad",),
        (f"{AMANDAD}; id",),
        (f"{AMANDAD}\nid",),
        (f"{AMANDAD} ",),
        (f" {AMANDAD}",),
        (f"{AMANDAD} noop",),
        (f"{AMANDAD} amdump amindexd",),
        ("/usr/lib/amanda/amandad -auth=bsdtcp",),
        ("/usr/lib/amanda/xamandad -auth=ssh",),
        ("usr/lib/amanda/amandad -auth=ssh",),
        ("/usr/lib/$(id)/amandad -auth=ssh",),
        (f"sh -c '{AMANDAD}'",),
        ("-tt", AMANDAD),
        ("-T",),
        ("-s", AMANDAD),
    ],
)
def test_nothing_else_is_run(ground: Ground, words: tuple[str, ...]) -> None:
    """Nor in a terminal, nor as a shell or a subsystem: ssh says so, and goes on to no host."""
    line = ground.arrive()
    before = count_descriptors()
    status, _, said = ground.wait(ground.call(*words))
    assert status == 255
    assert "Master refused session request: nothing is run here but Amanda's amandad" in said
    assert line.tokens == []
    assert not ground.relay.is_busy
    assert count_descriptors() == before


def test_a_forwarding_is_refused(ground: Ground) -> None:
    """ssh would ask for it before the session."""
    line = ground.arrive()
    status, _, said = ground.wait(ground.call("-L9:localhost:9", AMANDAD))
    assert status == 255
    assert "only sessions are made here" in said
    assert line.tokens == []


def test_whether_somebody_lives_is_answered(ground: Ground) -> None:
    """`ssh -O check` says who listens; it cannot end it."""
    ground.arrive()
    status, _, said = ground.wait(ground.call("-Ocheck", "x"))
    assert (status, said) == (0, f"Master running (pid={os.getpid()})\r\n")
    ground.wait(ground.call("-Oexit", "x"))
    assert ground.wait(ground.call("-Ocheck", "x"))[0] == 0


def test_a_call_goes_to_the_newest_of_a_clients_lines(ground: Ground) -> None:
    """The older one may be dead, and nobody has noticed; one that ends is asked for nothing."""
    older, newest, ending = (ground.arrive(connection=number) for number in (1, 2, 3))
    older.opened_at -= SECOND
    ending.opened_at += SECOND
    ending.is_open = False
    ground.call()
    ground.asked(newest)
    assert older.tokens == ending.tokens == []


def test_clients_have_places_of_their_own(ground: Ground) -> None:
    """A call for one is not heard by the other; strangers get into neither."""
    laptop, tablet = ground.arrive(), ground.arrive(TABLET, OTHER_SSHD)
    ground.call(client="tablet")
    ground.asked(tablet)
    assert laptop.tokens == []
    for path in (ground.path(), ground.path("tablet")):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


# -- tokens


def test_a_token_is_good_once(ground: Ground) -> None:
    """Whoever comes second gets nothing."""
    line = ground.arrive()
    ground.call()
    token = ground.asked(line)
    assert ground.attach(token).hear()[0] == "go"
    second = ground.attach(token)
    assert second.hear() == ["no", "no stream of this client's is waited for"]
    assert second.hear() == [""]
    assert second.descriptors == []


@pytest.mark.parametrize(
    ("identity", "connection"),
    [
        (TABLET, SSHD),
        (Identity("laptop", "weekly"), SSHD),
        (LAPTOP, OTHER_SSHD),
        (LAPTOP, None),
        (Identity("nobody", "daily"), SSHD),
    ],
)
def test_a_token_is_its_clients_and_its_connections(
    ground: Ground, identity: Identity, connection: int | None
) -> None:
    """Another key that learnt it, or another connection, gets nothing; and takes nothing away."""
    line = ground.arrive()
    ground.arrive(TABLET, OTHER_SSHD)
    ground.call()
    token = ground.asked(line)
    assert ground.attach(token, identity, connection).hear()[0] == "no"
    assert ground.attach(token).hear()[0] == "go"


@pytest.mark.parametrize("token", ["", "0" * 32, "None"])
def test_what_is_no_token_joins_nothing(ground: Ground, token: str) -> None:
    """Nor while a call waits that nobody was asked for."""
    line = ground.arrive()
    ground.leave(line, is_lost=True)
    ssh = ground.call()
    ground.until(lambda: "waits for the client" in ground.log(), "the call is held")
    assert ground.attach(token).hear()[0] == "no"
    assert ground.is_waiting(ssh)


def test_a_token_lives_for_a_short_time(ground: Ground) -> None:
    """Then the client is asked again, and after some tries Amanda is told; late ones get none."""
    line = ground.arrive()
    ssh = ground.call()
    gone = timedelta(0)
    for number in range(1, relay_module.MOST_TRIES + 1):
        token = ground.asked(line, number)
        ground.beat(gone + relay_module.TOKEN_LIVES - SECOND)
        assert len(line.tokens) == number
        gone += relay_module.TOKEN_LIVES + SECOND
        ground.beat(gone)
        assert ground.attach(token).hear()[0] == "no"
    assert ground.wait(ssh) == (255, "", "asyncamanda: laptop does not open a stream\n")


# -- a client that is away


def test_a_call_is_held_while_the_client_is_away(ground: Ground) -> None:
    """And joined as soon as it is back, on whatever connection."""
    ground.leave(ground.arrive(), is_lost=True)
    ssh = ground.call()
    ground.until(lambda: "waits for the client" in ground.log(), "the call is held")
    ground.beat(GRACE - SECOND)
    ground.beat(GRACE - SECOND)
    assert ground.is_waiting(ssh)
    assert ground.log().count("waits for the client") == 1
    line = ground.arrive(connection=OTHER_SSHD)
    ground.beat()
    carrier = ground.attach(ground.asked(line), connection=OTHER_SSHD)
    assert carrier.hear()[0] == "go"
    ground.beat(2 * GRACE)
    carrier.finish(0)
    assert ground.wait(ssh)[0] == 0


def test_a_client_that_does_not_come_back_in_time_is_given_up(ground: Ground) -> None:
    """Amanda reads why on ssh's stderr, and the next call finds nobody."""
    line = ground.arrive()
    line.heard_at -= GRACE / 2
    ground.leave(line, is_lost=True)
    ssh = ground.call()
    ground.until(lambda: "waits for the client" in ground.log(), "the call is held")
    ground.beat(GRACE / 2 - SECOND)
    assert ground.is_waiting(ssh)
    ground.beat(GRACE / 2 + SECOND)
    assert ground.wait(ssh) == (255, "", "asyncamanda: laptop is not connected\n")
    assert not ground.path().exists()
    status, _, said = ground.wait(ground.call())
    assert status == 255
    assert "asyncamanda" not in said
    assert not ground.relay.is_busy


def test_a_clock_that_is_set_back_keeps_no_call_for_long(ground: Ground) -> None:
    """The grace is counted anew, and not by the difference."""
    line = ground.arrive()
    line.heard_at += timedelta(days=1)
    ground.leave(line, is_lost=True)
    ssh = ground.call()
    ground.until(lambda: "waits for the client" in ground.log(), "the call is held")
    ground.beat()
    ground.beat(GRACE + SECOND)
    assert ground.wait(ssh)[0] == 255


def test_a_client_that_is_lost_while_it_is_asked_is_asked_when_it_is_back(ground: Ground) -> None:
    """With another token; the first is good for nothing."""
    line = ground.arrive()
    ssh = ground.call()
    first = ground.asked(line)
    ground.leave(line, is_lost=True)
    assert ground.attach(first).hear()[0] == "no"
    back = ground.arrive()
    ground.beat()
    assert ground.attach(ground.asked(back)).hear()[0] == "go"
    assert ground.is_waiting(ssh)


def test_a_client_that_left_in_good_order_is_not_waited_for(ground: Ground) -> None:
    """A call fails at once, and nobody listens any more."""
    line = ground.arrive()
    ssh = ground.call()
    token = ground.asked(line)
    ground.leave(line, is_lost=False)
    assert ground.wait(ssh) == (255, "", "asyncamanda: laptop has left\n")
    assert not ground.path().exists()
    assert ground.attach(token).hear()[0] == "no"
    assert not ground.relay.is_busy


def test_one_of_two_lines_may_leave(ground: Ground) -> None:
    """As long as there is another, the client is there."""
    first, second = ground.arrive(), ground.arrive(connection=OTHER_SSHD)
    ground.leave(first, is_lost=False)
    ground.beat(2 * GRACE)
    ssh = ground.call()
    ground.asked(second)
    assert ground.is_waiting(ssh)


def test_whoever_gives_up_while_held_is_forgotten(ground: Ground) -> None:
    """Amanda's ssh may be killed: nothing of it is left, and nobody is asked for it."""
    before = count_descriptors()
    line = ground.arrive()
    ground.leave(line, is_lost=True)
    listening = count_descriptors()
    held = [ground.call() for _ in range(3)]
    ground.until(lambda: ground.log().count("waits for the client") == 3, "the calls are held")
    for ssh in held:
        ssh.kill()
        ground.wait(ssh)
    ground.until(lambda: not ground.relay.is_busy, "the calls are forgotten")
    assert count_descriptors() == listening
    back = ground.arrive()
    ground.beat()
    assert back.tokens == []
    ground.leave(back, is_lost=False)
    assert count_descriptors() == before


def test_whoever_gives_up_while_the_client_is_asked_is_forgotten(ground: Ground) -> None:
    """The client comes too late, and is told so."""
    line = ground.arrive()
    ssh = ground.call()
    token = ground.asked(line)
    ssh.send_signal(signal.SIGTERM)
    ground.wait(ssh)
    ground.until(lambda: not ground.relay.is_busy, "the call is forgotten")
    assert ground.attach(token).hear()[0] == "no"


# -- how many at once


def test_a_connection_has_ten_sessions(ground: Ground) -> None:
    """What is asked for counts as well; the next call waits until one ends."""
    line = ground.arrive()
    streams = [ground.take_over(f"{number}") for number in range(SESSIONS - 2)]
    ground.call()
    tenth = ground.attach(ground.asked(line))
    assert tenth.hear()[0] == "go"
    ssh = ground.call()
    ground.until(lambda: "waits for its streams" in ground.log(), "the call is held")
    ground.beat()
    assert len(line.tokens) == 1
    streams[0].close()
    ground.settle()
    ground.beat()
    assert ground.attach(ground.asked(line, 2)).hear()[0] == "go"
    assert ground.is_waiting(ssh)


def test_what_is_asked_for_takes_a_place(ground: Ground) -> None:
    """Two calls at once do not both get the last one."""
    line = ground.arrive()
    for number in range(SESSIONS - 2):
        ground.take_over(f"{number}")
    for _ in range(2):
        ground.call()
    ground.until(lambda: "waits for its streams" in ground.log(), "a call is held")
    ground.asked(line)


def test_each_connection_has_its_own_ten(ground: Ground) -> None:
    """Neither another client's streams count, nor those of another connection."""
    line = ground.arrive()
    for number in range(SESSIONS):
        ground.take_over(f"{number}", TABLET)
        ground.take_over(f"{number}", LAPTOP, OTHER_SSHD)
    ground.call()
    ground.asked(line)


def test_an_sshd_that_allows_fewer_is_believed(ground: Ground) -> None:
    """One too many is no failure: it waits until another has ended, and then they are so many."""
    line = ground.arrive()
    streams = [ground.take_over(f"{number}") for number in range(3)]
    ssh = ground.call()
    ground.shut(line, ground.asked(line), 255, "Session open refused by peer")
    ground.beat()
    assert len(line.tokens) == 1
    assert ground.is_waiting(ssh)
    streams.pop().close()
    ground.settle()
    ground.beat()
    assert ground.attach(ground.asked(line, 2)).hear()[0] == "go"
    further = ground.call()
    ground.until(lambda: ground.log().count("waits for its streams") == 2, "the next one waits")
    ground.leave(line, is_lost=True)
    for stream in streams:
        stream.close()
    again = ground.arrive()
    ground.beat()
    ground.asked(again)
    assert ground.is_waiting(further)


def test_one_that_is_refused_again_and_again_fails(ground: Ground) -> None:
    """With the client's reason."""
    line = ground.arrive()
    streams = [ground.take_over(f"{number}") for number in range(4)]
    ssh = ground.call()
    for number in range(1, relay_module.MOST_TRIES + 1):
        ground.shut(line, ground.asked(line, number), 255, "refused")
        streams.pop().close()
        ground.settle()
        ground.beat()
    assert ground.wait(ssh) == (255, "", "asyncamanda: refused\n")


@pytest.mark.parametrize(("status", "streams"), [(255, 0), (127, 0), (127, 3), (1, 3), (0, 0)])
def test_a_stream_that_cannot_begin_fails_the_call(
    ground: Ground, status: int, streams: int
) -> None:
    """At once, where no other session is in its way; with the client's words, made printable."""
    line = ground.arrive()
    for number in range(streams):
        ground.take_over(f"{number}")
    ssh = ground.call()
    token = ground.asked(line)
    ground.shut(line, token, status, "no amandad\x1b[2J here")
    ended, _, said = ground.wait(ssh)
    assert ended == status
    assert said.startswith("asyncamanda: no amandad")
    assert "\x1b" not in said
    assert ground.attach(token).hear()[0] == "no"


# -- streams


def test_the_end_that_a_client_tells_goes_to_the_carrier(ground: Ground) -> None:
    """Of its own stream; of another client's it can tell nothing."""
    line, tablet = ground.arrive(), ground.arrive(TABLET, OTHER_SSHD)
    ground.call()
    token = ground.asked(line)
    carrier = ground.attach(token)
    assert carrier.hear()[0] == "go"
    ground.shut(tablet, token, 0)
    ground.shut(line, "0" * 32, 0)
    assert not carrier.has_words()
    ground.shut(line, token, 9, "died")
    assert carrier.hear() == ["status", "9"]


def test_another_client_cannot_end_a_call_that_waits(ground: Ground) -> None:
    """Nor can another line of the same client, which was not asked."""
    line, tablet = ground.arrive(), ground.arrive(TABLET, OTHER_SSHD)
    older = ground.arrive(connection=OTHER_SSHD)
    older.opened_at -= SECOND
    ssh = ground.call()
    token = ground.asked(line)
    ground.shut(tablet, token, 1)
    ground.shut(older, token, 1)
    assert ground.is_waiting(ssh)
    assert ground.attach(token).hear()[0] == "go"


@pytest.mark.parametrize("others", [OTHER_SSHD, None])
@pytest.mark.parametrize("is_lost", [True, False])
def test_streams_are_stopped_with_their_connection(
    ground: Ground, is_lost: bool, others: int | None
) -> None:
    """So that Amanda reads an end; those of others go on, though nobody knows their sshd."""
    own = SSHD if others else None
    line = ground.arrive(connection=own)
    ground.arrive(TABLET, others)
    mine = ground.take_over("1", connection=own)
    elsewhere = ground.take_over("2", connection=OTHER_SSHD)
    tablets = ground.take_over("3", TABLET, others)
    ground.leave(line, is_lost=is_lost)
    assert mine.hear() == ["stop"]
    assert not elsewhere.has_words()
    assert not tablets.has_words()


def test_streams_of_a_connection_with_another_line_go_on(ground: Ground) -> None:
    """It is the same sshd."""
    first = ground.arrive()
    ground.arrive()
    stream = ground.take_over()
    ground.leave(first, is_lost=True)
    assert not stream.has_words()


def test_what_another_dispatcher_joined_is_watched_over(ground: Ground) -> None:
    """It is stopped if no line comes on its connection, told its status, and forgotten in time."""
    kept, other = ground.take_over("1"), ground.take_over("2", connection=OTHER_SSHD)
    assert ground.relay.is_busy
    ground.beat(relay_module.ORPHANED_AFTER - SECOND)
    line = ground.arrive()
    ground.beat(relay_module.ORPHANED_AFTER - SECOND)
    assert not other.has_words()
    ground.beat(relay_module.ORPHANED_AFTER + SECOND)
    assert other.hear() == ["stop"]
    assert not kept.has_words()
    ground.shut(line, "1", 4)
    assert kept.hear() == ["status", "4"]
    for carrier in (kept, other):
        carrier.close()
    ground.until(lambda: not ground.relay.is_busy, "the streams are forgotten")


def test_a_clock_that_is_set_back_orphans_nobody(ground: Ground) -> None:
    """Nor does it keep an orphan for ever."""
    stream = ground.take_over()
    ground.beat(-timedelta(days=1))
    ground.beat(-timedelta(days=1) + relay_module.ORPHANED_AFTER - SECOND)
    assert not stream.has_words()
    ground.beat(-timedelta(days=1) + relay_module.ORPHANED_AFTER + SECOND)
    assert stream.hear() == ["stop"]


def test_bytes_of_a_stream_are_a_sign_of_life(ground: Ground) -> None:
    """Of the lines of its own connection, though one of them ends just then."""
    line, older = ground.arrive(), ground.arrive()
    elsewhere, tablet = ground.arrive(connection=OTHER_SSHD), ground.arrive(TABLET)
    line.on_life = lambda: ground.leave(line, is_lost=True)
    stream = ground.take_over()
    stream.end.send(switchboard.pack("alive"))
    ground.until(lambda: older.lives, "the line is taken for heard")
    assert (line.lives, older.lives, elsewhere.lives, tablet.lives) == (1, 1, 0, 0)
    assert ground.relay.is_busy


def test_a_carrier_that_dies_at_the_wrong_moment_leaves_nothing(ground: Ground) -> None:
    """Amanda's ssh then ends as with a broken connection."""
    before = count_descriptors()
    line = ground.arrive()
    ssh = ground.call()
    carrier = Carrier()
    carrier.end.close()
    ground.relay.attach(LAPTOP, ground.asked(line), SSHD, carrier.theirs)
    assert ground.wait(ssh)[0] == 255
    assert not ground.relay.is_busy
    ground.leave(line, is_lost=False)
    assert count_descriptors() == before


# -- who may not come in any more, and what goes wrong


def test_a_client_that_is_dropped_has_nothing_any_more(ground: Ground) -> None:
    """Its calls fail and its streams stop, whatever becomes of its line; others are left alone."""
    line = ground.arrive()
    ground.arrive(TABLET, OTHER_SSHD)
    stream, tablets = ground.take_over(), ground.take_over("3", TABLET, OTHER_SSHD)
    ssh = ground.call()
    ground.asked(line)
    ground.relay.drop("laptop")
    assert ground.wait(ssh) == (255, "", "asyncamanda: laptop is not enrolled any more\n")
    assert stream.hear() == ["stop"]
    assert not tablets.has_words()
    assert not ground.path().exists()
    assert ground.path("tablet").exists()
    ground.beat()
    ground.leave(line, is_lost=True)  # it did not read, and so it ends later
    ground.beat()
    ground.relay.drop("laptop")
    ground.relay.drop("nobody")


def test_a_client_without_a_socket_comes_and_goes(ground: Ground) -> None:
    """The disk may be full: it cannot be called, and no more."""
    folder = ground.path().parent
    folder.mkdir(parents=True)
    ground.path().mkdir()
    line = StandIn(LAPTOP)
    with pytest.raises(OSError, match="directory"):
        ground.relay.arrive(cast(Line, line), SSHD)
    ground.beat()
    ground.shut(line, "0" * 32, 0)
    ground.leave(line, is_lost=True)
    ground.path().rmdir()
    again = ground.arrive()
    ground.call()
    ground.asked(again)


def test_a_socket_that_was_cleared_away_is_made_anew(ground: Ground) -> None:
    """With its folder, or by another file in its place; calls that wait go on."""
    line = ground.arrive()
    ssh = ground.call()
    ground.asked(line)
    listening = count_descriptors()
    ground.path().unlink()
    ground.beat(2 * SECOND)
    ground.call()
    ground.asked(line, 2)
    ground.path().unlink()
    ground.path().write_text("not ours")
    ground.beat(4 * SECOND)
    ground.call()
    ground.asked(line, 3)
    ground.path().unlink()
    ground.path().parent.rmdir()
    ground.beat(6 * SECOND)
    ground.call()
    ground.asked(line, 4)
    assert ground.attach(line.tokens[0]).hear()[0] == "go"
    assert ground.is_waiting(ssh)
    assert count_descriptors() == listening + 3 * (3 + 4) + 2  # three calls, and a carrier


def test_a_socket_that_cannot_be_made_is_tried_again(ground: Ground) -> None:
    """And the diary says why."""
    line = ground.arrive()
    ground.path().unlink()
    ground.path().mkdir()
    ground.beat(2 * SECOND)
    assert "laptop cannot be called: " in ground.log()
    ground.path().rmdir()
    ground.beat(4 * SECOND)
    ground.call()
    ground.asked(line)


def test_the_end_of_the_relay_leaves_no_socket(ground: Ground) -> None:
    """And streams go on, for the next dispatcher."""
    ground.arrive()
    ground.arrive(TABLET, OTHER_SSHD)
    stream = ground.take_over()
    ground.relay.close()
    assert list(ground.path().parent.iterdir()) == []
    assert not stream.has_words()


SESSION_PACKET = bytes.fromhex("10000002 00000001 00000000") + bytes(16) + b"\xff" * 4
SESSION_PACKET += bytes(4) + len(AMANDAD).to_bytes(4, "big") + AMANDAD.encode()
SESSION_PACKET = len(SESSION_PACKET).to_bytes(4, "big") + SESSION_PACKET
GARBAGE = {
    "nothing": [],
    "text": [b"GET / HTTP/1.1\r\n\r\n"],
    "zeros": [bytes(1 << 16)],
    "noise": [random.Random(3).randbytes(1 << 16)],  # noqa: S311 - nothing is secret
    "a huge packet": [b"\xff\xff\xff\xff", bytes(1 << 16)],
    "another version": [bytes.fromhex("00000008 00000001 00000003")],
    "half a packet": [mux.hello()[:7]],
    "many packets": [mux.hello() * 1000],
    "two sessions": [SESSION_PACKET + SESSION_PACKET],
    "no descriptors": [SESSION_PACKET + bytes(3)],
    "half a session": [SESSION_PACKET[:20]],
}


def test_garbage_harms_nothing(ground: Ground) -> None:
    """Whoever sends it is hung up on, or forgotten when gone; the next call is taken."""
    line = ground.arrive()
    before = count_descriptors()
    for pieces in GARBAGE.values():
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(ground.path()))
            caller.setblocking(False)
            for piece in pieces:
                with suppress(OSError):
                    caller.send(piece)
            ground.settle(0.01)
    ground.until(lambda: not ground.relay.is_busy, "all are forgotten")
    assert count_descriptors() == before
    ground.call()
    ground.asked(line)


@pytest.mark.parametrize("name", ["text", "zeros", "a huge packet", "another version", "noise"])
def test_whoever_sends_garbage_is_hung_up_on(ground: Ground, name: str) -> None:
    """It need not go by itself."""
    ground.arrive()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(ground.path()))
        caller.setblocking(False)
        for piece in GARBAGE[name]:
            with suppress(OSError):
                caller.send(piece)
        ground.until(lambda: is_hung_up_on(caller), "it is hung up on")
    assert not ground.relay.is_busy


def test_whoever_calls_and_then_says_nothing_is_hung_up_on(ground: Ground) -> None:
    """Or it would keep the dispatcher from ever being idle."""
    ground.arrive()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(ground.path()))
        caller.setblocking(False)
        caller.send(SESSION_PACKET[:20])
        ground.until(lambda: ground.relay.is_busy, "it has called")
        ground.beat(relay_module.WHOLE_WITHIN - SECOND)
        assert ground.relay.is_busy
        ground.beat(relay_module.WHOLE_WITHIN + SECOND)
        assert not ground.relay.is_busy


def is_hung_up_on(caller: socket.socket) -> bool:
    """Return whether a caller's connection has ended."""
    try:
        return caller.recv(4096) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_descriptors_are_not_hoarded(ground: Ground) -> None:
    """Whoever sends more than three is hung up on, though it has not said yet what it wants."""
    ground.arrive()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(ground.path()))
        caller.setblocking(False)
        for byte in SESSION_PACKET[:4]:
            socket.send_fds(caller, [bytes([byte])], [0])
        ground.until(lambda: is_hung_up_on(caller), "it is hung up on")


@pytest.mark.parametrize("counts", [(1, 1), (1, 1, 2), (3, 3, 3), (200, 1)])
def test_other_descriptors_than_three_are_refused(ground: Ground, counts: tuple[int, ...]) -> None:
    """Fewer, more, or all at once: each is closed again."""
    line = ground.arrive()
    before = count_descriptors()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(ground.path()))
        caller.send(mux.hello() + SESSION_PACKET)
        pieces = [*counts, *[0] * (3 - len(counts))]
        for count in pieces:
            with suppress(OSError):
                socket.send_fds(caller, [b"\0"], [0] * count)
            ground.settle(0.01)
    ground.until(lambda: not ground.relay.is_busy, "it is forgotten")
    assert line.tokens == []
    assert count_descriptors() == before
