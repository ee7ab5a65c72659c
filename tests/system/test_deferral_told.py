"""A due backup that waits is reported in a session that asks for nothing: a real ssh and agent."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.system.test_gate_client import Gate, gate

from asyncamanda.core.model import Outcome
from asyncamanda.system.clock import now

__all__ = ["gate"]
LISTENS = (
    'hear("hello"); welcome({"/home": 90000}, takes_reports=True, ticket="7-0a"); hear("bye")\n'
)
DUE = 'hear("hello"); welcome({"/home": 90000}, ticket="7-0a"); hear("submit")\n'
DUE += 'say("later", after=0.001, reason="not now")\n'
ANY_NETWORK = {"on_battery": "allow", "metered": "allow", "retry_within": "0.001s"}


def closed_window() -> str:
    """Return a window that is not open."""
    other = now() + timedelta(hours=12)
    return f"{other:%H:%M}-{other + timedelta(hours=1):%H:%M}"


def messages(gate: Gate) -> list[dict[str, Any]]:
    """Return what the client said in all sessions."""
    lines = gate.rig.server.read(f"{gate.rig.stage}/heard").splitlines()
    return [json.loads(line) for line in lines]


def become_due(gate: Gate) -> None:
    """Let the server give a ticket and know of an old backup, and forget what was said."""
    gate.play(DUE, **ANY_NETWORK)
    assert gate.run().exit == 75
    assert gate.rig.memory().ticket == "7-0a"
    gate.rig.server.remove(f"{gate.rig.stage}/heard")
    gate.rig.server.remove(f"{gate.rig.stage}/visits")


def test_a_backup_that_waits_for_a_window_is_reported_once(gate: Gate) -> None:
    """By a probe, with how long and why; and again only after hours."""
    become_due(gate)
    gate.play(LISTENS, windows=[closed_window()], **ANY_NETWORK)
    for _ in range(2):
        assert gate.run().exit == 75
    hello, report, bye = messages(gate)
    assert [hello["type"], report["type"], bye["type"]] == ["hello", "report", "bye"]
    assert (hello["is_probe"], hello["ticket"]) == (True, "7-0a")
    assert 0 <= report["deferred_for"] < 600
    assert report["deferred_reason"].startswith("deferred, because it is ")
    assert report["used"] is not None
    assert gate.outcomes() == [Outcome.LATER, Outcome.DEFERRED]
    gate.rig.laptop.clock_offset = timedelta(hours=7)
    try:
        assert gate.rig.run("run", shifted=True).exit in {0, 75}
    finally:
        gate.rig.laptop.clock_offset = timedelta(0)
    assert gate.visits() == 2


@pytest.mark.parametrize(
    ("scenario", "heard"),
    [
        (LISTENS.replace("takes_reports=True, ", ""), ["hello", "bye"]),
        ('hear("hello"); say("later", after=60, reason="busy")\n', ["hello"]),
        ('hear("hello"); print("no message", flush=True)\n', ["hello"]),
        ('hear("hello"); os._exit(3)\n', ["hello"]),
    ],
)
def test_a_server_that_cannot_be_told_changes_nothing(
    gate: Gate, scenario: str, heard: list[str]
) -> None:
    """An older one, one that is busy, and one that is broken: the start ends as it would."""
    become_due(gate)
    gate.play(scenario, windows=[closed_window()], **ANY_NETWORK)
    for _ in range(2):
        done = gate.run()
        assert (done.exit, done.stdout, done.stderr) == (75, "", "")
    assert gate.heard() == heard
    assert gate.outcomes() == [Outcome.LATER, Outcome.DEFERRED]


def test_a_server_that_says_nothing_is_left_soon(gate: Gate) -> None:
    """Within its ten seconds, and nothing is asked for."""
    become_due(gate)
    gate.play('hear("hello"); hear("bye")\n', windows=[closed_window()], **ANY_NETWORK)
    done = gate.run()
    assert (done.exit, done.stdout, done.stderr) == (75, "", "")
    assert done.seconds < 30
    assert gate.heard() == ["hello"]


def test_nothing_is_told_where_that_cannot_be_remembered_or_the_network_is_not_allowed(
    gate: Gate,
) -> None:
    """Else each start would tell it, or who pays for a network would pay for that."""
    become_due(gate)
    keys = ANY_NETWORK | {"windows": [closed_window()]}
    gate.play(LISTENS, **keys, networks=["none like this"])
    assert gate.run().exit == 75
    assert gate.visits() == 0
    (gate.rig.state_folder() / "deferral-told").mkdir()
    gate.play(LISTENS, **keys)
    assert gate.run().exit == 75
    assert gate.visits() == 0
