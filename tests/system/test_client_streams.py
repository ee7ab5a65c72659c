"""Amanda's calls at the client: local programs joined to sessions, and how each of both ends.

In amandad's place stands a script. The master connection is a stand-in, too: it listens where
ssh's master does, and gets a session's descriptors.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from tests.system import watching
from tests.system.hungfs import hung_file_system
from tests.system.watching import count_descriptors

from asyncamanda.client.gate import streams as streams_module
from asyncamanda.client.gate.streams import MOST, Streams, ending
from asyncamanda.core.protocol import mux
from asyncamanda.core.protocol.messages import LARGEST_FROM_CLIENT, Shut
from asyncamanda.core.protocol.wire import encode
from asyncamanda.errors import LaterError, NotStoredError
from asyncamanda.system import stream as stream_module
from asyncamanda.system.processes import describe_process
from asyncamanda.system.ssh import Connection
from asyncamanda.system.stream import Stream, join
from asyncamanda.system.throttle import Throttle
from lab.patience import at_most

TOKEN = "0123456789abcdef" * 2
SESSION = 3


until = partial(watching.until, seconds=5)


class Far:
    """A session, as the master has it: the command's stdin, stdout and stderr, from its side."""

    def __init__(self, caller: socket.socket) -> None:
        self.caller = caller
        caller.settimeout(at_most(5))
        decoder = mux.MuxDecoder()
        self.descriptors: list[int] = []
        self.command: str | None = None
        while self.command is None or not decoder.is_complete:
            received, descriptors, _, _ = socket.recv_fds(caller, 4096, mux.DESCRIPTORS)
            assert received
            self.descriptors += descriptors
            for packet in decoder.feed(received):
                self.command = packet.command
        caller.send(mux.hello() + mux.session_opened(1, SESSION))

    @property
    def reads(self) -> int:
        """What amandad says."""
        return self.descriptors[0]

    @property
    def writes(self) -> int:
        """What amandad reads."""
        return self.descriptors[1]

    def end(self, status: int, words: bytes = b"") -> None:
        """End as the command at the server does."""
        os.write(self.descriptors[2], words)
        self.caller.send(mux.exit_message(SESSION, status))
        self.close()

    def close(self) -> None:
        """Release all."""
        while self.descriptors:
            os.close(self.descriptors.pop())
        self.caller.close()


class Ground:
    """Streams, with a master that the test plays, and what the server is told."""

    def __init__(self, folder: Path, throttle: Throttle | None) -> None:
        self.folder = folder
        self.master = socket.socket(socket.AF_UNIX)
        self.master.bind(str(folder / "master"))
        self.master.listen()
        self.master.settimeout(at_most(5))
        self.amandad = folder / "amandad"
        self.streams = Streams(cast(Connection, self), self.amandad, throttle)
        self.told: list[Shut] = []
        self._others = set(list_children())
        self._far: list[Far] = []

    def join(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        command: str,
        throttle: Throttle | None = None,
    ) -> Stream:
        """Do what the connection does."""
        words = ["setpriv", "--pdeathsig", "TERM", "--", *argv]
        return join(words, environ, str(self.folder / "master"), command, throttle)

    def write(self, script: str, mode: int = 0o755) -> None:
        """Let amandad be a shell's script."""
        fresh = self.folder / "fresh"
        fresh.write_text(f"#!/bin/sh\n{script}\n")
        fresh.chmod(mode)
        fresh.replace(self.amandad)  # a shell that has just started reads the other one, whole

    def open(self, script: str, token: str = TOKEN) -> Far:
        """Begin a stream with this script; return the master's side."""
        self.write(script)
        assert self.streams.open(token) is None
        return self.accept()

    def accept(self) -> Far:
        """Return the master's side of the next session."""
        far = Far(self.master.accept()[0])
        self._far.append(far)
        return far

    def children(self) -> list[int]:
        """Return the processes that were started here and are not forgotten."""
        return [pid for pid in list_children() if pid not in self._others]

    def tend(self) -> list[Shut]:
        """Return what the server has been told, after a look."""
        self.streams.tend(self.told.append)
        return self.told

    def end(self) -> Shut:
        """Return what the server is told about the one stream that ends."""
        until(self.tend, "a stream has ended")
        (shut,) = self.told
        return shut

    def close(self) -> None:
        """End all."""
        for far in self._far:
            far.close()
        self.streams.close()
        self.master.close()


@pytest.fixture(params=[False, True], ids=["", "throttled"])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """Yield a client, also one with a limit; its path is short, as a socket's has to be."""
    throttle = Throttle() if request.param else None
    if throttle:
        throttle.rate = 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(Path(folder), throttle)
        yield ground
        ground.close()


