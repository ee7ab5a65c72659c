"""What stands in the user's own ssh_config is honoured, and cannot break a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.system.conftest import Rig


def test_an_alias_with_host_name_port_and_user(rig: Rig) -> None:
    """A Host of the user's own making is a destination like any other."""
    rig.ssh_config("Host vault\n  HostName amanda\n  Port 2222\n  User backup\n")
    with rig.sshd() as log:
        done = rig.wait(rig.classic("dump /home", "vault"))
        assert "Accepted publickey for backup" in rig.server.read(log)
    assert done.exit == 0
    assert "connected to vault; running" in done.stderr


def test_an_alias_of_the_amanda_user(rig: Rig) -> None:
    """With a configuration file it is the Amanda user's ssh_config that counts."""
    rig.ssh_config("Host vault\n  HostName amanda\n  User backup\n", "backup")
    rig.ssh_config("Host vault\n  HostName 10.77.0.254\n")
    rig.configure(server="vault")
    assert rig.run("run").exit == 0


def test_a_jump_host(rig: Rig) -> None:
    """The way leads over another host, as ProxyJump says."""
    rig.ssh_config("Host vault\n  HostName amanda\n  ProxyJump backup@amanda:2222\n")
    with rig.sshd() as log:
        done = rig.wait(rig.classic("dump /home", "backup@vault"))
        assert "Accepted publickey for backup" in rig.server.read(log)
    assert (done.exit, done.stderr.count("warning")) == (0, 0)


def test_a_jump_host_that_refuses(rig: Rig) -> None:
    """A refusal on the way is a refusal."""
    rig.ssh_config("Host vault\n  HostName amanda\n  ProxyJump carol@amanda\n")
    done = rig.wait(rig.classic("mark", "backup@vault"))
    assert (done.exit, rig.marks()) == (77, 0)
    assert "carol@amanda: Permission denied" in done.stderr


HOSTILE = {
    "a persistent master": "ControlPersist yes\n  ControlMaster auto\n  ControlPath ~/.ssh/m-%C",
    "a command of its own": "RemoteCommand echo hijacked",
    "forwarded ports that are taken": "LocalForward 127.0.0.1:10080 localhost:22\n"
    "  DynamicForward 127.0.0.1:10080\n  ExitOnForwardFailure yes",
    "forwarding back": "RemoteForward 22 localhost:22\n  ExitOnForwardFailure yes",
    "chatter": "LogLevel DEBUG1\n  LogVerbose kex.c:*\n  VisualHostKey yes",
    "silence at a terminal": "LogLevel QUIET\n  RequestTTY force\n  EscapeChar none",
    "the background": "ForkAfterAuthentication yes",
    "no session": "SessionType none\n  StdinNull yes",
    "a subsystem": "SessionType subsystem",
    "a local command": "PermitLocalCommand yes\n  LocalCommand touch /srv/local-command",
    "more than is needed": "Tunnel yes\n  SendEnv *\n  SetEnv LC_X=1\n  ForwardAgent yes\n"
    "  ForwardX11 yes\n  AddKeysToAgent yes\n  HashKnownHosts yes\n  UpdateHostKeys yes",
    "patience": "ConnectionAttempts 5\n  ConnectTimeout 0\n  ServerAliveInterval 0\n"
    "  BatchMode no\n  NumberOfPasswordPrompts 9",
}


@pytest.mark.parametrize("setting", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_setting_that_is_legal_and_in_the_way(rig: Rig, setting: str) -> None:
    """The agent's own settings stand first: the command runs, once, and nothing stays behind."""
    rig.ssh_config(f"Host *\n  {setting}\n")
    done = rig.wait(rig.classic("mark; dump /home"))
    assert (done.exit, rig.marks()) == (0, 1), done.stderr
    assert "hijacked" not in done.stderr
    assert not rig.laptop.path("/srv/local-command").exists()
    left = {path.name for path in rig.laptop.path("/root/.ssh").iterdir()}
    assert left <= {"config", "id_ed25519", "id_ed25519.pub", "known_hosts", "known_hosts.old"}


@pytest.mark.parametrize("setting", ["LogLevel QUIET", "BatchMode no"])
def test_a_refusal_is_understood_in_spite_of(rig: Rig, setting: str) -> None:
    """What ssh prints is the evidence: the user's LogLevel must not take it away."""
    rig.ssh_config(f"Host *\n  {setting}\n")
    done = rig.wait(rig.classic("mark", "carol@amanda"))
    assert done.exit == 77
    assert "amanda refused the login as carol" in done.stderr
    assert done.seconds < 5
