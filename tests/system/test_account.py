"""Whose process asyncamanda is: root's in the classic form, else the Amanda user's."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from asyncamanda.core.model import Outcome

if TYPE_CHECKING:
    from tests.system.conftest import Rig

# a Ctrl-C in the middle of a fork, where Python runs hooks: logging has one, this is another
CTRL_C_IN_A_FORK = """\
import os, pwd, signal
from asyncamanda.system.account import ask_as
os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGINT))
try:
    print(ask_as(pwd.getpwuid(os.getuid()).pw_name, lambda: "went on"))
except KeyboardInterrupt:
    print("stopped")
signal.pthread_sigmask(signal.SIG_BLOCK, []) and print("and deaf")
"""
SIGNALS_AS_ANOTHER = """\
import os, pwd, signal
from asyncamanda.system.account import ask_as
name = pwd.getpwuid(os.getuid()).pw_name
print(ask_as(name, lambda: str(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))))
"""


def printed(script: str) -> str:
    """Return what a Python of its own prints."""
    argv = [sys.executable, "-c", script]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def test_a_ctrl_c_while_it_forks_is_not_lost() -> None:
    """Python prints an exception of such a hook's, and goes on as if nobody had pressed it."""
    assert printed(CTRL_C_IN_A_FORK) == "stopped\n"


def test_who_is_asked_as_another_user_hears_a_ctrl_c() -> None:
    """The signals that are held while it forks are not held afterwards, on neither side."""
    assert printed(SIGNALS_AS_ANOTHER) == "0\n"


def test_with_a_configuration_file_root_becomes_the_amanda_user(rig: Rig) -> None:
    """Before it does anything: its ssh and all that it writes are backup's."""
    rig.configure(command="hold; dump /home")
    backup = rig.laptop.account("backup")
    agent = rig.start("run")
    rig.hold()
    mine = [s for s in rig.processes(rig.laptop) if "asyncamanda" in s.argv or "ssh" in s.argv[0]]
    agents = [s for s in mine if "asyncamanda" in s.argv]
    sshs = [s for s in mine if s.argv[0] == "ssh"]
    groups = rig.laptop.read(f"/proc/{agents[0].pid}/status")
    rig.let_go()
    done = rig.wait(agent)
    assert done.exit == 0
    assert [s.uid for s in (*agents, *sshs)] == [backup.uid] * 3
    assert all(b"\0HOME=/var/backups\0" in b"\0" + s.environ for s in sshs)
    (uids,) = (line.split()[1:] for line in groups.splitlines() if line.startswith("Uid:"))
    assert uids == [str(backup.uid)] * 4
    (supplementary,) = (
        line.split()[1:] for line in groups.splitlines() if line.startswith("Groups:")
    )
    assert "0" not in supplementary
    assert "6" in supplementary  # disk, which Debian's backup is in
    folder = rig.state_folder()
    owners = {path.name: path.stat().st_uid for path in (folder, *folder.iterdir())}
    assert set(owners.values()) == {backup.uid}
    assert {"memory.json", "lock"} <= set(owners)


def test_another_amanda_user(rig: Rig) -> None:
    """`user` names whom it becomes; one that does not exist is a configuration error."""
    rig.configure(user="nobody-of-that-name")
    done = rig.run("run", "--json")
    assert (done.exit, done.json["error"]) == (78, "no-such-user")


def test_the_classic_form_stays_root(rig: Rig) -> None:
    """Old crontabs of root's have root's keys."""
    agent = rig.classic("hold; dump /home")
    rig.hold()
    uids = {s.uid for s in rig.processes(rig.laptop) if s.argv[0] == "ssh"}
    rig.let_go()
    assert rig.wait(agent).exit == 0
    assert uids == {0}
    assert rig.state_folder().parent == rig.laptop.path(f"{rig.state}/classic")


def test_a_user_of_its_own_needs_no_root(rig: Rig) -> None:
    """backup's own crontab: where root made no folder, it keeps its memory in its own."""
    state = {"XDG_STATE_HOME": "/srv/state"}
    rig.laptop.make_directory("/srv/state", owner="backup")
    done = rig.wait(rig.classic("dump /home", user="backup", environ=state))
    assert done.exit == 0
    (memory,) = rig.laptop.path("/srv/state").rglob("memory.json")
    assert memory.stat().st_uid == rig.laptop.account("backup").uid
    assert not rig.laptop.path(rig.state).exists()
    rig.set_dumped(ago=2 * 86400)
    path = rig.configure("/srv/mine.toml", server="backup@amanda:2222")
    mine = rig.run("run", "-v", "--config", path, user="backup", environ=state)
    assert mine.exit == 75
    assert "refused the connection" in mine.stderr


def test_what_root_and_the_amanda_user_remember_is_one(rig: Rig) -> None:
    """`status` by root reports the run that a timer of root's made as backup."""
    rig.configure()
    assert rig.run("run").exit == 0
    assert rig.memory().attempts[-1].outcome is Outcome.BACKED_UP
    for user in ("root", "backup"):
        done = rig.run("status", "--json", user=user)
        assert done.exit == 0, done.stderr
        assert done.json["last_attempt"]["outcome"] == "backed up"
