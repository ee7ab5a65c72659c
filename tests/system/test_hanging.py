"""A start that hangs is heard: by what it tells itself, and by the starts after it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from asyncamanda.core.model import BackupState

if TYPE_CHECKING:
    from tests.system.conftest import Rig

DAY = timedelta(days=1)


@pytest.fixture
def held(rig: Rig) -> Iterator[subprocess.Popen[str]]:
    """Yield a start in direct mode whose command does not end, the last backup a day and more old.

    It lives by the laptop's clock.
    """
    rig.laptop.clock_offset = timedelta(0)
    rig.configure(command="hold")
    rig.set_dumped(ago=90_000)
    agent = rig.start("run", shifted=True)
    try:
        rig.hold()
        yield agent
    finally:
        agent.send_signal(signal.SIGCONT)
        agent.terminate()  # or it looks for ten seconds whether the command's dumps are noted late
        rig.let_go()
        rig.wait(agent)


def told(rig: Rig) -> list[str]:
    """Return what was left for the desktop: the kind of each alert."""
    path = rig.state_folder() / "desktop.json"
    if not path.exists():
        return []
    return [alert["kind"] for alert in json.loads(path.read_text())["alerts"]]


def test_a_start_that_waits_tells_that_the_backup_is_stale(
    rig: Rig, held: subprocess.Popen[str]
) -> None:
    """As soon as `stale_after` has passed, once; its command still runs."""
    rig.laptop.clock_offset = 5 * DAY
    assert rig.run("run", shifted=True).exit == 75
    rig.laptop.clock_offset = 6.5 * DAY
    rig.until(lambda: told(rig) == ["stale"], "it is told")
    assert held.poll() is None
    assert "stale" in rig.run("status", shifted=True).stdout.lower()


def test_who_was_told_meanwhile_is_not_told_again(rig: Rig, held: subprocess.Popen[str]) -> None:
    """The memory has it in the end."""
    rig.laptop.clock_offset = 6.5 * DAY
    rig.until(lambda: told(rig) == ["stale"], "it is told")
    (rig.state_folder() / "desktop.json").unlink()
    rig.let_go()
    rig.wait(held)
    assert rig.memory().told["desktop"] is BackupState.STALE
    assert told(rig) == []


def test_starts_after_one_that_hangs_tell_of_it(rig: Rig, held: subprocess.Popen[str]) -> None:
    """For a day they take it for an excuse; then they name it, and the first of them is loud."""
    held.send_signal(signal.SIGSTOP)
    assert rig.run("run", shifted=True).exit == 75
    rig.laptop.clock_offset = 8 * DAY
    first, second = (rig.run("run", shifted=True) for _ in range(2))
    assert (first.exit, second.exit) == (101, 101)
    assert "a start hangs: pid " in first.stderr
    assert "asyncamanda run" in first.stderr
    assert "8d" in first.stderr
    assert "it is stopped" in first.stderr
    assert second.stderr == ""
    assert told(rig) == ["stale"]
    assert rig.run("run", "--json", shifted=True).json["error"] == "stale"


def test_a_start_that_hangs_is_named_while_the_backup_is_fresh_enough(
    rig: Rig, held: subprocess.Popen[str]
) -> None:
    """Nobody is alarmed yet: 75."""
    held.send_signal(signal.SIGSTOP)
    rig.laptop.clock_offset = 2 * DAY
    done = rig.run("run", "--json", shifted=True)
    assert (done.exit, done.json["error"]) == (75, "start-hangs")
    assert told(rig) == []


def test_at_the_gate_a_start_that_waits_tells_as_well(rig: Rig) -> None:
    """Be the server as quick to answer as it likes."""
    from tests.system.test_gate_client import GATE, Gate, forced  # noqa: PLC0415 - its ground

    rig.server.write("/usr/local/bin/scripted-gate", GATE, mode=0o755)
    rig.laptop.clock_offset = timedelta(0)
    with forced(rig, "scripted-gate"):
        gate = Gate(rig)
        gate.play(
            'hear("hello"); welcome({"/home": 90000}); hear("submit"); queued(); hold("holding")\n'
            'while hear("ping"): say("pong")'
        )
        agent = rig.start("run", shifted=True)
        try:
            rig.until(lambda: gate.has("holding"), "the request waits")
            rig.laptop.clock_offset = 7 * DAY
            gate.rig.let_go()
            rig.until(lambda: told(rig) == ["stale"], "it is told")
            assert agent.poll() is None
        finally:
            agent.terminate()
            assert rig.wait(agent).exit == 101
    assert told(rig) == ["stale"]
