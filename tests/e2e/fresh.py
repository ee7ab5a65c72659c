"""A fresh office: a server without asyncamanda's set-up, and a client that it does not know."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pexpect.fdpexpect
from tests.e2e.laptop import ASYNCAMANDA, Run

from lab import Host, Lab
from lab.patience import at_most, bound

DISK = "/srv/docs"
SSH = "/var/backups/.ssh"
CLIENT_TOML = "/etc/asyncamanda/client.toml"
PROGRAM = "/opt/asyncamanda/bin/asyncamanda"
LINE = re.compile(r"^(?:sudo )?(asyncamanda server enroll .*?)\r?$", re.MULTILINE)
# what tests turn down; the rest is as users have it
_SERVER_TOML = 'batch_window = "0.5s"\nheartbeat = "{}"\n'
_COLUMNS = 80


@contextmanager
def open_fresh(prefix: Path) -> Iterator[Lab]:
    """Yield a lab without what setup is to make: keys, known hosts, the account's shell, DLEs."""
    with Lab(prefix=prefix) as lab:
        server, client = lab.server, lab.client
        passwd = server.read("/etc/passwd")
        nologin = re.sub(r"^(backup:.*:)[^:]*$", r"\1/usr/sbin/nologin", passwd, flags=re.M)
        server.write("/etc/passwd", nologin)
        server.remove(SSH)
        server.write("/etc/asyncamanda/server.toml", _SERVER_TOML.format(bound(2, 15)))
        client.remove(SSH)
        client.add_tree(DISK)
        client.run(["rm", ASYNCAMANDA])
        yield lab


def fingerprint(lab: Lab) -> str:
    """Return the server's host key as its administrator sees it."""
    key = "/etc/ssh/ssh_host_ed25519_key.pub"
    return lab.server.run(["ssh-keygen", "-lf", key]).stdout.split()[1]


def set_up(lab: Lab, *words: str, timeout: float = 60) -> Run:
    """Run `asyncamanda setup` where there is no terminal."""
    return lab.client.run([PROGRAM, "setup", *words], check=False, timeout=timeout)


def start_setup(lab: Lab, *words: str) -> "subprocess.Popen[str]":
    """Start it there; its standard error is among its output."""
    return lab.client.start([PROGRAM, "setup", *words], stderr=subprocess.STDOUT)


def read_line(setup: "subprocess.Popen[str]") -> str:
    """Return the line for the server, as soon as setup has printed it."""
    assert setup.stdout
    said = ""
    for text in setup.stdout:
        said += text
        if found := LINE.search(said):
            return found[1]
    raise AssertionError(f"setup ended without a line for the server: {said}")


def type_line(lab: Lab, line: str) -> Run:
    """Run the line on the server, as its root."""
    return lab.server.run(["sh", "-c", line], check=False)


class Terminal:
    """A terminal of a host with asyncamanda on it."""

    def __init__(self, host: Host, *words: str) -> None:
        """Start it."""
        master, slave = os.openpty()
        self.screen = pexpect.fdpexpect.fdspawn(master, timeout=at_most(30), encoding="utf-8")
        # setsid makes the terminal its own, so that Ctrl-C reaches it
        argv = ["setsid", "-c", "-w", PROGRAM, *words]
        environ = {"TERM": "xterm", "COLUMNS": str(_COLUMNS)}
        self.program = host.start(argv, stdin=slave, stdout=slave, stderr=slave, environ=environ)
        os.close(slave)
        self.said = ""

    def expect(self, text: str) -> None:
        """Wait until `text` stands there."""
        self.screen.expect_exact(text)
        self.said += f"{self.screen.before}{self.screen.after}"

    def expect_line(self) -> str:
        """Wait for the line for the server, and return it."""
        self.screen.expect(LINE)
        self.said += f"{self.screen.before}{self.screen.after}"
        assert isinstance(self.screen.match, re.Match)
        return str(self.screen.match[1])

    def type(self, text: str) -> None:
        """Type a line."""
        self.screen.send(f"{text}\n")

    def press(self, key: str) -> None:
        """Press Ctrl and a key."""
        self.screen.send(chr(ord(key.upper()) - 64))

    def end(self) -> int:
        """Return the exit code, once all that was printed is read."""
        try:
            with suppress(OSError):  # once the terminal's other end is closed
                self.screen.expect(pexpect.EOF, timeout=at_most(60))
        except pexpect.TIMEOUT as error:
            raise AssertionError(f"it does not end: {self.said}{self.screen.before}") from error
        self.said += self.screen.before if isinstance(self.screen.before, str) else ""
        code = self.program.wait(30)
        self.screen.close()
        return code


def everything(lab: Lab) -> dict[str, tuple[int, int, bytes]]:
    """Return owner, mode and content of all that setup may touch on the client."""
    seen = {}
    for top in ("/etc/asyncamanda", "/etc/cron.d", "/etc/systemd", SSH):
        place = lab.client.path(top)
        for path in [place, *place.rglob("*")] if place.exists() else []:
            status = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            seen[f"{top}/{path.relative_to(place)}"] = (status.st_uid, status.st_mode, content)
    return seen
