"""Each way for a connection to fail is told apart, by what the real ssh prints."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from asyncamanda.core.model import Outcome

if TYPE_CHECKING:
    from tests.system.conftest import Done, Rig

QUICK = {"connect_timeout": "1s", "keepalive": "1s"}


def attempt(rig: Rig, server: str) -> Done:
    """Return how a run with a configuration ends that points to `server`."""
    rig.configure(server=server, command="mark; dump /home", ssh=QUICK)
    done = rig.run("run", "--json")
    assert done.exit == done.json["exit"]
    assert rig.marks() == 0
    return done


@contextmanager
def route(rig: Rig, kind: str) -> Iterator[str]:
    """Yield an address to which the laptop has a route of this kind."""
    words = ["route", "add", kind, "10.99.0.1"]
    rig.laptop.run(["ip", *words])
    try:
        yield "10.99.0.1"
    finally:
        rig.laptop.run(["ip", "route", "del", *words[2:]])


# -- not there: later, and remembered as unreachable


def test_a_name_that_does_not_resolve(rig: Rig) -> None:
    """The everyday of a laptop in a foreign network."""
    done = attempt(rig, "backup@no-such-host.example.com")
    assert (done.exit, done.json["error"]) == (75, "unresolved")
    assert "Could not resolve hostname no-such-host.example.com" in done.json["message"]
    assert rig.memory().attempts[0].outcome is Outcome.UNREACHABLE


def test_a_port_on_which_nobody_listens(rig: Rig) -> None:
    """The server is there, and its sshd is not."""
    done = attempt(rig, "backup@amanda:2222")
    assert (done.exit, done.json["error"]) == (75, "connection-refused")
    assert "Connection refused" in done.json["message"]


def test_a_black_hole(rig: Rig) -> None:
    """Packets that are swallowed: given up after connect_timeout."""
    done = attempt(rig, "backup@10.77.0.254")
    assert (done.exit, done.json["error"]) == (75, "unreachable")
    assert "timed out" in done.json["message"]
    assert done.seconds < 5


def test_a_listener_that_says_nothing(rig: Rig) -> None:
    """A connection that is taken and not answered counts as unreachable, after as long."""
    with rig.listener("silent"):
        done = attempt(rig, "backup@amanda:2222")
    assert (done.exit, done.json["error"]) == (75, "unreachable")
    assert "timed out" in done.json["message"]
    assert done.seconds < 5


@pytest.mark.parametrize(
    ("kind", "words"),
    [("unreachable", "No route to host"), ("throw", "Network is unreachable")],
)
def test_no_way_to_the_server(rig: Rig, kind: str, words: str) -> None:
    """What the kernel says of a route that does not exist."""
    rig.laptop.run(["ip", "route", "del", "default"])
    try:
        with route(rig, kind) as address:
            done = attempt(rig, f"backup@{address}")
    finally:
        rig.laptop.run(["ip", "route", "add", "default", "via", "10.77.0.254"])
    assert (done.exit, done.json["error"]) == (75, "unreachable")
    assert words in done.json["message"]


# -- the connection ends before the login is over: later


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("close", "Connection closed by"),
        ("greet", "Connection closed by"),
        ("reset", "Connection reset by"),
    ],
)
def test_a_listener_that_hangs_up(rig: Rig, mode: str, words: str) -> None:
    """At once, after the greeting, or rudely."""
    with rig.listener(mode):
        done = attempt(rig, "backup@amanda:2222")
    assert (done.exit, done.json["error"]) == (75, "dropped")
    assert words in done.json["message"]


def test_a_portal_that_answers_in_the_servers_place(rig: Rig) -> None:
    """The everyday of a laptop in a hotel: silent without a terminal, whatever it says."""
    with rig.listener("portal"):
        done = attempt(rig, "backup@amanda:2222")
        assert (done.exit, done.json["error"]) == (75, "not-ssh")
        assert "login page" in done.json["hint"]
        quiet = rig.run("run")
    assert (quiet.exit, quiet.stdout, quiet.stderr) == (75, "", "")


def test_a_banner_is_no_evidence(rig: Rig) -> None:
    """The server prints it before the login, and it may say what ssh says in other cases."""
    banner = "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nREVOKED HOST KEY\n"
    rig.server.write("/etc/ssh/banner", banner)
    with rig.sshd("Banner /etc/ssh/banner"):
        done = attempt(rig, "carol@amanda:2222")
    assert (done.exit, done.json["error"]) == (77, "permission-denied")
    assert "REVOKED" not in done.json["message"]


@pytest.mark.parametrize(
    ("jump", "ended"),
    [
        ("amanda:2223", (75, "connection-refused")),
        ("carol@amanda", (77, "permission-denied")),
        ("no-such-host.example.com", (75, "unresolved")),
    ],
)
def test_a_jump_host_that_does_not_help(rig: Rig, jump: str, ended: tuple[int, str]) -> None:
    """Why is said by another ssh than the one that goes to the server."""
    rig.ssh_config(f"Host behind\n  ProxyJump {jump}\n", "backup")
    done = attempt(rig, "backup@behind")
    assert (done.exit, done.json["error"]) == ended


def test_an_sshd_that_is_too_busy(rig: Rig) -> None:
    """MaxStartups turns away who comes while others are logging in."""
    with rig.sshd("MaxStartups 1") as log:
        idler = rig.server.start(["bash", "-c", "exec 3<>/dev/tcp/10.77.0.1/2222; read -r _"])
        try:
            rig.until(lambda: "Connection from" in rig.server.read(log), "a login is under way")
            done = attempt(rig, "backup@amanda:2222")
        finally:
            idler.kill()
            idler.communicate()
        assert "maxstartups" in rig.server.read(log).lower()  # as spelled since 9.8, too
    assert (done.exit, done.json["error"]) == (75, "dropped")


# -- host keys: refused, always


def test_an_unknown_host_key(rig: Rig) -> None:
    """It is refused and not learned, and the hint says how to compare it."""
    rig.know("elsewhere ssh-ed25519 AAAA", "backup", alone=True)
    done = attempt(rig, "backup@amanda")
    assert (done.exit, done.json["error"]) == (77, "host-key-unknown")
    assert "is not known here" in done.json["message"]
    assert "ssh backup@amanda true" in done.json["hint"]
    assert "amanda " not in rig.laptop.read("/var/backups/.ssh/known_hosts")
    assert rig.memory().attempts[0].outcome is Outcome.REFUSED


def test_a_host_known_by_a_key_of_another_kind_only(rig: Rig) -> None:
    """OpenSSH takes a key of a new kind for a changed one, and so do we."""
    rig.laptop.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", "/srv/other"])
    other = " ".join(rig.laptop.read("/srv/other.pub").split()[:2])
    rig.know(f"amanda,10.77.0.1 {other}", "backup", alone=True)
    done = attempt(rig, "backup@amanda")
    assert (done.exit, done.json["error"]) == (77, "host-key-changed")


def test_a_changed_host_key_is_loud(rig: Rig) -> None:
    """Another key than the known one: in capitals, with what to do, also in the classic form."""
    rig.server.run(["rm", "-f", "/srv/impostor", "/srv/impostor.pub"])
    rig.server.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/srv/impostor"])
    with rig.sshd(key="/srv/impostor"):
        done = attempt(rig, "backup@amanda:2222")
        assert (done.exit, done.json["error"]) == (77, "host-key-changed")
        assert "THE HOST KEY OF amanda HAS CHANGED" in done.json["message"]
        classic = rig.wait(rig.classic("mark", "backup@amanda:2222"))
    assert classic.exit == 77
    assert "THE HOST KEY OF amanda HAS CHANGED" in classic.stderr
    assert "ssh-keygen -R '[amanda]:2222'" in classic.stderr


def test_a_revoked_host_key(rig: Rig) -> None:
    """A mark in known_hosts says that the key must not be trusted."""
    rig.know(f"@revoked {rig.host_key('*')}", "backup")
    done = attempt(rig, "backup@amanda")
    assert (done.exit, done.json["error"]) == (77, "host-key-revoked")
    assert "THE HOST KEY OF amanda IS REVOKED" in done.json["message"]


def test_a_host_key_revoked_by_a_file(rig: Rig) -> None:
    """The other way to revoke one, RevokedHostKeys, is told from an unknown host."""
    key = rig.server.known_hosts_line.split(" ", 1)[1]
    rig.laptop.write("/srv/revoked", f"{key}\n")
    rig.ssh_config("RevokedHostKeys /srv/revoked\n", "backup")
    done = attempt(rig, "backup@amanda")
    assert (done.exit, done.json["error"]) == (77, "host-key-revoked")


@pytest.mark.parametrize(
    "setting",
    [
        "StrictHostKeyChecking no",
        "StrictHostKeyChecking accept-new\n  VerifyHostKeyDNS yes",
        "StrictHostKeyChecking off\n  UserKnownHostsFile /dev/null",
    ],
)
def test_host_keys_are_checked_whatever_the_user_has_set(rig: Rig, setting: str) -> None:
    """The user's ssh_config cannot switch the check off."""
    rig.know("elsewhere ssh-ed25519 AAAA", alone=True)
    rig.ssh_config(f"Host *\n  {setting}\n")
    done = rig.wait(rig.classic("mark"))
    assert (done.exit, rig.marks()) == (77, 0)
    assert "the host key of amanda is not known here" in done.stderr


