"""asyncamanda setup, where the way to the server is not a straight one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.fresh import (
    DISK,
    SSH,
    Terminal,
    everything,
    fingerprint,
    open_fresh,
    read_line,
    set_up,
    start_setup,
    type_line,
)
from tests.e2e.laptop import ask_json

from lab import Lab

KEY = f"{SSH}/id_ed25519"


@pytest.fixture
def fresh(lab_prefix: Path) -> Iterator[Lab]:
    """Yield a lab in which nothing is set up."""
    with open_fresh(lab_prefix) as lab:
        yield lab


def make_jump(lab: Lab, settings: str = "") -> None:
    """Have a server of the name `behind`, to which only ssh_config knows the way."""
    client, server = lab.client, lab.server
    client.make_directory(SSH, mode=0o700, owner="backup")
    client.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY], user="backup")
    server.make_directory("/root/.ssh", mode=0o700)
    server.write("/root/.ssh/authorized_keys", client.read(f"{KEY}.pub"), mode=0o600)
    kind, key, *_ = server.read("/etc/ssh/ssh_host_ed25519_key.pub").split()
    client.write(f"{SSH}/known_hosts", f"amanda {kind} {key}\n", owner="backup", mode=0o600)
    config = f"Host behind\n  HostName 127.0.0.1\n  ProxyJump root@amanda\n{settings}"
    client.write(f"{SSH}/config", config, owner="backup", mode=0o600)


@pytest.mark.parametrize(
    ("settings", "known_hosts", "known_as"),
    [
        ("", f"{SSH}/known_hosts", "127.0.0.1"),
        ("  HostKeyAlias the-server\n", f"{SSH}/known_hosts", "the-server"),
        (f"  UserKnownHostsFile {SSH}/elsewhere\n", f"{SSH}/elsewhere", "127.0.0.1"),
    ],
)
def test_a_server_behind_a_jump_host(
    fresh: Lab, settings: str, known_hosts: str, known_as: str
) -> None:
    """Its host key comes by the way that ssh goes, and is pinned where ssh looks for it."""
    make_jump(fresh, settings)
    words = ("behind", "--fingerprint", fingerprint(fresh), "--disk", DISK, "--no-schedule")
    setup = start_setup(fresh, *words, "--backup")
    done = type_line(fresh, read_line(setup))
    assert done.returncode == 0, done.stderr
    said, _ = setup.communicate(timeout=90)
    assert (setup.returncode, "backed up in" in said) == (0, True), said
    assert ask_json(fresh.client, "status")["last_backup_at"] is not None
    assert any(
        line.startswith(f"{known_as} ssh-ed25519 ")
        for line in fresh.client.read(known_hosts).splitlines()
    )
    before = everything(fresh)
    again = set_up(fresh, *words)
    assert (again.returncode, "done: " in again.stdout) == (0, False), again.stdout + again.stderr
    assert everything(fresh) == before


def test_a_jump_host_that_is_not_known_is_named(fresh: Lab) -> None:
    """It has to be trusted first, as for each ssh of that user's."""
    make_jump(fresh)
    fresh.client.remove(f"{SSH}/known_hosts")
    done = set_up(fresh, "behind", "--fingerprint", fingerprint(fresh))
    assert done.returncode == 75, done.stdout + done.stderr
    assert "could not get a host key from 127.0.0.1" in done.stderr
    assert "Host key verification failed" in done.stderr


def test_a_key_type_that_is_named_by_its_fingerprint(fresh: Lab) -> None:
    """The administrator may have read the fingerprint of another host key than ours."""
    server = fresh.server
    server.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", "/etc/ssh/ssh_host_rsa_key"])
    server.append("/etc/ssh/sshd_config", "HostKey /etc/ssh/ssh_host_rsa_key\n")
    server.stop_sshd()
    server.start_sshd()
    shown = server.run(["ssh-keygen", "-lf", "/etc/ssh/ssh_host_rsa_key.pub"]).stdout.split()[1]
    words = ("amanda", "--fingerprint", shown, "--wait", "1s", "--no-schedule")
    done = set_up(fresh, *words)
    assert done.returncode == 75, done.stderr
    assert fresh.client.read(f"{SSH}/known_hosts").startswith("amanda ssh-rsa ")
    again = set_up(fresh, *words[:1], *words[3:])  # the known one is asked for first
    assert "unchanged: backup knows the host key of amanda" in again.stdout, again.stderr


# leaves a link of the Amanda user's where ssh writes its log
SWAP = """\
#!/bin/sh
log=$(tr '\\0' '\\n' </proc/$PPID/cmdline | grep '/log$')
rm -f "$log" && ln -s /root/secret "$log"
"""


def test_root_follows_no_link_of_the_amanda_users(fresh: Lab) -> None:
    """What that user's ssh leaves behind is read as that user, who may not read all."""
    client = fresh.client
    client.write("/root/secret", "Connection closed by a secret\n", mode=0o600)
    client.write("/var/backups/swap", SWAP, mode=0o755)
    client.make_directory(SSH, mode=0o700, owner="backup")
    config = "Host amanda\n  ProxyCommand /var/backups/swap\n"
    client.write(f"{SSH}/config", config, owner="backup", mode=0o600)
    done = set_up(fresh, "amanda", "--fingerprint", fingerprint(fresh))
    assert "a secret" not in done.stdout + done.stderr
    assert done.returncode == 75, done.stdout + done.stderr


INETD_CONF = "/etc/inetd.conf"
AMANDA = "amanda stream tcp nowait backup /usr/lib/amanda/amandad amandad -auth=bsdtcp amdump"


def test_inetds_amandad_is_told_and_switched_off_when_that_is_wanted(fresh: Lab) -> None:
    """Debian's packages switch it on; the gate does not need it."""
    fresh.client.write(INETD_CONF, f"{AMANDA}\n")
    words = ("amanda", "--fingerprint", fingerprint(fresh), "--disk", DISK, "--no-schedule")
    setup = start_setup(fresh, *words, "--no-backup")
    assert type_line(fresh, read_line(setup)).returncode == 0
    said, _ = setup.communicate(timeout=60)
    assert setup.returncode == 0, said
    assert "on port 10080" in said
    assert "update-inetd --disable amanda" in said
    assert fresh.client.read(INETD_CONF) == f"{AMANDA}\n"
    terminal = Terminal(fresh.client, "setup", *words, "--no-backup")
    terminal.expect("Switch it off, if no other Amanda server uses it? [y/N]")
    terminal.type("y")
    assert (terminal.end(), "offers amandad no longer" in terminal.said) == (0, True), terminal.said
    assert not fresh.client.read(INETD_CONF).startswith("amanda")


def test_an_inetd_that_cannot_be_changed_does_not_end_setup(fresh: Lab) -> None:
    """All else is done by then; the note says what is left."""
    fresh.client.write(INETD_CONF, f"{AMANDA}\n")
    fresh.client.run(["mount", "--bind", "/bin/false", "/usr/sbin/update-inetd"])
    words = ("amanda", "--fingerprint", fingerprint(fresh), "--disk", DISK, "--no-schedule")
    setup = start_setup(fresh, *words, "--no-backup")
    assert type_line(fresh, read_line(setup)).returncode == 0
    assert setup.wait(60) == 0
    terminal = Terminal(fresh.client, "setup", *words, "--no-backup")
    terminal.expect("Switch it off, if no other Amanda server uses it? [y/N]")
    terminal.type("y")
    assert terminal.end() == 0, terminal.said
    assert "put a # before its line" in terminal.said
