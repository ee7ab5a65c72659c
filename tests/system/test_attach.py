"""One of Amanda's calls, joined to its client: the gate's own process, between pipes like sshd's.

The dispatcher is a stand-in, and so is Amanda's ssh: four pipes' ends and a socket.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from tests.system import watching

from asyncamanda.core.amanda.packets import ACK, NAK, REP, REQ, end, packet
from asyncamanda.core.protocol import mux
from asyncamanda.server.gate import ipc
from lab.patience import Limit, at_most

TOKEN = "0123456789abcdef" * 2
SESSION = 7  # any number
HELLO = ["attach", "laptop", "daily", TOKEN]
BIG = 3 << 20  # bytes: more than all pipes and sockets on the way hold
HERE = f"import sys\nsys.path[:] = {sys.path!r}\n"  # a gate sheds what PYTHONPATH says
# the program as sshd starts it, but for where its state is, and for how long it waits
GATE = """\
import runpy, sys
from asyncamanda import quick
quick.SYSTEM_STATE = sys.argv[1]
from asyncamanda.server.gate import attach
for setting in sys.argv[2].split():
    name, _, value = setting.partition("=")
    assert hasattr(attach, name)
    setattr(attach, name, float(value))
argv = ["--client", "laptop", "--amanda-config", "daily"]
sys.argv = ["asyncamanda", "gate", *argv]
runpy.run_module("asyncamanda", run_name="__main__")
"""


until = partial(watching.until, seconds=10)


def close(*descriptors: int) -> None:
    """Close those that there are; -1 is none."""
    for descriptor in set(descriptors) - {-1}:
        os.close(descriptor)


def is_readable(reader: int | socket.socket, seconds: float = 0.0) -> bool:
    """Return whether something, or the end, can be read."""
    return bool(select.select([reader], [], [], seconds)[0])


def read_all(descriptor: int, seconds: float = 10) -> bytes:
    """Return all that comes until the end."""
    found = b""
    while is_readable(descriptor, at_most(seconds)):
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            return found
        found += piece
    pytest.fail(f"no end after {len(found)} bytes")


def read_some(descriptor: int, size: int, seconds: float = 10) -> bytes:
    """Return the next `size` bytes; fewer at the end."""
    found = b""
    while len(found) < size and is_readable(descriptor, at_most(seconds)):
        piece = os.read(descriptor, size - len(found))
        if not piece:
            break
        found += piece
    return found


class Ground:
    """A state folder with a dispatcher's socket, Amanda's end of a call, and the gate."""

    def __init__(self, state: Path) -> None:
        self.state = state
        ipc.make_runtime_folder(f"{state}/server")
        self.listener: socket.socket | None = None
        self.listen()
        from_amanda, self.amanda_writes = os.pipe()
        self.amanda_reads, to_amanda = os.pipe()
        self.errors, errors = os.pipe()
        self.ssh, call = socket.socketpair()
        self._passed = [from_amanda, to_amanda, errors, call.detach()]
        self.gate: subprocess.Popen[bytes] | None = None
        self._kept: list[socket.socket] = []

    def listen(self) -> None:
        """Act as the dispatcher, or the next one."""
        path = Path(ipc.socket_path(f"{self.state}/server"))
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen()

    def leave(self) -> None:
        """Be no dispatcher any more, as one that was killed: the socket stays."""
        assert self.listener
        self.listener.close()
        self.listener = None

    def start(self, command: str = f"asyncamanda gate attach {TOKEN}", settings: str = "") -> None:
        """Start the gate as sshd does, with a client's command."""
        self.gate = subprocess.Popen(
            [sys.executable, "-I", "-c", HERE + GATE, str(self.state), settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={"SSH_ORIGINAL_COMMAND": command},
        )

    def accept(self) -> tuple[socket.socket, list[str]]:
        """Return the next caller, and its first word."""
        assert self.listener
        assert is_readable(self.listener, at_most(10)), "nobody calls"
        caller, _ = self.listener.accept()
        self._kept.append(caller)
        caller.settimeout(at_most(10))
        return caller, ipc.unpack(caller.recv(ipc.LARGEST))

    def go(self, settings: str = "", *, is_dump: bool = True) -> socket.socket:
        """Start the gate and give it a call of Amanda's; return the dispatcher's end.

        A dump's data may come from then on, if it is one.
        """
        self.start(settings=settings)
        carrier, words = self.accept()
        assert words == HELLO
        socket.send_fds(carrier, [ipc.pack("go", str(SESSION))], self._passed)
        self._let_go()
        if is_dump:
            self.ask(packet(1, REQ, "SERVICE sendbackup\n"))
            self.answer(packet(1, REP, "CONNECT DATA 499999\n"))
        return carrier

    def ask(self, request: bytes) -> None:
        """Let Amanda send something to the client, which hears it."""
        os.write(self.amanda_writes, request)
        assert read_some(self.client_reads, len(request)) == request

    def answer(self, reply: bytes) -> None:
        """Let the client send something to Amanda, which hears it."""
        os.write(self.client_writes, reply)
        assert read_some(self.amanda_reads, len(reply)) == reply

    @property
    def client_writes(self) -> int:
        """The client's amandad, towards Amanda."""
        assert self.gate
        assert self.gate.stdin
        return self.gate.stdin.fileno()

    @property
    def client_reads(self) -> int:
        """What the client's amandad reads."""
        assert self.gate
        assert self.gate.stdout
        return self.gate.stdout.fileno()

    @property
    def client_errors(self) -> int:
        """What sshd takes for the command's stderr."""
        assert self.gate
        assert self.gate.stderr
        return self.gate.stderr.fileno()

    def end_amanda(self) -> None:
        """Let what Amanda writes end."""
        close(self.amanda_writes)
        self.amanda_writes = -1

    def end_client(self) -> None:
        """Let amandad's output end."""
        assert self.gate
        assert self.gate.stdin
        self.gate.stdin.close()

    def wait(self, seconds: float = 10) -> int:
        """Return the gate's exit status."""
        assert self.gate
        return self.gate.wait(at_most(seconds))

    def last_word(self) -> bytes:
        """Return all that Amanda's ssh is told."""
        return read_all(self.ssh.fileno())

    def is_over(self) -> bool:
        """Return whether the gate has ended."""
        assert self.gate
        return self.gate.poll() is not None

    def _let_go(self) -> None:
        while self._passed:
            os.close(self._passed.pop())

    def close(self) -> None:
        """End what goes on."""
        if self.gate:
            self.gate.kill()
            self.gate.wait()
            for stream in (self.gate.stdin, self.gate.stdout, self.gate.stderr):
                if stream:
                    stream.close()
        for kept in self._kept:
            kept.close()
        if self.listener:
            self.listener.close()
        self.ssh.close()
        self._let_go()
        self.end_amanda()
        close(self.amanda_reads, self.errors)


@pytest.fixture
def ground() -> Iterator[Ground]:
    """Yield a place for one call; its path is short, as a socket's has to be."""
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(Path(folder))
        yield ground
        ground.close()


def write_later(descriptor: int, data: bytes) -> threading.Thread:
    """Write `data` beside the test, to a copy of `descriptor` that is closed then."""
    copy = os.dup(descriptor)

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(copy, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


def test_both_directions_arrive_whole(ground: Ground) -> None:
    """At once, more than all pipes hold; the end of each is passed on, and the status last."""
    carrier = ground.go()
    down, up = os.urandom(BIG), os.urandom(BIG)
    heard: list[bytes] = []
    writers = [
        write_later(ground.client_writes, up),
        write_later(ground.amanda_writes, down),
    ]
    ground.end_client()
    ground.end_amanda()
    reader = threading.Thread(target=lambda: heard.append(read_all(ground.client_reads)))
    reader.start()
    assert read_all(ground.amanda_reads) == up
    reader.join(10)
    assert heard == [down]
    assert not ground.is_over()  # nobody has said how amandad ended
    carrier.send(ipc.pack("status", "0", "why"))
    assert ground.wait() == 0
    assert ground.last_word() == mux.exit_message(SESSION, 0)
    for writer in writers:
        writer.join(10)


def test_the_end_of_amandas_input_goes_on_to_the_client(ground: Ground) -> None:
    """Its stderr ends as well, for sshd holds the end back until then; the other way stays open."""
    carrier = ground.go()
    assert read_all(ground.errors, 2) == b""  # nothing is said there
    os.write(ground.amanda_writes, b"ask")
    ground.end_amanda()
    assert read_all(ground.client_reads, 2) == b"ask"
    assert read_all(ground.client_errors, 2) == b""
    os.write(ground.client_writes, b"answer")
    assert os.read(ground.amanda_reads, 100) == b"answer"
    ground.end_client()
    assert read_all(ground.amanda_reads) == b""
    carrier.send(ipc.pack("status", "3", "why"))
    assert ground.wait() == 3


def test_the_end_of_amandads_output_goes_on_to_amanda(ground: Ground) -> None:
    """And the other way stays open."""
    carrier = ground.go()
    os.write(ground.client_writes, b"last")
    ground.end_client()
    assert read_all(ground.amanda_reads, 2) == b"last"
    os.write(ground.amanda_writes, b"more")
    assert os.read(ground.client_reads, 100) == b"more"
    carrier.send(ipc.pack("status", "0", "why"))
    assert ground.wait() == 0


def test_a_client_that_reads_no_more_ends_what_amanda_writes(ground: Ground) -> None:
    """Amanda's ssh meets a closed pipe, and does not wait."""
    ground.go()
    assert ground.gate
    assert ground.gate.stdout
    ground.gate.stdout.close()

    def is_refused() -> bool:
        try:
            os.write(ground.amanda_writes, b"x")
        except BrokenPipeError:
            return True
        return False

    until(is_refused, "Amanda's pipe is closed", seconds=2)
    os.write(ground.client_writes, b"still")
    assert os.read(ground.amanda_reads, 100) == b"still"


@pytest.mark.parametrize("status", [0, 1, 127, 255])
def test_amandads_status_is_the_gates_and_amandas(ground: Ground, status: int) -> None:
    """Though it comes before the last bytes do."""
    carrier = ground.go()
    carrier.send(ipc.pack("status", str(status), "why"))
    os.write(ground.client_writes, b"the end")
    ground.end_client()
    assert read_all(ground.amanda_reads) == b"the end"
    assert ground.wait() == status
    assert ground.last_word() == mux.exit_message(SESSION, status)


def test_without_a_status_it_ends_with_ssh_s_own(ground: Ground) -> None:
    """The client may be gone, or the dispatcher replaced at the wrong moment."""
    ground.go("STATUS_SECONDS=0.3 LOOK_EVERY=0.05")
    ground.end_client()
    began_at = time.monotonic()
    assert ground.wait(2) == 255
    assert time.monotonic() - began_at >= 0.25
    assert ground.last_word() == mux.exit_message(SESSION, 255)


def test_with_a_status_and_no_end_it_ends(ground: Ground) -> None:
    """What amandad started may hold its output open forever."""
    carrier = ground.go("LAST_BYTES_SECONDS=0.3 STATUS_SECONDS=0 LOOK_EVERY=0.05")
    carrier.send(ipc.pack("status", "0", "why"))
    began_at = time.monotonic()
    assert ground.wait(2) == 0
    assert time.monotonic() - began_at >= 0.25


def test_with_a_status_every_byte_that_comes_is_waited_for_anew(ground: Ground) -> None:
    """On a slow way the last bytes may come long after it, with gaps between."""
    carrier = ground.go("LAST_BYTES_SECONDS=2 STATUS_SECONDS=0 LOOK_EVERY=0.05")
    carrier.send(ipc.pack("status", "0", "why"))
    for _ in range(4):
        time.sleep(0.6)
        os.write(ground.client_writes, b"x")
        assert os.read(ground.amanda_reads, 100) == b"x"
    assert ground.wait() == 0


def test_what_has_come_is_not_cut_off_because_amanda_is_slow(ground: Ground) -> None:
    """It may wait for a disk, or for another volume, with amandad long gone."""
    carrier = ground.go("STATUS_SECONDS=0.2 LAST_BYTES_SECONDS=0.2 LOOK_EVERY=0.05")
    data = os.urandom(1 << 18)
    write_later(ground.client_writes, data)
    ground.end_client()
    carrier.send(ipc.pack("status", "0", "why"))
    time.sleep(0.7)
    assert read_all(ground.amanda_reads) == data
    assert ground.wait() == 0


def test_stop_ends_it_at_once(ground: Ground) -> None:
    """Amanda reads an end, and writes to nobody: it waits for nothing any more."""
    carrier = ground.go()
    os.write(ground.client_writes, b"half")
    assert os.read(ground.amanda_reads, 100) == b"half"
    carrier.send(ipc.pack("stop", "why"))
    assert read_all(ground.amanda_reads, 1) == b""
    assert ground.last_word() == mux.exit_message(SESSION, 255)
    assert ground.wait(2) == 255
    with pytest.raises(BrokenPipeError):
        os.write(ground.amanda_writes, b"x")


def test_stop_ends_it_though_amanda_does_not_read(ground: Ground) -> None:
    """Nothing that is full holds it up."""
    carrier = ground.go()
    write_later(ground.client_writes, os.urandom(1 << 20))
    write_later(ground.amanda_writes, os.urandom(1 << 20))
    time.sleep(0.2)
    carrier.send(ipc.pack("stop", "why"))
    assert ground.wait(2) == 255


def test_it_ends_with_amandas_ssh(ground: Ground) -> None:
    """Its end is the end of the multiplexing connection."""
    ground.go()
    os.write(ground.client_writes, b"x")
    assert os.read(ground.amanda_reads, 100) == b"x"
    ground.ssh.close()
    assert ground.wait(2) == 255
    assert read_all(ground.client_reads) == b""


def test_what_amandas_ssh_says_is_passed_over(ground: Ground) -> None:
    """It has nothing to say any more."""
    carrier = ground.go()
    ground.ssh.send(mux.hello())
    os.write(ground.client_writes, b"x")
    assert os.read(ground.amanda_reads, 100) == b"x"
    ground.end_client()
    carrier.send(ipc.pack("status", "0", "why"))
    assert ground.wait() == 0


def test_it_outlives_the_dispatcher_and_finds_the_next_one(ground: Ground) -> None:
    """Data goes on in between; the next one tells it the status."""
    carrier = ground.go("LOOK_EVERY=0.05")
    ground.leave()
    carrier.close()
    for piece in (b"one", b"two"):
        os.write(ground.client_writes, piece)
        assert os.read(ground.amanda_reads, 100) == piece
        os.write(ground.amanda_writes, piece)
        assert os.read(ground.client_reads, 100) == piece
        time.sleep(0.1)
    ground.listen()
    following, words = ground.accept()
    assert words == ["attached", *HELLO[1:]]
    os.write(ground.client_writes, b"three")
    assert os.read(ground.amanda_reads, 100) == b"three"
    ground.end_client()
    following.send(ipc.pack("status", "9", "why"))
    assert ground.wait() == 9
    assert ground.last_word() == mux.exit_message(SESSION, 9)


def test_the_next_dispatcher_can_stop_it(ground: Ground) -> None:
    """And it finds the third one if that dies, too."""
    carrier = ground.go("LOOK_EVERY=0.05")
    for _ in range(2):
        carrier.close()
        carrier, words = ground.accept()
        assert words[0] == "attached"
    carrier.send(ipc.pack("stop", "why"))
    assert ground.wait(2) == 255


def test_nobody_who_vouches_for_the_client_ends_it(ground: Ground) -> None:
    """Else Amanda would wait forever, for a client that may be gone."""
    carrier = ground.go("UNWATCHED_SECONDS=0.4 LOOK_EVERY=0.05")
    ground.leave()
    began_at = time.monotonic()
    carrier.close()
    assert ground.wait(2) == 255
    assert time.monotonic() - began_at >= 0.3
    assert ground.last_word() == mux.exit_message(SESSION, 255)


@pytest.mark.parametrize("is_frozen", [True, False])
def test_a_dispatcher_that_does_not_vouch_for_the_client_ends_it(
    ground: Ground, is_frozen: bool
) -> None:
    """One that is stopped keeps its sockets, and so does one where the client has no line."""
    carrier = ground.go("UNWATCHED_SECONDS=0.4 LOOK_EVERY=0.05")
    if is_frozen:
        carrier.close()  # and whoever goes there again is connected, and hears nothing
        ground.accept()
    began_at, limit = time.monotonic(), Limit(5)
    while not ground.is_over():  # bytes say nothing of the client's line
        with suppress(BrokenPipeError):
            os.write(ground.client_writes, b"x")
        time.sleep(0.02)
        assert not limit.is_over()
    assert ground.wait() == 255
    assert time.monotonic() - began_at >= 0.2


def test_as_long_as_the_client_is_vouched_for_it_goes_on(ground: Ground) -> None:
    """Though no byte comes; and what the dispatcher says ends nothing but its silence does."""
    carrier = ground.go("UNWATCHED_SECONDS=2 LOOK_EVERY=0.05")
    for _ in range(8):
        carrier.send(ipc.pack("well"))
        time.sleep(0.3)
        assert not ground.is_over()
    assert ground.wait() == 255


def test_the_next_dispatcher_vouches_for_the_client(ground: Ground) -> None:
    """What was waited for before it came counts; that it is there alone does not."""
    carrier = ground.go("UNWATCHED_SECONDS=2 LOOK_EVERY=0.05")
    carrier.close()
    following, _ = ground.accept()
    time.sleep(1.2)
    following.send(ipc.pack("well"))
    time.sleep(1.2)
    assert not ground.is_over()
    assert ground.wait() == 255


def test_dispatchers_that_end_before_they_vouch_keep_nothing_alive(ground: Ground) -> None:
    """However many there are: that one takes the call says nothing of the client."""
    carrier = ground.go("UNWATCHED_SECONDS=0.6 LOOK_EVERY=0.05")
    carrier.close()
    assert ground.listener
    limit = Limit(10)
    while not ground.is_over():
        assert not limit.is_over()
        if is_readable(ground.listener, 0.02):
            ground.accept()[0].close()
    assert ground.wait() == 255


def test_a_pause_of_the_whole_machine_ends_nothing(ground: Ground) -> None:
    """The dispatcher could vouch for nobody meanwhile."""
    carrier = ground.go("UNWATCHED_SECONDS=2 LOOK_EVERY=0.05")
    carrier.send(ipc.pack("well"))
    assert ground.gate
    time.sleep(0.1)
    ground.gate.send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    ground.gate.send_signal(signal.SIGCONT)
    time.sleep(0.3)
    assert not ground.is_over()
    assert ground.wait() == 255


def test_a_dispatcher_that_is_too_busy_to_be_called_holds_up_no_data(ground: Ground) -> None:
    """Others wait for it already, more than its socket has room for."""
    carrier = ground.go("LOOK_EVERY=0.02")
    assert ground.listener
    ground.listener.listen(0)
    path = ipc.socket_path(f"{ground.state}/server")
    waiting = []
    for _ in range(3):
        caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        caller.setblocking(False)
        waiting.append(caller)
        with suppress(BlockingIOError):
            caller.connect(path)
    carrier.close()
    for _ in range(10):
        os.write(ground.client_writes, b"x")
        assert is_readable(ground.amanda_reads, at_most(2)), "data is held up"
        assert os.read(ground.amanda_reads, 100) == b"x"
        time.sleep(0.03)
    for caller in waiting:
        caller.close()


def test_a_dispatcher_that_answers_nothing_holds_up_no_data(ground: Ground) -> None:
    """It may be stopped, or busy for minutes; its socket fills up meanwhile."""
    carrier = ground.go("LOOK_EVERY=0.0002")
    carrier.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    over_at = time.monotonic() + 0.7
    while time.monotonic() < over_at:
        os.write(ground.client_writes, b"x")
        assert is_readable(ground.amanda_reads, at_most(2)), "data is held up"
        assert os.read(ground.amanda_reads, 100) == b"x"
        time.sleep(0.0005)


def test_while_bytes_come_from_the_client_it_says_that_it_lives(ground: Ground) -> None:
    """The client's own words may be behind them; and what Amanda sends says nothing of it."""
    carrier = ground.go("LOOK_EVERY=0.05", is_dump=False)
    os.write(ground.amanda_writes, b"x")
    assert not is_readable(carrier, 0.2)
    for _ in range(2):
        os.write(ground.client_writes, b"x")
        assert ipc.unpack(carrier.recv(ipc.LARGEST)) == ["alive"]
        assert not is_readable(carrier, 0.15)


def test_a_token_that_is_refused_is_the_end(ground: Ground) -> None:
    """With the dispatcher's reason; and nothing of what the client sent was read."""
    ground.start()
    os.write(ground.client_writes, b"secret")
    carrier, words = ground.accept()
    assert words == HELLO
    carrier.send(ipc.pack("no", "no stream of this client's is waited for"))
    assert ground.wait() == 77
    assert read_all(ground.client_errors) == (
        b"asyncamanda gate: no stream of this client's is waited for\n"
    )
    assert read_all(ground.client_reads) == b""
    with pytest.raises(BrokenPipeError):
        os.write(ground.client_writes, b"x")


@pytest.mark.parametrize("answer", ["", "gone", "go\0007", "nonsense\0x"])
def test_what_is_no_answer_is_a_dispatcher_that_is_gone(ground: Ground, answer: str) -> None:
    """Nothing is carried; a client may come back."""
    ground.start()
    carrier, _ = ground.accept()
    if answer:
        carrier.send(answer.encode())
    carrier.close()
    assert ground.wait() == 75
    assert b"the dispatcher that asked for this is gone" in read_all(ground.client_errors)
    assert read_all(ground.client_reads) == b""


def test_a_stream_starts_no_dispatcher(ground: Ground) -> None:
    """Who asked for it is gone, and with that the token."""
    ground.leave()
    ground.start()
    assert ground.wait() == 75
    assert not (ground.state / "server" / "dispatcher.log").exists()


def test_a_cheat_calls_nobody(ground: Ground) -> None:
    """What only resembles the command is refused before the dispatcher hears of it."""
    ground.start(f"asyncamanda gate attach {TOKEN} ")
    assert ground.wait() == 77
    assert ground.listener
    assert not is_readable(ground.listener)


def test_a_quiet_stream_costs_next_to_nothing(ground: Ground) -> None:
    """Half-closed in one direction, with bytes that wait for a slow reader in the other."""
    ground.go()
    ground.end_amanda()
    write_later(ground.client_writes, os.urandom(1 << 20))
    assert read_all(ground.client_reads) == b""
    assert ground.gate
    time.sleep(0.1)
    before = _cpu_ticks(ground.gate.pid)
    time.sleep(0.7)
    assert _cpu_ticks(ground.gate.pid) - before <= at_most(2)
    ground.gate.send_signal(signal.SIGTERM)


def _cpu_ticks(pid: int) -> int:
    """Return what a process has used, in hundredths of a second (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


# -- what Amanda waits for an answer to

ASKED = packet(3, REQ, "SERVICE sendsize\n")
ANSWER = packet(3, REP, "/srv/docs 0 SIZE 10\n")


def refusal(reason: str, handle: int = 3) -> bytes:
    """Return what Amanda is told."""
    return packet(handle, NAK, f"ERROR asyncamanda: {reason}\n")


def test_what_is_open_is_refused_before_amandas_ssh_ends(ground: Ground) -> None:
    """With the reason that the dispatcher gives; it ends as soon as Amanda has gone."""
    carrier = ground.go(is_dump=False)
    ground.ask(ASKED)
    ground.answer(packet(3, ACK, ""))
    carrier.send(ipc.pack("stop", "laptop vanished\n\x1b[2J"))
    told = refusal(r"laptop vanished\x0a\x1b[2J")
    assert read_some(ground.amanda_reads, len(told)) == told
    assert not is_readable(ground.ssh)
    ground.end_amanda()
    assert ground.wait(2) == 255
    assert ground.last_word() == mux.exit_message(SESSION, 255)


def test_what_amanda_asks_too_late_is_refused_as_well(ground: Ground) -> None:
    """It may have one answer, and be about to ask the next thing; it is not waited for forever."""
    carrier = ground.go(is_dump=False)
    ground.ask(ASKED)
    ground.answer(ANSWER)
    carrier.send(ipc.pack("stop", "gone"))
    os.write(ground.amanda_writes, packet(4, REQ, "SERVICE sendsize\n"))
    told = refusal("gone", 4)
    assert read_some(ground.amanda_reads, len(told)) == told
    assert ground.wait() == 255
    assert read_all(ground.amanda_reads) == b""


def test_half_an_answer_is_none(ground: Ground) -> None:
    """What is whole before it goes on; Amanda reads no half packet."""
    ground.go("STATUS_SECONDS=0.2 LOOK_EVERY=0.05", is_dump=False)
    ground.ask(ASKED)
    ack = packet(3, ACK, "")
    os.write(ground.client_writes, ack + ANSWER[:-3])
    ground.end_client()
    told = ack + refusal("laptop vanished: its connection has ended")
    assert read_some(ground.amanda_reads, len(told)) == told


def test_a_client_that_speaks_otherwise_is_cut_off(ground: Ground) -> None:
    """And Amanda is told about what it said."""
    ground.go(is_dump=False)
    ground.ask(ASKED)
    os.write(ground.client_writes, b"bash: amandad: command not found\n")
    told = refusal(r"laptop: what it sent is not Amanda's: b'bash: am'")
    assert read_some(ground.amanda_reads, len(told)) == told
    ground.end_amanda()
    assert ground.wait() == 255


def test_amandads_end_is_the_reason(ground: Ground) -> None:
    """As the client tells it."""
    carrier = ground.go(is_dump=False)
    ground.ask(ASKED)
    ground.end_client()
    carrier.send(ipc.pack("status", "137", "amandad ended with status 137"))
    told = refusal("amandad ended with status 137")
    assert read_some(ground.amanda_reads, len(told)) == told
    ground.end_amanda()
    assert ground.wait() == 137


def test_nothing_is_refused_in_the_middle_of_a_dump(ground: Ground) -> None:
    """Its data may be cut anywhere, and Amanda sees an end."""
    carrier = ground.go()
    ground.answer(end(499_999, 100) + b"half")
    carrier.send(ipc.pack("stop", "gone"))
    assert read_all(ground.amanda_reads, 1) == b""
    assert ground.wait(2) == 255


def test_an_answer_of_any_size_goes_on_in_small_pieces(ground: Ground) -> None:
    """Amanda's pipe may be full, and the way may be slow."""
    carrier = ground.go(is_dump=False)
    ground.ask(ASKED)
    answer = packet(3, REP, 30_000 * "/srv/docs 0 SIZE 10\n")
    writer = write_later(ground.client_writes, answer)
    time.sleep(0.2)
    assert read_some(ground.amanda_reads, len(answer)) == answer
    writer.join(10)
    ground.end_client()
    ground.end_amanda()
    carrier.send(ipc.pack("status", "0", ""))
    assert ground.wait() == 0
