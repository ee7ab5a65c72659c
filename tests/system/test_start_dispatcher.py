"""A server that cannot work says why: to the client that waits at its gate, and soon.

The gate is started as sshd would start it, on a host of its own. No Amanda is there.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.system.conftest import PYTHON

from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.server.enrol.enrolled import Enrolled, render_line
from asyncamanda.server.gate.stuck_dispatcher import UNWATCHED_SECONDS, VOUCH_SECONDS
from lab.patience import at_most

if TYPE_CHECKING:
    from tests.system.conftest import Rig

STATE = "/var/lib/asyncamanda/server"
TOML = "/etc/asyncamanda/server.toml"
COPY = "/srv/asyncamanda"
SOON = 20.0  # seconds, on a machine under load; it was 45 and more, and no reason


@dataclass
class Gates:
    """The server's gates, and the state that they find."""

    rig: Rig
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, python: str = PYTHON) -> subprocess.Popen[str]:
        """Start a gate as sshd would for the laptop."""
        words = ["gate", "--client", "laptop", "--amanda-config", "daily"]
        gate = self.rig.server.start(
            [python, "-m", "asyncamanda", *words],
            user="backup",
            environ={"SSH_ORIGINAL_COMMAND": "asyncamanda gate"},
        )
        self.started.append(gate)
        return gate

    def end(self, gate: subprocess.Popen[str]) -> tuple[int, Any, str]:
        """Return a gate's exit status, the last that it said, and what it printed to stderr."""
        stdout, stderr = gate.communicate(timeout=90)
        lines = stdout.splitlines()
        return gate.returncode, json.loads(lines[-1]) if lines else None, stderr

    def probe(self) -> tuple[Any, float]:
        """Return what a client is told that comes now, and after how long."""
        begun = time.monotonic()
        code, said, stderr = self.end(self.start())
        assert code == 75, stderr
        return said, time.monotonic() - begun

    def dispatchers(self) -> list[int]:
        """Return the server's dispatchers, by the host's own numbers."""
        found = self.rig.processes(self.rig.server)
        return [seen.pid for seen in found if {"dispatch", "server"} <= {*seen.argv}]

    @property
    def diary(self) -> str:
        """What the dispatchers have written down."""
        path = f"{STATE}/dispatcher.log"
        return self.rig.server.read(path) if self.rig.server.path(path).exists() else ""

    def configure(self, text: str) -> None:
        """Write server.toml."""
        self.rig.server.write(TOML, text)

    def clear_processes(self) -> None:
        """End what runs."""
        for gate in self.started:
            gate.kill()
            gate.communicate()
        for pid in self.dispatchers():
            self.rig.server.run(["kill", "-KILL", str(pid)], check=False)
        self.rig.until(lambda: not self.dispatchers(), "no dispatcher is left")
        self.started.clear()

    def clear(self) -> None:
        """End what runs, and forget all."""
        self.clear_processes()
        self.rig.server.run(["rm", "-rf", STATE, TOML])


@pytest.fixture
def gates(rig: Rig) -> Iterator[Gates]:
    """Yield a server with an empty state folder, and no configuration."""
    gates = Gates(rig)
    gates.clear()
    rig.server.make_directory(STATE, owner="backup", mode=0o700)
    keys = f"{rig.server.account('backup').home}/.ssh/authorized_keys"
    before = rig.server.read(keys)
    key = PublicKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIAAA", "")
    line = render_line(Enrolled("laptop", "daily", key))
    rig.server.write(keys, before + line, owner="backup", mode=0o600)
    yield gates
    rig.server.write(keys, before, owner="backup", mode=0o600)
    gates.clear()


SPOIL = """
import sqlite3
from datetime import timedelta
from asyncamanda.server.ledger.ledger import Ledger
Ledger.open("/var/lib/asyncamanda/server/ledger.sqlite", timedelta(seconds=5)).close()
ledger = sqlite3.connect("/var/lib/asyncamanda/server/ledger.sqlite")
ledger.execute("UPDATE ledger SET format = 99")
ledger.commit()
ledger.close()
"""


def spoil_ledger(gates: Gates) -> None:
    """Let another asyncamanda have made the ledger."""
    gates.rig.server.run([PYTHON, "-c", SPOIL], user="backup")


