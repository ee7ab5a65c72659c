"""Every cut, kill and crash in the middle of a run: nothing counts that the server may not have."""

import json
import signal
import subprocess
import time
from typing import Any

from tests.amandates import parse_amandates
from tests.e2e.laptop import ASYNCAMANDA, ask, ask_json, furnish, outcomes, wait_settled, wait_until

from lab import Client, Lab
from lab.patience import at_most

CONF = "/etc/amanda/daily/amanda.conf"
SLOW = 400_000  # bits a second: amandates is written long before the server has the dump
BIG = {"files": 5, "bytes_each": 200_000}  # 2 MB in all: it fits into ssh's and TCP's buffers


def _start_slow_run(lab: Lab, **settings: object) -> subprocess.Popen[str]:
    """Start a run whose dump takes most of a minute; return when amdump is at it."""
    furnish(lab, files=BIG["files"], bytes_each=BIG["bytes_each"], **settings)
    lab.client.slow(SLOW)
    agent = lab.client.start([ASYNCAMANDA, "run"])
    wait_until("the dump begins", lab.server.is_amdump_running)
    return agent


def _await_end_of_amdump(lab: Lab) -> None:
    with lab.server.hung_amdump_freed():
        wait_until("amdump ends", lambda: not lab.server.is_amdump_running(), 120)


def _memory(client: Client) -> dict[str, Any]:
    memory: dict[str, Any] = json.loads(client.read("/var/lib/asyncamanda/client/memory.json"))
    return memory


def test_link_cut_in_the_middle_of_a_run_is_not_counted(lab: Lab) -> None:
    """amandates says that the dump was made; the server has none; the agent backs up again."""
    agent = _start_slow_run(lab, settle="1s")
    lab.client.wait_for_amandates("")
    lab.client.cut()
    _, stderr = agent.communicate(timeout=90)
    assert agent.returncode == 75, stderr
    assert "broke while the command ran" in stderr
    assert "does not count as a backup" in stderr
    _await_end_of_amdump(lab)
    claimed = [record.disk for record in parse_amandates(lab.client.amandates)[0]]
    assert claimed, "amandates did not lie, so this proves nothing"
    assert [lab.server.stored("laptop", disk) for disk in claimed] == [[] for _ in claimed]

    lab.client.heal()
    verdict = ask_json(lab.client, "check")
    assert verdict["due"]
    assert outcomes(lab.client) == ["lost"]
    wait_settled(lab.client)
    again = ask(lab.client, "run")
    assert again.returncode == 0, again.stderr
    for disk in ("/srv/docs", "/srv/d 3"):
        assert lab.server.restore("laptop", disk) == lab.client.tree(disk)


def test_start_after_a_lost_connection_waits_until_the_run_has_settled(lab: Lab) -> None:
    """The first amdump may still run at the server: no second one, forced or not."""
    agent = _start_slow_run(lab)
    lab.client.cut()
    agent.communicate(timeout=90)
    lab.client.heal()
    for arguments in (["run"], ["run", "--force"]):
        second = ask(lab.client, *arguments)
        assert second.returncode == 75
        assert "may still be running on the server" in second.stderr
    assert lab.server.amdump_count == 1


def test_term_and_int_end_the_agent_within_two_seconds(lab: Lab) -> None:
    """It says that the run continues on the server; and so it does, to its end."""
    agent = _start_slow_run(lab)
    for number in (signal.SIGTERM, signal.SIGINT):
        begun = time.monotonic()
        agent.send_signal(number)
        _, stderr = agent.communicate(timeout=10)
        assert time.monotonic() - begun < at_most(2)
        assert agent.returncode == 75
        assert f"stopped by {number.name}" in stderr
        assert "may still be running on amanda" in stderr
        if number == signal.SIGTERM:
            assert lab.server.is_amdump_running()
            assert ["ssh"] not in [words[:1] for words in lab.client.processes()]
            lab.client.heal()
            _await_end_of_amdump(lab)
            lab.client.run(["rm", "-r", "/var/lib/asyncamanda/client"])
            lab.client.write("/var/lib/amanda/amandates", "", owner="backup")
            agent = lab.client.start([ASYNCAMANDA, "run"])
            wait_until("the second run", lambda: lab.server.amdump_count == 2)


