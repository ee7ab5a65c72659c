"""A disk of a million files: its image and index as tar and Amanda would write them, and its life.

Names, sizes and dates are made up by chance, always the same, and about as hard to pack as real
ones: 4 bytes of a name on a Debian machine, 5 here.
"""

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.tarimages import header, long_name, padded

from asyncamanda.core.restore.member import Kind, Member
from asyncamanda.core.restore.tarfields import BLOCK

LETTERS = "etaoinshrdlucmfwypvbgk"
ENDINGS = (".txt", ".py", ".jpg", ".c", ".h", ".pdf", ".html", ".png", ".log", "", ".json", ".md")
BEGUN = 1_700_000_000
DAY = 86_400
_File = list[int]  # size and date


@dataclass(slots=True)
class Disk:
    """The disk: each folder's files, and what lies in which folder."""

    chance: random.Random
    files: dict[bytes, dict[bytes, _File]] = field(default_factory=dict)
    dates: dict[bytes, int] = field(default_factory=dict)
    folders: dict[bytes, set[bytes]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    today: int = BEGUN

    def live_a_day(self, share: float) -> set[bytes]:
        """Change, remove or make so many of all files; return the paths of those that are new."""
        self.today += DAY
        paths = [(folder, name) for folder, names in self.files.items() for name in names]
        fresh = set()
        for folder, name in self.chance.sample(paths, int(len(paths) * share)):
            act = self.chance.random()
            if act >= 0.5:
                self.dates[folder] = self._moment()
            if 0.5 <= act < 0.75:
                del self.files[folder][name]
                continue
            which = name if act < 0.5 else self._name(folder)
            self.files[folder][which] = [self._size(), self._moment()]
            fresh.add(join(folder, which))
        return fresh

    def fill(self, folder: bytes, count: int) -> None:
        """Make so many files in a folder."""
        date = self.dates[folder] = BEGUN - int(self.chance.expovariate(1 / 3e7))
        for _ in range(count):
            when = date + self.chance.randrange(-DAY, DAY)
            if self.chance.random() < 0.3:
                when = BEGUN - int(self.chance.expovariate(1 / 3e7))
            self.files[folder][self._name(folder)] = [self._size(), when]

    def members(self, fresh: set[bytes] | None = None) -> Iterator[Member]:
        """Yield the members of an image of it, with the contents of all files or those `fresh`."""
        at = 0
        lists = {folder: self._list(folder, fresh) for folder in sorted(self.files)}
        for folder, listed in lists.items():
            end = at + BLOCK + len(listed) + -len(listed) % BLOCK
            date = self.dates[folder] * 10**9
            yield Member(
                at, end, 0, end, Kind.FOLDER, folder, b"", 0o755, 1000, 1000, b"ann", b"ann",
                date, 0, dumpdir=listed,
            )  # fmt: skip
            at = end
        for folder, listed in lists.items():
            for record in listed.split(b"\0"):
                if record[:1] == b"Y":
                    size, date = self.files[folder][record[1:]]
                    end = at + BLOCK + size + -size % BLOCK
                    yield Member(
                        at, at + BLOCK, size, end, Kind.FILE, join(folder, record[1:]), b"", 0o644,
                        1000, 1000, b"ann", b"ann", date * 10**9, size,
                    )  # fmt: skip
                    at = end

    def _list(self, folder: bytes, fresh: set[bytes] | None) -> bytes:
        below = self.folders.get(folder, set())
        records = []
        for name in sorted([*self.files[folder], *below]):
            is_there = fresh is None or join(folder, name) in fresh
            flag = b"D" if name in below else b"Y" if is_there else b"N"
            records.append(flag + name + b"\0")
        return b"".join(records)

    def _name(self, folder: bytes) -> bytes:
        """Return a name that no folder has there."""
        name = self._make_name()
        return self._name(folder) if name in self.folders.get(folder, ()) else name

    def _make_name(self) -> bytes:
        kind = self.chance.random()
        if kind < 0.1:
            return b"%032x" % self.chance.getrandbits(128)
        if kind < 0.3:
            return b"IMG_%04d.jpg" % self.chance.randrange(10_000)
        name = self.chance.choice(self.words)
        if self.chance.random() < 0.5:
            name += self.chance.choice("-_. ") + self.chance.choice(self.words)
        if self.chance.random() < 0.3:
            name += str(self.chance.randrange(100))
        return (name + self.chance.choice(ENDINGS)).encode()

    def _size(self) -> int:
        return int(self.chance.lognormvariate(8, 2.5))

    def _moment(self) -> int:
        return self.today + self.chance.randrange(DAY)


def make_disk(count: int, in_a_folder: int = 20) -> Disk:
    """Return a disk of about so many files."""
    chance = random.Random(1)  # noqa: S311 - the same each time
    words = ["".join(chance.choices(LETTERS, k=chance.randint(3, 9))) for _ in range(5000)]
    disk = Disk(chance, words=words)
    paths = [b""]
    disk.files[b""] = {}
    while len(paths) * in_a_folder < count:
        above = chance.choice([*paths[-2000:], *paths[:50]])
        path = join(above, b"%s%d" % (chance.choice(words).encode(), chance.randrange(100)))
        if path not in disk.files and path.count(b"/") < 8:
            disk.files[path] = {}
            disk.folders.setdefault(above, set()).add(path.rpartition(b"/")[2])
            paths.append(path)
    for path in paths:
        disk.fill(path, chance.randrange(2 * in_a_folder + 1))
    return disk


def join(folder: bytes, name: bytes) -> bytes:
    """Return the path of a name in a folder."""
    return folder + b"/" + name if folder else name


def write_index(disk: Disk, path: Path) -> None:
    """Write Amanda's index of a full dump of the disk, as it keeps it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        for member in disk.members():
            end = b"/\n" if member.kind is Kind.FOLDER and member.path else b"\n"
            file.write(packer.compress(b"/" + member.path + end))
        file.write(packer.flush())


def write_image(disk: Disk, path: Path) -> None:
    """Write an image of the disk in which all files are empty."""
    with path.open("wb") as file:
        for member in disk.members():
            name, kind, listed = b"./" + member.path, b"0", b""
            if member.dumpdir is not None:
                name, kind, listed = name + b"/" * bool(member.path), b"D", member.dumpdir + b"\0"
            if len(name) > 99:
                file.write(long_name(name))
            date = member.mtime_ns // 10**9
            file.write(header(name[:99], kind, size=len(listed), mtime=date) + padded(listed))
        file.write(bytes(2 * BLOCK))
