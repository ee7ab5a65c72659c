"""Random lives of a disk, dumped by the real tar as Amanda does, level upon level.

By hand, for many: python -m tests.system.histories FIRST LAST FOLDER
"""

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from asyncamanda.core.restore.descent import Descent
from asyncamanda.core.restore.head import FOLDER, OLDER, Head
from asyncamanda.core.restore.image import ImageParser
from asyncamanda.core.restore.member import Kind, Member
from asyncamanda.core.restore.search import Located, Search

# what happens in a life, by how it leans; each act as often as it is named
LEANINGS = {
    "mixed": "new new mkdir mkdir rm rmtree mvf mvd mvd mod swap link symlink fifo kind keep",
    "renames": "new mkdir mvd mvd mvd mvd nest up copy rm",
    "swaps": "new mkdir swap swap swap mvd rotate nest copy",
    "replaced": "new mkdir mvd swap replace replace replace rmtree copy up nest",
    "kinds": "new mkdir kind kind kind mvd swap link symlink rm rmtree keep mvf replace",
    "quiet": "new mod",  # what a snapshot that is wrong already does to those who do nothing
}
FILES = ("f0", "f1", "f2", "g")
FOLDERS = ("d0", "d1", "d2", "f0", "q")
TAR = [
    "tar",
    "--create",
    "--one-file-system",
    "--sparse",
    "--ignore-failed-read",
    "--totals",
    "--listed-incremental",
]


@dataclass(frozen=True, slots=True)
class Dump:
    """One dump: its image, and what the disk was: kind, contents and inode of each path."""

    image: bytes
    members: dict[bytes, Member]
    head: Head
    disk: dict[bytes, tuple[Kind, bytes, int]]


@dataclass(slots=True)
class Life:
    """A disk at `top`, and what happens to it by chance."""

    top: Path
    chance: random.Random
    serial: Iterator[int] = field(default_factory=itertools.count)

    def live(self, acts: list[str], number: int) -> None:
        """Let so many things happen."""
        for _ in range(number):
            act: Callable[[], None] = getattr(self, f"_{self.chance.choice(acts)}")
            try:
                act()
            except (OSError, IndexError):
                continue  # such as a folder's move into itself

    def _all(self) -> tuple[list[Path], list[Path]]:
        """Return the folders, and all else."""
        folders = [self.top]
        others: list[Path] = []
        for folder in folders:
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                (folders if entry.is_dir(follow_symlinks=False) else others).append(
                    Path(entry.path)
                )
        return folders, others

    def _folder(self) -> Path:
        return self.chance.choice(self._all()[0])

    def _sub(self) -> Path:
        return self.chance.choice(self._all()[0][1:])

    def _other(self) -> Path:
        return self.chance.choice(self._all()[1])

    def _name(self, folder: Path, names: tuple[str, ...]) -> Path:
        return folder / self.chance.choice(names)

    def _write(self, path: Path) -> None:
        if path.is_fifo():
            path.unlink()  # else nobody would read
        path.write_text(f"{next(self.serial)} {self.chance.random()}", "ascii")

    def _new(self) -> None:
        self._write(self._name(self._folder(), FILES))

    def _mkdir(self) -> None:
        folder = self._name(self._folder(), FOLDERS)
        folder.mkdir()
        for name in FILES:
            if self.chance.random() < 0.6:
                self._write(folder / name)
        os.utime(folder, (0, self.chance.randrange(10**9)))

    def _rm(self) -> None:
        self._other().unlink()

    def _rmtree(self) -> None:
        folder = self._sub()
        shutil.rmtree(folder)
        if self.chance.random() < 0.5:
            folder.mkdir()
            self._write(self._name(folder, FILES))

    def _mvf(self) -> None:
        self._other().rename(self._name(self._folder(), FILES))

    def _mvd(self) -> None:
        target = self._name(self._folder(), FOLDERS)
        if not target.exists():
            self._sub().rename(target)

    def _mod(self) -> None:
        path = self._other()
        if path.is_file() and not path.is_symlink():
            self._write(path)

    def _keep(self) -> None:
        """Other contents, and the time of the old ones."""
        path = self._other()
        if path.is_file() and not path.is_symlink():
            before = path.stat()
            self._write(path)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def _exchange(self, one: Path, other: Path) -> None:
        between = self.top / "between"
        one.rename(between)
        try:
            other.rename(one)
        except OSError:
            between.rename(one)
            raise
        between.rename(other)

    def _swap(self) -> None:
        one, other = self._sub(), self._sub()
        if one not in {other, *other.parents} and other not in one.parents:
            self._exchange(one, other)

    def _rotate(self) -> None:
        """Several folders take each other's names."""
        folders = [each for each in self._all()[0][1:] if each.parent == self.top]
        self.chance.shuffle(folders)
        for one, other in itertools.pairwise(folders):
            self._exchange(one, other)

    def _replace(self) -> None:
        """A folder goes, and another one takes its name."""
        gone, comes = self._sub(), self._sub()
        if gone not in {comes, *comes.parents} and comes not in gone.parents:
            if self.chance.random() < 0.5:
                shutil.rmtree(gone)
            else:
                gone.rename(self._name(self._folder(), ("old", "z")))
            comes.rename(gone)

    def _nest(self) -> None:
        """All of a folder goes into a subfolder of its own, perhaps of its name."""
        folder = self._sub()
        between = self.top / "between"
        folder.rename(between)
        if self.chance.random() < 0.5:
            folder.mkdir()
        else:
            self._sub().rename(folder)
        between.rename(self._name(folder, (*FOLDERS, folder.name)))

    def _up(self) -> None:
        """A subfolder takes its parent's place."""
        folder = self._sub()
        if folder.parent != self.top:
            between = self.top / "between"
            folder.rename(between)
            shutil.rmtree(folder.parent)
            between.rename(folder.parent)

    def _copy(self) -> None:
        """A folder with all that is in it a second time, under names that are alike."""
        source, target = self._sub(), self._name(self._folder(), FOLDERS)
        if not target.is_relative_to(source):
            shutil.copytree(source, target, symlinks=True, copy_function=self._write_copy)

    def _write_copy(self, _: str, target: str) -> None:
        self._write(Path(target))

    def _link(self) -> None:
        self._name(self._folder(), ("h0", *FILES)).hardlink_to(self._other())

    def _symlink(self) -> None:
        self._name(self._folder(), FILES).symlink_to(f"to-{next(self.serial)}")

    def _fifo(self) -> None:
        os.mkfifo(self._name(self._folder(), FILES))

    def _kind(self) -> None:
        """A file becomes a folder, or a folder a file."""
        path = self.chance.choice([*self._all()[0][1:], *self._all()[1]])
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
            self._write(path)
        else:
            path.unlink()
            path.mkdir()
            self._write(self._name(path, FILES))


