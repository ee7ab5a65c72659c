"""The multiplexing protocol, spoken with a real ssh; and the aliases, read by it."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncamanda.core.protocol import mux
from asyncamanda.core.protocol.mux import MuxDecoder, Packet
from asyncamanda.server.enrol.ssh_aliases import plan_include, render_aliases
from lab.patience import at_most

SESSION = 5
COMMAND = "/usr/lib/amanda/amandad -auth=ssh"


class Master:
    """Who listens where ssh looks for a master."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(at_most(5))
        self.caller: socket.socket | None = None
        self.descriptors: list[int] = []
        self.packets: list[Packet] = []
        self.ssh: subprocess.Popen[bytes] | None = None

    def call(self, *words: str) -> None:
        """Start an ssh."""
        settings = ["BatchMode=yes", "ControlMaster=no", f"ControlPath={self.path}"]
        settings += ["ProxyCommand=sh -c 'echo the other way >&2'"]
        options = [word for setting in settings for word in ("-o", setting)]
        pipe = subprocess.PIPE
        self.ssh = subprocess.Popen(
            ["ssh", "-F", "none", "-x", *options, *words], stdin=pipe, stdout=pipe, stderr=pipe
        )

    def hear(self) -> Packet:
        """Greet, and answer until the request for a session is whole; return that."""
        self.caller, _ = self.listener.accept()
        self.caller.settimeout(at_most(5))
        self.caller.send(mux.hello())
        decoder = MuxDecoder()
        while not (self.packets and self.packets[-1].kind == mux.NEW_SESSION):
            self._hear_more(decoder)
        while not decoder.is_complete:
            self._hear_more(decoder)
        assert len(self.descriptors) == mux.DESCRIPTORS
        return self.packets[-1]

    def _hear_more(self, decoder: MuxDecoder) -> None:
        assert self.caller
        received, descriptors, _, _ = socket.recv_fds(self.caller, 7, mux.DESCRIPTORS)
        assert received
        self.descriptors += descriptors
        for packet in decoder.feed(received):
            self.packets.append(packet)
            if packet.kind == mux.ALIVE_CHECK:
                self.caller.send(mux.alive(packet.request, os.getpid()))

    def hang_up(self) -> None:
        """Release the caller."""
        assert self.caller
        self.caller.close()
        while self.descriptors:
            os.close(self.descriptors.pop())

    def end(self) -> tuple[int, bytes, bytes]:
        """Return how ssh ended."""
        assert self.ssh
        stdout, stderr = self.ssh.communicate(timeout=at_most(5))
        return self.ssh.returncode, stdout, stderr

    def close(self) -> None:
        """End all."""
        if self.caller:
            self.hang_up()
        if self.ssh:
            self.ssh.kill()
            self.ssh.communicate(timeout=at_most(5))
        self.listener.close()


@pytest.fixture
def master() -> Iterator[Master]:
    """Yield a listener."""
    with tempfile.TemporaryDirectory() as folder:
        master = Master(Path(folder, "master"))
        yield master
        master.close()


@pytest.mark.parametrize("status", [0, 1, 127, 255])
def test_a_session_has_sshs_own_descriptors_and_status(master: Master, status: int) -> None:
    """What ssh says is understood in whatever pieces, and ends as the last word says."""
    master.call("laptop", COMMAND)
    assert master.hear().command == COMMAND
    assert [packet.kind for packet in master.packets] == [
        mux.HELLO,
        mux.ALIVE_CHECK,
        mux.NEW_SESSION,
    ]
    assert master.packets[0].request == mux.VERSION
    assert master.caller
    master.caller.send(mux.session_opened(master.packets[-1].request, SESSION))
    assert master.ssh
    assert master.ssh.stdin
    master.ssh.stdin.write(b"asked")
    master.ssh.stdin.flush()
    reads, writes, errors = master.descriptors
    assert os.read(reads, 100) == b"asked"
    os.write(writes, b"answered")
    os.write(errors, b"remarked")
    master.caller.send(mux.exit_message(SESSION, status))
    master.hang_up()
    assert master.end() == (status, b"answered", b"remarked")


def test_ssh_stays_until_the_socket_is_closed(master: Master) -> None:
    """Though it has heard its status; and without one it ends with 255."""
    master.call("laptop", COMMAND)
    master.hear()
    assert master.caller
    assert master.ssh
    master.caller.send(mux.session_opened(master.packets[-1].request, SESSION))
    master.caller.send(mux.exit_message(SESSION, 0))
    with pytest.raises(subprocess.TimeoutExpired):
        master.ssh.wait(0.3)
    master.hang_up()
    assert master.end()[0] == 0


