"""What commands say of the backup is so, whatever stood in the way since."""

import json

from tests.system.conftest import Rig
from tests.system.test_aftermath import Ears, ears
from tests.system.test_contact import DAY, FRESH, gate, run_later
from tests.system.test_gate_client import WELL, Gate
from tests.system.test_status import ask, close

__all__ = ["ears", "gate"]  # fixtures

AMANDATES = "/var/lib/amanda/amandates"
PARKED = (
    'hear("hello"); say("welcome", protocol=1, software="s", client="laptop", '
    'amanda_config="daily", now=at(0), heartbeat=15, dles=[dict(disk="/home", state="held", '
    "level=0, confirmed_at=at(3600), kilobytes=3, is_parked=True)], "
    'standing="idle", last=None, ticket=""); hear("bye")'
)
TWO = (
    'hear("hello"); say("refused", reference="second-machine", '
    'message="two machines use the key of laptop", hint="h", exit=77)'
)
LATER = (
    'print(json.dumps(dict(type="later", after=60, reason="the dispatcher does not start")), '
    "flush=True)"
)


def test_a_trouble_that_is_mended_is_over(ears: Ears) -> None:
    """Once another run has made a backup: nobody waits for a run of asyncamanda's to say so."""
    rig = ears.rig
    rig.set_dumped(ago=3600)
    ears.configure()
    assert rig.run("run").exit == 0
    rig.laptop.run(["chmod", "000", AMANDATES])
    assert (rig.run("run").exit, ears.mails()) == (77, ["failed"])
    failed_at = json.loads((rig.state_folder() / "memory.json").read_text())["attempts"][-1]
    rig.set_dumped(ago=-2)  # a dump that began after that, by its whole second
    assert failed_at["outcome"] == "refused"
    assert ([rig.run("run").exit for _ in range(2)], ears.mails()) == ([0, 0], ["recovered"])
    assert rig.run("status").exit == 0


def test_status_in_trouble_says_so_to_everybody(rig: Rig) -> None:
    """What the agent's own starts cannot read is what is wrong; the old summary is not so."""
    rig.set_dumped(ago=3600)
    rig.configure()
    close(rig)
    assert rig.run("run").exit == 0
    rig.laptop.run(["chmod", "000", AMANDATES])
    assert rig.run("run").exit == 77
    told = ask(rig, "status")
    assert told.exit == 100, told
    assert told.stdout.startswith("FAILING: refused")
    assert rig.run("status").exit == 77


def test_the_server_is_greeted_once_a_day_while_a_run_waits(gate: Gate) -> None:
    """A disk that the last run did not bring keeps nobody from hearing of others."""
    gate.play(WELL, interval="1 week", disks=["/home", "/gone"], stale_after="3 weeks")
    assert gate.run().exit == 100
    run_later(gate, DAY * 1.2, "-v")
    assert gate.visits() == 2


def test_a_doubt_outlives_a_server_that_has_no_time(gate: Gate) -> None:
    """Which it says before it knows who this is."""
    gate.play(FRESH, interval="1 week")
    assert gate.run().exit == 0
    gate.play(TWO, interval="1 week")
    assert run_later(gate, DAY).exit == 77
    gate.play(LATER, interval="1 week")
    assert run_later(gate, DAY * 1.1).exit == 75
    told = gate.rig.run("status")
    assert told.exit == 100
    assert "two machines" in told.stdout


def test_a_parked_machine_was_not_never_backed_up(gate: Gate) -> None:
    """Its last backup counts for how old it is, also where the server is away."""
    gate.play(PARKED)
    assert gate.run().exit == 0
    path = gate.rig.state_folder() / "memory.json"
    memory = json.loads(path.read_text())
    memory["since"] = "2026-10-01T00:00:00+00:00"
    path.write_text(json.dumps(memory))
    told = gate.rig.run("status")
    assert (told.exit, told.stdout[:7]) == (0, "parked:"), told
    gate.rig.server.stop_sshd()
    try:
        assert run_later(gate, DAY).exit == 75
    finally:
        gate.rig.server.start_sshd()
    assert json.loads(path.read_text())["told"] == []


def test_a_good_run_leaves_no_surroundings(rig: Rig) -> None:
    """Else those of a place long left would end each later wait."""
    rig.configure()
    assert rig.run("run").exit == 0
    assert rig.memory().seen == ""