def make_history(seed: int, folder: Path) -> list[Dump]:
    """Return the dumps of a disk's life, level 0 first. `folder` is empty."""
    chance = random.Random(seed)  # noqa: S311 - lives are to be the same again
    (folder / "disk").mkdir()
    life = Life(folder / "disk", chance)
    life.live(LEANINGS["mixed"].split(), chance.choice([5, 15, 30]))
    life.live(["mkdir", "mkdir", "new", "copy"], chance.choice([5, 15, 30]))
    dumps: list[Dump] = []
    for level in range(chance.choice([3, 4, 4, 5, 7])):
        if level:
            acts = LEANINGS[chance.choice([*LEANINGS])].split()
            life.live(acts, chance.choice([1, 2, 3, 10, 25]))
        dumps.append(make_dump(folder, level))
    return dumps


def make_dump(folder: Path, level: int) -> Dump:
    """Return a dump of folder/disk, made as Amanda's GNUTAR program does."""
    snapshot = folder / f"snapshot{level}"
    if level:
        shutil.copyfile(folder / f"snapshot{level - 1}", snapshot)
    argv = [*TAR, str(snapshot), "--file", "-", "--directory", str(folder / "disk"), "."]
    result = subprocess.run(argv, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert result.returncode in {0, 1}, result.stderr
    ended_at, probe = time.time_ns(), folder / "probe"
    while True:  # what happens from now on is to have a later time than the dump
        probe.write_bytes(b"")
        if probe.stat().st_ctime_ns > ended_at:
            break
    return read_dump(result.stdout, folder / "disk")


def read_dump(image: bytes, disk: Path) -> Dump:
    """Return the dump that `image` is."""
    parser, head, members, is_head = ImageParser(), Head(), {}, True
    found = []
    while not parser.is_ended:
        found += parser.feed(parser.offset, image[parser.offset :])
    for member in found:
        is_head = is_head and member.kind is Kind.FOLDER
        assert is_head == (member.kind is Kind.FOLDER), "all folders come first"
        head.add(member)
        members[member.path] = member
    return Dump(image, members, head, look_at(disk))


def look_at(disk: Path) -> dict[bytes, tuple[Kind, bytes, int]]:
    """Return all that is on the disk: kind, contents, inode."""
    found = {b"": (Kind.FOLDER, b"", disk.stat().st_ino)}
    for path in disk.rglob("*"):
        key, inode = os.fsencode(path.relative_to(disk)), path.lstat().st_ino
        if path.is_symlink():
            found[key] = Kind.SYMLINK, os.fsencode(path.readlink()), inode
        elif path.is_dir():
            found[key] = Kind.FOLDER, b"", inode
        elif path.is_fifo():
            found[key] = Kind.FIFO, b"", inode
        else:
            found[key] = Kind.FILE, path.read_bytes(), inode
    return found


def read_member(dump: Dump, path: bytes) -> tuple[Kind, bytes] | None:
    """Return kind and contents of a member, of a hard link those of what it is a link to."""
    member = dump.members.get(path)
    if member is not None and member.kind is Kind.HARD_LINK:
        member = dump.members.get(member.link)
    if member is None:
        return None
    if member.kind is Kind.SYMLINK:
        return Kind.SYMLINK, member.link
    return member.kind, dump.image[member.data : member.data + member.stored]


@dataclass(slots=True)
class Findings:
    """What was found in histories: numbers of dumps and files, and what must not be."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def judge_history(dumps: list[Dump], findings: Findings) -> None:
    """Compare each dump's listing, and where its files are found, with what the disk was."""
    for number in range(len(dumps)):
        judge_dump(dumps[: number + 1], findings)
        if number:
            judge_descent(dumps[: number + 1], findings)


def judge_dump(dumps: list[Dump], findings: Findings) -> None:
    """Judge the newest of these."""
    newest, heads = dumps[-1], [dump.head for dump in dumps]
    search = Search(heads)
    listed = dict(newest.head.walk())
    truth = {path: each for path, each in newest.disk.items() if path}
    unlocated = set()
    for path, flag in listed.items():
        kind = truth[path][0] if path in truth else None
        if kind is None or (flag == FOLDER and kind is not Kind.FOLDER):
            findings.faults.append(f"{len(dumps) - 1}: {path!r} is listed as {flag!r}, is {kind}")
            continue
        if flag == FOLDER:
            continue
        place = search.locate(path)
        where = "older" if flag == OLDER else "newest"
        if not isinstance(place, Located):
            unlocated.add(path)
            is_left_out = kind is Kind.FOLDER
            findings.counts["left-out" if is_left_out else f"unlocated: {place.reason}"] += 1
            continue
        found = read_member(dumps[place.image], place.path)
        if found == truth[path][:2]:
            findings.counts[f"right, {where}"] += 1
        else:
            findings.faults.append(
                f"{len(dumps) - 1}: WRONG BYTES: {path!r} at {place}: {found}, is {truth[path]}"
            )
    missing = [path for path in truth if path not in listed]
    for path in missing:
        if not any(path.startswith(folder + b"/") for folder in unlocated):
            findings.faults.append(f"{len(dumps) - 1}: {path!r} is missing, and nothing shows that")
    findings.counts["listing incomplete, noticed" if missing else "listing exact"] += 1


def judge_descent(dumps: list[Dump], findings: Findings) -> None:
    """See that what a folder was is among what it may have been, where that counts."""
    number = len(dumps) - 1
    descent = Descent([dump.head for dump in dumps])
    before = {
        inode: path for path, (kind, _, inode) in dumps[-2].disk.items() if kind is Kind.FOLDER
    }
    for folder in dumps[-1].head:
        unchanged = [
            name
            for name, flag in dumps[-1].head.entries(folder)
            if flag == OLDER
            and dumps[-1].disk[(folder + b"/" + name).removeprefix(b"/")][0] is not Kind.FOLDER
        ]
        origins = descent.origins(number, folder)
        if not unchanged or origins is None:
            continue
        was = before.get(dumps[-1].disk[folder][2])
        findings.counts["folders with origin"] += 1
        if was not in {origin.true for origin in origins}:
            findings.faults.append(f"{number}: {folder!r} was {was!r}, is taken for {origins}")


def run(first: int, last: int, ground: Path) -> None:
    """Make and judge many, and print what was found."""
    findings = Findings()
    for seed in range(first, last):
        folder = ground / f"history-{os.getpid()}"
        folder.mkdir()
        before = len(findings.faults)
        try:
            judge_history(make_history(seed, folder), findings)
        finally:
            shutil.rmtree(folder)
        for fault in findings.faults[before:]:
            sys.stderr.write(f"{seed} {fault}\n")
    counts = json.dumps(dict(sorted(findings.counts.items())), indent=1)
    sys.stdout.write(f"{counts}\n{len(findings.faults)} faults\n")


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
