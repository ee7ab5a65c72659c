"""Benchmarks of the gate: twelve clients that arrive at once, and two hundred that wait."""

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from tests.bench.agent import report
from tests.e2e.laptop import wait_until
from tests.e2e.office import CONF, Office, ends, open_office

from asyncamanda.core.model import DumpState
from asyncamanda.core.ssh.publickey import parse_public_key
from asyncamanda.server.enrol.enrolled import Enrolled, render_line

# -- a storm

TWELVE = tuple(f"pc{number:02}" for number in range(12))
ROUNDS = 5
WINDOW = 3.0  # seconds: the default


_FINISH = re.compile(r"^FINISH driver date \d+ time ([0-9.]+)", re.MULTILINE)  # amanda-facts


@dataclass(frozen=True, slots=True)
class Storm:
    """What twelve backups took, in seconds, and what they came to.

    `amdump` is the driver's own time, of the longest run; `flushed` are the volumes after a flush.
    """

    seconds: float
    amdump: float
    runs: int
    dumps: int
    failures: int
    volumes: int
    flushed: int


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


def weather_storm(prefix: Path, back_up: Callable[[Office], None], *, nat: bool = False) -> Storm:
    """Back up twelve clients of 20 MB that were never backed up before, on fresh ground."""
    with open_office(prefix, *TWELVE, nat=nat) as office:
        office.fill(files=4, bytes_each=5_000_000)
        is_gate = back_up is go_through_gate
        if is_gate:
            office.set_up({"batch_window": f"{WINDOW:g}s"})
            assert not office.pids("server dispatch"), "the dispatcher is to start cold"
        begun = time.monotonic()
        back_up(office)
        seconds = time.monotonic() - begun
        office.wait_idle()
        runs, failures, volumes = office.dumps(), office.failures(), office.volumes()
        times = [float(time) for log in office.server.run_logs() for time in _FINISH.findall(log)]
        if is_gate:
            office.ask("server", "flush", "daily")
            wait_until("all is on a volume", lambda: office.held() == set())
        return Storm(
            seconds=seconds,
            amdump=max(times, default=0.0),
            runs=len(runs),
            dumps=sum(verdict.state.is_confirmed for log in runs for verdict in log.verdicts),
            failures=len(failures),
            volumes=len(volumes),
            flushed=len(office.volumes()),
        )


def bench_storm(prefix: Path) -> None:
    """Compare twelve at once through the gate with twelve amdump at once, and with a single one."""
    compare_storms(
        "Twelve clients of 20 MB at once",
        {
            "gate": partial(weather_storm, prefix, go_through_gate),
            "twelve amdump": partial(weather_storm, prefix, start_twelve),
            "one amdump": partial(weather_storm, prefix, start_one),
        },
    )


def compare_storms(title: str, ways: Mapping[str, Callable[[], Storm]]) -> None:
    """Compare a storm through the `gate` with `one amdump`, and with what other ways there are."""
    rounds = [[weather() for weather in ways.values()] for _ in range(ROUNDS)]
    storms = dict(zip(ways, map(list, zip(*rounds, strict=True)), strict=True))
    seconds = {name: median(storm.seconds for storm in storms[name]) for name in ways}
    drivers = {name: median(storm.amdump for storm in storms[name]) for name in ways}
    gate, bare = seconds.pop("gate"), seconds.pop("one amdump")
    print(f"{title} (batch window {WINDOW:g} s, {ROUNDS} rounds)")
    report("gate, window aside", gate - WINDOW, bare, "<= 1.25", "one bare amdump", "s")
    report(
        "... its driver alone", drivers["gate"], drivers["one amdump"], "", "that of the bare", "s"
    )
    report("gate, window and all", gate, bare, "", "one bare amdump", "s")
    for name, other in seconds.items():
        report(f"{name} at once", other, bare, "", "one bare amdump", "s")
    for name, these in storms.items():
        words = [
            f"{what} {_spread([getattr(storm, what) for storm in these])}"
            for what in ("runs", "dumps", "failures", "volumes")
        ]
        if name == "gate":
            words.append(f"{_spread([storm.flushed for storm in these])} after its flush")
        print(f"  {name:<26}{', '.join(words)}")


