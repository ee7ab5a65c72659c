"""The ground for the system tests: a laptop and a server with a real sshd, hosts of their own.

Nothing here is Amanda: the commands that run at the server are small scripts, and what stands
in amandates is written by `dump` (below), which tells the laptop to do it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.system.receiving import Receiver, open_receiver, set_sendmail
from tests.system.staging import Stage
from tests.system.watching import until

from asyncamanda.client.state.memory import decode_memory
from asyncamanda.core.model import Memory
from lab import Client, Host, Lab

PYTHON = "/opt/asyncamanda/bin/python"
AMANDATES = "/var/lib/amanda/amandates"
STATE = "/var/lib/asyncamanda"
CONFIG = "/etc/asyncamanda/client.toml"
STAGE = "/srv/stage"  # on the server: what the commands leave there
PACKAGES = (  # what asyncamanda needs to run, from wherever these tests have it
    "asyncamanda",
    "jeepney",
    "markdown_it",
    "mdurl",
    "pygments",
    "rich",
    "sqlalchemy",
    "typing_extensions",
)

# on the laptop: writes amandates as Amanda's client does, in place and under its lock
SCRIBE = """\
import fcntl, socket, time
listener = socket.create_server(("", 10080))
print("ready", flush=True)
last = 0
while True:
    asker, _ = listener.accept()
    with asker, asker.makefile("rwb") as stream:
        disks = stream.readline().split()
        with open("/var/lib/amanda/amandates", "ab") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            last = max(last, int(time.time())) + 1  # whole seconds: each time a new one
            file.writelines(b"%s 0 %d\\n" % (disk, last) for disk in disks)
        stream.write(b"written\\n")
"""
SCRIPTS = {
    # dump DISK...: the disks' times in the laptop's amandates move
    "dump": 'exec 3<>/dev/tcp/laptop/10080; echo "$@" >&3; read -r answer <&3; test "$answer"',
    # hold: says that it runs, then waits until it is let go (or forgotten, ten minutes later)
    "hold": "echo $$ >/srv/stage/holding; for i in {1..30000}; do "
    "test -e /srv/stage/let-go && exit 0; sleep 0.02; done; exit 99",
    # mark: leaves a trace that a command ran
    "mark": "echo x >>/srv/stage/marks",
}
# a server that is no sshd: LISTENER MODE, on port 2222
LISTENER = """\
import socket, struct, sys
mode = sys.argv[1]
listener = socket.create_server(("", 2222))
print("ready", flush=True)
kept = []
while True:
    peer, _ = listener.accept()
    if mode == "silent":
        kept.append(peer)
        continue
    if mode == "portal":
        peer.sendall(b"HTTP/1.1 302 Found\\r\\nx@x: Permission denied (publickey).\\r\\n\\0\\n")
    if mode == "greet":
        peer.sendall(b"SSH-2.0-none\\r\\n")
    peer.recv(65536)
    if mode == "reset":
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """A process of a host: `pid` is the one that it has there."""

    pid: int
    uid: int
    argv: tuple[str, ...]
    environ: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """How a start of the agent ended."""

    exit: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def json(self) -> Any:
        """Its answer."""
        return json.loads(self.stdout)


