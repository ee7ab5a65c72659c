"""A client that is lost while Amanda asks it something: that client fails, and nobody else.

Amanda 3.5.4's planner, dumper and amcheck may die when their ssh ends with a request open
(amanda-facts, "Debian 13"). So the relay answers what is open before it lets an ssh end.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import wait_until
from tests.e2e.office import DISK, Office, ends, open_office

from asyncamanda.core.amanda.amcheck import interpret_amcheck
from lab.patience import stretched

PROGRAMS = "/usr/lib/amanda"
GATE = "asyncamanda gate --client laptop"
STOPPED = '#!/bin/sh\nkill -STOP "$$"\n'
KILLS_AMANDAD = '#!/bin/sh\nkill -KILL "$PPID"\n'
DISKS = [DISK, "/srv/a", "/srv/b", "/srv/c"]
ATTEMPTS = 5  # the lab's retry-dump

Agent = subprocess.Popen[str]


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office with a laptop and a tower behind a router, which make one batch."""
    with open_office(lab_prefix, "laptop", "tower", nat=True) as opened:
        opened.fill()
        opened.set_up({"batch_window": stretched(3)})
        yield opened


def replace(office: Office, program: str, script: str) -> None:
    """Let one of Amanda's programs be a script at the laptop."""
    laptop = office.client("laptop")
    laptop.write("/srv/instead", script, mode=0o755)
    laptop.run(["mount", "--bind", "/srv/instead", f"{PROGRAMS}/{program}"])


def has_stopped(office: Office, program: str) -> bool:
    """Return whether the laptop was asked and holds its answer back."""
    found = office.client("laptop").run(["ps", "-eo", "stat=,args="]).stdout
    return any(line[0] == "T" and program in line for line in found.splitlines())


def start_both(office: Office) -> list[Agent]:
    """Start both agents, for one run; return when the planner waits for the laptop."""
    replace(office, "sendsize", STOPPED)
    agents = [office.start(name) for name in ("laptop", "tower")]
    wait_until("the planner asks", lambda: has_stopped(office, "sendsize"), 60)
    return agents


def cut(office: Office, _laptop: Agent) -> None:
    """Pull the cable."""
    office.client("laptop").cut()


def kill_agent(_office: Office, laptop: Agent) -> None:
    """Kill the agent: its connection goes with it."""
    laptop.kill()


def kill_gate(office: Office, _laptop: Agent) -> None:
    """Kill the line's gate at the server; the stream's own process stays."""
    gate, *_ = office.pids(GATE)  # the gate is the older one
    office.server.run(["kill", "-KILL", str(gate)])


def kill_amandad(office: Office, _laptop: Agent) -> None:
    """Kill what Amanda talks with."""
    office.client("laptop").run(["pkill", "-KILL", "-f", f"{PROGRAMS}/amandad"])


def revoke(office: Office, _laptop: Agent) -> None:
    """Revoke the client."""
    office.ask("server", "revoke", "laptop")


LOSSES: dict[str, tuple[Callable[[Office, Agent], None], str]] = {
    "cut": (cut, "laptop vanished: its connection is lost"),
    "agent": (kill_agent, "laptop vanished: "),
    "gate": (kill_gate, "laptop vanished: "),
    "amandad": (kill_amandad, "amandad ended with status 137"),
    "revoke": (revoke, "laptop is not enrolled any more"),
}


def check_tower_well(office: Office, tower: Agent) -> None:
    """Fail unless the tower was dumped by the one run, which ended in good order."""
    ((code, words),) = ends([tower], 90)
    assert code == 0, words + office.diary
    office.wait_idle()
    (log,) = [text for text in office.server.run_logs() if " tower " in text]
    assert "FINISH planner" in log
    assert "FINISH driver" in log
    assert office.server.restore("tower", DISK) == office.client("tower").tree(DISK)


@pytest.mark.parametrize("loss", LOSSES)
def test_client_that_is_lost_while_the_planner_asks_it_fails_alone(
    office: Office, loss: str
) -> None:
    """Amanda's log has our reason for it; the other one is dumped by the same run."""
    lose, reason = LOSSES[loss]
    laptop, tower = start_both(office)
    lose(office, laptop)
    check_tower_well(office, tower)
    failures = [line for line in office.failures() if reason in line]
    assert any(line.startswith("FAIL planner laptop ") for line in failures), office.failures()
    assert not any(" tower " in line for line in office.failures())
    laptop.kill()
    laptop.communicate()


def test_amcheck_says_why_a_client_does_not_answer(office: Office) -> None:
    """One that is lost while it is asked, and one that is not there any more: it ends well."""
    office.configure({"batch_window": "5m"})
    replace(office, "selfcheck", STOPPED)
    laptop = office.start("laptop")
    wait_until("it can be called", lambda: office.reachable() == ["laptop"])
    amcheck = office.server.start(["amcheck", "-c", "daily", "laptop"], user="backup")
    wait_until("amcheck asks", lambda: has_stopped(office, "selfcheck"))
    laptop.kill()
    laptop.communicate()
    for reason in ("laptop vanished: its connection is lost", "laptop is not connected"):
        ((code, words),) = ends([amcheck], 60)
        assert f"asyncamanda: {reason}" in words
        assert "1 host checked" in words
        assert code == 1
        (trouble,) = interpret_amcheck("laptop", code, words, "")
        assert trouble.is_absence, words
        amcheck = office.server.start(["amcheck", "-c", "daily", "laptop"], user="backup")
    ends([amcheck], 60)


def test_twenty_cuts_in_one_run_end_well(office: Office) -> None:
    """Each of four disks is tried five times, and each time amandad dies with the call open."""
    for disk in DISKS[1:]:
        office.fill("laptop", disk=disk)
    replace(office, "sendbackup", KILLS_AMANDAD)
    laptop, tower = (office.start(name) for name in ("laptop", "tower"))
    check_tower_well(office, tower)
    ((code, words),) = ends([laptop], 90)
    assert code == 100, words
    assert "amandad ended with status 137" in words
    refused = "asyncamanda: amandad ended with status 137"
    tries = [line for line in office.failures() if refused in line]
    assert len(tries) >= ATTEMPTS * len(DISKS), tries


def test_client_that_was_never_there_fails_alone(office: Office) -> None:
    """An amdump of somebody else's names one that is not connected, and one that is."""
    office.configure({"batch_window": "5m"})
    tower = office.start("tower")
    wait_until("it can be called", lambda: office.reachable() == ["tower"])
    office.server.amdump("laptop", "tower", check=False)
    (log,) = office.server.run_logs()
    assert "FINISH planner" in log
    assert any("asyncamanda: laptop is not connected" in line for line in office.failures())
    assert not any(" tower " in line for line in office.failures())
    assert office.server.restore("tower", DISK) == office.client("tower").tree(DISK)
    tower.kill()
    tower.communicate()
