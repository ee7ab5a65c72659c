"""A server with a fake amdump, and a stage in it on which its dispatcher is killed at each step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.system import fake_amanda
from tests.system.fake_amanda import Behaviour

from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.server.enrol.enrolled import Enrolled, render_line

if TYPE_CHECKING:
    from lab import Host, Lab

PYTHON = "/opt/asyncamanda/bin/python"
PLACE = "/srv/crash"
PARTS = ("crashing.py", "stage.py")
WATCH = """
[watch]
silence = "1s"
dump_silence = "1s"
step = "1s"
"""
HELD = "20260101000000/tower._home.0"  # in the holding disk, before all
TAKEN_AWAY = "the ledger is taken away"  # stands between the steps
BEGIN = f"import sys; sys.path.insert(0, {PLACE!r}); from tests.system.stage import main; main()"
STATE = "/var/lib/asyncamanda/server"
CONFIG = """\
batch_window = "0.01s"
idle_exit = "0.3s"
[limits]
requests_per_hour = 100000
[flush]
policy = "off"
[drill]
scheduled = false
"""
KEYS = {"laptop": "AAAAC3NzaC1lZDI1NTE5AAAAIAAA", "tower": "AAAAC3NzaC1lZDI1NTE5AAAAIAAB"}


class Stage:
    """A host on which windows are played, one after the other (stage.py)."""

    def __init__(self, lab: Lab) -> None:
        self.server: Host = lab.server
        self._steps: dict[str, list[str]] = {}
        fake_amanda.install(self.server)
        keys = f"{self.server.account('backup').home}/.ssh/authorized_keys"
        for client, key in KEYS.items():
            lab.server.add_dle(client, "/home")
            line = render_line(Enrolled(client, "daily", PublicKey("ssh-ed25519", key, "")))
            self.server.append(keys, line, owner="backup", mode=0o600)
        self.server.make_directory(STATE, owner="backup", mode=0o700)
        self.server.make_directory(PLACE, owner="backup")
        for part in PARTS:
            text = Path(__file__).with_name(part).read_text("utf-8")
            self.server.write(f"{PLACE}/tests/system/{part}", text)
        self._player = self.server.start([PYTHON, "-c", BEGIN], user="backup", stderr=None)

    def play(self, scene: str, fatal: str, behaviour: Behaviour, more: str = "") -> dict[str, Any]:
        """Play a scene with a dispatcher that is killed before a step; return what is then.

        `more` is what server.toml says besides.
        """
        self.server.write("/etc/asyncamanda/server.toml", CONFIG + more)
        fake_amanda.behave(self.server, behaviour)
        assert self._player.stdin
        assert self._player.stdout
        self._player.stdin.write(json.dumps({"scene": scene, "fatal": fatal}) + "\n")
        self._player.stdin.flush()
        facts: dict[str, Any] = json.loads(self._player.stdout.readline())
        return facts

    def find_steps(self, scene: str, behaviour: Behaviour) -> list[str]:
        """Return the steps of a scene, by a time through it in which nobody is killed."""
        key = f"{scene} {behaviour}"
        if key not in self._steps:
            facts = self.play(scene, "", behaviour)
            assert "error" not in facts, facts["error"]
            self._steps[key] = facts["steps"]
        return self._steps[key]

    def close(self) -> None:
        """End what plays."""
        self._player.kill()
        self._player.communicate()