def test_killed_agent_leaves_no_ssh_and_no_false_backup(lab: Lab) -> None:
    """SIGKILL: the lock and the connection go with the agent, and the run's end was not seen."""
    agent = _start_slow_run(lab, settle="1s")
    lab.client.wait_for_amandates("")
    agent.kill()
    agent.communicate()
    wait_until(
        "ssh ends", lambda: "ssh" not in [words[0] for words in lab.client.processes() if words]
    )
    assert ask_json(lab.client, "check")["due"], "a dump whose end nobody saw counts"
    assert outcomes(lab.client) == ["unseen"]
    lab.client.heal()
    _await_end_of_amdump(lab)
    wait_settled(lab.client)
    assert ask(lab.client, "run").returncode == 0
    assert outcomes(lab.client) == ["unseen", "backed up"]


def test_power_cut_on_the_client_loses_no_memory(lab: Lab) -> None:
    """After the client's power is cut in mid-run it knows that it began, and begins again."""
    agent = _start_slow_run(lab, settle="1s")
    lab.client.power_cut()
    agent.communicate()
    assert _memory(lab.client)["started"]
    lab.client.boot()
    lab.client.heal()
    _await_end_of_amdump(lab)
    wait_settled(lab.client)
    run = ask(lab.client, "run")
    assert run.returncode == 0, run.stderr
    assert outcomes(lab.client) == ["unseen", "backed up"]


def test_server_that_dies_in_mid_run_does_not_count(lab: Lab) -> None:
    """The server's power is cut: lost, within a minute; when it is back, a new run is made."""
    agent = _start_slow_run(lab, settle="1s")
    lab.server.power_cut()
    _, stderr = agent.communicate(timeout=60)
    assert agent.returncode == 75
    assert "broke while the command ran" in stderr
    lab.server.boot()
    lab.client.heal()
    lab.server.amanda("amcleanup", "daily", check=False)
    wait_settled(lab.client)
    run = ask(lab.client, "run")
    assert run.returncode == 0, run.stderr


def test_amdump_killed_at_the_server_keeps_the_next_one_waiting(lab: Lab) -> None:
    """amdump dies of TERM alone: its driver goes on, so no second amdump starts beside it."""
    agent = _start_slow_run(lab)
    lab.client.wait_for_amandates("")
    lab.server.run(["pkill", "-TERM", "-f", "/usr/sbin/amdump"])
    _, stderr = agent.communicate(timeout=30)
    assert agent.returncode == 100, stderr
    assert "the run was cut off on the server" in stderr
    assert lab.server.is_amdump_running(), "nothing goes on, so this proves nothing"
    assert outcomes(lab.client) == ["killed"]
    second = ask(lab.client, "run")
    assert second.returncode == 75
    assert "may still be running on the server" in second.stderr
    assert lab.server.amdump_count == 1


def test_a_dump_that_the_server_lost_looks_like_another_clients_failure(lab: Lab) -> None:
    """amdump's connection to the client breaks, the agent's stands, and each disk has moved.

    The status may be that of a run in which another client was away, and amandates says that
    all is well: so what is doubtful is no backup.
    """
    conf = lab.server.read(CONF)
    lab.server.write(CONF, conf.replace("retry-dump 5", "retry-dump 1"), owner="backup")
    furnish(lab, files=BIG["files"], bytes_each=BIG["bytes_each"], command="/usr/sbin/amdump daily")
    lab.client.slow(SLOW)
    agent = lab.client.start([ASYNCAMANDA, "run"])
    lab.client.wait_for_amandates("")
    lab.client.run(["kill", "-KILL", *map(str, lab.client.sshd_processes("backup"))])
    lab.client.heal()
    with lab.server.hung_amdump_freed():
        _, stderr = agent.communicate(timeout=120)
    assert agent.returncode == 75, stderr
    assert "does not show whose it was" in " ".join(stderr.split())
    claimed = [record.disk for record in parse_amandates(lab.client.amandates)[0]]
    lost = [disk for disk in claimed if not lab.server.stored("laptop", disk)]
    assert lost, "the server has all, so this proves nothing"
    assert outcomes(lab.client) == ["doubtful"]
    assert ask_json(lab.client, "check")["due"]