@dataclass
class Rig:
    """Two hosts: `laptop`, on which asyncamanda runs, and `server`, with sshd."""

    lab: Lab
    _started: list[subprocess.Popen[str]] = field(default_factory=list)
    _clocks: dict[int, float] = field(default_factory=dict)

    amandates = AMANDATES
    state = STATE
    config = CONFIG
    stage = STAGE

    @property
    def laptop(self) -> Client:
        """The host on which asyncamanda runs."""
        return self.lab.client

    @property
    def server(self) -> Host:
        """The host whose sshd it connects to."""
        return self.lab.server

    @staticmethod
    def until(condition: Callable[[], object], what: str, seconds: float = 15) -> None:
        """Return as soon as `condition` holds; fail where it does not within `seconds`."""
        until(condition, what, seconds)

    # -- starting asyncamanda

    def classic(
        self, command: str, host: str = "backup@amanda", *more: str, **how: Any
    ) -> subprocess.Popen[str]:
        """Start the classic form on the laptop, as root unless `user` says otherwise."""
        words = ("-i", "24", "-h", host, "-c", command, "-a", AMANDATES, *more)
        return self.start(*words, **how)

    def start(self, *words: str, **how: Any) -> subprocess.Popen[str]:
        """Start `python -m asyncamanda` with `words` on the laptop, in the folder `cwd` of it."""
        how.setdefault("stdin", subprocess.DEVNULL)
        argv = [PYTHON, "-m", "asyncamanda", *words]
        if cwd := how.pop("cwd", None):
            argv = ["/bin/bash", "-c", 'cd "$0" && exec "$@"', cwd, *argv]
        agent = self.laptop.start(argv, **how)
        self._started.append(agent)
        self._clocks[agent.pid] = time.monotonic()
        return agent

    def run(self, *words: str, **how: Any) -> Done:
        """Start `python -m asyncamanda` with `words`, and wait for its end."""
        return self.wait(self.start(*words, **how))

    def wait(self, agent: subprocess.Popen[str], seconds: float = 30) -> Done:
        """Return how a started agent ended."""
        stdout, stderr = agent.communicate(timeout=seconds)
        took = time.monotonic() - self._clocks[agent.pid]
        done = Done(agent.returncode, stdout or "", stderr or "", took)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def configure(
        self, path: str = CONFIG, ssh: Mapping[str, object] | None = None, **keys: object
    ) -> str:
        """Write a client.toml; `keys` and `ssh` change what it says. Return its path."""
        whole = {
            "server": "backup@amanda",
            "command": "dump /home",
            "amandates": AMANDATES,
            "retry_within": "0.001s",  # the next start tries again
            "on_battery": "allow",  # whatever runs these tests
        }
        lines = [f"{key} = {_toml(value)}" for key, value in {**whole, **keys}.items()]
        lines += ["[ssh]", *(f"{key} = {_toml(value)}" for key, value in (ssh or {}).items())]
        self.laptop.write(path, "\n".join(lines) + "\n")
        return path

    # -- the two hosts

    def ssh_config(self, text: str, user: str = "root") -> None:
        """Write the ~/.ssh/config of a user of the laptop's."""
        home = self.laptop.account(user).home
        self.laptop.write(f"{home}/.ssh/config", text, owner=user, mode=0o600)

    def know(self, line: str, user: str = "root", *, alone: bool = False) -> None:
        """Add a line to a user's known_hosts on the laptop, or (`alone`) let it be the only one."""
        path = f"{self.laptop.account(user).home}/.ssh/known_hosts"
        (self.laptop.write if alone else self.laptop.append)(path, f"{line}\n", owner=user)

    def host_key(self, name: str = "amanda") -> str:
        """Return the server's line for a known_hosts, under `name`."""
        return f"{name} {self.server.known_hosts_line.split(' ', 1)[1]}"

    def set_dumped(self, ago: float, disk: str = "/home") -> None:
        """Let amandates say that `disk` was dumped `ago` seconds ago, and nothing else."""
        line = f"{disk} 0 {int(time.time() - ago)}\n"
        self.laptop.write(AMANDATES, line, owner="backup", mode=0o660)

    def set_password(self, password: str) -> None:
        """Let `carol`, who has no key, log in at the server with this password."""
        hashed = subprocess.run(
            ["openssl", "passwd", "-5", "-stdin"],
            input=password.encode(),
            capture_output=True,
            check=True,
        ).stdout.decode()
        lines = self.server.read("/etc/shadow").splitlines()
        kept = [line for line in lines if not line.startswith("carol:")]
        text = "\n".join([*kept, f"carol:{hashed.strip()}:19000:0:99999:7:::"]) + "\n"
        self.server.write("/etc/shadow", text, mode=0o640)

    @contextmanager
    def sshd(self, *settings: str, port: int = 2222, key: str | None = None) -> Iterator[str]:
        """Yield a second sshd at the server, with `settings` first; yield its log's path.

        `key` is the path of a host key of its own there. The laptop knows the usual one.
        """
        usual = self.server.read("/etc/ssh/sshd_config").splitlines()
        # for most keywords the first line counts, for MaxStartups the last
        said = {"Port", "HostKey", *(setting.split()[0] for setting in settings)}
        kept = [line for line in usual if line.split()[0] not in said]
        host_key = key or "/etc/ssh/ssh_host_ed25519_key"
        text = "\n".join([f"Port {port}", f"HostKey {host_key}", *settings, *kept]) + "\n"
        log, config = f"/var/log/sshd-{port}.log", f"/etc/ssh/sshd_config_{port}"
        self.server.write(config, text)
        self.server.write(log, "")
        for user in ("root", "backup"):
            self.know(self.host_key(f"[amanda]:{port}"), user)
        argv = ["/usr/sbin/sshd", "-D", "-f", config, "-E", log]
        with self._lent(argv):
            until(lambda: "Server listening" in self.server.read(log), "sshd listens")
            yield log

    @contextmanager
    def listener(self, mode: str) -> Iterator[None]:
        """Yield something on the server's port 2222 that is no sshd."""
        with self._lent(["/usr/bin/python3", "-S", "-c", LISTENER, mode]) as program:
            assert program.stdout
            assert program.stdout.readline() == "ready\n"
            yield

    @contextmanager
    def _lent(self, argv: list[str]) -> Iterator[subprocess.Popen[str]]:
        program = self.server.start(argv)
        try:
            yield program
        finally:
            program.kill()
            program.communicate()

    # -- looking

    def processes(self, host: Host) -> list[Seen]:
        """Return the processes of a host."""
        found = []
        for entry in host.path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                line = (entry / "cmdline").read_bytes()
                environ = (entry / "environ").read_bytes()
                uid = entry.stat().st_uid
            except OSError:  # it has just ended
                continue
            argv = tuple(os.fsdecode(word) for word in line.rstrip(b"\0").split(b"\0"))
            if line:
                found.append(Seen(int(entry.name), uid, argv, environ))
        return found

    def ssh_processes(self) -> list[Seen]:
        """Return each ssh that connects on the laptop, and what asyncamanda starts besides."""
        return [
            seen
            for seen in self.processes(self.laptop)
            if (Path(seen.argv[0]).name in {"ssh", "setpriv"} and "-G" not in seen.argv)
            or "askpass" in " ".join(seen.argv)
        ]

    def sessions(self) -> list[Seen]:
        """Return the server's ends of connections."""
        pids = self.server.sshd_processes()
        return [seen for seen in self.processes(self.server) if seen.pid in pids]

    def signal(self, seen: list[Seen], name: str, host: Host | None = None) -> None:
        """Send a signal to processes of the server, or of `host`."""
        if seen:
            words = [str(one.pid) for one in seen]
            (host or self.server).run(["kill", "-s", name, *words], check=False)

    def has(self, name: str) -> bool:
        """Return whether a command left the file `name` on the server's stage."""
        return self.server.path(f"{STAGE}/{name}").exists()

    def marks(self) -> int:
        """Return how often `mark` ran."""
        return self.server.read(f"{STAGE}/marks").count("x") if self.has("marks") else 0

    def hold(self) -> None:
        """Return when the command `hold` runs at the server."""
        until(lambda: self.has("holding"), "the command runs at the server")

    def let_go(self) -> None:
        """Let `hold` end well."""
        self.server.write(f"{STAGE}/let-go", "")

    def is_held(self) -> bool:
        """Return whether a `hold` still runs."""
        return any("/usr/local/bin/hold" in seen.argv for seen in self.processes(self.server))

    def state_folder(self) -> Path:
        """Return the one folder that the agent keeps its memory in."""
        (memory,) = self.laptop.path(STATE).rglob("memory.json")
        return memory.parent

    def memory(self) -> Memory:
        """Return what the one agent remembers."""
        return decode_memory((self.state_folder() / "memory.json").read_text())

    def files_with(self, secret: bytes) -> list[Path]:
        """Return each file that the laptop has written to and that holds `secret`."""
        places = [self.laptop.path(place) for place in ("/mnt", "/run", "/dev/shm")]  # noqa: S108
        found = []
        for place in places:
            for folder, _, names in os.walk(place):
                for path in (Path(folder, name) for name in names):
                    try:
                        if path.is_file() and not path.is_symlink() and secret in path.read_bytes():
                            found.append(path)
                    except OSError:  # it has just gone
                        continue
        return found

    # -- between two tests

    def furnish(self) -> None:
        """Make what all tests need: scripts, keys and the account carol."""
        for name, body in SCRIPTS.items():
            self.server.write(f"/usr/local/bin/{name}", f"#!/bin/bash\n{body}\n", mode=0o755)
        # the default key exchange takes a tenth of a second more, a hundred times over
        text = f"KexAlgorithms curve25519-sha256\n{self.server.read('/etc/ssh/sshd_config')}"
        self.server.write("/etc/ssh/sshd_config", text)
        self.server.stop_sshd()
        self.server.start_sshd()
        self.server.make_directory(STAGE)
        self.server.path(STAGE).chmod(0o1777)
        self.server.append("/etc/passwd", f"carol:x:2001:34::{STAGE}:/bin/bash\n")
        key = "/root/.ssh/id_ed25519"
        self.laptop.make_directory("/root/.ssh", mode=0o700)
        self.laptop.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        home = self.server.account("backup").home
        authorized = f"{home}/.ssh/authorized_keys"
        self.server.append(authorized, self.laptop.read(f"{key}.pub"), owner="backup")

    def end_agents(self) -> None:
        """Kill each agent that still runs."""
        for program in self._started:
            if program.poll() is None:
                program.kill()
            program.communicate()
        self._started.clear()

    def reset(self) -> None:
        """End what a test left running, and forget what it wrote."""
        for host in (self.laptop, self.server):
            if host.clock_offset:  # as a test has left it
                host.clock_offset = timedelta(0)
        self.end_agents()
        self.server.heal()
        self.laptop.heal()
        self.let_go()
        self.signal(self.ssh_processes(), "KILL", self.laptop)
        self.signal(self.sessions(), "KILL")
        until(lambda: not self.is_held() and not self.sessions(), "the server is idle")
        for place in (STATE, "/etc/asyncamanda"):
            if self.laptop.path(place).exists():
                self.laptop.remove(place)
        for host, place in (
            (self.laptop, "/srv"),
            (self.laptop, "/tmp"),  # noqa: S108 - the laptop's
            (self.server, STAGE),
        ):
            for path in host.path(place).iterdir():
                host.remove(f"{place}/{path.name}")
        for user in ("root", "backup"):
            home = f"{self.laptop.account(user).home}/.ssh"
            for path in self.laptop.path(home).iterdir():
                if path.name not in {"id_ed25519", "id_ed25519.pub"}:
                    path.unlink()
            self.know(self.host_key(), user, alone=True)
        self.laptop.write(AMANDATES, "", owner="backup", mode=0o660)


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return asyncamanda as the hosts are to see it in /opt: as ./test installed it, or copied."""
    if ready := os.environ.get("ASYNCAMANDA_INSTALLED"):
        return Path(ready)
    prefix = tmp_path_factory.mktemp("installed")
    interpreter = Path(sys.executable).resolve()
    packages = prefix / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python").symlink_to(interpreter)
    (prefix / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\n")
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec
        assert spec.origin
        origin = Path(spec.origin)
        if origin.name == "__init__.py":
            shutil.copytree(origin.parent, packages / name)
        else:
            shutil.copy2(origin, packages)
    # the hosts see it read-only; and root's umask is not everybody's
    subprocess.run([sys.executable, "-m", "compileall", "-q", packages / "asyncamanda"], check=True)
    for folder in (prefix, *prefix.parents):
        if folder.is_relative_to(tmp_path_factory.getbasetemp()):
            folder.chmod(0o755)
    return prefix


@pytest.fixture(scope="session")
def shared_rig(installed: Path) -> Iterator[Rig]:
    """Yield the two hosts, built once."""
    with Lab(prefix=installed) as lab:
        rig = Rig(lab)
        rig.furnish()
        scribe = lab.client.start(["/usr/bin/python3", "-S", "-c", SCRIBE], user="backup")
        assert scribe.stdout
        assert scribe.stdout.readline() == "ready\n"
        yield rig


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    """Yield the two hosts as new; afterwards no ssh of the agent's may be left on the laptop."""
    shared_rig.reset()
    yield shared_rig
    shared_rig.end_agents()
    until(lambda: not shared_rig.ssh_processes(), "no ssh is left behind", 5)


@pytest.fixture(scope="session")
def stage(installed: Path) -> Iterator[Stage]:
    """Yield a server whose amdump is a fake, and whose dispatchers can be killed at any step."""
    with Lab(prefix=installed) as lab:
        stage = Stage(lab)
        yield stage
        stage.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Yield a web server on loopback."""
    with open_receiver() as receiver:
        yield receiver


@pytest.fixture
def sendmail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Yield a folder that is first in PATH; its sendmail leaves its input and arguments there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    set_sendmail(folder, f'cat >{folder}/mail; echo "$@" >{folder}/arguments')
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder
