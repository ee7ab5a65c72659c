"""The agent on the lab's laptop, as a user or a timer starts it."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asyncamanda.core.amanda.header import HEADER_BYTES
from lab import Client, Lab
from lab.patience import Limit, bound

ASYNCAMANDA = "/usr/local/bin/asyncamanda"
COMMAND = "/usr/sbin/amdump daily --exact-match laptop"
DISKS = {"/srv/docs": "roaming", "/srv/d 3": "roaming-amgtar"}

Run = subprocess.CompletedProcess[str]


def furnish(lab: Lab, *, bytes_each: int = 10_000, files: int = 3, **settings: object) -> None:
    """Give the laptop two disks, the server their DLEs, and the agent its configuration."""
    for disk, dumptype in DISKS.items():
        lab.client.add_tree(disk, files=files, bytes_each=bytes_each)
        lab.server.add_dle("laptop", disk, dumptype)
    configure(lab.client, **settings)


def configure(client: Client, **settings: object) -> None:
    """Write client.toml: the server, its command, and `settings` over them."""
    values: dict[str, object] = {
        "server": "backup@amanda",
        "command": COMMAND,
        "retry_within": "0.001s",  # the next start tries again
        "on_battery": "allow",  # whatever runs these tests
        **settings,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    lines += ["[ssh]", f'connect_timeout = "{bound(3)}"', f'keepalive = "{bound(2)}"']
    client.write("/etc/asyncamanda/client.toml", "\n".join(lines) + "\n")


def wait_settled(client: Client) -> None:
    """Return as soon as a run whose end nobody saw no longer keeps the next one waiting."""
    wait_until("it settles", lambda: not ask_json(client, "status")["settles_at"])


def ask(client: Client, *arguments: str, user: str = "root", timeout: float = 120) -> Run:
    """Run asyncamanda on `client` and return how it ended, whatever that is."""
    return client.run([ASYNCAMANDA, *arguments], user=user, check=False, timeout=timeout)


def ask_json(client: Client, *arguments: str) -> Any:
    """Return the JSON that asyncamanda answers."""
    return json.loads(ask(client, *arguments, "--json").stdout)


def outcomes(client: Client) -> list[str]:
    """Return how the attempts ended that the agent remembers, oldest first."""
    return [attempt["outcome"] for attempt in ask_json(client, "history")]


def wait_until(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    """Return as soon as `condition` holds; fail, naming `what`, if it does not in time."""
    limit = Limit(seconds)
    while not condition():
        assert not limit.is_over(), f"waited {seconds} s for: {what}"
        time.sleep(0.02)


def wait_for_bytes(holding: Path, host: str) -> None:
    """Return when some of a host's dump is in the holding disk, behind its header."""

    def has_come() -> bool:
        return any(path.stat().st_size > HEADER_BYTES for path in holding.glob(f"*/{host}.*.tmp"))

    wait_until("bytes come", has_come)
