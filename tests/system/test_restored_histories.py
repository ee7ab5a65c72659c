"""What is restored of a disk with any history is what was there, whole, or named as missing."""

import os
import random
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from tests.conftest import IS_CI
from tests.system.amandafiles import AmandaFiles
from tests.system.dumps import GZIPPED, PLAIN, Dumps, gzip, wanted
from tests.system.histories import Dump, look_at, make_history

from asyncamanda.core.amanda.filters import FilterStep
from asyncamanda.core.restore.archive import END
from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.member import Kind
from asyncamanda.core.restore.search import Located, Search
from asyncamanda.core.restore.selection import Selection, select
from asyncamanda.server.restore.archive import ArchiveWriter
from asyncamanda.server.restore.members import read_head
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.server.restore.streams import FilteredImage, Image, PlainImage

HISTORIES = int(os.environ.get("ASYNCAMANDA_RESTORED", "60" if IS_CI else "12"))
Disk = dict[bytes, tuple[Kind, bytes, int]]


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_each_date_of_a_history_is_restored_as_it_was(tmp_path: Path, seed: int) -> None:
    """Kinds, contents and links; whatever was renamed, swapped, removed and made again.

    Also some files alone, and the rest after the archive was cut off anywhere.
    """
    ground = tmp_path / "ground"
    ground.mkdir()
    chance = random.Random(seed)  # noqa: S311 - the same each time
    history = make_history(seed, ground)
    images = store(Dumps(AmandaFiles(tmp_path / "amanda")), history)
    heads = [read_head(image) for image in images]
    for number, dump in enumerate(history):
        chain = images[: number + 1], heads[: number + 1]
        whole, missing = write(*chain, select(chain[1], [b""]))
        compare(chain[1], extract(tmp_path / f"whole-{number}", whole), dump.disk, missing)

        rest, _ = write(*chain, select(chain[1], [b""]), skip=chance.randint(0, len(dump.disk)))
        first = whole.removesuffix(rest)
        compare(
            chain[1], extract(tmp_path / f"cut-{number}", first + END, rest), dump.disk, missing
        )

        some = chance.sample(sorted(dump.disk), min(3, len(dump.disk)))
        part, missing = write(*chain, select(chain[1], some))
        back = extract(tmp_path / f"some-{number}", part)
        meant = {path for path in dump.disk if is_meant(path, some)}
        ways = {path for path in dump.disk if is_meant(some[0], [path])}
        ways |= {path for path in dump.disk if any(is_meant(each, [path]) for each in some)}
        assert back.keys() <= meant | ways
        compare(
            chain[1],
            back,
            {path: each for path, each in dump.disk.items() if path in meant | back.keys()},
            missing,
        )
    for image in images:
        image.close()


def is_meant(path: bytes, wanted: list[bytes]) -> bool:
    """Return whether a path is one of those, or below it."""
    return any(not each or path == each or path.startswith(each + b"/") for each in wanted)


def store(dumps: Dumps, history: list[Dump]) -> list[Image]:
    """Return the images of a history's dumps, every other one of them compressed."""
    images: list[Image] = []
    for number, dump in enumerate(history):
        stamp = f"202611{number + 1:02d}010000"
        if number % 2:
            dumps.hold(stamp, number, gzip(dump.image), claims=GZIPPED, chunk=3000)
        else:
            dumps.tape(stamp, number, dump.image, claims=PLAIN, part=3000)
        files = dumps.shelves.open(wanted(stamp, number))
        images.append(
            FilteredImage(files, [FilterStep("gzip")]) if number % 2 else PlainImage(files)
        )
    return images


def write(
    images: list[Image], heads: list[Head], selection: Selection, skip: int = 0
) -> tuple[bytes, dict[bytes, str]]:
    """Return the archive of a selection, and what of it is missing."""
    missing = dict(selection.missing) | dict.fromkeys(selection.unmatched, "it was not listed")
    memory = os.memfd_create("archive")
    try:
        ArchiveWriter(Sink(memory), lambda path, why: missing.update({path: why}), skip).write(
            images, heads, selection
        )
        size = os.fstat(memory).st_size
        return os.pread(memory, size, 0), missing
    finally:
        os.close(memory)


def extract(folder: Path, *archives: bytes) -> Disk:
    """Return what is in a new folder after these were extracted into it."""
    folder.mkdir()
    argv = ["tar", "-xp", "--delay-directory-restore", f"--directory={folder}"]
    for archive in archives:
        done = subprocess.run(
            argv, input=archive, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"}
        )
        assert (done.returncode, done.stderr) == (0, b"")
    return look_at(folder)


def compare(heads: list[Head], back: Disk, disk: Disk, missing: dict[bytes, str]) -> None:
    """Fail if anything is not what it was, or is missing and not named.

    What lies below a folder that tar left out of its image, which is missing itself, is not there.
    Names of one file are names of one file, but where tar has stored it again under some of them,
    since it took their folder for a new one: nothing tells then that both are the same.
    """
    for path, (kind, contents, _) in back.items():
        assert (kind, contents) == disk[path][:2], path
    lost = [path for path in disk if path not in back]
    for path in lost:
        above = [path[:at] for at in range(len(path)) if path[at : at + 1] == b"/"]
        assert path in missing or any(folder in missing for folder in above), path
    assert not back.keys() & missing.keys()
    names: dict[tuple[int, object], set[bytes]] = defaultdict(set)
    search = Search(heads)
    for path, (kind, _, inode) in disk.items():
        if path in back and kind in {Kind.FILE, Kind.SYMLINK}:  # tar knows no links of others
            place = search.locate(path)
            assert isinstance(place, Located)
            names[inode, place.image].add(path)
    for paths in names.values():
        assert len({back[path][2] for path in paths}) == 1, f"{paths} are no names of one file"
    assert len({back[next(iter(paths))][2] for paths in names.values()}) == len(names)
