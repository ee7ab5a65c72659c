"""Benchmarks of giving files back: a million files' lists, what is kept, and a gigabyte's files.

Peers are what Amanda's user has without us: `zcat` of an index, `amfetchdump | tar -x`.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.agent import report
from tests.bench.million import Disk, make_disk, write_index
from tests.system.amandafiles import AmandaFiles
from tests.system.dumps import GZIPPED, PLAIN, Dumps, gzip, make_image

from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.keeping import MOST_TOGETHER, find_base_place
from asyncamanda.core.restore.kept_facts import keep_folder
from asyncamanda.core.restore.kept_index import DumpName
from asyncamanda.core.restore.kept_writer import KeptWriter
from asyncamanda.core.restore.member import Member
from asyncamanda.server.restore.heads import HeadStore

FILES = 1_000_000
DAYS = 30
SHARE = 0.01
ROUNDS = 5
CONFIG, HOST, DISK = "daily", "laptop", "/home"

# What is asked of a kept head, each in a process of its own, which a list's process is.
LIST = """
import os, sys
from pathlib import Path
from asyncamanda.server.restore.heads import HeadStore
what, folder, stamp, level, path = sys.argv[1:]
head = HeadStore("daily", Path(folder)).find("laptop", "/home", stamp, int(level))
if what == "folder":
    entries = head.entries(os.fsencode(path))
elif what == "find":
    from asyncamanda.core.restore.selection import find
    entries = find(head, b"*jpg")
else:
    entries = head.walk()
out = open("/dev/null", "wb")
out.writelines(flag + path + b"\\0" for path, flag in entries)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a program took: seconds, seconds of CPU, and MiB at its peak."""

    seconds: float
    cpu: float
    mebibytes: float


def run_measured(argv: list[str]) -> Cost:
    """Run a program and return what it took.

    Where it is one of asyncamanda it says how much memory; what the kernel says has that of whoever
    started it.
    """
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said, Path(os.devnull).open("r+b") as null:
        sink = said if argv[0] == sys.executable else null
        process = subprocess.Popen(argv, stdin=null, stdout=sink)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        said.seek(0)
        kibibytes = said.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, argv
    return Cost(seconds, usage.ru_utime + usage.ru_stime, int(kibibytes.strip() or 0) / 1024)


def compare(commands: dict[str, list[str]], rounds: int = ROUNDS) -> dict[str, Cost]:
    """Return what each took, in turn, so many times over: the median, and the highest peak."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, argv in commands.items():
            costs[name].append(run_measured(argv))
    return {
        name: Cost(
            median(cost.seconds for cost in its),
            median(cost.cpu for cost in its),
            max(cost.mebibytes for cost in its),
        )
        for name, its in costs.items()
    }


@contextmanager
def in_memory() -> Iterator[Path]:
    """Yield a folder for a gigabyte, which is in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


# -- lists, and what is kept


def keep(store: HeadStore, name: DumpName, members: Iterable[Member], row: list[DumpName]) -> None:
    """Keep a head, on the base that it has on a server; `row` are those before it, in order."""
    head, folders = Head(), {}
    members = iter(members)
    first = next(members)
    while first.dumpdir is not None:
        head.add(first)
        folders[first.path] = keep_folder(first)
        first = next(members)
    place = len(row) % MOST_TOGETHER
    row = row[len(row) - place :]
    on = row[find_base_place(place)] if place else None
    base = store.find(on.host, on.disk, on.timestamp, on.level) if on else None
    writer = KeptWriter(name, base, place)

    def parts() -> Iterator[bytes]:
        yield from writer.begin(head, folders, _chain(first, members))
        yield from writer.end()

    store.write(name, parts())


def _chain(first: Member, others: Iterator[Member]) -> Iterator[Member]:
    yield first
    yield from others


def bench_lists(_prefix: Path) -> None:
    """Compare lists out of kept heads with zcat of the full dump's index."""
    with in_memory() as folder:
        disk = make_disk(FILES)
        index = folder / "index.gz"
        write_index(disk, index)
        count = sum(map(len, disk.files.values())) + len(disk.files)
        row, sizes = live(disk, HeadStore(CONFIG, folder), folder)
        print(f"A disk of {count:,} names, {DAYS} dumps, {SHARE:.0%} of it changed each day")
        zcat = ["zcat", str(index)]
        last = os.fsdecode(max(disk.files))
        for what, which in (("the full's", row[0]), ("the last one's", row[-1])):
            asked = [str(folder), which.timestamp, str(which.level), last]
            costs = compare(
                {"zcat": zcat}
                | {
                    name: [sys.executable, "-I", "-c", LIST, name, *asked]
                    for name in ("folder", "all", "find")
                }
            )
            base = costs["zcat"].seconds
            print(f"  Out of {what} head")
            for name, target in (("folder", "<= 0.3"), ("all", "<= 3"), ("find", "<= 4")):
                report(name, costs[name].seconds, base, target, "zcat of its index", "ms")
                cpu = costs[name].cpu / costs["zcat"].cpu
                print(f"  {'... of CPU':<26}{cpu:5.2f} x")
                print(f"  {'... peak memory':<26}{costs[name].mebibytes:.0f} MiB   <= 32")
        kept, named = sum(sizes) / 1e6, index.stat().st_size / 1e6
        print(f"  {'kept heads, all dumps':<26}{kept:.1f} MB   <= 60   (index: {named:.1f} MB)")
        print(f"  {'... of them the full':<26}{sizes[0] / 1e6:.1f} MB")


