"""Benchmarks of whole commands that give files back, beside amfetchdump, and cat through ssh.

An office in the lab has real dumps on volumes, in parts; all that is stored is in memory.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.agent import Timing, measure, report
from tests.bench.relay import TICKS, Meter, is_ours
from tests.e2e.back import Past
from tests.e2e.dumps import add_dumptype
from tests.e2e.laptop import ASYNCAMANDA, wait_until
from tests.e2e.office import CONF, DISK, STATE, Office, open_office

from asyncamanda.core.restore.request import FilesRequest, encode_request
from lab import Host

PIECE = 50_000_000  # bytes of a large file
GIGABYTE, MANY = 20, 100  # of those: 1 GB, and 5 GB
ROUNDS, WHOLE_ROUNDS = 9, 3
SECONDS = 900
SMALL = "zzz"  # the last name in the image
ROOM = {
    "use 500 mbytes": "use 7 gbytes",
    "length 500 mbytes": "length 3 gbytes\n    part-size 100 mbytes",
}
WITH_HOLES = """
define application with-holes {
    plugin "amgtar"
    property "SPARSE" "no"
}
"""
TO = "/srv/back"
KEY = "/root/any"
QUESTION = "/tmp/question"  # noqa: S108 - the host's own
PARTS = "/srv/amanda/vtapes/slot*/*.laptop.*"
IN_PARTS = f'for part in {PARTS}; do tail -c +32769 "$part"; done'
FETCH = f"amfetchdump -a -p daily laptop {DISK} </dev/null | tar -xC {TO}"


@contextmanager
def open_store(prefix: Path, count: int) -> Iterator[Office]:
    """Yield an office that has one dump, on volumes, of so many large files and a small one."""
    with open_office(prefix, disk_bytes=13 << 30) as office:
        conf = office.server.read(CONF)
        for little, much in ROOM.items():
            assert little in conf
            conf = conf.replace(little, much)
        office.server.write(CONF, conf + WITH_HOLES, owner="backup")
        add_dumptype(office.server, "as-it-is", "roaming-amgtar", 'application "with-holes"')
        laptop = office.client("laptop")
        laptop.add_tree(DISK, files=min(count, GIGABYTE), bytes_each=PIECE)
        for number in range(GIGABYTE, count):  # stored as zeros
            with laptop.path(f"{DISK}/file-{number}").open("wb") as hole:
                hole.truncate(PIECE)
        laptop.path(f"{DISK}/{SMALL}").write_bytes(b"six by")
        office.server.add_dle("laptop", DISK, "as-it-is")
        office.set_up()
        used = dump_and_keep(office)
        share = used["server keep"] / used.total()
        print(
            f"A level 0 of {count * PIECE / 1e9:.0f} GB, {used.total() / TICKS:.1f} s of CPU in all"
        )
        print(f"  {'keeping its head':<26}{share:5.1%}   <= 3 %")
        Past(office).flush()
        (run,) = office.dumps()
        (verdict,) = run.verdicts
        assert verdict.kilobytes
        assert verdict.kilobytes * 1024 > count * PIECE
        yield office


def dump_and_keep(office: Office) -> Counter[str]:
    """Let the laptop be dumped, and its head be kept; return the CPU that all processes used."""
    meter = Meter(office.lab.hosts)
    try:
        done = office.backup("laptop", seconds=SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        heads = office.server.path(f"{STATE}/heads")
        wait_until("the head is kept", lambda: any(heads.rglob("20*.0")), SECONDS)
    finally:
        meter.stop()
    return meter.read()


def plan_commands(office: Office, path: str) -> tuple[str, str, str]:
    """Return what gives `path` back: the process at the server, and two commands."""
    question = encode_request(FilesRequest(DISK, (path.encode(),)))
    office.server.write(QUESTION, question.decode())
    full = f"{DISK}/{path}"
    serve = f"/opt/asyncamanda/bin/python -I -m asyncamanda server serve laptop daily <{QUESTION}"
    return (
        serve,
        f"rm -rf {TO}; {ASYNCAMANDA} server restore laptop {full} --to {TO}",
        f"rm -rf {TO}; {ASYNCAMANDA} restore {full} --to {TO}",
    )


def time_shell(host: Host, *scripts: str, rounds: int, user: str = "root") -> list[Timing]:
    """Return a timing of each script, run in turn; fail if one fails."""
    timings = measure(host, [["sh", "-c", script] for script in scripts], rounds, user)
    assert [timing.exit for timing in timings] == [0] * len(scripts), (scripts, timings)
    return timings


@dataclass(frozen=True, slots=True)
class Seconds:
    """What giving one small file back took: at the server alone, and as commands."""

    serve: float
    at_server: float
    at_client: float
    fetch: float


def time_small(office: Office) -> Seconds:
    """Time a file of six bytes, and amfetchdump with tar, which reads all."""
    serve, at_server, at_client = plan_commands(office, SMALL)
    server, client = office.server, office.client("laptop")
    server.run(["install", "-d", "-o", "backup", TO])
    (fetch,) = time_shell(server, FETCH, rounds=WHOLE_ROUNDS, user="backup")
    assert server.path(f"{TO}/{SMALL}").read_bytes() == b"six by"
    server.run(["rm", "-rf", TO])
    (served,) = time_shell(server, f"{serve} >/dev/null", rounds=ROUNDS, user="backup")
    (ordered,) = time_shell(server, at_server, rounds=ROUNDS)
    (asked,) = time_shell(client, at_client, rounds=ROUNDS)
    assert client.path(f"{TO}/{SMALL}").read_bytes() == b"six by"
    return Seconds(served.seconds, ordered.seconds, asked.seconds, fetch.seconds)


def let_in(office: Office) -> None:
    """Give the laptop's root a key that may run anything, beside the one for the gate."""
    laptop, server = office.client("laptop"), office.server
    laptop.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY])
    allowed = f"{server.account('backup').home}/.ssh/authorized_keys"
    server.append(allowed, laptop.read(f"{KEY}.pub"), owner="backup", mode=0o600)


