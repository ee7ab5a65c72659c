"""One at a time: who merely looks keeps nobody from starting."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncamanda.system import locks
from asyncamanda.system.locks import Held, Holder, hold_lock, read_holder
from lab.patience import at_most

if TYPE_CHECKING:
    from tests.system.conftest import Rig

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

# looks at the lock as `status` does, and at half of all times
LOOKER = """\
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDONLY | os.O_CREAT)
print("ready", flush=True)
while True:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        time.sleep(0.06)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BlockingIOError:
        pass
    time.sleep(0.06)
"""


@contextmanager
def shared(path: Path, seconds: float) -> Iterator[None]:
    """Let another hold a shared lock on `path` for so long."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    end = threading.Timer(seconds, fcntl.flock, (descriptor, fcntl.LOCK_UN))
    end.start()
    try:
        yield
    finally:
        end.join()
        os.close(descriptor)


def test_a_look_that_takes_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no backup that is running."""
    monkeypatch.setattr(locks, "LOOKS", 1000)
    path = tmp_path / "lock"
    with shared(path, 0.05), hold_lock(path, NOW):
        assert read_holder(path) == Holder(os.getpid(), NOW)
    assert read_holder(path) is None


def test_who_holds_the_lock_is_named_soon(tmp_path: Path) -> None:
    """With its process and since when, after a moment."""
    path = tmp_path / "lock"
    with hold_lock(path, NOW):
        begun = time.monotonic()
        with pytest.raises(Held) as caught, hold_lock(path, NOW):
            pass
        assert time.monotonic() - begun < at_most(1)
    assert caught.value.holder == Holder(os.getpid(), NOW)


def test_looks_all_the_time_keep_no_start_from_its_work(rig: Rig) -> None:
    """Each start goes on to the server, which refuses; none says that a backup is running."""
    rig.configure(server="backup@amanda:2222")
    assert rig.run("run", "--json").json["error"] == "connection-refused"
    lock = f"{rig.state}/client/lock"
    looker = rig.laptop.start(["/usr/bin/python3", "-S", "-c", LOOKER, lock], user="backup")
    try:
        assert looker.stdout
        assert looker.stdout.readline() == "ready\n"
        status = rig.run("status", "--json")
        errors = [rig.run("run", "--json").json["error"] for _ in range(6)]
    finally:
        looker.kill()
        looker.communicate()
    assert status.json["running"] is None
    assert errors == ["connection-refused"] * 6
