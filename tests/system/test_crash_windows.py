"""The dispatcher is killed between any two steps; what was begun is ended anyway, once.

Its ledger, its sockets, its gates and Amanda's other programs are real; amdump is a fake
(fake_amanda.py). The steps are counted from outside (crashing.py), by a first time through the
scene in which nobody is killed; then the scene is played once for each of them (stage.py), and
whoever comes next, be it the same client's gate or a later start of the agent, brings the next
dispatcher.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest
from tests.system.fake_amanda import Behaviour
from tests.system.staging import HELD, TAKEN_AWAY, Stage

FINE = Behaviour(hold="/srv/crash/go-on", linger="/srv/crash/leave")
LATE = Behaviour(root="/srv/crash/root", hold="/srv/crash/go-on", linger="/srv/crash/leave")
AT_ONCE = Behaviour(hold="/srv/crash/go-on")
FAIL = Behaviour("fail", hold="/srv/crash/go-on")
BACKUP, GOES_ON = "a backup", "a run that goes on"
HAS_ENDED, LOST = "a run that has ended", "a lost ledger"
SCENES = {
    "a backup": (BACKUP, FINE, "write dispatcher.lock"),
    "a backup that fails": (BACKUP, FAIL, "remove reports/daily.run-1.out"),
    "the adoption of a run that goes on": (GOES_ON, FINE, "write dispatcher.lock"),
    "the adoption of a run that has ended": (HAS_ENDED, LATE, "write dispatcher.lock"),
    "a new ledger for a run that goes on": (LOST, AT_ONCE, TAKEN_AWAY),
}
# amdump's process is written down, and waits; killed here, the dispatcher takes it along
NEVER_LET_GO = {"committed runs.note", "write holding/STAMP/.asyncamanda.hidden"}
NEVER_LET_GO |= {"rename holding/STAMP/pid", "let amdump go"}
START = {
    "commit requests.open",
    "committed requests.open",
    "say queued",
    "say ping",
    "commit runs.begin",
    "write reports/daily.run-1.disklist",
    "write reports/daily.run-1.out",
    "start amdump, paused",
    "commit runs.note",
    "let amdump go",
    "say running",
    "write holding/STAMP/.asyncamanda.new",
    "rename holding/STAMP/.asyncamanda",
}
END = {
    "commit runs.end",
    "committed runs.end",
    "remove holding/STAMP/.asyncamanda",
    "let the client go",
    "commit sessions.end",
}
EARLY = {"commit recorded_verdicts.note", "commit requests.finish", "say finished"}
NEEDED = {
    "a backup": START | EARLY | END,
    "a backup that fails": END
    | {"say finished", "start amreport", "start force", "commit needed_protections.note_made"},
    "the adoption of a run that goes on": EARLY | END | {"say running"},
    "the adoption of a run that has ended": (END - {"remove holding/STAMP/.asyncamanda"})
    | {"commit runs.note", "say welcome"},
    "a new ledger for a run that goes on": (END - {"commit sessions.end"})
    | {"commit preparing.prepare #2", "commit new_ledger.take_on"},
}
PORTIONS = 4  # of a scene's steps, each a test


def walk(stage: Stage, name: str, portion: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each step of a portion, with what there is when the dispatcher was killed before it."""
    scene, behaviour, first = SCENES[name]
    steps = stage.find_steps(scene, behaviour)
    for step in steps[steps.index(first) :]:
        if step != TAKEN_AWAY and crc32(step.encode()) % PORTIONS == portion:
            yield step, stage.play(scene, step, behaviour)


def find_faults(facts: dict[str, Any], name: str, step: str) -> Iterator[str]:
    """Yield what is not as it has to be after a window."""
    if "error" in facts:
        yield facts["error"]
        return
    is_fine = SCENES[name][1].mode == "fine"
    steps = [each for each in facts["steps"] if each != TAKEN_AWAY]
    # some steps come with time alone, as a second word on the same place
    if step != steps[-1] and (step in steps or step in NEEDED[name]):
        yield f"it was not killed: {steps}"
    stamps = [start["stamp"] for start in facts["starts"]]
    yield from _find_wrong_starts(facts["starts"], _count_most(name, steps))
    if not is_fine and any(not start["forced"] for start in facts["starts"][1:]):
        yield f"on a false base: {facts['starts']}"
    yield from _find_wrong_ends(facts, is_fine=is_fine)
    yield from _find_open(facts)
    yield from _find_wrong_runs(facts["ledger"], stamps, step, name)
    wanted = "{}/laptop._home.0" if is_fine else "reports/daily.{}.txt"
    kept = {HELD, *map(wanted.format, stamps)}
    if kept != set(facts["left"]):
        yield f"left behind: {set(facts['left']) - kept}, lost: {kept - set(facts['left'])}"


def _count_most(name: str, steps: list[str]) -> int:
    """Return how many amdumps may be started at most, by the steps that a dispatcher came to.

    One that brought what it was to bring is the only one, but where the ledger and the dispatcher
    are lost at once: then nobody knows that the run was for the request. One that has failed is
    made again when the agent's next start asks for it; and once more where it was left alone for a
    while, for Amanda's call may have found nobody.
    """
    scene, behaviour, _ = SCENES[name]
    if behaviour.mode == "fail":
        return 2 if "committed runs.end" in steps else 3
    return 2 if scene == LOST and "committed new_ledger.take_on" not in steps else 1


