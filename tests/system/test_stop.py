"""Being told to stop, being killed, and two at once."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from asyncamanda.core.model import Outcome
from lab.patience import at_most

if TYPE_CHECKING:
    from tests.system.conftest import Rig

COMMAND = "mark; dump /home; hold"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_the_command_runs(rig: Rig, number: signal.Signals) -> None:
    """The agent ends within two seconds, and says what goes on at the server."""
    agent = rig.classic(COMMAND)
    rig.hold()
    agent.send_signal(number)
    told_at = time.monotonic()
    done = rig.wait(agent)
    assert time.monotonic() - told_at < at_most(2)
    assert done.exit == 75
    assert f"stopped by {number.name}; it may still be running on amanda" in done.stderr
    assert rig.is_held()
    assert rig.ssh_processes() == []
    assert rig.memory().attempts[-1].outcome is Outcome.INTERRUPTED
    again = rig.wait(rig.classic(COMMAND))
    assert (again.exit, rig.marks()) == (75, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_connecting(rig: Rig, number: signal.Signals) -> None:
    """Nothing was started, and that is said; the next start need not wait for anything."""
    agent = rig.classic("mark; dump /home", "backup@10.77.0.254")
    rig.until(lambda: any(s.argv[0] == "ssh" for s in rig.ssh_processes()), "ssh tries")
    agent.send_signal(number)
    told_at = time.monotonic()
    done = rig.wait(agent)
    assert time.monotonic() - told_at < at_most(2)
    assert done.exit == 75
    assert "stopped before the command was started" in done.stderr
    assert "nothing runs on the server" in done.stderr
    assert rig.memory().attempts[-1].outcome is Outcome.STOPPED
    assert rig.memory().started is None


def test_a_kill_leaves_no_ssh_behind_and_is_noticed_by_the_next_start(rig: Rig) -> None:
    """SIGKILL cannot be caught: the kernel ends ssh, and the next start finds what was begun."""
    agent = rig.classic(COMMAND)
    rig.hold()
    assert len([s for s in rig.ssh_processes() if s.argv[0] == "ssh"]) == 2
    agent.kill()
    rig.until(lambda: not rig.ssh_processes(), "ssh dies with the agent")
    assert agent.wait(5) == -signal.SIGKILL
    again = rig.wait(rig.classic(COMMAND))
    assert (again.exit, rig.marks()) == (75, 1)
    assert "may still be running on the server" in again.stderr
    assert "died while the command ran" in again.stderr
    assert "running already" not in again.stderr


def test_a_kill_leaves_no_ssh_to_a_jump_host_behind(rig: Rig) -> None:
    """The ssh that ssh itself starts for ProxyJump ends as well."""
    rig.ssh_config("Host vault\n  HostName amanda\n  ProxyJump backup@10.77.0.1\n")
    rig.know(rig.host_key("10.77.0.1"))
    agent = rig.classic(COMMAND, "backup@vault")
    rig.hold()
    assert len([s for s in rig.ssh_processes() if s.argv[0] == "ssh"]) == 3
    agent.kill()
    rig.until(lambda: not rig.ssh_processes(), "ssh dies with the agent")
    assert agent.wait(5) == -signal.SIGKILL


def test_a_signal_while_amandates_is_locked(rig: Rig) -> None:
    """Waiting for a writer at the end of a run is no reason to be deaf."""
    agent = rig.classic("hold")
    rig.hold()
    lock = "import fcntl; f = open('/var/lib/amanda/amandates', 'r+'); fcntl.lockf(f, 2); "
    writer = rig.laptop.start(["/usr/bin/python3", "-S", "-c", lock + "print(flush=True); input()"])
    try:
        assert writer.stdout
        assert writer.stdout.readline() == "\n"
        rig.let_go()
        rig.until(
            lambda: len([s for s in rig.ssh_processes() if s.argv[0] == "ssh"]) < 2, "the run ends"
        )
        agent.send_signal(signal.SIGTERM)
        told_at = time.monotonic()
        done = rig.wait(agent)
        took = time.monotonic() - told_at
    finally:
        writer.kill()
        writer.communicate()
    assert done.exit == 75
    assert took < at_most(2)


def test_a_killed_run_settles_and_is_made_again(rig: Rig) -> None:
    """The run whose end nobody saw is remembered as that, and does not count."""
    rig.configure(command=COMMAND, settle="2s")
    agent = rig.start("run")
    rig.hold()
    agent.kill()
    agent.wait(5)
    rig.let_go()
    rig.until(lambda: rig.run("run").exit == 0, "a new backup after `settle`", 10)
    outcomes = [attempt.outcome for attempt in rig.memory().attempts]
    assert (outcomes, rig.marks()) == ([Outcome.UNSEEN, Outcome.BACKED_UP], 2)


def test_a_kill_while_connecting_blocks_nobody(rig: Rig) -> None:
    """No command was begun, so nothing has to settle."""
    rig.set_dumped(ago=2 * 86400)
    agent = rig.classic("dump /home", "backup@10.77.0.254")
    rig.until(lambda: any(s.argv[0] == "ssh" for s in rig.ssh_processes()), "ssh tries")
    agent.kill()
    agent.wait(5)
    rig.until(lambda: not rig.ssh_processes(), "ssh dies with the agent")
    again = rig.classic("dump /home", "backup@10.77.0.254")
    rig.until(lambda: any(s.argv[0] == "ssh" for s in rig.ssh_processes()), "ssh tries again")
    again.send_signal(signal.SIGTERM)
    assert rig.wait(again).exit == 75


def test_two_starts_at_once(rig: Rig) -> None:
    """The second names who runs and since when, at once; the first goes on untouched."""
    rig.configure(command="mark; hold; dump /home")
    first = rig.start("run")
    rig.hold()
    (inner,) = (
        s.pid for s in rig.processes(rig.laptop) if s.argv[1:] == ("-m", "asyncamanda", "run")
    )
    assert (rig.run("run").exit, rig.run("run").stderr) == (75, "")  # cron has no mail to send
    second = rig.run("run", "-v")
    assert second.exit == 75
    assert second.seconds < at_most(3)
    assert f"a backup is running already: pid {inner} since 20" in second.stderr
    assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d \(\d+s ago\)\n", second.stderr)
    status = rig.run("status", "--json")
    assert status.json["running"]["pid"] == inner
    assert status.json["settles_at"] is None
    rig.let_go()
    assert rig.wait(first).exit == 0
    assert rig.marks() == 1
    assert rig.run("status", "--json").json["running"] is None


def test_a_disk_dumped_by_a_run_that_still_goes_on_does_not_count_yet(rig: Rig) -> None:
    """The run may yet fail: a start meanwhile must not be content, nor leave a note that it was."""
    rig.configure(command=COMMAND)
    first = rig.start("run")
    rig.hold()
    written = (rig.state_folder() / "memory.json").stat().st_mtime
    rig.until(lambda: time.time() > written + 2.1, "what was written is no longer fresh")
    meanwhile = rig.run("run").exit
    first.kill()
    first.wait(5)
    afterwards = rig.run("run").exit
    assert (meanwhile, afterwards) == (75, 75)


def test_many_starts_at_once_make_one_backup(rig: Rig) -> None:
    """However many timers fire, one backs up."""
    rig.configure(command="mark; hold; dump /home")
    agents = [rig.start("run") for _ in range(4)]
    rig.hold()
    late = [agent for agent in agents if agent.poll() is None]
    rig.until(lambda: sum(agent.poll() is None for agent in late) == 1, "three give up")
    rig.let_go()
    ends = sorted(rig.wait(agent).exit for agent in agents)
    assert (ends, rig.marks()) == ([0, 75, 75, 75], 1)