def list_children() -> list[int]:
    """Return all processes that this one has started and not forgotten."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(word) for word in path.read_text().split()]


def test_amandad_and_the_session_are_joined(ground: Ground) -> None:
    """Both ways, at once; it runs as Amanda needs it, and at the server the token is named."""
    far = ground.open('echo "$*|$SSH_CONNECTION|$PWD|$HOME"; tr a-z A-Z; exit 3')
    assert far.command == f"asyncamanda gate attach {TOKEN}"
    assert os.read(far.reads, 200) == b"-auth=ssh amdump|127.0.0.1 1 127.0.0.1 22|/|\n"
    os.write(far.writes, b"hello")
    os.close(far.descriptors.pop(1))
    heard = b""
    while piece := os.read(far.reads, 100):
        heard += piece
    assert heard == b"HELLO"
    assert ground.end() == Shut(TOKEN, 3, "")


def test_a_stream_that_has_ended_leaves_nothing(ground: Ground) -> None:
    """It is told once, and forgotten when the server's side has ended, too."""
    before, started = count_descriptors(), len(ground.children())
    far = ground.open("read -r line; exit 0")
    assert ground.streams.descriptors()
    assert not ground.tend()
    os.write(far.writes, b"x\n")
    assert ground.end() == Shut(TOKEN, 0, "")
    ground.tend()
    assert ground.streams.descriptors() == []
    far.end(0)
    until(lambda: ground.tend() and count_descriptors() == before, "all is closed")
    assert len(ground.told) == 1
    assert len(ground.children()) == started


def test_what_can_be_waited_for_turns_readable(ground: Ground) -> None:
    """As soon as amandad ends, or the session does."""
    far = ground.open("read -r line")
    first = ground.streams.descriptors()
    other = ground.open("read -r line", "f" * 32)
    second = [each for each in ground.streams.descriptors() if each not in first]
    ground.tend()  # what the masters have said so far is heard
    assert _readable(first + second) == []
    os.write(far.writes, b"\n")
    until(lambda: _readable(first), "amandad's end shows")
    assert _readable(second) == []
    other.end(0)
    until(lambda: _readable(second), "the session's end shows")


def _readable(descriptors: list[int]) -> list[int]:
    return select.select(descriptors, [], [], 0)[0]


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        ("exit 0", 0, ""),
        ("exit 255", 255, ""),
        (
            "echo >&2; echo 'one\x1b[2J' >&2; echo two >&2; exit 1",
            1,
            "one\\x1b[2J",
        ),
        ("kill -TERM $$", 128 + signal.SIGTERM, ""),
        ("kill -KILL $$", 128 + signal.SIGKILL, ""),
    ],
)
def test_the_server_is_told_how_amandad_ended(
    ground: Ground, script: str, status: int, words: str
) -> None:
    """Its status as a shell has it, and the last line that it printed to stderr."""
    ground.open(script)
    assert ground.end() == Shut(TOKEN, status, words)


def test_an_amandad_that_is_missing_is_told(ground: Ground) -> None:
    """With the place where it was looked for; nothing is asked of the server."""
    before = count_descriptors()
    shut = ground.streams.open(TOKEN)
    assert shut == Shut(
        TOKEN, 127, f"there is no {ground.amandad} here: is amanda-client installed?"
    )
    assert count_descriptors() <= before
    ground.master.setblocking(False)
    with pytest.raises(BlockingIOError):
        ground.master.accept()


