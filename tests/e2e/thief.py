"""Whoever has a client's key: real ssh, and talk with the real gate."""

import json
import os
import select
import subprocess
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from tests.e2e.laptop import Run, wait_until
from tests.e2e.office import ends

from asyncamanda.core.protocol.messages import Hello
from asyncamanda.core.protocol.wire import encode
from lab import Client
from lab.patience import at_most

GATE = "asyncamanda gate"
SERVER = "backup@amanda"
MASTER = "/run/stolen/master"
HEAR_SECONDS = 20
MEMORY = "/var/lib/asyncamanda/client/memory.json"
HELLO = encode(Hello((1,), "thief 1.0", is_watching=True)).decode()

_tickets: WeakKeyDictionary[Client, str] = WeakKeyDictionary()  # where no agent keeps one


def read_ticket(client: Client) -> str:
    """Return the ticket that the server knows this client's machine by; "" if it has none."""
    if client.path(MEMORY).exists():
        return str(json.loads(client.read(MEMORY))["ticket"])
    return _tickets.get(client, "")


def keep_ticket(client: Client, ticket: str) -> None:
    """Keep it where the client's agent does, if that has been at work."""
    _tickets[client] = ticket
    if client.path(MEMORY).exists():
        memory = json.loads(client.read(MEMORY)) | {"ticket": ticket}
        client.write(MEMORY, json.dumps(memory), owner="backup")


def make_hello(client: Client, *, protocols: tuple[int, ...] = (1,), is_probe: bool = False) -> str:
    """Return a hello as the client's agent would say it."""
    ticket = read_ticket(client)
    hello = Hello(protocols, "thief 1.0", is_watching=True, ticket=ticket, is_probe=is_probe)
    return encode(hello).decode()


class Talk:
    """One session with the gate."""

    def __init__(self, program: "subprocess.Popen[str]", client: Client | None = None) -> None:
        self.program = program
        self._client = client  # who keeps the ticket that comes with the welcome
        self._unheard = b""

    def say(self, text: str) -> None:
        """Send `text` as it is; a lone surrogate is the byte that it stands for."""
        assert self.program.stdin
        self.program.stdin.write(text)
        self.program.stdin.flush()

    def hear(self, kind: str) -> dict[str, Any]:
        """Return the next message of that kind; fail if the line ends first, or nothing comes."""
        while True:
            while b"\n" not in self._unheard:
                self._unheard += self.read()
            line, _, self._unheard = self._unheard.partition(b"\n")
            message: dict[str, Any] = json.loads(line)
            if self._client and message.get("ticket"):
                keep_ticket(self._client, message["ticket"])
            if message["type"] == kind:
                return message

    def read(self, most: int = 65536) -> bytes:
        """Return what comes next; fail if nothing does."""
        assert self.program.stdout
        ready, _, _ = select.select([self.program.stdout], [], [], at_most(HEAR_SECONDS))
        assert ready, f"nothing came within {HEAR_SECONDS} s"
        piece = os.read(self.program.stdout.fileno(), most)
        assert piece, f"the line ended: {ends([self.program], 10)}"
        return piece

    def end(self, text: str = "", seconds: float = 20) -> tuple[int, list[dict[str, Any]]]:
        """Send `text`, and return how the gate ended and what it said until then."""
        stdout, _ = self.program.communicate(text, seconds)
        said = self._unheard.decode("ascii") + stdout
        return self.program.returncode, [json.loads(line) for line in said.splitlines()]

    def refusal(self, text: str, code: int) -> dict[str, Any]:
        """Send `text`, and return the refusal, the last word, with which the gate ends in `code`.

        The refusal says what a user needs.
        """
        found, said = self.end(text)
        assert said, f"the gate ended with {found} and without a word"
        last = said[-1]
        assert (last["type"], last.get("exit"), found) == ("refused", code, code), last
        assert last["message"]
        assert last["hint"]
        return last


class Thief:
    """Whoever has a client's key: ssh as that host's user backup."""

    def __init__(self, client: Client) -> None:
        self.client = client
        client.make_directory(str(Path(MASTER).parent), owner="backup", mode=0o700)

    def ssh(self, *words: str, **run: Any) -> Run:
        """Run ssh on a connection of its own, to its end."""
        argv = ["ssh", "-o", "BatchMode=yes", *words]
        return self.client.run(argv, user="backup", check=False, timeout=20, **run)

    def connect(self) -> None:
        """Make a connection that stays, and that runs nothing."""
        argv = ["ssh", "-o", "BatchMode=yes", "-M", "-N", "-S", MASTER, SERVER]
        self.client.start(argv, user="backup", stdin=subprocess.DEVNULL)
        wait_until("a master connection", self.client.path(MASTER).exists, 10)

    def try_command(self, *command: str) -> Run:
        """Ask for a command on the connection that stays; for a shell, if there is none."""
        return self.ssh("-S", MASTER, "--", SERVER, *command)

    def talk(self) -> Talk:
        """Begin to talk, on the connection that stays."""
        argv = ["ssh", "-S", MASTER, "--", SERVER, GATE]
        return Talk(self.client.start(argv, user="backup"), self.client)

    def greet(self, *, is_probe: bool = False) -> Talk:
        """Begin to talk, up to the gate's welcome."""
        talk = self.talk()
        talk.say(make_hello(self.client, is_probe=is_probe))
        talk.hear("welcome")
        return talk
