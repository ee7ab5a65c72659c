"""A password reaches ssh by SSH_ASKPASS, and nobody else by any way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.system.conftest import Rig

SECRET = "s3kr1t-of-carol"
HARD = [
    " two words  and \"double\" 'single' `back` \\slash $HOME $(id) %s %% !1 # ",
    "naïve päßwörd € \N{SNOWMAN} at@sign:colon@amanda:22",
    "-oProxyCommand=" + "x" * 200,
]


@pytest.mark.parametrize("password", HARD)
def test_any_password_lets_in(rig: Rig, password: str) -> None:
    """In the command line as in a file: whatever it holds, the real sshd takes it."""
    rig.set_password(password)
    done = rig.wait(rig.classic("dump /home", f"carol:{password}@amanda"))
    assert done.exit == 0, done.stderr
    assert password not in done.stdout + done.stderr
    assert rig.files_with(password.encode()) == []


@pytest.mark.parametrize("password", HARD[:2])
def test_a_password_file(rig: Rig, password: str) -> None:
    """Its first line is the password; nobody needs a warning then."""
    rig.set_password(password)
    rig.laptop.write("/srv/password", f"{password}\nnot this\n", owner="backup", mode=0o600)
    rig.configure(server="carol@amanda", password_file="/srv/password")
    done = rig.run("run")
    assert done.exit == 0, done.stderr
    assert "warning" not in done.stderr


@pytest.mark.parametrize("mode", [0o644, 0o620])
def test_a_password_file_that_is_open_to_others(rig: Rig, mode: int) -> None:
    """It is refused before anything is connected to, with the command that fixes it."""
    rig.laptop.write("/srv/password", f"{SECRET}\n", owner="backup", mode=mode)
    rig.configure(server="carol@amanda", password_file="/srv/password")
    before = rig.server.connections
    done = rig.run("run")
    assert done.exit == 77
    assert "password_file /srv/password can be read by others" in done.stderr
    assert "chown backup /srv/password; chmod 600 /srv/password" in done.stderr
    assert SECRET not in done.stderr
    assert rig.server.connections == before


def test_a_password_file_that_is_missing(rig: Rig) -> None:
    """A mistake in the configuration, not a refusal of the server's."""
    rig.configure(server="carol@amanda", password_file="/srv/no-such")
    done = rig.run("run", "--json")
    assert (done.exit, done.json["error"]) == (78, "password-file")


def test_a_wrong_password(rig: Rig) -> None:
    """Asked once, refused at once: neither a second try nor a wait."""
    rig.set_password(SECRET)
    with rig.sshd() as log:
        done = rig.wait(rig.classic("mark", "carol:wrong@amanda:2222"))
        assert rig.server.read(log).count("Failed password for carol") == 1
    assert (done.exit, rig.marks()) == (77, 0)
    assert "amanda refused the login as carol" in done.stderr
    assert done.seconds < 5
    assert rig.ssh_processes() == []


def test_a_password_in_the_command_line_is_warned_about(rig: Rig) -> None:
    """Others can read it there; the warning says so without repeating it."""
    rig.set_password(SECRET)
    done = rig.wait(rig.classic("dump /home", f"carol:{SECRET}@amanda"))
    assert done.exit == 0
    assert "warning: every user of this machine can read the password" in done.stderr
    assert "connected to carol@amanda;" in done.stderr
    assert SECRET not in done.stdout + done.stderr


class Look:
    """What the laptop's processes show while an agent runs that was given SECRET."""

    def __init__(self, rig: Rig) -> None:
        self.found: set[str] = set()
        self.seen: set[str] = set()
        self._rig = rig
        self._is_over = threading.Event()

    def watch(self) -> None:
        """Look again and again, until it is over."""
        secret = SECRET.encode()
        while not self._is_over.is_set():
            for one in self._rig.processes(self._rig.laptop):
                line = " ".join(one.argv)
                self.seen.add("askpass" if "askpass.socket" in line else one.argv[0])
                if SECRET in line and "-m asyncamanda -i" not in line:
                    self.found.add(line)
                if secret in one.environ:
                    self.found.add(f"environment of {line}")

    def follow_run(self) -> None:
        """Run an agent from start to end, while another thread looks; fail if files have it."""
        self._is_over.clear()
        watcher = threading.Thread(target=self.watch)
        agent = self._rig.classic("hold; dump /home", f"carol:{SECRET}@amanda")
        watcher.start()
        try:
            self._rig.hold()
            held_in = self._rig.files_with(SECRET.encode())
            asking = [s for s in self._rig.ssh_processes() if b"SSH_ASKPASS" in s.environ]
            self._rig.let_go()
            done = self._rig.wait(agent)
        finally:
            self._is_over.set()
            watcher.join()
        assert done.exit == 0
        assert asking
        assert (held_in, self._rig.files_with(SECRET.encode())) == ([], [])