def _find_wrong_starts(starts: list[dict[str, Any]], most: int) -> Iterator[str]:
    """Yield what is wrong with how often, when and after what an amdump was started."""
    if any(start["others"] for start in starts):
        yield f"amdumps at once: {starts}"
    if any(start["unhidden"] for start in starts):
        yield f"a driver would find held dumps: {starts}"
    if not 1 <= len(starts) <= most:
        yield f"superfluous dumps: {starts}"


def _find_wrong_ends(facts: dict[str, Any], *, is_fine: bool) -> Iterator[str]:
    """Yield what is wrong with what the client was told, and with what is left of the run."""
    result = facts["result"], facts["then"]
    well = {("backed up", "not due"), ("not due", "not due")}
    if result not in (well if is_fine else {("disk-failed", "disk-failed")}):
        yield f"what the client and its next start come to: {result}"
    told: dict[str, list[str]] = {}
    for run, *states in facts["told"]:
        if told.setdefault(run, states) != states:
            yield f"told of {run}: first {told[run]}, then {states}"
    if facts["alive"]:
        yield f"still alive: {facts['alive']}"
    if facts["unwritten"]:
        yield f"told before it was written down: {facts['unwritten']}"
    if not facts["has_keeper"]:
        yield "the run's place in the holding disk was not kept"
    if not facts["is_shown"]:
        yield "what was held before stayed hidden"
    if bad := [line for line in facts["diary"] if " error: " in line or "| " in line]:
        yield f"diary: {bad}"


def _find_open(facts: dict[str, Any]) -> Iterator[str]:
    """Yield what the ledger has of which the end is not written down."""
    ledger = facts["ledger"]
    if facts["result"] != "not due" and all(r["state"] != "done" for r in ledger["requests"]):
        yield f"no request is done: {ledger['requests']}"
    for table in ("runs", "requests", "sessions"):
        for row in ledger[table]:
            if row["ended_at"] is None:
                yield f"without an end: {table} {row}"


def _find_wrong_runs(
    ledger: dict[str, list[dict[str, Any]]], stamps: list[str], step: str, name: str
) -> Iterator[str]:
    """Yield what the ledger has of the runs that is not so."""
    scene, behaviour, _ = SCENES[name]
    idle = [row for row in ledger["runs"] if row["timestamp"] is None]
    if any(row["remark"] != "it never started" for row in idle) and step not in NEVER_LET_GO:
        yield f"runs without an amdump: {idle}"
    began = {row["timestamp"]: row["kind"] for row in ledger["runs"] if row["timestamp"]}
    if sorted(began) != sorted(stamps):
        yield f"runs: {began}, of {stamps}"
    if scene != LOST and "other" in began.values():
        yield f"taken for somebody else's: {began}"
    state = "held" if behaviour.mode == "fine" else "failed"
    dumps = {verdict["timestamp"]: verdict["state"] for verdict in ledger["verdicts"]}
    if step in NEVER_LET_GO:
        dumps = {stamp: dumps[stamp] for stamp in dumps if stamp in stamps}
    if dumps != dict.fromkeys(stamps, state):
        yield f"verdicts: {dumps}, of {stamps}"
    if needs := [need for need in ledger["protections"] if need["made_at"] is None]:
        yield f"Amanda was not told: {needs}"


@pytest.mark.parametrize("portion", range(PORTIONS))
@pytest.mark.parametrize("name", SCENES)
def test_whatever_it_is_at_when_it_is_killed_the_next_one_ends_it(
    stage: Stage, name: str, portion: int
) -> None:
    """The client has its verdict, and the ledger; one amdump at a time; nothing is left behind."""
    faults = {
        step: found
        for step, facts in walk(stage, name, portion)
        if (found := list(find_faults(facts, name, step)))
    }
    assert not faults


@pytest.mark.parametrize("name", SCENES)
def test_all_that_changes_something_is_a_step(stage: Stage, name: str) -> None:
    """Else the walk would pass over windows, and nobody would notice."""
    scene, behaviour, first = SCENES[name]
    steps = stage.find_steps(scene, behaviour)
    missing = NEEDED[name] - {*steps[steps.index(first) :]}
    assert not missing, steps


def test_no_other_run_starts_before_the_one_that_was_barely_begun_is_safe(stage: Stage) -> None:
    """Its dispatcher was killed before there was a keeper: another driver would clear its place."""
    facts = stage.play("another client", "say running", replace(LATE, linger=""))
    assert "error" not in facts, facts
    assert [start["hosts"] for start in facts["starts"]] == [["laptop"], ["tower"]]
    assert [len(start["others"]) for start in facts["starts"]] == [0, 1]
    assert [start["unkept"] for start in facts["starts"]] == [0, 0]
    # its run may end before the client that was cut off is back
    assert facts["result"] in {"backed up", "not due"}


def test_somebody_elses_run_that_begins_before_the_start_is_waited_for(stage: Stage) -> None:
    """Though nobody had seen it when the start was decided on."""
    facts = stage.play("somebody else", "", AT_ONCE)
    assert "error" not in facts, facts
    assert [start["hosts"] for start in facts["starts"]] == [["tower"], ["laptop"]]
    assert [start["others"] for start in facts["starts"]] == [[], []]
    assert facts["result"] == "backed up"


def test_what_a_dead_run_has_left_is_tidied_up_by_the_next_dispatcher(stage: Stage) -> None:
    """Where its own was killed before it came to that; no run starts before."""
    facts = stage.play("a backup", "start amcleanup", Behaviour("die"))
    assert "error" not in facts, facts
    assert facts["steps"][-1] == "start amcleanup"
    marks = " starts: amdump ", "amcleanup: "
    said = [mark for line in facts["diary"] for mark in marks if mark in line]
    assert said[:2] == [*marks]
