"""Benchmarks of the relay: a gigabyte through it and by other ways, and a storm behind a router."""

import os
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from tests.bench.agent import report
from tests.bench.gate import compare_storms, go_through_gate, start_one, weather_storm
from tests.e2e.office import CONF, DISK, Office, ends, open_office

from asyncamanda.core.protocol.authority import ATTACH
from asyncamanda.system.processes import iterate_processes
from lab import AmandaServer, Host

# -- what processes use

SAMPLE_SECONDS = 0.1
TICKS = os.sysconf("SC_CLK_TCK")
# by a word of its argv
OURS = {
    "agent": "run",
    "gate": "gate",
    "dispatcher": "dispatch",
    "serve": "serve",
    "restore": "restore",
    "keep": "keep",
}
ATTACHED = "gate attach"


def name_process(called: str, argv: Sequence[str], environ: str) -> str:
    """Return a name for a process; `called` is what the kernel calls it."""
    if called == "ssh" and "-S" in argv:  # an agent's
        return "ssh, the master" if "-M" in argv else "ssh, a session"
    if any(word.endswith("asyncamanda") for word in argv[:4]):
        ours = next((name for name, word in OURS.items() if word in argv), called)
        return ATTACHED if ours == "gate" and ATTACH in environ else ours
    return called


def read_namespace(pid: int) -> str:
    """Return which PID namespace a process is in. Raises OSError."""
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


class Meter:
    """Adds up the CPU that the processes of these hosts use, by side and name.

    What one used in its last moments, up to SAMPLE_SECONDS of them, is not seen; nor is what
    lived for less.
    """

    def __init__(self, hosts: Sequence[Host]) -> None:
        """Begin; what was used before does not count."""
        self._sides = {
            read_namespace(host.pid): "server" if isinstance(host, AmandaServer) else "client"
            for host in hosts
        }
        self._known: dict[int, str | None] = {}  # each process's side
        self._used: dict[tuple[int, str], tuple[str, int]] = {}  # by process and its birth
        self._before: Counter[str] = Counter()
        self._sample()
        self._before = self.read()
        self._is_over = threading.Event()
        self._sampler = threading.Thread(target=self._sample_on)
        self._sampler.start()

    def read(self) -> Counter[str]:
        """Return what each kind of process has used so far, in ticks."""
        total: Counter[str] = Counter()
        for name, ticks in list(self._used.values()):
            total[name] += ticks
        return total - self._before

    def stop(self) -> None:
        """End."""
        self._is_over.set()
        self._sampler.join()

    def _sample_on(self) -> None:
        while not self._is_over.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        pids = {process.pid for process in iterate_processes()}
        self._known = {pid: side for pid, side in self._known.items() if pid in pids}
        for pid in pids:
            with suppress(OSError):  # it has just ended
                if pid not in self._known:
                    self._known[pid] = self._sides.get(read_namespace(pid))
                if side := self._known[pid]:
                    self._read(Path(f"/proc/{pid}"), side)

    def _read(self, process: Path, side: str) -> None:
        before, _, after = (process / "stat").read_text(errors="replace").rpartition(")")
        fields = after.split()
        argv = (process / "cmdline").read_text(errors="replace").split("\0")
        environ = (process / "environ").read_text(errors="replace")
        name = name_process(before.partition("(")[2], argv, environ)
        ticks = int(fields[11]) + int(fields[12])
        self._used[int(process.name), fields[19]] = f"{side} {name}", ticks


# -- a gigabyte, four ways

FILES, FILE_BYTES = 4, 250_000_000
DISK_BYTES = 3 << 30
ROUNDS = 3
SECONDS = 300

# Amanda as it comes has room for half of that
ROOM = {"use 500 mbytes": "use 2 gbytes", "length 500 mbytes": "length 2 gbytes"}
WITHOUT_SSH = 'define dumptype without-ssh {\n    roaming\n    auth "bsdtcp"\n}\n'
# Debian's line for inetd, without an inetd
INETD = """
import socket, subprocess
listener = socket.create_server(("", 10080))
print("ready", flush=True)
while True:
    line, _ = listener.accept()
    argv = ["/usr/lib/amanda/amandad", "-auth=bsdtcp", "amdump"]
    subprocess.Popen(argv, stdin=line, stdout=line)
    line.close()
"""
CAT = f"ssh -x -o BatchMode=yes laptop 'cat {DISK}/*' >/dev/null"

