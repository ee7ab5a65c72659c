"""Want of descriptors is "later" to a client, and never "not enrolled" or a wrong configuration."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from tests.system.registering import enroll
from tests.system.watching import count_descriptors

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.errors import ConfigurationError, LaterError
from asyncamanda.server.background.tasks import Background
from asyncamanda.server.dispatch import amanda_config as amanda_config_module
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.system.clock import now

KEY = PublicKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIAAA", "")
LAPTOP = Identity("laptop", "daily")
MINUTE = timedelta(minutes=1)


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - as in processes
    spare = [os.open(os.devnull, os.O_RDONLY) for _ in range(highest + 2 - count_descriptors())]
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        with suppress(OSError):
            while True:
                spare.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in spare:
            os.close(descriptor)


def test_who_is_enrolled_is_not_known_without_descriptors(tmp_path: Path) -> None:
    """Nobody is taken for a stranger therefore; and with one it is known again."""
    keys = tmp_path / "authorized_keys"
    enroll(keys, Enrolled("laptop", "daily", KEY))
    registry = Registry(keys)
    with no_descriptor_left(), pytest.raises(LaterError, match="Too many open files"):
        registry.contains(LAPTOP)
    assert registry.contains(LAPTOP)


def _open_site(*, without_descriptors: bool) -> None:
    async def open_site() -> None:
        record = cast(LedgerAccess, None)
        site = Site("daily", ServerConfig(), record, Background(lambda: None))
        if without_descriptors:
            with no_descriptor_left():
                await site.read_anew()
        await site.read_anew()

    asyncio.run(open_site())


def test_a_configuration_is_not_called_wrong_for_want_of_descriptors() -> None:
    """Amanda could not be asked."""
    with pytest.raises(LaterError, match=r"cannot be asked about daily now: .*Too many open files"):
        _open_site(without_descriptors=True)


def test_a_configuration_of_which_amanda_says_no_is_called_wrong() -> None:
    """There is no such configuration here, or no Amanda at all."""
    with pytest.raises(ConfigurationError, match="cannot use the Amanda configuration daily"):
        _open_site(without_descriptors=False)


def test_who_comes_while_a_configuration_is_read_waits_for_what_that_brings() -> None:
    """What was known before must not pass for what holds."""

    async def read_twice() -> list[BaseException | None]:
        site = Site("daily", ServerConfig(), cast(LedgerAccess, None), Background(lambda: None))
        both = site.read_anew(), site.read_anew()
        return list(await asyncio.gather(*both, return_exceptions=True))

    assert [type(one) for one in asyncio.run(read_twice())] == [ConfigurationError] * 2


def test_a_configuration_that_takes_long_to_read_is_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hello asks for it several times; a disklist of a megabyte took longer than that lasts."""
    readings: list[datetime] = []
    began = now()
    monkeypatch.setattr(amanda_config_module, "read_clock", lambda: began + len(readings) * MINUTE)

    class Slow(Site):
        async def _read(self) -> None:
            readings.append(began)  # and a minute is over

    async def read_twice() -> None:
        site = Slow("daily", ServerConfig(), cast(LedgerAccess, None), Background(lambda: None))
        await site.read_anew()
        await site.read_anew()

    asyncio.run(read_twice())
    assert len(readings) == 1
