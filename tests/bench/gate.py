"""Benchmarks of the gate: twelve clients that arrive at once, and two hundred that wait."""

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.agent import report
from tests.e2e.laptop import wait_until
from tests.e2e.office import CONF, Office, ends, open_office

from asyncamanda.core.authority import Identity
from asyncamanda.core.model import DumpState
from asyncamanda.core.publickey import parse_public_key
from asyncamanda.server.registry import Enrolled, render_line

# -- a storm

TWELVE = tuple(f"pc{number:02}" for number in range(12))
ROUNDS = 3
WINDOW = 3.0  # seconds: the default


@dataclass(frozen=True, slots=True)
class Storm:
    """What twelve backups took in seconds, and cost: runs, volumes, lines on failures."""

    seconds: float
    runs: int
    volumes: int
    failures: int
    flushed_to: int  # volumes, after a flush


def go_through_gate(office: Office) -> None:
    """Back up all twelve, as their timers would."""
    ends([office.start(name) for name in TWELVE])


def start_twelve(office: Office) -> None:
    """Back up all twelve by an amdump each, as direct mode starts them."""
    argv = ["amdump", "daily", "--exact-match"]
    ends([office.server.start([*argv, name], user="backup") for name in TWELVE])


def start_one(office: Office) -> None:
    """Back up all twelve by one amdump."""
    office.server.amanda("amdump", "daily", "--no-taper", "--exact-match", *TWELVE)


def weather_storm(prefix: Path, back_up: Callable[[Office], None]) -> Storm:
    """Back up twelve clients of 20 MB that were never backed up before, on fresh ground."""
    with open_office(prefix, *TWELVE) as office:
        office.fill(files=4, bytes_each=5_000_000)
        is_gate = back_up is go_through_gate
        if is_gate:
            office.set_up({"batch_window": f"{WINDOW:g}s"})
            assert not office.pids("server dispatch"), "the dispatcher is to start cold"
        begun = time.monotonic()
        back_up(office)
        seconds = time.monotonic() - begun
        office.wait_idle()
        runs, volumes, failures = office.dumps(), office.volumes(), office.failures()
        if is_gate:
            office.ask("server", "flush", "daily")
            wait_until("all is on a volume", lambda: office.held() == set())
        return Storm(seconds, len(runs), len(volumes), len(failures), len(office.volumes()))


def bench_storm(prefix: Path) -> None:
    """Compare twelve at once through the gate with twelve amdump at once, and with a single one."""
    ways = (go_through_gate, start_twelve, start_one)
    rounds = [[weather_storm(prefix, way) for way in ways] for _ in range(ROUNDS)]
    gate, twelve, one = (list(storms) for storms in zip(*rounds, strict=True))
    bare = statistics.median(storm.seconds for storm in one)
    makespan = statistics.median(storm.seconds for storm in gate)
    separate = statistics.median(storm.seconds for storm in twelve)
    print(f"Twelve clients of 20 MB at once (batch window {WINDOW:g} s, {ROUNDS} rounds)")
    report("gate, window aside", makespan - WINDOW, bare, "<= 1.25", "one bare amdump", "s")
    report("gate, window and all", makespan, bare, "", "one bare amdump", "s")
    report("twelve amdump at once", separate, bare, "", "one bare amdump", "s")
    for name, storms in (("gate", gate), ("twelve amdump", twelve), ("one amdump", one)):
        counts = [
            f"{what} {_spread([getattr(storm, what) for storm in storms])}"
            for what in ("runs", "volumes", "failures")
        ]
        after = _spread([storm.flushed_to for storm in storms])
        flushed = f", {after} after its flush" if storms is gate else ""
        print(f"  {name:<26}{', '.join(counts)}{flushed}")


def _spread(counts: Sequence[int]) -> str:
    """Return what the rounds counted: a number, or from least to most."""
    least, most = min(counts), max(counts)
    return f"{least}" if least == most else f"{least} to {most}"


# -- a crowd that waits

