"""A machine in a story: where it is, what each start of its agent does, and who hears of it."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.e2e.laptop import ASYNCAMANDA
from tests.e2e.office import Office
from tests.system.desktop import METERED_NO, METERED_YES, STANDARD_FOLDER, Desktop

from asyncamanda.core.conditions.surroundings import LinkKind
from lab import Client
from lab.clock import ShiftedClock
from lab.patience import bound

ZONE = ZoneInfo("Europe/Berlin")
TOML = "/etc/asyncamanda/client.toml"
MEMORY = "/var/lib/asyncamanda/client/memory.json"
PINGS, MAILS = "/var/tmp/pings", "/var/tmp/mails"  # noqa: S108 - the host's own
PORT = 8321
MACHINE_ID = f"{'7' * 32}\n"  # by which the laptop's turn comes 4 minutes after an opening
PATIENCE = 'connect_timeout = "{}"'
KIND = "X-Asyncamanda-Alert: "
IDLE = {"not due", "deferred", "waits"}  # after these the server must not have been asked
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(hours=1)
NOTIFY = f"""\
[notify]
desktop = false
mail = "root"
ping = "http://127.0.0.1:{PORT}/ping"
"""
SENDMAIL = f"""\
#!/bin/sh
cat > {MAILS}/$(ls {MAILS} | wc -l)
"""
RECEIVER = f"""\
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        with open("{PINGS}", "a") as pings:
            print(self.path, file=pings)
        self.send_response(200)
        self.end_headers()
server = HTTPServer(("127.0.0.1", {PORT}), Handler)
print("ready", flush=True)
server.serve_forever()
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A network, and the power that is there; `battery` is the charge, None on mains."""

    network: str
    kind: LinkKind
    is_metered: bool = False
    battery: float | None = None

    def __str__(self) -> str:
        metered = ", metered" if self.is_metered else ""
        power = "mains" if self.battery is None else f"battery at {self.battery:g} %"
        return f"{self.network} ({self.kind.value}{metered}), {power}"


class Machine:
    """A client whose starts are written down in `lines`; on a desktop, if it has a `place`."""

    def __init__(self, office: Office, client: Client, stack: ExitStack) -> None:
        self.client = client
        self.lines: list[str] = []
        self.told: list[str] = []
        self.ends: list[str] = []
        self._office = office
        self._power = stack.enter_context(ExitStack())
        self._desktop: Desktop | None = None
        self._place: Place | None = None
        self._heard = {PINGS: 0, MAILS: 0}
        self._folded = ("", "", 0)

    def furnish(self, **settings: object) -> None:
        """Configure the agent, and put up who hears of it."""
        self._office.configure_agent(self.client, **settings)
        self.client.append(TOML, NOTIFY)
        self.client.write("/etc/machine-id", MACHINE_ID)
        self.client.make_directory(MAILS, owner="backup")
        self.client.write("/usr/local/sbin/sendmail", SENDMAIL, mode=0o755)
        self.client.write(PINGS, "", owner="backup")
        self._power.enter_context(self._hears_pings())

    # -- what happens to it

    def be(self, place: Place) -> None:
        """Be somewhere else."""
        if self._desktop is None:
            start, root = self.client.start, self.client.path("/")
            self._desktop = self._power.enter_context(Desktop(STANDARD_FOLDER, start, root))
        self._place = place
        ssid = place.network.encode() if place.kind is LinkKind.WIFI else None
        metered = METERED_YES if place.is_metered else METERED_NO
        self._desktop.disconnect()
        self._desktop.connect(place.network, place.kind, ssid=ssid, metered=metered)
        if place.battery is None:
            self._desktop.plug_in()
        else:
            self._desktop.unplug(place.battery)

    def cut(self) -> None:
        """Let its line swallow everything, and its agent soon see that."""
        self.client.cut()
        self._be_patient("1s")

    def heal(self) -> None:
        """Undo cut()."""
        self.client.heal()
        self._be_patient(bound(5))

    def _be_patient(self, span: str) -> None:
        toml, count = re.subn(PATIENCE.format(".*"), PATIENCE.format(span), self.client.read(TOML))
        assert count == 1
        self.client.write(TOML, toml)

    def reboot(self) -> None:
        """Go down silently, and come back in the same place."""
        self.client.power_cut()
        self._power.close()
        self._desktop = None
        self.client.boot()
        self._power.enter_context(self._hears_pings())
        if self._place:
            self.be(self._place)

    def draw_longest_wait(self) -> None:
        """Let the wait that has begun be the longest that chance could have drawn."""
        memory = json.loads(self.client.read(MEMORY))
        assert memory["retry_at"], memory
        longest = min(FIRST_WAIT * 2 ** (memory["tries"] - 1), LONGEST_WAIT)
        began = datetime.fromisoformat(memory["attempts"][-1]["ended_at"])
        drawn = datetime.fromisoformat(memory["retry_at"]) - began
        assert timedelta() <= drawn <= longest + timedelta(minutes=1), memory
        memory["retry_at"] = (began + longest).isoformat()
        self.client.write(MEMORY, json.dumps(memory), owner="backup")

    @contextmanager
    def _hears_pings(self) -> Iterator[None]:
        receiver = self.client.start(["/usr/bin/python3", "-c", RECEIVER])
        try:
            assert receiver.stdout
            assert receiver.stdout.readline() == "ready\n"
            yield
        finally:
            receiver.kill()
            receiver.communicate()

    # -- what is written down

    def note(self, stamp: str, words: str) -> None:
        """Write down what happens beside the starts."""
        self._folded = ("", "", 0)
        self.lines.append(f"{stamp}  -- {words}")

    def start(self, stamp: str) -> None:
        """Start the agent as its timer does, and write down what happened to it."""
        connections = self._office.server.connections
        run = self.client.run([ASYNCAMANDA, "run", "--json"], check=False)
        assert run.stdout, (stamp, run.stderr)
        end = json.loads(run.stdout.splitlines()[-1])
        outcome = _name_end(end)
        self.ends.append(outcome)
        if outcome in IDLE:
            heard = self._office.server.connections - connections
            # it may be told that a backup waits
            assert heard == 0 or (heard == 1 and outcome != "not due"), (stamp, end)
        pings = [path[len("/ping/") :] or "success" for path in self._news(PINGS)]
        told = self._news(MAILS)
        self.told += told
        words = [f"{self._place}: " if self._place else "", _describe(end)]
        words += [f"; exit {run.returncode}"] * bool(run.returncode)
        words += [f"; pings: {', '.join(pings)}"] * bool(pings)
        words += [f"; told: {kind}" for kind in told]
        self._write(stamp, "".join(words))

    def _write(self, stamp: str, words: str) -> None:
        """Add a line, or fold it into the one before if that says the same."""
        first, last, count = self._folded
        if words == last:
            self._folded = (first, words, count + 1)
            self.lines[-1] = f"{first}  {words}  [{count + 1} starts until {stamp}]"
        else:
            self._folded = (stamp, words, 1)
            self.lines.append(f"{stamp}  {words}")

    def _news(self, place: str) -> list[str]:
        """Return what has come since the last call: paths of pings, or kinds of mails."""
        if place == PINGS:
            entries = self.client.read(PINGS).splitlines()
        else:
            count = sum(1 for _ in self.client.path(MAILS).iterdir())
            mails = [self.client.read(f"{MAILS}/{number}") for number in range(count)]
            entries = [mail.partition(KIND)[2].split()[0] for mail in mails]
        new = entries[self._heard[place] :]
        self._heard[place] = len(entries)
        return new

    def history(self) -> list[str]:
        """Return what the agent remembers of it all."""
        found = self.client.run([ASYNCAMANDA, "history", "--json"])
        return [
            f"{row['outcome']} ({row['times']} times)" if row["times"] > 1 else row["outcome"]
            for row in json.loads(found.stdout)
        ]


def _name_end(end: dict[str, Any]) -> str:
    """Return the outcome, or the error's reference; a wait stays one when the backup is stale."""
    name = str(end["error"] if end["outcome"] == "error" else end["outcome"])
    return "waits" if name == "stale" and "the next try is at" in end["message"] else name


