"""Benchmark of drills: how much they read, how long that takes beside cat, and in which memory."""

import random
import shutil
import sys
from pathlib import Path

from tests.bench.agent import report
from tests.bench.restore import (
    LARGE,
    LARGE_BYTES,
    PART,
    STAMP,
    compare,
    in_memory,
    run_measured,
)
from tests.system.amandafiles import AmandaFiles
from tests.system.dumps import GZIPPED, PLAIN, Dumps, gzip, make_image

ROUNDS = 5
LEVEL_1 = "20261123010000"

# drills what is held, as `server drill` does but for asking Amanda and the ledger; says its peak
DRILL = """
import sys
from dataclasses import replace
from pathlib import Path
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.ledger.recorded_dumps import RecordedDump
from asyncamanda.server.restore.drills import GiveWay
from asyncamanda.server.restore.proving import Drill, prove_disk
from asyncamanda.server.restore.source import Source
from asyncamanda.system.clock import parse_local_stamp
what, folder, *stamps = sys.argv[1:]
there = Path(folder)
settings = Settings("daily", there, (there / "holding",), (1 << 20,), there, (there / "vtapes",))
dumps = []
for level, stamp in enumerate(stamps):
    verdict = DleVerdict("laptop", "/home", stamp, DumpState.HELD, level, has_begun=True)
    dumps.append(RecordedDump(replace(verdict, dumped_at=parse_local_stamp(stamp))))
def read_source():
    return Source(settings=settings, host="laptop", dles=[Dle("laptop", "/home")], dumps=dumps)
if what != "nothing":
    drill = Drill(what == "full", pause=GiveWay(there / "turns"))
    found = prove_disk(read_source, "/home", drill)
    assert found and found.is_good, found
    if what == "read":
        print(next(line.split()[1] for line in open("/proc/self/io") if line.startswith("rchar")))
        sys.exit()
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def bench_drill(_prefix: Path) -> None:
    """Compare drills of a gigabyte, plain and packed, with cat of the same files."""
    with in_memory() as folder:
        tree = folder / "tree"
        tree.mkdir()
        noise = random.Random(1)  # noqa: S311 - the same each time
        for number in range(LARGE):
            half = noise.randbytes(LARGE_BYTES // 2)
            (tree / f"f{number:03}").write_bytes(half + half.hex().encode()[: LARGE_BYTES // 2])
        images = [make_image(tree, folder / "snapshot", 0)]
        (tree / "new").write_bytes(noise.randbytes(LARGE_BYTES))
        images.append(make_image(tree, folder / "snapshot", 1))
        shutil.rmtree(tree)
        for claims in (PLAIN, GZIPPED):
            _compare(folder / claims.split()[1], images, claims)


def _compare(folder: Path, images: list[bytes], claims: str) -> None:
    dumps = Dumps(AmandaFiles(folder))
    paths = []
    for level, (stamp, image) in enumerate(zip((STAMP, LEVEL_1), images, strict=True)):
        packed = gzip(image) if claims == GZIPPED else image
        paths += dumps.hold(stamp, level, packed, claims=claims, chunk=PART)
    files, size = " ".join(map(str, paths)), sum(path.stat().st_size for path in paths)
    unpack = f"for file in {files}; do tail -c +32769 $file; done | nice -n 10 gzip -dc >/dev/null"
    ours = [sys.executable, "-c", DRILL]
    words = [str(folder), STAMP, LEVEL_1]
    costs = compare(
        {
            "nothing": [*ours, "nothing", *words],
            "quick": [*ours, "quick", *words],
            "full": [*ours, "full", *words],
            "cat": ["sh", "-c", f"cat {files} >/dev/null"],
            "piped": ["sh", "-c", f"cat {files} | cat >/dev/null"],
        }
        | ({"unpack": ["sh", "-c", unpack]} if claims == GZIPPED else {}),
        2 if claims == GZIPPED else ROUNDS,
    )
    read = run_measured([*ours, "read", *words]).mebibytes * 1024
    print(f"Drills of {size / 1e9:.2f} GB, {claims.split()[1]}")
    print(f"  {'read by one, of the bytes':<26}{read / size:7.2%}   <= 1.2 x")
    whole, start = costs["full"].seconds, costs["nothing"].seconds
    peer = "unpack" if claims == GZIPPED else "piped"
    name = "gzip -dc of all" if claims == GZIPPED else "cat of all, piped"
    report("all bytes", whole, costs[peer].seconds, "<= 1.2", name)
    report("... without its start", whole - start, costs[peer].seconds, "", name)
    used, bare = costs["full"].cpu - costs["nothing"].cpu, costs[peer].cpu
    print(f"  {'... of CPU':<26}{used / bare:5.2f} x {name:<22}{used:.2f} / {bare:.2f} s")
    report("... beside cat alone", whole - start, costs["cat"].seconds, "", "cat >/dev/null")
    report("a sample", costs["quick"].seconds, costs[peer].seconds, "", name)
    peak = max(costs["full"].mebibytes, costs["quick"].mebibytes) * 1.048576
    print(f"  {'peak memory':<26}{peak:.0f} MB   <= 64")