CROWD = tuple(f"c{number:03}" for number in range(1, 201))
KEYS = "/srv/keys"
SMALL = "/srv/small"
MAKE_KEYS = (
    f'for name; do ssh-keygen -q -t ed25519 -N "" -C $name -f {KEYS}/$name; done; '
    f"cat {KEYS}/*.pub"
)
SSH = ["ssh", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
SLEEP_ALL = (
    f"for name; do {' '.join(SSH)} -i {KEYS}/bare backup@amanda sleep 600 </dev/null & done; wait"
)

# The server dumps each of the crowd's disks on itself: with this auth a name that resolves to an
# address of its own is enough (amanda-facts, "The network").
LOCAL = """
define dumptype on-the-server {
    roaming
    auth "local"
    amandad-path "/usr/lib/amanda/amandad"
    client-username "backup"
}
"""

# Each of the clients named asks the gate for a backup, on a connection of its own. Prints a line
# when all wait for the same reason, and what each was told at the last when all lines have ended.
TALK = """
import json, selectors, subprocess, sys
from asyncamanda.core.protocol import (
    Finished, Hello, Later, Ping, Pong, Queued, Refused, Submit, Welcome, encode, server_decoder)
keys, argv, *names = json.load(sys.stdin)
selector = selectors.DefaultSelector()
reasons, told, greeted, is_said = {}, {name: [] for name in names}, set(), False
def say(ssh, message):
    ssh.stdin.write(encode(message))
    ssh.stdin.flush()
for name in names:
    command = [*argv, "-i", f"{keys}/{name}", "backup@amanda", "asyncamanda gate"]
    ssh = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    say(ssh, Hello((1,), "bench", False))
    selector.register(ssh.stdout, selectors.EVENT_READ, (name, ssh, server_decoder()))
while selector.get_map():
    for key, _ in selector.select():
        name, ssh, decoder = key.data
        received = ssh.stdout.read(65536)
        if not received:
            selector.unregister(ssh.stdout)
        for message in decoder.feed(received):
            match message:
                case Welcome() if name not in greeted:
                    greeted.add(name)
                    say(ssh, Submit())
                case Ping():
                    say(ssh, Pong())
                case Queued():
                    reasons[name] = message.reason
                case Finished():
                    states = [verdict.state.value for verdict in message.verdicts]
                    told[name].append(["finished", message.run, *states])
                case Later() | Refused():
                    told[name].append([str(message)])
    if not is_said and len(reasons) == len(names) and len(set(reasons.values())) == 1:
        is_said = True
        print(*set(reasons.values()), flush=True)
json.dump(told, sys.stdout)
"""

# Prints the PSS in bytes of all that sshd's sessions are, how many processes of each name that
# is, and the dispatcher's PSS and CPU seconds. A gate that started it is its parent.
WEIGH = """
import collections, json, os
parents, names, lines = {}, {}, {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        text = open(f"/proc/{pid}/stat").read()
        lines[pid] = open(f"/proc/{pid}/cmdline").read()
    except OSError:
        continue
    names[pid], rest = text.partition("(")[2].rpartition(")")[::2]
    parents[pid] = rest.split()[1]
def weigh(pid):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
(listener,) = [pid for pid, line in lines.items() if "[listener]" in line]
dispatchers = [pid for pid, line in lines.items() if "\\0dispatch\\0" in line]
def is_of_session(pid):
    while pid in parents and pid not in dispatchers:
        if parents[pid] == listener:
            return True
        pid = parents[pid]
    return False
sessions = [pid for pid in parents if is_of_session(pid)]
counts = collections.Counter(names[pid] for pid in sessions)
cpu = [int(x) for p in dispatchers for x in open(f"/proc/{p}/stat").read().rpartition(")")[2].split()[11:13]]
print(json.dumps([sum(map(weigh, sessions)), counts, sum(map(weigh, dispatchers)),
                  sum(cpu) / os.sysconf("SC_CLK_TCK")]))
"""
