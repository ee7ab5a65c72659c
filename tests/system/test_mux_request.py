"""What is said at the relay's socket: by a real ssh, and by whoever is none."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from tests.system.relays import (
    AMANDAD,
    SECOND,
    Ground,
    is_hung_up_on,
    lend_ground,
)
from tests.system.watching import count_descriptors

from asyncamanda.core.protocol import mux
from asyncamanda.server.relay import relay as relay_module


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Ground]:
    """Yield a relay."""
    with lend_ground(monkeypatch, capsys) as ground:
        yield ground


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
    assert count_descriptors() <= before


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
    assert count_descriptors() <= before
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
    assert count_descriptors() <= before
