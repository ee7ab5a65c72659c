"""Bytes between real pipes, sockets, files and terminals: whole, in order, and never here."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import random
import select
import signal
import socket
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest
from tests.system.watching import until

from asyncamanda.system import splice
from asyncamanda.system.splice import Flow
from lab.patience import Limit, at_most


def dice_of(seed: int) -> random.Random:
    """Return what throws in the same way every time."""
    return random.Random(seed)  # noqa: S311 - nothing is secret


MUCH = 1 << 20  # bytes: more than pipes, sockets and terminals hold
DATA = dice_of(7).randbytes(MUCH)
SHORT = 50  # milliseconds: longer than any turn takes


class Ends:
    """Descriptors, closed at the end at the latest."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def keep(self, *descriptors: int) -> None:
        """Have these closed."""
        self._open.update(descriptors)

    def close(self, descriptor: int) -> None:
        """Close one."""
        self._open.discard(descriptor)
        os.close(descriptor)

    def pipe(self) -> tuple[int, int]:
        """Return a pipe's ends, to be read and to be written."""
        ends = os.pipe()
        self.keep(*ends)
        return ends

    def socket(self) -> tuple[int, int]:
        """Return both ends of a socket."""
        ends = tuple(end.detach() for end in socket.socketpair())
        self.keep(*ends)
        return ends[0], ends[1]

    def tcp(self) -> tuple[int, int]:
        """Return both ends of a connection."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            one = socket.create_connection(listener.getsockname())
            other, _ = listener.accept()
        ends = one.detach(), other.detach()
        self.keep(*ends)
        return ends

    def terminal(self) -> tuple[int, int]:
        """Return who holds a terminal, and the terminal, which changes no bytes."""
        ends = pty.openpty()
        tty.setraw(ends[1], termios.TCSANOW)
        self.keep(*ends)
        return ends

    def __enter__(self) -> Ends:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for descriptor in self._open:
            os.close(descriptor)


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Yield descriptors."""
    with Ends() as made:
        yield made


@pytest.fixture(autouse=True)
def _not_for_ever() -> Iterator[None]:
    """End a test in which something blocks."""

    def give_up(_number: int, _frame: object) -> None:
        pytest.fail("it blocks")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(int(at_most(60)))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