def test_the_key_of_localhost_is_checked_too(rig: Rig) -> None:
    """A tunnel's end is on localhost; NoHostAuthenticationForLocalhost must not open it."""
    rig.ssh_config("NoHostAuthenticationForLocalhost yes\n", "backup")
    tunnel = "exec ssh -N -L 2022:127.0.0.1:22 -o ExitOnForwardFailure=yes amanda"
    forward = rig.laptop.start(["sh", "-c", tunnel], user="backup")
    try:
        answers = ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/2022"]
        rig.until(lambda: rig.laptop.run(answers, check=False).returncode == 0, "a tunnel")
        done = attempt(rig, "backup@127.0.0.1:2022")
    finally:
        forward.kill()
        forward.communicate()
    assert (done.exit, done.json["error"]) == (77, "host-key-unknown")


# -- the login: refused


def test_a_key_that_is_not_authorized(rig: Rig) -> None:
    """The server says no; the hint says where to look."""
    done = attempt(rig, "carol@amanda")
    assert (done.exit, done.json["error"]) == (77, "permission-denied")
    assert "amanda refused the login as carol (ssh: " in done.json["message"]
    assert "Permission denied (" in done.json["message"]


def test_a_key_file_that_does_not_exist(rig: Rig) -> None:
    """ssh's warning about the key is told beside the refusal that it leads to."""
    done = rig.wait(rig.classic("mark", "carol@amanda", "-k", "/root/no-such-key"))
    assert (done.exit, rig.marks()) == (77, 0)
    assert "/root/no-such-key" in done.stderr
    assert "Permission denied" in done.stderr


