"""A machine stays awake for a while, by a lock of logind's on a real bus."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.system.desktop import Desktop
from tests.system.watching import count_descriptors, until

from asyncamanda.client.moments import inhibit
from asyncamanda.client.moments.inhibit import inhibited
from asyncamanda.system import clock
from lab.patience import at_most

LONG = timedelta(hours=2)
HOLD = """\
import time
from datetime import timedelta
from asyncamanda.client.moments import inhibit
from asyncamanda.client.moments.inhibit import inhibited
with inhibited(timedelta(hours=2), with_lid=True) as lock:
    print(lock.problem, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def shared_desktop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """Yield the bus and its services, started once."""
    with Desktop(str(tmp_path_factory.mktemp("bus"))) as desktop:
        yield desktop


@pytest.fixture
def desktop(shared_desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> Desktop:
    """Yield a desktop on which nothing is held, and whose bus is this process's."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", shared_desktop.address)
    assert not shared_desktop.inhibitors()
    return shared_desktop


def is_free(desktop: Desktop) -> bool:
    """Return whether the machine may sleep."""
    return not desktop.inhibitors()


@pytest.mark.parametrize(
    ("with_lid", "what"), [(False, "sleep"), (True, "sleep:handle-lid-switch")]
)
def test_the_machine_stays_awake_while_the_block_lasts(
    desktop: Desktop, with_lid: bool, what: str
) -> None:
    """And is free right after it, with no descriptor left."""
    before = count_descriptors()
    with inhibited(LONG, with_lid=with_lid) as lock:
        assert lock.problem is None
        lock.tick()
        assert desktop.inhibitors() == [(what, "asyncamanda", "a backup is running", "block-weak")]
    until(lambda: is_free(desktop), "the machine may sleep")
    assert count_descriptors() <= before


def test_a_block_that_fails_lets_go(desktop: Desktop) -> None:
    """The error goes on."""
    with pytest.raises(KeyError), inhibited(LONG, with_lid=False):
        raise KeyError
    until(lambda: is_free(desktop), "the machine may sleep")


def test_the_time_is_over_by_the_wall_clock(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little this process has seen of it; the block goes on."""
    with inhibited(LONG, with_lid=False) as lock:
        later = clock.now() + LONG
        monkeypatch.setattr(clock, "now", lambda: later - timedelta(seconds=30))
        lock.tick()
        assert not is_free(desktop)
        monkeypatch.setattr(clock, "now", lambda: later)
        lock.tick()
        until(lambda: is_free(desktop), "the machine may sleep")
        lock.tick()
    assert is_free(desktop)


def test_the_lock_goes_with_its_process(desktop: Desktop) -> None:
    """However that ends."""
    argv = [sys.executable, "-c", HOLD]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "None\n"
        assert len(desktop.inhibitors()) == 1
        holder.send_signal(signal.SIGKILL)
    until(lambda: is_free(desktop), "the machine may sleep")


def test_no_child_has_the_lock(desktop: Desktop) -> None:
    """An ssh that stays behind does not keep the machine awake."""
    with inhibited(LONG, with_lid=False):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        until(lambda: is_free(desktop), "the machine may sleep")
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_an_account_that_may_not_is_told(desktop: Desktop) -> None:
    """And its block runs anyway."""
    with desktop.denying_inhibitors(), inhibited(LONG, with_lid=True) as lock:
        lock.tick()
        assert lock.problem == "logind does not allow it to this account"
        assert is_free(desktop)


def test_a_logind_that_knows_no_weak_lock_gives_the_other(desktop: Desktop) -> None:
    """systemd 252 answers InvalidArgs; there a `block` is what a `block-weak` is in 257."""
    desktop.forget_weak_locks()
    try:
        with inhibited(LONG, with_lid=False) as lock:
            assert lock.problem is None
            lock.tick()
        assert desktop.asked_locks() == [("sleep", "block-weak"), ("sleep", "block")]
    finally:
        desktop.stop_services("logind")
        desktop.start_services("logind")


def test_without_logind_the_block_runs(desktop: Desktop) -> None:
    """What the bus says of it is told."""
    desktop.stop_services("logind")
    try:
        with inhibited(LONG, with_lid=True) as lock:
            assert lock.problem
            assert lock.problem.startswith("logind gave no lock: ")
            assert "org.freedesktop.login1" in lock.problem
    finally:
        desktop.start_services("logind")


def test_without_a_bus_the_block_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/socket")
    with inhibited(LONG, with_lid=True) as lock:
        lock.tick()
        assert lock.problem == "logind gave no lock: No such file or directory"


def test_a_logind_that_hangs_is_not_waited_for(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it grants too late is let go."""
    monkeypatch.setattr(inhibit, "_SECONDS", 0.5)
    begun = time.monotonic()
    with desktop.hanging("logind"), inhibited(LONG, with_lid=True) as lock:
        assert lock.problem == "logind gave no lock: no answer in time"
        assert time.monotonic() - begun < at_most(5)
    until(lambda: is_free(desktop), "the machine may sleep")


def test_an_answer_without_a_lock_is_a_problem(desktop: Desktop) -> None:
    """Half an answer is none."""
    desktop.answer_inhibit_without_lock()
    try:
        with inhibited(LONG, with_lid=True) as lock:
            assert (
                lock.problem
                == "logind gave no lock: org.freedesktop.login1 answered without a descriptor"
            )
    finally:
        desktop.stop_services("logind")
        desktop.start_services("logind")