def _spread(counts: Sequence[int]) -> str:
    """Return what the rounds counted: a number, or from least to most."""
    least, most = min(counts), max(counts)
    return f"{least}" if least == most else f"{least} to {most}"


# -- a crowd that waits

CROWD = tuple(f"c{number:03}" for number in range(1, 201))
KEYS = "/srv/keys"
SMALL = "/srv/small"
MAKE_KEYS = (
    f'for name; do ssh-keygen -q -t ed25519 -N "" -C $name -f {KEYS}/$name; done; cat {KEYS}/*.pub'
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
from asyncamanda.core.protocol.messages import (
    Finished, Hello, Later, Ping, Pong, Queued, Refused, Submit, Welcome)
from asyncamanda.core.protocol.wire import encode, server_decoder
keys, argv, *names = json.loads(sys.stdin.readline())
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
                    told[name].append(["sent away", str(message)])
    if not is_said and len(reasons) == len(names) and len(set(reasons.values())) == 1:
        is_said = True
        print(*set(reasons.values()), flush=True)
json.dump(told, sys.stdout)
"""

# Prints the PSS in bytes of all that sshd's sessions are, how many processes of each name that
# is, and the dispatcher's PSS and CPU seconds. A gate that started the dispatcher is its parent.
WEIGH = """
import collections, json, os
from asyncamanda.system.processes import iterate_processes, read_argv
processes = {process.pid: process for process in iterate_processes()}
argvs = {pid: read_argv(pid) or [""] for pid in processes}
(listener,) = [pid for pid, argv in argvs.items() if "[listener]" in argv[0]]
dispatchers = [pid for pid, argv in argvs.items() if "dispatch" in argv]
def is_of_session(pid):
    while pid in processes and pid not in dispatchers:
        pid = processes[pid].parent
        if pid == listener:
            return True
    return False
def weigh(pids):
    texts = [open(f"/proc/{pid}/smaps_rollup").read() for pid in pids]
    return sum(int(text.partition("Pss:")[2].split()[0]) * 1024 for text in texts)
sessions = [pid for pid in processes if is_of_session(pid)]
counts = collections.Counter(processes[pid].name for pid in sessions)
ticks = [open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[11:13] for pid in dispatchers]
cpu = sum(int(number) for two in ticks for number in two) / os.sysconf("SC_CLK_TCK")
print(json.dumps([weigh(sessions), counts, weigh(dispatchers), cpu]))
"""
PYTHON = "/opt/asyncamanda/bin/python"
CALM_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Weight:
    """What sessions take at the server: bytes (PSS) in all, and processes by their names."""

    sessions: int
    processes: dict[str, int]
    dispatcher: int  # bytes
    dispatcher_cpu: float  # seconds


def weigh(office: Office) -> Weight:
    """Return what stands at the server now."""
    return Weight(*json.loads(office.server.run([PYTHON, "-I", "-c", WEIGH]).stdout))


def invite_crowd(office: Office) -> None:
    """Enroll the crowd, whose keys are all on one host; its disks are the server's own."""
    server, fleet = office.server, office.client("fleet")
    fleet.make_directory(KEYS, owner="backup", mode=0o700)
    made = fleet.run(["sh", "-c", MAKE_KEYS, "sh", "bare", *CROWD], user="backup").stdout
    keys = {key.comment: key for key in map(parse_public_key, made.splitlines())}
    bare = keys["bare"]
    lines = [f"restrict {bare.key_type} {bare.key} bare\n"]
    lines += [render_line(Enrolled(name, "daily", keys[name])) for name in CROWD]
    home = server.account("backup").home
    server.write(f"{home}/.ssh/authorized_keys", "".join(lines), owner="backup", mode=0o600)
    office.configure({"batch_window": "3s", "heartbeat": "15s"})
    office.ask("server", "setup", "--yes")

    server.append(CONF, LOCAL, owner="backup")
    addresses = [f"127.0.2.{number} {name}\n" for number, name in enumerate(CROWD, 1)]
    server.append("/etc/hosts", "".join(addresses))
    server.write("/var/lib/amanda/amandates", "", owner="backup", mode=0o660)
    server.make_directory("/var/lib/amanda/gnutar-lists", owner="backup", mode=0o770)
    for name in CROWD:
        server.write(f"{SMALL}/{name}/file", name * 1000)
    dles = [f"{name} {SMALL}/{name} on-the-server\n" for name in CROWD]
    server.append("/etc/amanda/daily/disklist", "".join(dles), owner="backup")


def weigh_bare(office: Office) -> Weight:
    """Return what as many sessions take that do nothing but sleep."""
    fleet, count = office.client("fleet"), len(CROWD)
    sleepers = fleet.start(["sh", "-c", SLEEP_ALL, "sh", *CROWD], user="backup")
    wait_until("all sleep", lambda: len(office.pids("^sleep 600")) == count, 120)
    assert len(office.server.sshd_processes("backup")) == count
    bare = weigh(office)
    fleet.run(["pkill", "-x", "ssh"])
    sleepers.communicate(timeout=60)
    wait_until("they are gone", lambda: not office.server.sshd_processes("backup"))
    return bare


def start_crowd(office: Office) -> "subprocess.Popen[str]":
    """Return what asks for a backup for each of the crowd, as soon as all wait for others."""
    crowd = office.client("fleet").start([PYTHON, "-I", "-c", TALK], user="backup")
    assert crowd.stdin
    assert crowd.stdout
    crowd.stdin.write(json.dumps([KEYS, SSH, *CROWD]) + "\n")
    crowd.stdin.flush()
    reason = crowd.stdout.readline().strip()
    assert reason == "others", (reason, office.diary)
    return crowd


def check_crowd(office: Office, told: dict[str, list[list[str]]]) -> int:
    """Return how many runs served the crowd; fail if any client is served twice, or forgotten."""
    good = {state.value for state in DumpState if state.is_confirmed}
    served = [{host for host, _ in log.dles} & set(CROWD) for log in office.dumps()]
    dumped = Counter(host for hosts in served for host in hosts)
    twice = [name for name in CROWD if len(told[name]) > 1 or dumped[name] > 1]
    assert not twice, f"served twice: {twice}"
    confirmed = {
        name for name in CROWD for _, _, *states in told[name] if states and {*states} <= good
    }
    forgotten = [name for name in CROWD if name not in confirmed or not dumped[name]]
    assert not forgotten, ("forgotten", {name: told[name] for name in forgotten}, office.failures())
    return sum(map(bool, served))


def bench_waiting(prefix: Path) -> None:
    """Weigh two hundred clients that wait for a run of others; then each is served once."""
    with open_office(prefix, "fleet", "tower") as office:
        invite_crowd(office)
        bare = weigh_bare(office)
        tower = office.client("tower")
        office.fill("tower", files=4, bytes_each=2_000_000)
        tower.slow(500_000)  # two minutes and more
        nightly = office.server.start(["amdump", "daily", "--exact-match", "tower"], user="backup")
        office.wait_for_dump("tower")
        begun = time.monotonic()
        crowd = start_crowd(office)
        arrived = time.monotonic() - begun
        before = weigh(office)
        time.sleep(CALM_SECONDS)
        report_waiting(before, weigh(office), bare)
        print(f"  {'all wait':<26}{arrived:.1f} s after the first connects")
        assert nightly.poll() is None, "the run of others was over too soon"

        tower.heal()
        nightly.communicate(timeout=120)
        freed = time.monotonic()
        printed, _ = crowd.communicate(timeout=600)
        seconds = time.monotonic() - freed
        office.wait_idle()
        runs, count = check_crowd(office, json.loads(printed)), len(CROWD)
        print(f"  {'served':<26}{count} in {seconds:.0f} s and {runs} run(s); twice 0, forgotten 0")


def report_waiting(before: Weight, now: Weight, bare: Weight) -> None:
    """Print what the crowd takes; from `before` to `now` the dispatcher had nothing to do."""
    count = len(CROWD)
    print(f"{count} clients waiting, by ssh from one host (PSS at the server, sshd included)")
    report("a client", now.sessions / count, bare.sessions / count, "<= 25", "ssh sleep", "MB")
    for name, weight in (("gate", now), ("ssh sleep", bare)):
        parts = ", ".join(f"{number} {what}" for what, number in sorted(weight.processes.items()))
        print(f"  {name:<26}{parts}")
    cpu = (now.dispatcher_cpu - before.dispatcher_cpu) / CALM_SECONDS
    print(f"  {'the dispatcher':<26}{now.dispatcher / 1e6:.1f} MB, {cpu:.1%} of one core")