class Carrier:
    """Whoever polls for a flow. `turns`: how often poll had something to say."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.turns = 0
        self.slowest = 0.0

    def turn(self, milliseconds: int = SHORT) -> bool:
        """Wait, and do what can be done; return whether there was anything."""
        poll = select.poll()
        for descriptor, events in self.flow.wanted():
            poll.register(descriptor, events)
        found = poll.poll(milliseconds)
        began_at = time.monotonic()
        for descriptor, events in found:
            self.flow.take(descriptor, events)
        self.slowest = max(self.slowest, time.monotonic() - began_at)
        self.turns += bool(found)
        return bool(found)

    def rest(self) -> None:
        """Go on until nothing can be done for a while."""
        for _ in range(10_000):
            if not self.turn():
                return
        pytest.fail("it never rests")

    def carry(self, seconds: float = 10) -> None:
        """Go on to the end."""
        limit = Limit(seconds)
        while not self.flow.is_over:
            assert not limit.is_over(), f"no end after {self.flow.moved} bytes"
            self.turn()


def beside(doing: Callable[[], object]) -> threading.Thread:
    """Do something beside the test."""
    thread = threading.Thread(target=doing, daemon=True)
    thread.start()
    return thread


def write_all(descriptor: int, data: bytes, largest: int = 1 << 17) -> None:
    """Write in pieces of many sizes, with pauses."""
    dice, at = dice_of(len(data)), 0
    while at < len(data):
        at += os.write(descriptor, data[at : at + dice.randint(1, largest)])
        if dice.random() < 0.1:
            time.sleep(0.001)


def write_whole(ends: Ends, descriptor: int) -> None:
    """Write all of DATA, and close."""
    write_all(descriptor, DATA)
    ends.close(descriptor)


def read_all(descriptor: int, heard: list[bytes]) -> None:
    """Read to the end, in pieces of many sizes, with pauses."""
    dice = dice_of(1)
    with contextlib.suppress(OSError):  # so a terminal ends
        while piece := os.read(descriptor, dice.randint(1, 1 << 16)):
            heard.append(piece)
            if dice.random() < 0.1:
                time.sleep(0.001)


Pair = Callable[[Ends], tuple[int, int]]


def reversed_terminal(ends: Ends) -> tuple[int, int]:
    """Return the terminal to be read from, and who holds it."""
    holder, terminal = ends.terminal()
    return terminal, holder


PAIRS = {
    "pipe": Ends.pipe,
    "socket": Ends.socket,
    "tcp": Ends.tcp,
    "terminal": reversed_terminal,
}
SPLICED = [
    ("pipe", "pipe"),
    ("pipe", "socket"),
    ("pipe", "tcp"),
    ("socket", "pipe"),
    ("tcp", "pipe"),
]


def open_pair(ends: Ends, pair: tuple[str, str]) -> tuple[int, int, int, int]:
    """Return a source and who writes into it, and who reads from a sink, and that."""
    source, sink = pair
    reader, writer = PAIRS[source](ends)
    far_reader, far_writer = PAIRS[sink](ends)
    if sink == "terminal":  # it is written to, and its holder reads
        far_reader, far_writer = far_writer, far_reader
    return reader, writer, far_reader, far_writer


@pytest.mark.parametrize("pair", SPLICED, ids=" to ".join)
def test_content_is_whole_and_never_here(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, pair: tuple[str, str]
) -> None:
    """With pieces of all sizes, pauses on both sides, and more than fits in between."""
    reader, writer, far_reader, far_writer = open_pair(ends, pair)
    heard: list[bytes] = []
    carrier = Carrier(Flow(reader, far_writer))
    writing = beside(lambda: write_whole(ends, writer))
    reading = beside(lambda: read_all(far_reader, heard))
    tried: list[str] = []
    ours = threading.get_ident()
    read, write = os.read, os.write

    def read_here(descriptor: int, most: int) -> bytes:
        if threading.get_ident() == ours:
            tried.append("read")
        return read(descriptor, most)

    def write_here(descriptor: int, data: bytes) -> int:
        if threading.get_ident() == ours:
            tried.append("write")
        return write(descriptor, data)

    monkeypatch.setattr(os, "read", read_here)
    monkeypatch.setattr(os, "write", write_here)
    carrier.carry()
    ends.close(far_writer)
    writing.join(10)
    reading.join(10)
    assert b"".join(heard) == DATA
    assert carrier.flow.moved == MUCH
    assert tried == []


@pytest.mark.parametrize(
    "pair",
    [("socket", "socket"), ("terminal", "socket"), ("terminal", "terminal"), ("pipe", "terminal")],
    ids=" to ".join,
)
def test_where_splice_cannot_content_is_whole_as_well(ends: Ends, pair: tuple[str, str]) -> None:
    """Then it is copied."""
    data = DATA[: 1 << 17]
    reader, writer, far_reader, far_writer = open_pair(ends, pair)
    heard: list[bytes] = []
    carrier = Carrier(Flow(reader, far_writer))
    writing = beside(lambda: write_all(writer, data, 3000))
    reading = beside(lambda: read_all(far_reader, heard))
    while carrier.flow.moved < len(data):
        assert carrier.turn(2000), f"stuck after {carrier.flow.moved} bytes"
    writing.join(10)
    ends.close(writer)  # a terminal would forget what was not read
    carrier.carry()
    ends.close(far_writer)
    reading.join(10)
    assert b"".join(heard) == data


@pytest.mark.parametrize("mode", ["r+b", "ab"])
def test_files_are_read_and_written(ends: Ends, tmp_path: Path, mode: str) -> None:
    """Amanda's stdin or stdout may be one; one that is appended to, splice does not take."""
    (tmp_path / "in").write_bytes(DATA)
    (tmp_path / "out").write_bytes(b"")
    middle, into_middle = ends.pipe()
    with (tmp_path / "in").open("rb") as first, (tmp_path / "out").open(mode) as last:
        out = Carrier(Flow(middle, last.fileno()))
        writing = beside(out.carry)
        back = Carrier(Flow(first.fileno(), into_middle))
        back.carry()
        ends.close(into_middle)
        writing.join(10)
    assert (tmp_path / "out").read_bytes() == DATA