def test_nobody_can_read_the_password_meanwhile(rig: Rig) -> None:
    """From start to end: in no process but the agent's own, no environment and no file."""
    rig.set_password(SECRET)
    rig.server.delay(0.02)  # so that what is short-lived is seen, too
    look = Look(rig)
    for _ in range(20):
        look.follow_run()
        if {"askpass", "ssh"} <= look.seen:  # the look was close enough to mean something
            break
    assert {"askpass", "ssh"} <= look.seen
    assert look.found == set()


def test_what_serves_the_password_is_gone_with_the_connection(rig: Rig) -> None:
    """The folder with the script and the socket is nobody else's, and does not outlive the run."""
    rig.set_password(SECRET)
    agent = rig.classic("hold; dump /home", f"carol:{SECRET}@amanda")
    rig.hold()
    folder = rig.state_folder() / "ssh"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert any(path.is_socket() for path in folder.iterdir())
    rig.let_go()
    assert rig.wait(agent).exit == 0
    assert not folder.exists()


def test_what_a_killed_start_left_behind_is_cleared_by_the_next(rig: Rig) -> None:
    """A folder with its sockets stays after a kill; the next connection is made in a new one."""
    rig.configure(command="hold; dump /home", settle="1s")
    agent = rig.start("run")
    rig.hold()
    agent.kill()
    agent.wait(5)
    rig.let_go()
    folder = rig.state_folder() / "ssh"
    assert folder.exists()
    rig.until(lambda: rig.run("run").exit == 0, "a new backup after `settle`", 10)
    assert not folder.exists()
    assert {path.name for path in folder.parent.iterdir()} <= {"memory.json", "lock", "use.json"}


# -- what is asked for and is not the password


def test_a_keys_passphrase_is_not_answered_with_the_password(rig: Rig) -> None:
    """Even where it would fit: the key stays locked, and the password is asked for."""
    rig.set_password("something else")
    key = "/srv/password-key"
    rig.laptop.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", SECRET, "-f", key])
    public = rig.laptop.read(f"{key}.pub")
    rig.server.write(f"{rig.stage}/.ssh/authorized_keys", public, owner="carol", mode=0o600)
    rig.server.run(["chmod", "755", rig.stage])  # sshd trusts no key below an open folder
    try:
        done = rig.wait(rig.classic("mark", f"carol:{SECRET}@amanda", "-k", key))
        assert (done.exit, rig.marks()) == (77, 0)
        rig.laptop.run(["ssh-keygen", "-q", "-p", "-P", SECRET, "-N", "", "-f", key])
        unlocked = rig.wait(rig.classic("true", f"carol:{SECRET}@amanda", "-k", key))
        assert unlocked.exit == 100  # the key itself was good
    finally:
        rig.server.run(["chmod", "1777", rig.stage])


def test_a_host_keys_question_is_not_answered(rig: Rig) -> None:
    """Unknown stays unknown, and the password is not sent there."""
    rig.set_password(SECRET)
    rig.know("elsewhere ssh-ed25519 AAAA", alone=True)
    rig.ssh_config("StrictHostKeyChecking ask\n")
    done = rig.wait(rig.classic("mark", f"carol:{SECRET}@amanda"))
    assert (done.exit, rig.marks()) == (77, 0)
    assert "the host key of amanda is not known here" in done.stderr
    assert "amanda " not in rig.laptop.read("/root/.ssh/known_hosts")


def test_a_jump_host_does_not_get_the_servers_password(rig: Rig) -> None:
    """A host on the way that asks for a password gets none: it was meant for the other one."""
    rig.set_password(SECRET)
    rig.ssh_config("Host vault\n  HostName amanda\n  Port 22\n  ProxyJump carol@10.77.0.1:2222\n")
    rig.know(rig.host_key("[10.77.0.1]:2222"))
    with rig.sshd() as log:
        done = rig.wait(rig.classic("mark", f"carol:{SECRET}@vault"))
        said = rig.server.read(log)
    assert "Accepted password" not in said
    assert (done.exit, rig.marks()) == (77, 0)


def test_a_jump_host_with_a_key_and_a_server_with_a_password(rig: Rig) -> None:
    """The way by key, the end by password: the password reaches whom it is meant for."""
    rig.set_password(SECRET)
    rig.ssh_config("Host vault\n  HostName amanda\n  ProxyJump backup@amanda:2222\n")
    with rig.sshd() as log:
        done = rig.wait(rig.classic("dump /home", f"carol:{SECRET}@vault"))
        assert "Accepted publickey for backup" in rig.server.read(log)
    assert done.exit == 0, done.stderr
