"""A file system that hangs stops who asks it, within bounds, and nobody else."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from asyncamanda.errors import LaterError
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.amanda.holding import look_at_holding
from asyncamanda.server.background import threads
from asyncamanda.server.background.threads import apart, apart_at_last
from lab.patience import at_most

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "WITHIN", 1.0)
    monkeypatch.setattr(threads, "AGAIN_SECONDS", 0.05)


def run(doing: Coroutine[Any, Any, T]) -> T:
    """Run to the end, within bounds."""
    return asyncio.run(asyncio.wait_for(doing, 20))


def test_what_is_done_apart_comes_back_as_it_is(tmp_path: Path) -> None:
    """Its result, or its error."""
    assert run(apart("sum", lambda: 1 + 1)) == 2
    with pytest.raises(FileNotFoundError):
        run(apart("read", (tmp_path / "missing").read_bytes))


def test_what_hangs_is_given_up_named_and_not_asked_again() -> None:
    """Until it comes back; meanwhile others are served."""
    gate, asked = threading.Event(), []

    def hang() -> str:
        asked.append(1)
        gate.wait(20)
        return "back"

    async def talk() -> str:
        for _ in range(3):
            with pytest.raises(LaterError, match="daily: the holding disk: the file system"):
                await apart("daily: the holding disk", hang)
        assert len(asked) == 1
        assert await apart("another", lambda: "served") == "served"
        gate.set()
        return await apart_at_last("daily: the holding disk", hang)

    assert run(talk()) == "back"


HANGING = """
import asyncio, sys, time
from asyncamanda.errors import LaterError
from asyncamanda.server.background import threads
threads.WITHIN = 0.2
async def main():
    try:
        await threads.apart("x", lambda: time.sleep(600))
    except LaterError:
        print("given up", flush=True)
asyncio.run(main())
"""


def test_a_thread_that_hangs_keeps_no_process_alive() -> None:
    """A dispatcher that ends has to release its lock."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-c", HANGING]
    done = subprocess.run(argv, check=True, env=environ, timeout=at_most(60), capture_output=True)
    assert done.stdout == b"given up\n"


def test_a_holding_disk_is_weighed_apart(tmp_path: Path) -> None:
    """With the same result."""
    folder = tmp_path / "20261124120000"
    folder.mkdir()
    (folder / "laptop._home.0").write_bytes(b"x" * 100)
    settings = Settings("daily", tmp_path, (tmp_path,), (1,))
    holding = run(apart("held", lambda: look_at_holding(settings)))
    assert (holding.held, holding.capacity, holding.oldest_at is not None) == (100, 1024, True)