def live(disk: Disk, store: HeadStore, folder: Path) -> tuple[list[DumpName], list[int]]:
    """Let the disk live, dump it each day, all but the first at level 1, and keep the heads.

    Return the dumps, and how many bytes each head takes.
    """
    row: list[DumpName] = []
    sizes: list[int] = []
    fresh: set[bytes] | None = None
    before = 0
    for day in range(DAYS):
        if day:
            fresh = (fresh or set()) | disk.live_a_day(SHARE)
        name = DumpName(CONFIG, HOST, DISK, f"202611{day + 1:02}000000", min(day, 1))
        keep(HeadStore(CONFIG, folder), name, disk.members(fresh), row)
        row.append(name)
        there = sum(path.stat().st_size for path in store.folder.rglob("*.*") if path.is_file())
        sizes.append(there - before)
        before = there
    return row, sizes


# -- a gigabyte

LARGE, LARGE_BYTES = 100, 10_000_000
PART = 100 << 20
STAMP = "20261122010000"
WHOLE = {PLAIN: "", GZIPPED: "| gzip -dc"}
# keeps the head of what is held, and says how many seconds of CPU that took
KEEP = """
import resource, sys
from pathlib import Path
from asyncamanda.core.restore.keep_order import HeldDump, KeepOrder
from asyncamanda.server.restore.heads import HeadStore
from asyncamanda.server.restore.keep import Keeper
holding, heads, stamp = sys.argv[1:]
held = (HeldDump("laptop", "/home", stamp, 0),)
order = KeepOrder("daily", (holding,), 10**9, (), held)
Keeper(order, HeadStore("daily", Path(heads)), print).keep_new()
"""
# gives a file back out of a volume, and says how many bytes were read for it
GIVE = """
import sys
from pathlib import Path
from asyncamanda.core.restore.selection import select
from asyncamanda.server.restore.archive import ArchiveWriter
from asyncamanda.server.restore.dump_files import DumpFiles, open_dump_file
from asyncamanda.server.restore.gzip_image import GzipImage
from asyncamanda.server.restore.heads import HeadStore
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.server.restore.streams import PlainImage
heads, stamp, wanted, *parts = sys.argv[1:]
head = HeadStore("daily", Path(heads)).find("laptop", "/home", stamp, 0)
files = DumpFiles([open_dump_file(Path(part)) for part in parts], "")
read = 0
plain = files.read_at
def read_at(offset, count):
    global read
    piece = plain(offset, count)
    read += len(piece)
    return piece
files.read_at = read_at
image = GzipImage(files, head) if head.index.points else PlainImage(files)
with open("/dev/null", "wb") as out:
    writer = ArchiveWriter(Sink(out.fileno()), print)
    writer.write([image], [head], select([head], [wanted.encode()]))
print(read)
"""


def bench_gigabyte(_prefix: Path) -> None:
    """Compare one small file of a gigabyte with unpacking it whole, as Amanda's users have to."""
    with in_memory() as folder:
        tree = folder / "tree"
        tree.mkdir()
        noise = random.Random(1)  # noqa: S311 - the same each time
        for number in range(LARGE):
            half = noise.randbytes(LARGE_BYTES // 2)
            (tree / f"f{number:03}").write_bytes(half + half.hex().encode()[: LARGE_BYTES // 2])
        (tree / "z").write_bytes(b"six by")
        image = make_image(tree, folder / "snapshot", 0)
        shutil.rmtree(tree)
        for claims in (PLAIN, GZIPPED):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                _compare_gigabyte(Path(place), image, claims)


def _compare_gigabyte(folder: Path, image: bytes, claims: str) -> None:
    packed = gzip(image) if claims == GZIPPED else image
    dumps = Dumps(AmandaFiles(folder / "amanda"))
    held = dumps.hold(STAMP, 0, packed, claims=claims, chunk=PART)
    heads = folder / "heads"
    words = [str(dumps.files.holding), str(heads), STAMP]
    kept = run_measured([sys.executable, "-I", "-c", KEEP, *words])
    for path in held:
        path.unlink()
    parts = list(map(str, dumps.tape(STAMP, 0, packed, claims=claims, part=PART)))
    target = folder / "target"
    target.mkdir()
    join_parts = f"for part; do tail -c +32769 $part; done {WHOLE[claims]} | tar -xC {target}"
    cat = ["sh", "-c", f"for part; do tail -c +32769 $part; done {WHOLE[claims]} >/dev/null", "sh"]
    give = [sys.executable, "-I", "-c", GIVE, str(heads), STAMP]
    costs = compare(
        {
            "whole": ["sh", "-c", join_parts, "sh", *parts],
            "cat": [*cat, *parts],
            "small": [*give, "z", *parts],
            "all": [*give, "", *parts],
        },
        3,
    )
    said = subprocess.run([*give, "z", *parts], capture_output=True, check=True).stdout
    print(f"A gigabyte in parts, {claims.split()[1]}")
    whole, bare = costs["whole"].seconds, costs["cat"].seconds
    report("one file of 6 bytes", costs["small"].seconds, whole, "<= 0.1", "all through tar -x")
    print(f"  {'... read':<26}{int(said) / 1e6:.3f} MB")
    report("all, to /dev/null", costs["all"].seconds, bare, "", "its bytes to /dev/null")
    report("keeping its head, CPU", kept.cpu, costs["whole"].cpu, "", "CPU of all through tar -x")
    size = sum(path.stat().st_size for path in heads.rglob("*") if path.is_file())
    print(f"  {'... kept':<26}{size / 1e6:.2f} MB")