def test_amandad_is_looked_for_where_packages_have_it(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All places are named if it is in none; the first that has it counts."""
    places = tuple(ground.folder / name / "amandad" for name in ("one", "two", "three"))
    monkeypatch.setattr(streams_module, "AMANDADS", places)
    streams = Streams(cast(Connection, ground), None)
    shut = streams.open(TOKEN)
    assert shut
    assert " or ".join(map(str, places)) in shut.reason
    for place in places[1:]:
        place.parent.mkdir()
        place.write_text("#!/bin/sh\necho $0\n")
        place.chmod(0o755)
    assert streams.open(TOKEN) is None
    far = ground.accept()
    assert os.read(far.reads, 200).decode() == f"{places[1]}\n"
    streams.close()


def test_an_amandad_that_cannot_be_run_is_told(ground: Ground) -> None:
    """With the shell's status for it, whoever finds out."""
    ground.write("exit 0", mode=0o644)
    assert ground.streams.open(TOKEN) is None
    ground.accept()
    shut = ground.end()
    assert shut.status in {126, 127}
    assert "Permission denied" in shut.reason


def test_an_amandad_that_cannot_be_looked_for_is_told(ground: Ground) -> None:
    """A path that is too long, or below a folder that is closed to the Amanda user."""
    amandad = ground.folder / ("x" * 300)
    shut = Streams(cast(Connection, ground), amandad).open(TOKEN)
    assert shut
    assert shut.status == 127
    assert str(amandad) in shut.reason


def test_without_a_master_nothing_runs(ground: Ground) -> None:
    """The connection has just broken: the server is told, if it hears, and nothing is left."""
    before, started = count_descriptors(), len(ground.children())
    ground.write("touch ran; sleep 60")
    ground.master.close()
    shut = ground.streams.open(TOKEN)
    assert shut
    assert shut.token == TOKEN
    assert shut.status in {127, 255}
    assert len(ground.children()) == started
    # the listener's is gone; a throttle closes its two when it has seen that amandad has ended
    until(lambda: count_descriptors() <= before - 1, "no descriptor is left")


@pytest.mark.parametrize("refuse", [mux.failure, mux.permission_denied])
def test_a_session_that_is_refused_is_told_with_its_reason(
    ground: Ground, refuse: Callable[[int, str], bytes]
) -> None:
    """As where sshd allows no more; amandad reads its end, and goes."""
    far = ground.open("read -r line; exit 9")
    far.caller.send(refuse(1, "Session open refused by peer"))
    far.close()
    assert ground.end() == Shut(TOKEN, 255, "Session open refused by peer", is_refused=True)
    until(lambda: ground.tend() and not ground.children(), "amandad is gone")
    assert len(ground.told) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (b"asyncamanda gate: no stream of this client's is waited for\n", "is waited for"),
        (b"", "the server ended the session"),
    ],
)
def test_a_session_that_ends_first_ends_amandad(ground: Ground, words: bytes, said: str) -> None:
    """By the end of its input; the server is told 255, with the session's last words."""
    told = ground.folder / "told"  # else amandad might be the first that is seen to have ended
    far = ground.open(f"cat >/dev/null; until [ -e {told} ]; do sleep 0.05; done")
    far.end(77, words)
    shut = ground.end()
    assert (shut.token, shut.status, shut.is_refused) == (TOKEN, 255, False)
    assert shut.reason.endswith(said)
    told.touch()
    until(lambda: ground.tend() and not ground.children(), "amandad is gone")


def test_a_session_that_breaks_off_was_not_refused(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the connection is lost: sshd has not said that it allows no more."""
    monkeypatch.setattr(streams_module, "PATIENCE", 0.2)
    ground.open("exec sleep 60").close()
    assert ground.end() == Shut(TOKEN, 255, "the server ended the session")


def test_an_amandad_that_does_not_mind_the_end_is_stopped(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some time to finish what it does."""
    monkeypatch.setattr(streams_module, "PATIENCE", 0.3)
    ended_at = time.monotonic()
    ground.open("exec sleep 60").end(0)
    ground.end()
    assert ground.children()
    until(lambda: ground.tend() and not ground.children(), "amandad is stopped")
    assert time.monotonic() - ended_at >= 0.3


def test_an_amandad_that_has_much_to_say_is_heard_to_its_end(ground: Ground) -> None:
    """More than a pipe holds, on stderr: nobody waits for the other, and the first line counts."""
    ground.open(
        "i=0; while [ $i -lt 3000 ]; do echo line $i of many, each of some length; "
        "i=$((i+1)); done >&2; exit 4"
    )
    assert ground.end() == Shut(TOKEN, 4, "line 0 of many, each of some length")


def test_an_amandad_that_does_not_mind_being_stopped_either_is_killed(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would keep a place forever."""
    monkeypatch.setattr(streams_module, "PATIENCE", 0.3)
    ground.open("trap '' TERM; echo ready >&2; while :; do sleep 0.1; done").end(0)
    ground.end()
    until(lambda: ground.tend() and not ground.children(), "amandad is killed")


def test_a_program_that_cannot_be_killed_is_not_waited_for(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that waits for a dead disk; nothing is left of it here but itself."""
    monkeypatch.setattr(stream_module, "KILLED_WITHIN", 0.2)
    before = count_descriptors()
    stream = ground.join(["sleep", "60"], {"PATH": os.environ["PATH"]}, "x")
    far = ground.accept()
    assert ground.children()
    began_at = time.monotonic()
    stream.close()
    assert 0.15 < time.monotonic() - began_at < at_most(5)
    far.close()
    assert count_descriptors() <= before
    stream.stop(signal.SIGKILL)
    until(lambda: stream.is_gone or not ground.children(), "the program is gone")


@contextmanager
def hanging_tar(ground: Ground, folder: Path) -> Iterator[tuple[Far, int]]:
    """Yield a stream whose amandad has started what hangs, as tar does on a dead mount."""
    place, told = folder / "dead", folder / "pid"
    place.mkdir()
    asked, asking = os.pipe()
    with hung_file_system(place, asking) as file:
        far = ground.open(f"cat {file} & echo $! >{told}; read -r _")
        until(lambda: bool(select.select([asked], [], [], 0)[0]), "the file system is asked")
        pid = int(told.read_text())
        os.kill(pid, signal.SIGTERM)  # FUSE's own wait could be ended by that until now
        until(lambda: (seen := describe_process(pid)) and seen.state == "D", "it hangs")
        yield far, pid
    os.close(asked)
    os.close(asking)
    until(lambda: describe_process(pid) is None, "it has ended")


@pytest.mark.parametrize("is_over", [True, False])
def test_what_hangs_below_amandad_is_named(
    ground: Ground, tmp_path: Path, *, is_over: bool
) -> None:
    """Though amandad itself has ended, before the connection or with it."""
    with hanging_tar(ground, tmp_path) as (far, pid):
        if is_over:
            far.end(0)
            until(lambda: ground.tend() and not ground.streams._joined, "amandad has ended")
        began_at = time.monotonic()
        with pytest.raises(LaterError) as caught:
            ground.streams.close()
        assert time.monotonic() - began_at < at_most(30)
    assert f"pid {pid} (cat " in caught.value.message
    assert "was begun by amandad, and does not end; it waits for a disk" in caught.value.message


def test_what_hangs_below_amandad_takes_no_verdicts_place(ground: Ground, tmp_path: Path) -> None:
    """It is a warning beside that."""
    warned: list[str] = []
    with (
        hanging_tar(ground, tmp_path) as (_, pid),
        pytest.raises(NotStoredError, match="no backup"),
        ending(ground.streams, warned.append),
    ):
        raise NotStoredError("failed", "no backup", "none")
    (words,) = warned
    assert f"pid {pid} " in words


def test_what_works_on_below_amandad_is_left_alone(ground: Ground, tmp_path: Path) -> None:
    """It meets a closed pipe in time, and nobody waits for it."""
    told = tmp_path / "pid"
    far = ground.open(f"sleep 600 & echo $! >{told}.new; mv {told}.new {told}; read -r _")
    until(told.exists, "it works")
    far.close()
    ground.streams.close()
    os.kill(int(told.read_text()), signal.SIGKILL)  # which it would have left by now


def test_a_token_that_comes_twice_makes_one_stream(ground: Ground) -> None:
    """The server asks once for each; a second one would hide the first."""
    ground.open("exec cat >&2")
    before = ground.children()
    assert ground.streams.open(TOKEN) is None
    assert ground.children() == before


def test_words_are_never_longer_than_a_line_may_be(ground: Ground) -> None:
    """The server would hang up on a client that sends too long a line, and on its dumps with it."""
    far = ground.open("exec cat >&2")
    far.caller.send(mux.failure(1, chr(0x1F4BE) * 600))
    assert len(encode(ground.end())) <= LARGEST_FROM_CLIENT


def test_no_more_streams_than_a_client_bears(ground: Ground) -> None:
    """One more is refused, until one has ended."""
    ground.write("read -r line")
    tokens = [f"{number:032x}" for number in range(MOST)]
    far = []
    for token in tokens:
        assert ground.streams.open(token) is None
        far.append(ground.accept())
    assert ground.streams.open(TOKEN) == Shut(TOKEN, 255, "too many streams at once")
    far[0].end(0)
    until(lambda: ground.tend() and ground.streams.open(TOKEN) is None, "there is room again")
    ground.accept()


def test_the_end_of_all_leaves_no_process_and_no_descriptor(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that end with their input, those that need a signal, and those that ignore that."""
    monkeypatch.setattr(streams_module, "PATIENCE", 0.3)
    before, started = count_descriptors(), len(ground.children())
    far = []
    scripts = {
        "cat >/dev/null": "PIPE",
        "exec sleep 60": "PIPE",
        "while :; do sleep 0.2; done": "PIPE TERM",
        "exit 0": "PIPE",
    }
    for number, (script, ignored) in enumerate(scripts.items()):
        words = f"trap '' {ignored}; echo ready; {script}"
        far.append(ground.open(words, f"{number:032x}"))
        assert os.read(far[-1].reads, 10) == b"ready\n"
    began_at = time.monotonic()
    ground.streams.close()
    assert 0.5 < time.monotonic() - began_at < at_most(2)
    assert len(ground.children()) == started
    for each in far:
        with suppress(ConnectionResetError):  # what it was told was not all read
            assert each.caller.recv(1) == b""
        each.close()
    assert count_descriptors() <= before
    assert ground.streams.descriptors() == []
    assert ground.tend() == []
    assert ground.streams.open(TOKEN) is None