def test_dev_null_has_an_end_and_takes_all(ends: Ends) -> None:
    """As `ssh -n` has it for its stdin."""
    reader, writer = ends.pipe()
    nothing = os.open(os.devnull, os.O_RDWR)
    ends.keep(nothing)
    flow = Flow(nothing, writer)
    Carrier(flow).carry(2)
    assert flow.moved == 0
    taken = Carrier(Flow(reader, nothing))
    beside(lambda: write_whole(ends, writer))
    taken.carry()
    assert taken.flow.moved == MUCH


@pytest.mark.parametrize("pair", SPLICED, ids=" to ".join)
def test_the_end_of_the_source_ends_it_and_closes_nothing(
    ends: Ends, pair: tuple[str, str]
) -> None:
    """After all that came before; both descriptors are still its maker's."""
    reader, writer, far_reader, far_writer = open_pair(ends, pair)
    os.write(writer, b"last words")
    ends.close(writer)
    carrier = Carrier(Flow(reader, far_writer))
    carrier.carry(2)
    assert carrier.flow.wanted() == []
    assert os.read(far_reader, 100) == b"last words"
    assert os.read(reader, 1) == b""
    os.write(far_writer, b"x")
    assert os.read(far_reader, 100) == b"x"


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("pair", SPLICED, ids=" to ".join)
def test_a_reader_who_has_gone_ends_it(ends: Ends, pair: tuple[str, str], is_full: bool) -> None:
    """At once, whether something is on the way or not: whoever writes is to hear of it."""
    reader, writer, far_reader, far_writer = open_pair(ends, pair)
    carrier = Carrier(Flow(reader, far_writer))
    if is_full:
        beside(lambda: _fill(writer))
    carrier.rest()
    assert not carrier.flow.is_over
    ends.close(far_reader)
    if pair[1] == "tcp" and not is_full:  # TCP tells only who sends
        os.write(writer, b"x" * 10)
        carrier.turn()
        os.write(writer, b"x" * 10)
    carrier.carry(2)


def _fill(descriptor: int) -> None:
    """Write until nobody takes more."""
    copy = os.dup(descriptor)
    with contextlib.suppress(OSError), os.fdopen(copy, "wb", buffering=0) as file:
        os.set_blocking(copy, False)
        for _ in range(100):
            file.write(DATA[: 1 << 16])
            time.sleep(0.002)


@pytest.mark.parametrize(
    "pair", [*SPLICED, ("terminal", "pipe"), ("socket", "socket")], ids=" to ".join
)
def test_nothing_blocks_and_nothing_spins(ends: Ends, pair: tuple[str, str]) -> None:
    """With an empty source, with a full sink, and with both; then all of it goes on."""
    reader, writer, far_reader, far_writer = open_pair(ends, pair)
    carrier = Carrier(Flow(reader, far_writer))
    assert not carrier.turn()
    os.write(writer, b"one")
    carrier.rest()
    assert os.read(far_reader, 100) == b"one"
    assert carrier.turns <= 4
    _fill_beside(carrier, writer)
    full = carrier.flow.moved
    assert sum(carrier.turn(5) for _ in range(30)) <= 3  # TCP may look again
    heard: list[bytes] = []
    beside(lambda: read_all(far_reader, heard))
    carrier.rest()
    assert carrier.flow.moved >= full
    os.write(writer, b"two")
    until(lambda: not carrier.turn() and b"".join(heard).endswith(b"two"), "all is read")
    assert carrier.slowest < at_most(2)


def _fill_beside(carrier: Carrier, writer: int) -> None:
    """Write until the flow is stuck, and the writer, too."""
    os.set_blocking(writer, False)
    still = 0
    while still < 5:
        with contextlib.suppress(BlockingIOError):
            os.write(writer, DATA[: 1 << 14])
        still = 0 if carrier.turn(20) else still + 1
    os.set_blocking(writer, True)


