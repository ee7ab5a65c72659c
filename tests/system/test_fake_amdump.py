"""A run that ends badly, or does not end: what the dispatcher makes of it, with a fake amdump.

What a real Amanda does then is shown end to end; here is that each case ends, soon, with the right
verdict in the ledger and at the client.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.system.fake_amanda import Behaviour
from tests.system.staging import HELD, WATCH, Stage

from asyncamanda.core.amanda.witness import NO_WITNESS


def play(stage: Stage, behaviour: Behaviour, more: str = "") -> dict[str, Any]:
    """Return what there is after a backup, and another start of the agent, with such an amdump."""
    facts = stage.play("a backup", "", behaviour, more)
    assert "error" not in facts, facts["error"]
    assert facts["alive"] == []
    return facts


def first_verdict(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the ledger's verdict on what the first run was to bring."""
    stamp = facts["starts"][0]["stamp"]
    (found,) = [v for v in facts["ledger"]["verdicts"] if v["timestamp"] == stamp]
    assert (found["host"], found["disk"]) == ("laptop", "/home")
    return dict(found)


@pytest.mark.parametrize("status", [0, 4, 255])
def test_exit_status_says_nothing_of_a_dump(stage: Stage, status: int) -> None:
    """It is written down, and the log with its witness counts."""
    facts = play(stage, Behaviour(pace=0.005, status=status))
    assert (facts["result"], facts["then"]) == ("backed up", "not due")
    assert [run["exit_status"] for run in facts["ledger"]["runs"]] == [status]
    assert first_verdict(facts)["state"] == "held"


def test_dump_that_fails_is_made_anew_from_nothing(stage: Stage) -> None:
    """The client asks again at its next start, and Amanda was told to make it a full one."""
    facts = play(stage, Behaviour("fail"))
    assert (facts["result"], facts["then"]) == ("disk-failed", "disk-failed")
    assert [start["forced"] for start in facts["starts"]] == [[], ["laptop"]]
    verdict = first_verdict(facts)
    assert (verdict["state"], verdict["reason"]) == (
        "failed",
        "missing size line from sendbackup",
    )


def test_run_that_dies_is_tidied_up(stage: Stage) -> None:
    """Its dump is missing, amcleanup is called, and the next run starts on no false base."""
    facts = play(stage, Behaviour("die"))
    assert (facts["result"], facts["then"]) == ("disk-failed", "disk-failed")
    assert first_verdict(facts)["state"] == "missing"
    assert [start["forced"] for start in facts["starts"]] == [[], ["laptop"]]
    assert not any(run["is_clean"] for run in facts["ledger"]["runs"])
    marks = "amcleanup: ", "the dispatcher ends"
    said = [mark for line in facts["diary"] for mark in marks if mark in line]
    assert said[:2] == [*marks]


def test_run_that_stands_still_is_killed(stage: Stage) -> None:
    """The client that waits for it hears why."""
    facts = play(stage, Behaviour("hang"), WATCH)
    assert facts["result"] == "disk-failed"
    assert any("is killed: " in line for line in facts["diary"])
    verdict = first_verdict(facts)
    assert verdict["state"] == "missing"
    assert "stuck" in verdict["reason"] or "nothing came" in verdict["reason"], verdict


def test_dump_that_nothing_shows_is_none(stage: Stage) -> None:
    """Whatever the log says."""
    facts = play(stage, Behaviour("lie"))
    assert (facts["result"], facts["then"]) == ("disk-failed", "disk-failed")
    verdict = first_verdict(facts)
    assert (verdict["state"], verdict["reason"]) == ("failed", NO_WITNESS)


def test_dump_of_another_host_is_nobodys(stage: Stage) -> None:
    """Neither that of the client that the run was for, nor that of the one it names."""
    facts = play(stage, Behaviour("lie of another"))
    assert facts["result"] == "disk-failed"
    assert first_verdict(facts)["state"] == "missing"
    assert {verdict["host"] for verdict in facts["ledger"]["verdicts"]} == {"laptop"}
    assert HELD in facts["left"]