def test_a_session_without_a_status_is_a_broken_one(master: Master) -> None:
    """As where whoever carried it was killed."""
    master.call("laptop", COMMAND)
    master.hear()
    assert master.caller
    master.caller.send(mux.session_opened(master.packets[-1].request, SESSION))
    master.hang_up()
    assert master.end() == (255, b"", b"")


@pytest.mark.parametrize("answer", [mux.permission_denied, mux.failure])
def test_who_is_refused_hears_why_and_goes_the_other_way(master: Master, answer: object) -> None:
    """ssh goes on to its ProxyCommand."""
    master.call("laptop", "id")
    request = master.hear().request
    assert master.caller
    refuse = mux.failure if answer is mux.failure else mux.permission_denied
    master.caller.send(refuse(request, "not this one"))
    master.hang_up()
    status, _, said = master.end()
    assert status == 255
    assert b"not this one" in said
    assert b"the other way" in said


def test_a_master_that_hangs_up_at_once_sends_ssh_the_other_way(master: Master) -> None:
    """As where no descriptors are left."""
    master.call("laptop", COMMAND)
    master.caller, _ = master.listener.accept()
    master.hang_up()
    status, _, said = master.end()
    assert status == 255
    assert b"the other way" in said


@pytest.mark.parametrize(
    ("words", "command"),
    [(("-tt", "laptop", "id"), None), (("-s", "laptop", "sftp"), None), (("-T", "laptop"), "")],
)
def test_what_is_no_plain_command_is_told(
    master: Master, words: tuple[str, ...], command: str | None
) -> None:
    """A terminal, a subsystem; a shell has no words."""
    master.call(*words)
    assert master.hear().command == command


# -- the aliases


@pytest.fixture
def home() -> Iterator[Path]:
    """Yield an ssh configuration that includes the aliases; ssh finds them beside it."""
    # not tmp_path: a socket's path has 107 bytes at most
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "asyncamanda.conf").write_text(render_aliases(["laptop", "Ana-2.example.org"]))
        mine = (
            "Host *\n    ControlPath /tmp/mine\n    ControlMaster auto\n    ProxyCommand nc %h %p\n"
        )
        text = plan_include(mine).replace("Include ", f"Include {home}/")  # there is no ~ for -F
        (home / "config").write_text(text)
        yield home


def read_settings(home: Path, name: str) -> dict[str, str]:
    """Return what a real ssh makes of the configuration for a host."""
    argv = ["ssh", "-G", "-T", "-F", str(home / "config"), name]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


@pytest.mark.parametrize("name", ["laptop", "Ana-2.example.org"])
def test_ssh_finds_each_client_at_its_socket(home: Path, name: str) -> None:
    """Whatever the configuration says below for every host."""
    settings = read_settings(home, name)
    assert settings["controlpath"] == f"/var/lib/asyncamanda/server/run/relay/{name}"
    assert settings["controlmaster"] in {"no", "false"}
    assert settings["proxycommand"].startswith('sh -c "echo asyncamanda: ')


@pytest.mark.parametrize("name", ["laptop2", "lap", "example.org", "x.laptop"])
def test_other_hosts_are_left_alone(home: Path, name: str) -> None:
    """However like a client's their names are."""
    settings = read_settings(home, name)
    assert settings["controlpath"] == "/tmp/mine"  # noqa: S108 - read, and not made
    assert settings["proxycommand"] == "nc %h %p"


def test_a_client_that_is_away_is_told_of_at_once(home: Path) -> None:
    """Nobody listens: ssh says so and ends, and asks no name server."""
    alias = (home / "asyncamanda.conf").read_text()
    (home / "asyncamanda.conf").write_text(alias.replace("/var/lib/", f"{home}/"))
    argv = ["ssh", "-x", "-o", "BatchMode=yes", "-F", str(home / "config"), "-l", "backup"]
    began_at = time.monotonic()
    done = subprocess.run(
        [*argv, "laptop", COMMAND], check=False, capture_output=True, text=True, timeout=at_most(10)
    )
    assert done.returncode == 255
    assert "asyncamanda: laptop is not connected, or refused the request\n" in done.stderr, (
        done.stderr
    )
    assert time.monotonic() - began_at < at_most(2)