def test_a_full_pipe_is_moved_in_few_turns(ends: Ends) -> None:
    """A large stream costs a call for each pipe's content, not one for each page."""
    reader, writer = ends.pipe()
    far_reader, far_writer = ends.pipe()
    heard: list[bytes] = []
    carrier = Carrier(Flow(reader, far_writer))
    for _ in range(8):
        os.write(writer, DATA[: 1 << 16])
        before = carrier.turns
        carrier.turn()
        carrier.turn(0)
        heard.append(os.read(far_reader, 1 << 16))
        assert carrier.turns - before <= 2
    assert b"".join(heard) == DATA[: 1 << 16] * 8


def test_others_have_their_turn(ends: Ends) -> None:
    """However fast a source is, one call moves a bounded number of pieces."""
    zero = os.open("/dev/zero", os.O_RDONLY)
    nothing = os.open(os.devnull, os.O_WRONLY)
    ends.keep(zero, nothing)
    reader, writer = ends.pipe()
    endless = Flow(reader, nothing)
    filler = Flow(zero, writer)
    for _ in range(20):
        for flow in (filler, endless):
            before = flow.moved
            flow.take(flow.source, select.POLLIN)
            flow.take(flow.sink, select.POLLOUT)
            assert flow.moved - before <= 2 * 2 * splice.PIECE
    assert endless.moved > 0


def test_what_others_are_ready_for_is_no_turn_of_ones_own(ends: Ends) -> None:
    """An idle flow that moved at each turn of a busy one would take more of the CPU than that."""
    idle, busy = (Flow(ends.pipe()[0], ends.pipe()[1]) for _ in range(2))
    for descriptor in (busy.source, busy.sink):
        idle.take(descriptor, select.POLLIN | select.POLLOUT)
        assert not idle.is_blocked  # as it would be after a try


def test_an_answer_is_not_kept_back(ends: Ends) -> None:
    """Where it is copied, and the sink took a part of it: the rest goes as soon as it can."""
    reader, writer = ends.socket()
    terminal, holder = reversed_terminal(ends)
    carrier = Carrier(Flow(reader, terminal))
    os.set_blocking(writer, False)
    sent = os.write(writer, DATA[:30_000])
    carrier.rest()
    heard = b""
    while len(heard) < sent:
        carrier.rest()
        assert select.select([holder], [], [], at_most(5))[0], (
            f"{sent - len(heard)} bytes are kept back"
        )
        heard += os.read(holder, 1 << 16)
    assert heard == DATA[:sent]


# -- what is heard


def test_what_is_heard_is_copied_until_nobody_hears_it(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes on is what the hearer says, in order; then it is spliced, whole."""
    (reader, writer), (far_reader, far_writer) = ends.pipe(), ends.pipe()
    heard: list[bytes] = []

    def hear(piece: bytes) -> bytes:
        heard.append(piece)
        if b"end" in piece:
            carrier.flow.hear = None
        return piece.upper()

    carrier = Carrier(Flow(reader, far_writer, hear))
    os.write(writer, b"some")
    carrier.turn()
    assert carrier.flow.moved == 4
    carrier.flow.insert(b"+")
    os.write(writer, b"the end")
    carrier.rest()
    assert os.read(far_reader, 100) == b"SOME+THE END"
    monkeypatch.setattr(os, "read", None)
    os.write(writer, b"rest")
    ends.close(writer)
    carrier.carry()
    monkeypatch.undo()
    assert os.read(far_reader, 100) == b"rest"
    assert heard == [b"some", b"the end"]


def test_more_than_the_sink_takes_is_inserted_and_taken_back(ends: Ends) -> None:
    """It goes out as there is room, and nothing is read before it is out."""
    (reader, writer), (far_reader, far_writer) = ends.pipe(), ends.pipe()
    carrier = Carrier(Flow(reader, far_writer, lambda piece: piece))
    os.write(writer, b"later")
    carrier.flow.insert(DATA)
    carrier.rest()
    size = fcntl.fcntl(far_writer, fcntl.F_GETPIPE_SZ)
    assert carrier.flow.take_back() == DATA[size:]
    assert os.read(far_reader, size) == DATA[:size]
    carrier.rest()
    assert os.read(far_reader, 100) == b"later"