def test_a_missing_key_file_is_not_replaced_by_another(rig: Rig) -> None:
    """Whoever names a key means this one, not whichever else lies in ~/.ssh."""
    done = rig.wait(rig.classic("mark", "backup@amanda", "-k", "/root/no-such-key"))
    assert (done.exit in {77, 78}, rig.marks()) == (True, 0)
    assert "/root/no-such-key" in done.stderr


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ('/srv/a key "of" 100 % \\ mine\'s', '/srv/a key "of" 100 % \\ mine\'s'),
        ("/srv/key", "srv/key"),
    ],
)
def test_a_key_file_of_any_name(rig: Rig, path: str, word: str) -> None:
    """Its name is taken as it is, from where the agent was started."""
    rig.laptop.write(path, rig.laptop.read("/root/.ssh/id_ed25519"), mode=0o600)
    rig.laptop.run(["mv", "/root/.ssh/id_ed25519", "/srv/away"])
    try:
        done = rig.wait(rig.classic("dump /home", "backup@amanda", "-k", word))
    finally:
        rig.laptop.run(["mv", "/srv/away", "/root/.ssh/id_ed25519"])
    assert done.exit == 0, done.stderr


def test_a_key_that_others_may_read(rig: Rig) -> None:
    """ssh ignores such a key, and its reason is told."""
    key = "/srv/open-key"
    rig.laptop.write(key, rig.laptop.read("/root/.ssh/id_ed25519"), mode=0o644)
    done = rig.wait(rig.classic("mark", "backup@amanda", "-k", key))
    assert (done.exit, rig.marks()) == (77, 0)
    assert "UNPROTECTED PRIVATE KEY FILE" in done.stderr or "too open" in done.stderr


def test_a_key_with_a_passphrase_is_not_asked_for(rig: Rig) -> None:
    """Nobody is there to answer: no window pops up, and the login fails at once."""
    rig.laptop.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", "/srv/locked"])
    rig.laptop.write("/srv/window", "#!/bin/sh\ntouch /srv/asked\n", mode=0o755)
    window = {"DISPLAY": ":0", "SSH_ASKPASS": "/srv/window", "SSH_ASKPASS_REQUIRE": "force"}
    agent = rig.classic("mark", "backup@amanda", "-k", "/srv/locked", environ=window)
    done = rig.wait(agent)
    assert (done.exit, rig.marks()) == (77, 0)
    assert not rig.laptop.path("/srv/asked").exists()
    assert done.seconds < 5


def test_too_many_keys(rig: Rig) -> None:
    """A server that hangs up after so many wrong keys is a refusal, not a bad line."""
    keys = [f"/srv/key{number}" for number in range(3)]
    for key in keys:
        rig.laptop.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        rig.laptop.run(["chown", "backup", key])
    rig.ssh_config("".join(f"IdentityFile {key}\n" for key in keys), "backup")
    with rig.sshd("MaxAuthTries 2"):
        done = attempt(rig, "backup@amanda:2222")
    assert (done.exit, done.json["error"]) == (77, "permission-denied")
    assert "Too many authentication failures" in done.json["message"]


