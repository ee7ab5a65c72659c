"""The end of a session is noticed by who serves it, whatever that one is doing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.system.watching import until

from lab.patience import bound

_SERVER = """
import os, signal, sys, time
from datetime import timedelta
from asyncamanda.server.restore.presence import SessionOver, Watch, watch_session

what, stall, end_within = sys.argv[1], *(float(word.removesuffix("s")) for word in sys.argv[2:])
sent = 0

def say(words):
    os.write(2, words.encode() + b"\\n")

def find_objection():
    return "revoked" if os.path.exists(what) else ""

def hang():
    while True:
        try:
            say("serves")
            time.sleep(1000)
        except SessionOver:
            pass

def serve():
    global sent
    if what == "hangs":
        hang()
    say("serves")
    if what == "sends":
        while True:
            sent += os.write(1, bytes(1 << 16))
    if what == "tells":
        try:
            while True:
                sent += os.write(2, bytes(1 << 16))
        except SessionOver as over:
            os._exit(75 if "takes nothing" in str(over) else 1)
    if what == "sends and waits":
        os.write(1, b"x")
    if what != "ends":
        time.sleep(1000)

seconds = timedelta(seconds=1)
spans = [number * seconds for number in (stall, 0.02, end_within)]
watch = Watch(1, lambda: sent, find_objection, *spans)
try:
    try:
        with watch_session(watch):
            serve()
    finally:
        say("tidies up")
        if what == "ends":
            os.kill(os.getpid(), signal.SIGTERM)
    say("done")
except SessionOver as over:
    say(str(over))
    sys.exit(75)
"""


class Served:
    """A process that serves a session, whose output is ours to read or to leave."""

    def __init__(self, what: str, stall: float, end_within: float) -> None:
        argv = [sys.executable, "-c", _SERVER, what, bound(stall), bound(end_within)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def hang_up(self) -> None:
        """Do as sshd does when the connection is gone."""
        assert self.process.stdout
        self.process.stdout.close()

    def end(self) -> tuple[list[str], int]:
        """Return what it says until its end, and how it ends."""
        assert self.process.stderr
        words = self.process.stderr.read().decode().splitlines()
        return words, self.process.wait()


@contextmanager
def serving(what: str, stall: float = 1000, end_within: float = 1000) -> Iterator[Served]:
    """Serve a session until the block ends."""
    served = Served(what, stall, end_within)
    with served.process as process:
        try:
            assert process.stderr
            assert process.stderr.readline() == b"serves\n"
            yield served
        finally:
            process.kill()


@pytest.mark.parametrize(("what", "first"), [("waits", b""), ("sends and waits", b"x")])
def test_who_hangs_up_ends_what_waits(what: str, first: bytes) -> None:
    """For its turn, or for a disk: nothing is written meanwhile that could fail."""
    with serving(what) as served:
        assert served.process.stdout
        assert os.read(served.process.stdout.fileno(), len(first)) == first
        served.hang_up()
        assert served.end() == (["tidies up", "the connection ended"], 75)


def test_who_hangs_up_ends_what_is_blocked_in_a_write() -> None:
    """By the signal or by the broken pipe, whichever comes first."""
    with serving("sends") as served:
        served.hang_up()
        words, status = served.end()
        assert words[0] == "tidies up"
        assert status != 0
        assert "the connection ended" in words or "BrokenPipeError" in words[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_good_order(number: signal.Signals) -> None:
    """As when sshd, its parent, dies."""
    with serving("waits") as served:
        served.process.send_signal(number)
        assert served.end() == (["tidies up", f"stopped by {number.name}"], 75)


def test_who_may_no_longer_have_it_gets_no_more(tmp_path: os.PathLike[str]) -> None:
    """Such as a client that is revoked meanwhile."""
    objection = os.path.join(tmp_path, "objection")  # noqa: PTH118 - an argument
    with serving(objection) as served:
        open(objection, "w").close()  # noqa: PTH123
        assert served.end() == (["tidies up", "revoked"], 75)


def test_who_takes_nothing_does_not_keep_its_turn() -> None:
    """Its pipe is full, and nothing was sent for so long."""
    with serving("sends", stall=0.3) as served:
        assert served.end() == (["tidies up", "the client takes nothing any more"], 75)


def test_who_does_not_hear_what_is_missing_does_not_keep_its_turn() -> None:
    """The other stream is full, and stdout has room."""
    with serving("tells", stall=0.3) as served:
        assert served.process.wait(30) == 75


def test_who_is_slow_to_read_or_is_sent_little_keeps_it() -> None:
    """As long as something is taken now and then, or there is nothing to take."""
    with serving("sends", stall=3) as served:
        assert served.process.stdout
        descriptor = served.process.stdout.fileno()
        for _ in range(40):
            assert os.read(descriptor, 1 << 16)
            until(lambda: served.process.poll() is None, "it goes on")
        served.hang_up()
        served.end()
    with serving("waits", stall=0.05) as served, pytest.raises(subprocess.TimeoutExpired):
        served.process.wait(0.5)


def test_what_does_not_end_is_ended() -> None:
    """As a read that waits for a dead disk."""
    with serving("hangs", end_within=0.2) as served:
        served.hang_up()
        assert served.end() == (["serves"], 75)


def test_what_ends_by_itself_is_not_interrupted() -> None:
    """And its thread ends with it; nor is what is left to do afterwards."""
    with serving("ends") as served:
        assert served.end() == (["tidies up", "done"], 0)