def spoil_toml(gates: Gates) -> None:
    """Make a mistake in server.toml."""
    gates.configure("max_runs = 0\n")


def misplace_ledger(gates: Gates) -> None:
    """Put the ledger where no folder is."""
    gates.configure('ledger = "/srv/nowhere/ledger.sqlite"\n')


TROUBLES = {
    "a ledger of another format": (spoil_ledger, "made by another asyncamanda (format 99)"),
    "a mistake in server.toml": (spoil_toml, "max_runs: "),
    "a missing folder": (misplace_ledger, "/srv/nowhere/ledger.sqlite cannot be used"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_server_that_cannot_work_says_why(gates: Gates, trouble: str) -> None:
    """Within seconds; the dispatcher has ended, and its log has it once for each try."""
    spoil, why = TROUBLES[trouble]
    spoil(gates)
    said, seconds = gates.probe()
    assert (said["type"], said["after"]) == ("later", 60)
    assert why in said["reason"]
    assert seconds < at_most(SOON)
    gates.rig.until(lambda: not gates.dispatchers(), "it has ended")
    assert gates.diary.count(why) == 1, gates.diary


def test_gates_that_wait_together_share_the_reason(gates: Gates) -> None:
    """One of them tries; the others do not begin again, one after the other."""
    spoil_ledger(gates)
    begun = time.monotonic()
    ends = [gates.end(gate) for gate in [gates.start() for _ in range(6)]]
    assert time.monotonic() - begun < at_most(SOON + 10)
    assert all("format 99" in said["reason"] for _, said, _ in ends)
    assert gates.diary.count("format 99") < 4, gates.diary


def test_a_reason_holds_no_longer_than_the_trouble(gates: Gates) -> None:
    """Who comes after it was fixed finds a dispatcher."""
    spoil_toml(gates)
    gates.probe()
    gates.configure("")
    gate = gates.start()
    gates.rig.until(lambda: "the dispatcher is ready" in gates.diary, "it serves")
    assert gate.poll() is None or gate.returncode != 75


def _serve(gates: Gates) -> int:
    """Return the dispatcher, by this machine's number, when a gate has handed it a client."""
    gates.configure('idle_exit = "1h"\n')
    gate = gates.start()
    gates.rig.until(lambda: "the dispatcher is ready" in gates.diary, "it serves")
    gates.rig.until(gates.dispatchers, "it is seen")
    assert gate.poll() is None
    return gates.dispatchers()[0]


def _is_replaced(gates: Gates, old: int) -> bool:
    return bool(gates.dispatchers()) and old not in gates.dispatchers()


def test_a_stopped_dispatcher_is_replaced_by_the_gates_that_wait(gates: Gates) -> None:
    """Sooner than a stream of Amanda's would be given up; the log has it."""
    old = _serve(gates)
    gates.rig.server.run(["kill", "-STOP", str(old)])
    gates.rig.until(lambda: _is_replaced(gates, old), "another one serves", 45)
    gates.rig.until(lambda: gates.diary.count("the dispatcher is ready") == 2, "it serves")
    assert f"the dispatcher (pid {old}, state T) did not answer: it is killed" in gates.diary


def test_a_dispatcher_that_hangs_is_replaced_before_streams_are_given_up(gates: Gates) -> None:
    """It hangs in a file that does not answer, and no signal has stopped it; the gate stays."""
    old, server = _serve(gates), gates.rig.server
    keys = f"{server.account('backup').home}/.ssh/authorized_keys"
    before = server.read(keys)
    # by a rename: a moment without the file would end the gate's session, who is not enrolled then
    server.run(["mkfifo", f"{keys}.new"])
    server.run(["mv", f"{keys}.new", keys])
    begun = time.monotonic()
    try:
        gates.rig.until(lambda: f"(pid {old}, state S) did not answer" in gates.diary, "killed", 60)
    except pytest.fail.Exception as error:
        raise AssertionError(f"{error}\n{gates.dispatchers()}\n{gates.diary}") from error
    server.write(f"{keys}.new", before, owner="backup", mode=0o600)
    server.run(["mv", f"{keys}.new", keys])
    gates.rig.until(lambda: gates.diary.count("the dispatcher is ready") == 2, "it serves", 60)
    assert time.monotonic() - begun < at_most(UNWATCHED_SECONDS - VOUCH_SECONDS)
    assert gates.started[0].poll() is None


def test_a_stopped_dispatcher_that_has_lost_its_socket_is_replaced(gates: Gates) -> None:
    """It keeps the lock, so that no other one could begin; a new gate process handles it."""
    old = _serve(gates)
    gates.rig.server.run(["kill", "-STOP", str(old)])
    for gate in gates.started:
        gate.kill()
    gates.rig.server.run(["rm", "-r", f"{STATE}/run"])
    gate = gates.start()
    gates.rig.until(lambda: _is_replaced(gates, old), "another one serves", 45)
    assert gate.poll() is None


def test_a_dispatcher_that_works_is_left_alone(gates: Gates) -> None:
    """Though its marks are not to be seen, as where the file system takes no times."""
    old = _serve(gates)
    gates.rig.server.run(["kill", "-STOP", str(old)])
    gates.rig.server.run(["touch", "-d", "1 hour ago", f"{STATE}/dispatcher.lock"])
    gates.rig.server.run(["kill", "-CONT", str(old)])
    assert gates.rig.server.run([PYTHON, "-c", END_STUCK], user="backup").stdout == "''\n"
    assert gates.dispatchers() == [old]


END_STUCK = """
from asyncamanda.server.gate import stuck_dispatcher
stuck_dispatcher.is_still = lambda: True
print(repr(stuck_dispatcher.end_stuck()))
"""


def test_a_dispatcher_whose_code_is_newer_on_the_disk_gives_way(gates: Gates) -> None:
    """As soon as nothing runs, though a client is connected, which then has the next one."""
    server = gates.rig.server
    server.run(["cp", "-a", "/opt/asyncamanda", COPY])
    gates.configure('idle_exit = "1h"\n')
    gate = gates.start(f"{COPY}/bin/python")
    gates.rig.until(lambda: "the dispatcher is ready" in gates.diary, "it serves")
    old = gates.dispatchers()
    server.run(["find", COPY, "-name", "coordinator.py", "-exec", "touch", "{}", "+"])
    gates.rig.until(lambda: "this dispatcher ends" in gates.diary, "it is seen", 60)
    gates.rig.until(lambda: gates.diary.count("is ready") == 2, "another one serves", 60)
    assert gates.dispatchers() != old
    assert gate.poll() is None
    server.run(["rm", "-r", COPY])


@pytest.mark.parametrize("left", [0, 1, 2])
def test_want_of_descriptors_is_told_and_passes(gates: Gates, left: int) -> None:
    """To who comes then, with 75; as soon as there are some again the next client is served."""
    pid = _serve(gates)
    gates.rig.until(lambda: _count_sessions(gates) == 1, "its client is let in for good")
    folder = gates.rig.server.path(f"/proc/{pid}/fd")
    used = {int(path.name) for path in folder.iterdir()}
    bounds = range(max(used) + 2 + left)
    _limit(gates, pid, max(n for n in bounds if n - sum(fd < n for fd in used) == left))
    code, said, stderr = gates.end(gates.start())
    assert (code, said) == (75, None)
    assert "asyncamanda gate: the server cannot open more file descriptors now" in stderr
    _limit(gates, pid, 1024)
    gate = gates.start()
    gates.rig.until(lambda: len(list(folder.iterdir())) >= len(used) + 3, "it is let in")
    assert gate.poll() is None


COUNT_SESSIONS = """
import sqlite3, sys
ledger = sqlite3.connect(sys.argv[1])
print(*ledger.execute("SELECT count(*) FROM sessions").fetchone())
ledger.close()
"""


def _count_sessions(gates: Gates) -> int:
    """Return how many lines the ledger knows of: then all that these need is open."""
    argv = [PYTHON, "-c", COUNT_SESSIONS, f"{STATE}/ledger.sqlite"]
    return int(gates.rig.server.run(argv, user="backup").stdout)


def _limit(gates: Gates, pid: int, descriptors: int) -> None:
    argv = ["prlimit", f"--pid={pid}", f"--nofile={descriptors}:"]
    gates.rig.server.run(argv, user="backup")
