"""Whom the dispatcher lets carry a stream: a process of a client that may come in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.authority import Identity
from asyncamanda.core.publickey import PublicKey
from asyncamanda.errors import LaterError
from asyncamanda.server.dispatcher import Dispatcher
from asyncamanda.server.ledger import Ledger
from asyncamanda.server.registry import Enrolled, Registry, enroll, revoke
from asyncamanda.server.switchboard import LARGEST, pack, unpack
from asyncamanda.system.clock import now

TOKEN = "0123456789abcdef" * 2
KEY = PublicKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIAAA", "")
LAPTOP = Enrolled("laptop", "daily", KEY)


def knock(registry: Path, *words: str) -> list[list[str]]:
    """Return what the dispatcher says to a process that says `words`, to the end or a pause."""

    async def talk() -> list[list[str]]:
        dispatcher = Dispatcher(ServerConfig(), cast(Ledger, None), Registry(registry))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setblocking(False)
        ours.settimeout(0.3)
        ours.send(pack(*words))
        await dispatcher._hear_caller(theirs)
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
    assert knock(keys, "attached", "laptop", "daily", TOKEN) == [["well"]]


def test_a_token_that_nobody_gave_ends_a_process(tmp_path: Path) -> None:
    """It is told why, and let go."""
    keys = tmp_path / "authorized_keys"
    enroll(keys, LAPTOP)
    why = ["no", "no stream of this client's is waited for"]
    assert knock(keys, "attach", "laptop", "daily", TOKEN) == [why, [""]]


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
    assert knock(keys, word, *identity, TOKEN) == [["stop"], [""]]


def test_it_goes_on_with_whom_it_knows_while_nobody_can_read_who_is_enrolled(
    tmp_path: Path,
) -> None:
    """Its end would cut the dumps that are under way."""
    keys = tmp_path / "authorized_keys"
    enroll(keys, LAPTOP)
    registry = Registry(keys)
    assert registry.contains(LAPTOP.identity)
    keys.unlink()
    keys.mkdir()  # not even root reads that

    async def expect() -> list[str]:
        dispatcher = Dispatcher(ServerConfig(), cast(Ledger, None), registry)
        dispatcher._expect_enrolled(now())
        return [entry.client for entry in registry.last_known()]

    assert asyncio.run(expect()) == ["laptop"]
    with pytest.raises(LaterError):
        registry.contains(LAPTOP.identity)
