"""The gate's server is greeted once a day, though nothing is due by what it said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.system.test_gate_client import GATE, Gate, forced

from asyncamanda.core.model import Outcome

if TYPE_CHECKING:
    from tests.system.conftest import Done, Rig

FRESH = 'hear("hello"); welcome({"/home": 60}); hear("bye")'
NEVER = (
    'hear("hello"); welcome({"/home": 60, "/new": None}); hear("submit"); running()\n'
    'welcome({"/home": 60, "/new": 5}, "running"); finished({"/new": "held"}); hear("bye")'
)
DAY = timedelta(days=1)


@pytest.fixture
def gate(rig: Rig) -> Iterator[Gate]:
    """Yield a server whose keys run the scripted gate."""
    rig.server.write("/usr/local/bin/scripted-gate", GATE, mode=0o755)
    with forced(rig, "scripted-gate"):
        yield Gate(rig)


def run_later(gate: Gate, after: timedelta, *words: str) -> Done:
    """Run the agent as if it were later, on both hosts."""
    for host in (gate.rig.laptop, gate.rig.server):
        host.clock_offset = after
    try:
        return gate.rig.wait(gate.rig.start("run", *words, shifted=True))
    finally:
        for host in (gate.rig.laptop, gate.rig.server):
            host.clock_offset = timedelta(0)


def wait_longest(gate: Gate) -> None:
    """Let the wait that has begun be the longest that chance could have drawn."""
    path = gate.rig.state_folder() / "memory.json"
    memory = json.loads(path.read_text())
    began = datetime.fromisoformat(memory["attempts"][-1]["ended_at"])
    memory["retry_at"] = (began + timedelta(minutes=5)).isoformat()
    path.write_text(json.dumps(memory))


def ahead(scenario: str, after: timedelta) -> str:
    """Return the scenario of a server whose clock is that far ahead."""
    seconds = int(after.total_seconds())
    return (
        scenario.replace("})", f"}}, ahead={seconds})")
        .replace('}, "running")', f'}}, "running", ahead={seconds})')
        .replace(f'finished({{"/new": "held"}}, ahead={seconds})', 'finished({"/new": "held"})')
    )


def test_once_a_day_the_server_is_asked_though_nothing_is_due(gate: Gate) -> None:
    """It may have a new disk, which is backed up in the same start."""
    gate.play(FRESH, interval="1 week", on_battery="allow")
    assert gate.run().exit == 0
    assert (run_later(gate, DAY / 2).exit, gate.visits()) == (0, 1)
    gate.play(ahead(NEVER, DAY), interval="1 week", on_battery="allow")
    done = run_later(gate, DAY)
    assert (done.exit, gate.visits()) == (0, 2), done.stderr
    assert gate.rig.memory().dles == ("/home", "/new")
    assert gate.outcomes() == [Outcome.BACKED_UP]
    assert (run_later(gate, DAY * 1.5).exit, gate.visits()) == (0, 2)


def test_a_server_that_is_away_then_alarms_nobody(gate: Gate) -> None:
    """Nothing is due: it is tried again after a wait, and till then no connection is made."""
    keys = {"interval": "1 week", "on_battery": "allow"}
    gate.play(FRESH, **keys)
    assert gate.run().exit == 0
    gate.rig.server.stop_sshd()
    try:
        done = run_later(gate, DAY)
    finally:
        gate.rig.server.start_sshd()
    assert (done.exit, done.stdout, done.stderr) == (0, "", "")
    assert (gate.rig.memory().tries, gate.outcomes()) == (1, [Outcome.UNREACHABLE])
    wait_longest(gate)
    waits = run_later(gate, DAY)
    assert (waits.exit, waits.stdout, waits.stderr, gate.visits()) == (0, "", "", 1)
    assert gate.rig.memory().tries == 1
    gate.play(ahead(FRESH, DAY), **keys)
    assert (run_later(gate, DAY + timedelta(hours=2)).exit, gate.visits()) == (0, 2)
    assert gate.rig.memory().tries == 0


def test_a_run_that_began_then_is_one_like_any_other(gate: Gate) -> None:
    """The server had a new disk; if the line breaks now, that is told."""
    keys = {"interval": "1 week", "on_battery": "allow", "reconnect_for": "1s"}
    gate.play(FRESH, **keys)
    assert gate.run().exit == 0
    begun, _, _ = ahead(NEVER, DAY).partition("running()")
    gate.play(f"if visit > 2: die()\n{begun}running(); die()", **keys)
    done = run_later(gate, DAY)
    assert (done.exit, "the run continues on the server" in done.stderr) == (75, True), done.stderr
    assert gate.outcomes() == [Outcome.LOST]


def test_a_rehearsal_says_that_the_server_would_be_greeted(gate: Gate) -> None:
    """And no more; before its time nothing at all."""
    gate.play(FRESH, interval="1 week", on_battery="allow")
    assert gate.run().exit == 0
    assert "would" not in gate.run("--dry-run").stdout
    said = run_later(gate, DAY, "--dry-run").stdout
    assert said.startswith("not due: ")
    assert (
        "would contact backup@amanda for the daily check, and back up if it has a new disk" in said
    )
    assert "would connect" not in said
    assert gate.visits() == 1


def test_a_server_that_refuses_then_is_told(gate: Gate) -> None:
    """Next week is too late to hear that this machine is no longer accepted."""
    gate.play(FRESH, interval="1 week", on_battery="allow")
    assert gate.run().exit == 0
    gate.play(
        'hear("hello"); say("refused", reference="no", message="not any more", hint="", exit=77)',
        interval="1 week",
        on_battery="allow",
    )
    done = run_later(gate, DAY)
    assert (done.exit, "not any more" in done.stderr) == (77, True), done.stderr
    assert gate.outcomes() == [Outcome.REFUSED]


def test_a_login_that_is_refused_when_the_doctor_looks_is_remembered(gate: Gate) -> None:
    """As a start would: `status` says so, until the server accepts this client again."""
    gate.play(FRESH, interval="1 week", on_battery="allow")
    assert gate.run().exit == 0
    server = gate.rig.server
    keys = f"{server.account('backup').home}/.ssh/authorized_keys"
    enrolled = server.read(keys)
    server.write(keys, "", owner="backup", mode=0o600)
    doctor = gate.rig.run("doctor")
    assert gate.outcomes() == [Outcome.REFUSED], doctor.stdout
    said = " ".join(doctor.stdout.split())
    assert "no longer, enrolled there" in said
    assert "as root: asyncamanda setup backup@amanda" in said
    assert gate.rig.run("status").exit == 100
    server.write(keys, enrolled, owner="backup", mode=0o600)
    gate.play(FRESH, interval="1 week", on_battery="allow")
    gate.rig.run("doctor")
    assert gate.rig.run("status").exit == 0


def test_a_bad_moment_is_none_for_asking_either(gate: Gate) -> None:
    """The conditions of a backup hold, and nobody hears of it."""
    keys = {"interval": "1 week", "on_battery": "allow"}
    gate.play(FRESH, **keys)
    assert gate.run().exit == 0
    gate.play(ahead(FRESH, DAY), **keys, networks=["nowhere"], unknown="refuse")
    done = run_later(gate, DAY)
    assert (done.exit, done.stdout, done.stderr, gate.visits()) == (0, "", "", 1)
    assert gate.outcomes() == []
