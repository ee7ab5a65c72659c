"""An office in the lab: an Amanda server with the gate, and clients that ask it for backups."""

import json
import re
import subprocess
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.e2e.laptop import ASYNCAMANDA, Run, wait_for_bytes, wait_until

from asyncamanda.core.amanda.runlog import RunLog, parse_run_log
from asyncamanda.core.model import DumpState
from lab import Client, Lab
from lab.patience import bound

CONF = "/etc/amanda/daily/amanda.conf"
STATE = "/var/lib/asyncamanda/server"
LOGDIR = "/var/lib/amanda/daily/log"
HOLDING = "/srv/amanda/holding"
DISK = "/srv/docs"
SLOW = 1_000_000  # bits a second, of a laptop whose dump takes a while
# what tests turn down; the rest is as users have it
PATIENT = {"retry_within": "0.001s", "on_battery": "allow"}  # of the agent's
SETTINGS = {"batch_window": "0.5s"}
HEARTBEAT, LONGEST_HEARTBEAT = 2, 15  # seconds; the latter is all that server.toml accepts
STEP = 4  # on Debian 13 any cut may cost a dumper, for which this is waited twice

# a file of SQLite's cannot be opened from outside of its host: it follows links by itself
_CONFIRMED = f"""
import json
from datetime import timedelta
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.newest import find_backups
ledger = Ledger.open("{STATE}/ledger.sqlite", timedelta(seconds=5), is_owner=False)
with transaction(ledger.engine, is_writing=False) as connection:
    newest = find_backups(connection, "daily")
print(json.dumps([[*dle, verdict.state.value] for dle, verdict in newest.items()]))
"""


