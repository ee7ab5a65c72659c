"""The connection breaks while the command runs: lost, not failed, and remembered as that."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from asyncamanda.core.model import Outcome
from lab.patience import at_most

if TYPE_CHECKING:
    from tests.system.conftest import Done, Rig

QUICK = {"connect_timeout": "2s", "keepalive": "1s"}
COMMAND = "mark; dump /home; hold"


def _assert_lost(rig: Rig, done: Done) -> None:
    """What holds for every run whose connection broke."""
    assert done.exit == 75
    assert done.json["error"] == "connection-lost"
    message = done.json["message"]
    assert "the connection to amanda broke while the command ran" in message
    assert "it may still be running on amanda, and does not count as a backup" in message
    (attempt,) = rig.memory().attempts
    assert attempt.outcome is Outcome.LOST
    assert rig.memory().confirmed == {}
    assert rig.is_held()  # the message told the truth


def test_the_servers_end_dies(rig: Rig) -> None:
    """sshd's process is killed, as when the server is shut down in a hurry."""
    rig.configure(command=COMMAND, ssh=QUICK)
    agent = rig.start("run", "--json")
    rig.hold()
    rig.signal(rig.sessions(), "KILL")
    done = rig.wait(agent)
    _assert_lost(rig, done)
    assert "Connection" in done.json["message"]


def test_the_servers_end_freezes(rig: Rig) -> None:
    """Nobody answers the keepalives any more, though TCP is content."""
    rig.configure(command=COMMAND, ssh=QUICK)
    agent = rig.start("run", "--json")
    rig.hold()
    rig.signal(rig.sessions(), "STOP")
    frozen_at = time.monotonic()
    done = rig.wait(agent)
    _assert_lost(rig, done)
    assert time.monotonic() - frozen_at < at_most(6)
    assert "Timeout, server amanda not responding" in done.json["message"]


def test_the_link_swallows_everything(rig: Rig) -> None:
    """The laptop was carried out of its network: noticed by the keepalives alone."""
    rig.configure(command=COMMAND, ssh=QUICK)
    agent = rig.start("run", "--json")
    rig.hold()
    rig.server.cut()
    cut_at = time.monotonic()
    done = rig.wait(agent)
    _assert_lost(rig, done)
    assert time.monotonic() - cut_at < at_most(6)


def test_an_outage_shorter_than_the_keepalives_bear_is_survived(rig: Rig) -> None:
    """A link that comes back within the time costs nothing."""
    rig.configure(command=COMMAND, ssh={"keepalive": "2s"})
    agent = rig.start("run", "--json")
    rig.hold()
    rig.server.cut()
    assert rig.laptop.run(["ping", "-c1", "-W1", "amanda"], check=False).returncode != 0
    rig.server.heal()
    rig.let_go()
    done = rig.wait(agent)
    assert (done.exit, done.json["outcome"]) == (0, "backed up")


def test_a_lost_run_settles_before_the_next_starts_and_that_backs_up_anew(rig: Rig) -> None:
    """Until `settle` has passed nothing is started; then a whole new backup is made."""
    rig.configure(command="mark; dump /home; hold", settle="15s", ssh=QUICK)
    agent = rig.start("run", "--json")
    rig.hold()
    rig.signal(rig.sessions(), "KILL")
    assert rig.wait(agent).exit == 75
    waiting = rig.run("run", "--json")
    assert (waiting.exit, waiting.json["error"]) == (75, "run-unsettled")
    assert "may still be running on the server" in waiting.json["message"]
    assert "the connection to amanda broke" in waiting.json["message"]
    assert rig.marks() == 1
    forced = rig.run("run", "--force", "--json")
    assert (forced.exit, rig.marks()) == (75, 1)
    status = rig.run("status")
    assert "waiting until" in status.stdout
    rig.let_go()
    # amandates moved in the lost run; that is no reason to be content
    rig.until(lambda: rig.run("run", "--json").exit == 0, "a new backup after `settle`", 60)
    assert rig.marks() == 2
    assert rig.memory().attempts[-1].outcome is Outcome.BACKED_UP


def test_the_classic_form_waits_an_hour(rig: Rig) -> None:
    """Its `settle` cannot be set."""
    agent = rig.classic(COMMAND)
    rig.hold()
    rig.signal(rig.sessions(), "KILL")
    done = rig.wait(agent)
    assert done.exit == 75
    assert "it may still be running on amanda" in done.stderr
    assert "no second one is started before" in done.stderr
    again = rig.wait(rig.classic(COMMAND))
    assert (again.exit, rig.marks()) == (75, 1)
    assert "may still be running on the server" in again.stderr
    (attempt,) = rig.memory().attempts
    settles_at = attempt.ended_at + timedelta(hours=1)
    assert f"before {settles_at:%Y-%m-%d %H:%M};" in done.stderr
    assert f"before {settles_at:%Y-%m-%d %H:%M}\n" in again.stderr


def test_a_loss_after_much_output(rig: Rig) -> None:
    """Output that is under way when the line breaks changes nothing of the verdict."""
    rig.configure(command=f"yes busy | head -20000; {COMMAND}", ssh=QUICK)
    agent = rig.start("run", "--json", stderr=-3)
    rig.hold()
    rig.signal(rig.sessions(), "KILL")
    _assert_lost(rig, rig.wait(agent))