def report_whole(office: Office) -> None:
    """Compare the whole gigabyte through the gate with cat through the same ssh."""
    laptop = office.client("laptop")
    let_in(office)
    known = f"{laptop.account('backup').home}/.ssh/known_hosts"
    options = f"-o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile={known} -i {KEY}"
    ssh = f"ssh -x {options} backup@amanda"
    cat = f"{ssh} '{IN_PARTS}' >{TO}"
    ratios, shares, seconds = [], [], []
    for _ in range(WHOLE_ROUNDS):
        laptop.run(["rm", "-rf", TO])
        begun = time.monotonic()
        laptop.run(["sh", "-c", cat], timeout=SECONDS)
        bare = time.monotonic() - begun
        assert laptop.path(TO).stat().st_size > GIGABYTE * PIECE
        laptop.run(["rm", "-rf", TO])
        meter = Meter(office.lab.hosts)
        try:
            begun = time.monotonic()
            laptop.run([ASYNCAMANDA, "restore", DISK, "--to", TO], timeout=SECONDS)
            ours = time.monotonic() - begun
        finally:
            meter.stop()
        used = meter.read()
        ratios.append(bare / ours)
        seconds.append((bare, ours))
        shares.append(sum(used[name] for name in used if is_ours(name)) / used.total())
    bare, ours = (median(column) for column in zip(*seconds, strict=True))
    report("all of it, speed", 1 / ours, 1 / bare, ">= 0.9", "cat through ssh", "ms")
    print(f"  {'... seconds':<26}{ours:.1f} against {bare:.1f}")
    print(f"  {'... in each round':<26}{', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    print(f"  {'... our own CPU':<26}{median(shares):5.1%}   < 10 %")
    for name, ticks in used.most_common(8):
        print(f"      {name:<28}{ticks / TICKS:5.2f} s of CPU, last round")


def bench_commands(prefix: Path) -> None:
    """Compare a small file out of 1 GB and 5 GB, and 1 GB whole, with Amanda's own and with cat."""
    small = {}
    for count in (GIGABYTE, MANY):
        with open_store(prefix, count) as office:
            taken = small[count] = time_small(office)
            print(f"One file of 6 bytes out of {count * PIECE / 1e9:.0f} GB in parts, on volumes")
            of = "amfetchdump | tar -x"
            report("the server's part", taken.serve, taken.fetch, "<= 0.1", of)
            report("server restore", taken.at_server, taken.fetch, "", of)
            report("restore, by a client", taken.at_client, taken.fetch, "<= 0.35", of)
            if count == GIGABYTE:
                report_whole(office)
    few, many = small[GIGABYTE], small[MANY]
    print("The same out of 5 GB and of 1 GB")
    report("the server's part", many.serve, few.serve, "0.8 to 1.2", "out of 1 GB")
    report("restore, by a client", many.at_client, few.at_client, "0.8 to 1.2", "out of 1 GB")
