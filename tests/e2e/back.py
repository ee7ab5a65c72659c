"""Files back, as a person at a client asks for them, and an office with dumps to have them from."""

import base64
import os
import signal
import subprocess
from pathlib import Path, PurePosixPath

from tests.e2e.dumps import add_dumptype, cut_small, force_next_level
from tests.e2e.history import STEPS, add_attributes
from tests.e2e.laptop import ASYNCAMANDA, Run, wait_until
from tests.e2e.office import HOLDING, Office
from tests.e2e.trees import Entry, read_tree

from lab import Client

TO = "/srv/back"
SLOW = 20_000_000  # bits a second
AMGTAR = "/srv/d 3"
PACKER = "/usr/local/bin/pack"
# dumptype, what it is but for some lines; and the size of the file that each dump has
DISKS = {
    "/srv/docs": ("plain", "roaming", (), 2_500_000),
    AMGTAR: ("all-of-amgtar", "roaming-amgtar", ('application "keeps-all"',), 300_000),
    "/srv/by-client": ("gz-client", "roaming", ("compress client fast",), 300_000),
    "/srv/by-server": ("gz-server", "roaming-amgtar", ("compress server fast",), 1_500_000),
    "/srv/custom": (
        "custom",
        "roaming",
        ("compress server custom", f'server-custom-compress "{PACKER}"'),
        300_000,
    ),
}
KEEPS_ALL = """
define application keeps-all {
    plugin "amgtar"
    property "XATTRS" "yes"
    property "ACLS" "yes"
}
"""
Tree = dict[str, Entry]


class Past:
    """An office whose laptop has disks, dumped at some dates; what they were then."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.client = office.client("laptop")
        self.trees: list[dict[str, Tree]] = []
        self.runs: list[str] = []

    def set_up(self) -> None:
        """Define the dumptypes and the disks, and enroll the laptop."""
        server = self.office.server
        cut_small(server)
        server.append("/etc/amanda/daily/amanda.conf", KEEPS_ALL, owner="backup")
        server.write(PACKER, '#!/bin/sh\nexec gzip --best "$@"\n', mode=0o755)
        for disk, (dumptype, parent, lines, _) in DISKS.items():
            add_dumptype(server, dumptype, parent, *lines)
            server.add_dle("laptop", disk, dumptype)
            self.client.make_directory(disk)
        self.office.set_up()

    def live_on(self) -> None:
        """Let the next thing happen to every disk, and dump it, one level above the last one."""
        level = len(self.runs)
        for disk, (*_, size) in DISKS.items():
            STEPS[level](self.client.path(disk), size)
            if level == 0 and disk == AMGTAR:
                add_attributes(self.client.path(disk))
        self.trees.append({disk: read_tree(self.client.path(disk)) for disk in DISKS})
        if level:
            force_next_level(self.office.server, "laptop", [*DISKS])
        run = self.office.backup("laptop", "--force")
        assert run.returncode == 0, run.stderr + self.office.diary
        log = self.office.dumps()[-1]
        assert {verdict.level for verdict in log.verdicts} == {level}, log
        assert log.timestamp
        self.runs.append(log.timestamp)

    def flush(self) -> None:
        """Write all that is held to volumes."""
        self.office.ask("server", "flush", "daily")
        holding = Path(self.office.server.path(HOLDING))
        wait_until("nothing is held", lambda: not any(holding.glob("*/*")), 60)


def restore(client: Client, *words: str, to: str = TO, user: str = "root") -> Run:
    """Restore into a folder that is not there yet."""
    if client.path(to).exists():
        client.remove(to)
    argv = [ASYNCAMANDA, "restore", *words, "--to", to]
    return client.run(argv, user=user, check=False)


def restored(client: Client, path: str, to: str = TO) -> Tree:
    """Return what came back of a folder that was asked for, with no others but its siblings."""
    return read_tree(client.path(f"{to}/{PurePosixPath(path).name}"))


def list_all(client: Client, *words: str) -> set[str]:
    """Return the names that `list` finds in all disks."""
    done = client.run([ASYNCAMANDA, "list", "--find", "*", "-0", *words], check=False)
    assert done.returncode == 0, done.stderr
    paths = [name.rstrip("/") for name in done.stdout.split("\0") if name]
    assert len(paths) == len({*paths})
    return {*paths}


def begin(client: Client, *words: str, to: str = TO) -> "subprocess.Popen[str]":
    """Begin to restore into a folder that is not there yet."""
    return client.start([ASYNCAMANDA, "restore", *words, "--to", to], stdin=subprocess.DEVNULL)


def begin_held(client: Client, *words: str, to: str = TO) -> "subprocess.Popen[str]":
    """Begin to restore, and stop it at the client when something has come, but not all."""
    client.slow(SLOW)
    program = begin(client, *words, to=to)
    wait_until("something comes", lambda: _has_come(client, to, program))
    os.killpg(program.pid, signal.SIGSTOP)
    client.heal()
    assert program.poll() is None
    return program


def go_on(program: "subprocess.Popen[str]") -> None:
    """Let what is stopped go on."""
    os.killpg(program.pid, signal.SIGCONT)


def _has_come(client: Client, to: str, program: "subprocess.Popen[str]") -> bool:
    """Return whether a file that is being restored has some of its bytes."""
    if program.poll() is not None:
        raise AssertionError(program.communicate())
    place = client.path(to)
    return place.exists() and any(
        path.is_file() and not path.is_symlink() and path.stat().st_blocks
        for path in place.rglob("*")
    )


class Gate:
    """One connection to the gate with a client's key, for what that client's user may think of."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._way = ["ssh", "-o", "BatchMode=yes", "-S", "/tmp/way", "backup@amanda"]  # noqa: S108
        self._master = client.start([*self._way, "-M", "-N"], user="backup")
        wait_until("it is connected", client.path("/tmp/way").is_socket)  # noqa: S108

    def ask(self, line: str, words: str = "asyncamanda gate restore") -> tuple[int, bytes, str]:
        """Send a line to a command there; return its exit code, and what it writes."""
        script = '{ "$@"; echo $? >&3; } 3>/tmp/code | base64 -w 0; cat /tmp/code >&2'
        argv = ["bash", "-c", script, "bash", *self._way, words]
        done = self._client.run(argv, user="backup", stdin=f"{line}\n", check=False)
        said, code = done.stderr.rstrip("\n").rpartition("\n")[::2]
        return int(code), base64.b64decode(done.stdout), said

    def close(self) -> None:
        """Disconnect."""
        self._master.terminate()
        self._master.communicate()