def _describe(end: dict[str, Any]) -> str:
    """Return what a start's last word means."""
    name = _name_end(end)
    if name == "backed up":
        return ", ".join(f"backed up {each['disk']} level {each['level']}" for each in end["dumps"])
    if name == "not due":
        return "nothing due"
    if name == "deferred":
        reasons = [f"{each['condition']} ({each['found']})" for each in end["because"]]
        until = f" until {format_wall(end['until'])} at most" if end["until"] else ""
        return f"deferred by {' and '.join(reasons)}{until}"
    if end["error"] == "stale":
        return (
            "waits for its next try"
            if name == "waits"
            else end["message"].split("last attempt: ")[1]
        )
    return "waits for its next try" if name == "waits" else str(end["message"])


def format_wall(moment: str | datetime) -> str:
    """Return the day, and the time on a wall in Berlin."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return f"{moment.astimezone(ZONE):%a %d %b %H:%M}"


def set_time(office: Office, moment: datetime) -> None:
    """Let it be `moment` on every host, for asyncamanda and for amdump's names of its runs."""
    office.shift_clocks(moment - datetime.now(UTC))


def move_to_berlin(office: Office) -> None:
    """Let the hosts' local time be Berlin's, and let amdump see the shifted clock.

    The gate knows a dump by its run's name, which is a time.
    """
    for host in office.lab.hosts:
        host.run(["ln", "-sf", "/usr/share/zoneinfo/Europe/Berlin", "/etc/localtime"])
    environ = ShiftedClock(office.server).environ("/usr/bin/perl")
    words = " ".join(f"{key}={value}" for key, value in environ.items())
    script = f'#!/bin/sh\nexport {words}\nexec /usr/sbin/amdump "$@"\n'
    office.server.write("/usr/local/sbin/amdump", script, mode=0o755)