class Office:
    """A lab whose clients are enrolled: the gate is all that their keys reach."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.server = lab.server

    def client(self, name: str) -> Client:
        """Return a client by its name."""
        return self.lab.clients[name]

    def set_up(
        self,
        settings: dict[str, Any] | None = None,
        direct: Collection[str] = (),
        **tables: dict[str, Any],
    ) -> None:
        """Set the server up, enroll every client, and configure their agents.

        Amanda reaches the `direct` ones by itself, and the others by the relay.
        """
        server = self.server
        home = server.account("backup").home
        server.write(f"{home}/.ssh/authorized_keys", "", owner="backup", mode=0o600)
        self.configure(settings, **tables)
        self.ask("server", "setup", "--yes")
        for name, client in self.lab.clients.items():
            way = ["--direct"] if name in direct else []
            words = ["--amanda-config", "daily", "--key", client.backup_key, *way]
            self.ask("server", "enroll", name, *words)
            self.configure_agent(client)

    def configure(self, settings: dict[str, Any] | None = None, **tables: dict[str, Any]) -> None:
        """Write server.toml."""
        values = SETTINGS | {"heartbeat": bound(HEARTBEAT, LONGEST_HEARTBEAT)} | (settings or {})
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        tables["watch"] = {"step": bound(STEP)} | tables.get("watch", {})
        for table, keys in tables.items():
            lines += [f"[{table}]", *(f"{key} = {json.dumps(v)}" for key, v in keys.items())]
        self.server.write("/etc/asyncamanda/server.toml", "\n".join(lines) + "\n")

    def configure_agent(self, client: Client, **settings: object) -> None:
        """Write a client.toml that names the server and no command: that means the gate."""
        values = {"server": "backup@amanda", **PATIENT, **settings}
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        lines += ["[ssh]", f'connect_timeout = "{bound(5)}"', f'keepalive = "{bound(2)}"']
        client.write("/etc/asyncamanda/client.toml", "\n".join(lines) + "\n")

    def shift_clocks(self, offset: timedelta) -> None:
        """Let it be later, or earlier, for asyncamanda on every host: no clock is wrong."""
        for host in self.lab.hosts:
            host.clock_offset = offset

    def fill(self, *names: str, disk: str = DISK, files: int = 3, bytes_each: int = 10_000) -> None:
        """Give each of these clients a disk with files, and the server its DLE."""
        for name in names or self.lab.clients:
            self.client(name).add_tree(disk, files=files, bytes_each=bytes_each)
            self.server.add_dle(name, disk)

    # -- doing

    def ask(self, *words: str, check: bool = True) -> Run:
        """Run asyncamanda at the server, as root."""
        return self.server.run([ASYNCAMANDA, *words], check=check)

    def start(self, name: str, *words: str) -> "subprocess.Popen[str]":
        """Start a client's agent, as its timer would."""
        return self.client(name).start([ASYNCAMANDA, "run", *words])

    def backup(self, name: str, *words: str, seconds: float = 90) -> Run:
        """Let a client's agent run to its end."""
        argv = [ASYNCAMANDA, "run", *words]
        return self.client(name).run(argv, check=False, timeout=seconds)

    # -- looking

    @property
    def diary(self) -> str:
        """What the dispatchers have written down."""
        path = f"{STATE}/dispatcher.log"
        return self.server.read(path) if self.server.path(path).exists() else ""

    def view(self) -> dict[str, Any]:
        """Return what `server queue` knows of the one Amanda configuration; nothing if idle."""
        view = json.loads(self.ask("server", "queue", "--json").stdout)
        return dict(view["configs"][0]) if view["configs"] else {}

    def connected(self) -> list[str]:
        """Return the clients that are connected."""
        return list(json.loads(self.ask("server", "queue", "--json").stdout)["connected"])

    def reachable(self) -> list[str]:
        """Return the clients that Amanda reaches by the relay."""
        return list(json.loads(self.ask("server", "queue", "--json").stdout)["reachable"])

    def logs(self) -> list[RunLog]:
        """Return every run's log, parsed, oldest first."""
        return [log for text in self.server.run_logs() if (log := parse_run_log(text))]

    def dumps(self) -> list[RunLog]:
        """Return the logs of every amdump."""
        return [log for log in self.logs() if log.program == "amdump"]

    def failures(self) -> list[str]:
        """Return every line in any log that reports something that failed."""
        return [
            line
            for text in self.server.run_logs()
            for line in text.splitlines()
            if line.startswith(("FAIL ", "ERROR ", "PARTIAL "))
        ]

    def volumes(self) -> list[str]:
        """Return the labels of all volumes that were used."""
        return [label for log in self.logs() for label in log.labels]

    def pids(self, pattern: str) -> list[int]:
        """Return the server's processes, by its own numbers, whose command line has `pattern`.

        A process that has just been forked, and is to become another program, looks like its
        parent until then: it does not count.
        """
        lines = self.server.run(["ps", "-ww", "-eo", "pid=,ppid=,args="]).stdout.splitlines()
        found = [(*line.split(maxsplit=2), "")[:3] for line in lines]
        words = {int(pid): (int(parent), args) for pid, parent, args in found}
        return sorted(
            pid
            for pid, (parent, args) in words.items()
            if re.search(pattern, args) and words.get(parent, (0, ""))[1] != args
        )

    def kill(self, pattern: str) -> None:
        """Kill what has `pattern` in its command line at the server; fail if nothing has."""
        self.server.run(["pkill", "-KILL", "-f", "--", pattern])

    def wait_for_dump(self, name: str) -> None:
        """Return when a dump of the client is under way: its file is in the holding disk."""
        holding = Path(self.server.path(HOLDING))
        try:
            wait_until(f"a dump of {name}", lambda: any(holding.glob(f"*/{name}.*.tmp")), 60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.diary}\n{self.server.run_logs()}") from error

    def wait_idle(self) -> None:
        """Return when nothing of Amanda's runs at the server."""
        wait_until("Amanda is idle", lambda: not self.server.is_amdump_running(), 120)

    def confirmed(self) -> dict[tuple[str, str], DumpState]:
        """Return, by the ledger, each (host, disk) that the server has a dump of, and where."""
        printed = self.server.run(["/opt/asyncamanda/bin/python", "-c", _CONFIRMED], user="backup")
        return {(host, disk): DumpState(state) for host, disk, state in json.loads(printed.stdout)}

    def held(self) -> set[tuple[str, str]]:
        """Return what is in the holding disk, by the ledger."""
        return {dle for dle, state in self.confirmed().items() if state is DumpState.HELD}


def ends(agents: Iterable["subprocess.Popen[str]"], seconds: float = 120) -> list[tuple[int, str]]:
    """Return how each agent ended, and what it printed."""
    done = []
    for agent in agents:
        stdout, stderr = agent.communicate(timeout=seconds)
        done.append((agent.returncode, stdout + stderr))
    return done


@contextmanager
def open_office(prefix: Path, *names: str, **lab: Any) -> Iterator[Office]:
    """Yield an office with these clients."""
    with Lab(prefix=prefix, clients=names or ("laptop",), **lab) as built:
        yield Office(built)


@contextmanager
def open_slow_office(
    prefix: Path,
    big: int,
    settings: dict[str, Any] | None = None,
    *,
    nat: bool = False,
    **tables: dict[str, Any],
) -> Iterator[Office]:
    """Yield an office with a laptop whose dump of `big` bytes takes a while, and a tower."""
    with open_office(prefix, "laptop", "tower", nat=nat) as office:
        office.fill("laptop", files=1, bytes_each=big)
        office.fill("tower")
        office.set_up(settings, **tables)
        office.client("laptop").slow(SLOW)
        yield office


def start_both(office: Office) -> list["subprocess.Popen[str]"]:
    """Start both agents, for one run; return when the laptop's dump has begun to come."""
    agents = [office.start(name) for name in ("laptop", "tower")]
    office.wait_for_dump("laptop")
    wait_for_bytes(Path(office.server.path(HOLDING)), "laptop")
    return agents