def test_an_account_without_a_shell(rig: Rig) -> None:
    """The login itself works; the command fails, and its words are told."""
    passwd = rig.server.read("/etc/passwd")
    lines = [
        line.rpartition(":")[0] + ":/usr/sbin/nologin" if line.startswith("backup:") else line
        for line in passwd.splitlines()
    ]
    rig.server.write("/etc/passwd", "\n".join(lines) + "\n")
    try:
        done = rig.wait(rig.classic("mark"))
    finally:
        rig.server.write("/etc/passwd", passwd)
    assert (done.exit, rig.marks()) == (100, 0)
    assert "This account is currently not available" in done.stderr


# -- ssh's own configuration


@pytest.mark.parametrize(
    "line",
    [
        "Frobnicate yes",
        "Port 22 23",
        "Ciphers rot13",
    ],
)
def test_an_ssh_config_with_a_mistake(rig: Rig, line: str) -> None:
    """ssh refuses to start: that will not pass by itself, so it is a configuration error."""
    rig.ssh_config(f"{line}\n", "backup")
    done = attempt(rig, "backup@amanda")
    assert (done.exit, done.json["error"]) == (78, "bad-ssh-options")
    assert re.search(r"/var/backups/.ssh/config:? line 1: ", done.json["message"])


def test_an_ssh_config_that_others_may_write(rig: Rig) -> None:
    """ssh refuses to read it: that too does not pass by itself, and must not be silent."""
    rig.laptop.write("/root/.ssh/config", "Host *\n", mode=0o666)
    done = rig.wait(rig.classic("mark"))
    assert "Bad owner or permissions" in done.stderr
    assert done.exit == 78


def test_a_server_with_which_nothing_can_be_agreed_is_not_kept_quiet(rig: Rig) -> None:
    """No common cipher: it does not pass by itself, so cron has to hear of it."""
    rig.ssh_config("Ciphers aes128-ctr\n")
    with rig.sshd("Ciphers aes256-ctr"):
        done = rig.wait(rig.classic("mark", "backup@amanda:2222"))
    assert "no matching cipher" in done.stderr
    assert done.exit == 76


def test_a_machine_without_ssh(rig: Rig) -> None:
    """The hint names the package."""
    done = rig.wait(rig.classic("mark", environ={"PATH": "/nowhere"}))
    assert done.exit == 78
    assert "there is no ssh on this machine" in done.stderr
    assert "apt install openssh-client" in done.stderr


@pytest.mark.parametrize("length", [46, 60])  # with the rest of the path: 75 and 89
def test_a_long_path_for_what_is_remembered(rig: Rig, length: int) -> None:
    """ssh's socket needs a short one, so where that is too long another place is taken."""
    long = f"/srv/{'x' * (length - 5)}"
    rig.laptop.make_directory(long, owner="backup")
    agent = rig.classic("dump /home", user="backup", environ={"XDG_STATE_HOME": long})
    done = rig.wait(agent)
    assert done.exit == 0, done.stderr
    assert list(rig.laptop.path("/tmp").iterdir()) == []  # noqa: S108 - the laptop's


# -- who hears of it


def test_an_unreachable_server_makes_no_noise_where_nobody_watches(rig: Rig) -> None:
    """cron need not send a mail whenever the laptop is on a train; -v tells."""
    rig.configure(server="backup@amanda:2222", ssh=QUICK)
    quiet = rig.run("run")
    assert (quiet.exit, quiet.stdout, quiet.stderr) == (75, "", "")
    verbose = rig.run("run", "-v")
    assert verbose.exit == 75
    assert "connecting to backup@amanda:2222" in verbose.stderr
    assert "amanda refused the connection" in verbose.stderr
    inherited = rig.run("run", environ={"JOURNAL_STREAM": "8:1"})
    assert (inherited.exit, inherited.stderr) == (75, "")
    (row,) = rig.run("history", "--json").json
    assert (row["outcome"], row["times"]) == ("unreachable", 3)
    assert row["started_at"] < row["ended_at"]
    classic = rig.wait(rig.classic("mark", "backup@amanda:2222"))
    assert (classic.exit, classic.stdout, classic.stderr) == (75, "", "")


def test_a_terminal_hears_of_an_unreachable_server(rig: Rig) -> None:
    """Somebody who sits there is told."""
    master, slave = pty.openpty()
    agent = rig.classic("mark", "backup@amanda:2222", stderr=slave, environ={"TERM": "xterm"})
    os.close(slave)
    seen = b""
    while piece := _read(master):
        seen += piece
    os.close(master)
    assert rig.wait(agent).exit == 75
    assert b"amanda refused the connection" in seen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the last writer is gone
        return b""