_DUMPED = re.compile(r"^SUCCESS dumper .*\[sec ([0-9.]+) kb ([0-9]+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Haul:
    """What a way achieved: bytes a second, and what it used, in ticks, by side and process.

    `whole` is of the whole run, `dump` of what came from the dump's first byte on.
    """

    rate: float
    whole: Counter[str] = field(default_factory=Counter)
    dump: Counter[str] = field(default_factory=Counter)


@contextmanager
def open_warehouse(
    prefix: Path, dumptype: str = "roaming", *, nat: bool = False
) -> Iterator[Office]:
    """Yield an office whose one client has a gigabyte."""
    with open_office(prefix, "laptop", nat=nat, disk_bytes=DISK_BYTES) as office:
        conf = office.server.read(CONF)
        for little, much in ROOM.items():
            assert little in conf
            conf = conf.replace(little, much)
        office.server.write(CONF, conf + WITHOUT_SSH, owner="backup")
        office.lab.client.add_tree(DISK, files=FILES, bytes_each=FILE_BYTES)
        office.server.add_dle("laptop", DISK, dumptype)
        yield office


def haul(office: Office, start: Callable[[], "subprocess.Popen[str]"]) -> Haul:
    """Return what the one dump that `start` leads to has achieved."""
    meter = Meter(office.lab.hosts)
    try:
        run = start()
        office.wait_for_dump("laptop")
        before = meter.read()
        ((status, said),) = ends([run], SECONDS)
    finally:
        meter.stop()
    assert status == 0, said
    logs = office.server.run_logs()
    ((seconds, kilobytes),) = [found for log in logs for found in _DUMPED.findall(log)]
    assert int(kilobytes) * 1024 > FILES * FILE_BYTES
    whole = meter.read()
    return Haul(int(kilobytes) * 1024 / float(seconds), whole, whole - before)


def dump(office: Office) -> Haul:
    """Let Amanda alone make the dump."""
    argv = ("amdump", "daily", "--no-taper", "--exact-match", "laptop")
    return haul(office, partial(office.server.start, argv, user="backup"))


def by_relay(prefix: Path, *, nat: bool = True) -> Haul:
    """Dump a client through its own connection; behind a router there is no other way."""
    with open_warehouse(prefix, nat=nat) as office:
        office.set_up()
        return haul(office, partial(office.start, "laptop"))


def by_second_sshd(prefix: Path) -> Haul:
    """Dump a client that the server reaches, through the client's sshd."""
    with open_warehouse(prefix) as office:
        return dump(office)


def without_ssh(prefix: Path) -> Haul:
    """Dump a client that the server reaches, by Amanda's own connections."""
    with open_warehouse(prefix, "without-ssh") as office:
        client = office.lab.client
        home = client.account("backup").home
        allowed = "".join(f"{name} backup amdump\n" for name in ("amanda", "amanda.example.com"))
        client.write(f"{home}/.amandahosts", allowed, owner="backup", mode=0o600)
        inetd = client.start(["/usr/bin/python3", "-I", "-c", INETD], user="backup")
        assert inetd.stdout
        assert inetd.stdout.readline() == "ready\n"
        return dump(office)


def by_cat(prefix: Path) -> Haul:
    """Let the server read a client's files, by ssh and nothing else."""
    with open_warehouse(prefix) as office:
        begun = time.monotonic()
        office.server.run(["sh", "-c", CAT], user="backup", timeout=SECONDS)
        return Haul(FILES * FILE_BYTES / (time.monotonic() - begun))


WAYS: dict[str, Callable[[Path], Haul]] = {
    "relay": by_relay,
    "relay, no router": partial(by_relay, nat=False),
    "second sshd": by_second_sshd,
    "no ssh": without_ssh,
    "ssh cat": by_cat,
}


def bench_relay(prefix: Path) -> None:
    """Compare a gigabyte through the relay with the same by other ways."""
    rounds = [{name: way(prefix) for name, way in WAYS.items()} for _ in range(ROUNDS)]
    print(f"A level 0 of 1 GB, MB a second ({ROUNDS} rounds)")
    targets = {"second sshd": ">= 0.95"}
    for other in list(WAYS)[1:]:
        ours, theirs = (median(one[name].rate for one in rounds) for name in ("relay", other))
        report("relay", ours, theirs, targets.get(other, ""), other, "MB")
        ratios = sorted(one["relay"].rate / one[other].rate for one in rounds)
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"  {'... in each round':<26}{median(ratios):5.2f} x   of {each}")
    for name in ("relay", "second sshd"):
        report_cpu(name, [one[name] for one in rounds])


def report_cpu(way: str, hauls: Sequence[Haul]) -> None:
    """Print what the processes on the way use, and our own ones' share of it."""
    total = median(haul.whole.total() for haul in hauls)
    print(f"CPU seconds by the {way}: the whole run, and from the dump's first byte on")
    rows = {
        name: [median(used[name] for used in spans) for spans in split_spans(hauls)]
        for name in {name for haul in hauls for name in haul.whole}
    }
    for name, (whole, dump) in sorted(rows.items(), key=lambda row: -row[1][0]):
        if is_ours(name) or whole >= total / 100:
            print(f"  {name:<26}{whole / TICKS:5.2f}  {dump / TICKS:5.2f}")
    sums = [median(used.total() for used in spans) for spans in split_spans(hauls)]
    print(f"  {'all':<26}{sums[0] / TICKS:5.2f}  {sums[1] / TICKS:5.2f}")
    for what, spans in zip(("whole run", "dump"), split_spans(hauls), strict=True):
        shares = [sum(used[n] for n in used if is_ours(n)) / used.total() for used in spans]
        if any(shares):
            spread = f"{min(shares):.1%} to {max(shares):.1%}"
            print(f"  {'our own, ' + what:<26}{median(shares):5.1%}  {spread:>14}   < 5 %")


def split_spans(hauls: Sequence[Haul]) -> list[list[Counter[str]]]:
    """Return what was used in the whole runs, and from the dumps' first bytes on."""
    return [[haul.whole for haul in hauls], [haul.dump for haul in hauls]]


def is_ours(name: str) -> bool:
    """Return whether a process by this side and name is asyncamanda's."""
    return name.partition(" ")[2] in {*OURS, ATTACHED}


# -- a storm


def bench_relay_storm(prefix: Path) -> None:
    """Compare twelve at once from behind a router with one amdump of twelve in the open."""
    compare_storms(
        "Twelve clients of 20 MB at once, behind a router",
        {
            "gate": partial(weather_storm, prefix, go_through_gate, nat=True),
            "one amdump": partial(weather_storm, prefix, start_one),
        },
    )
