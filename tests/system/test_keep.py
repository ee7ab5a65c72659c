"""Keeping heads: of real dumps in a holding disk, and what becomes of them."""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles
from tests.system.dumps import DISK, GZIPPED, HOST, PLAIN, Dumps, gzip, make_image, wanted
from tests.system.histories import read_dump
from tests.system.watching import count_descriptors

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.restore.keep_order import (
    HeldDump,
    KeepOrder,
    parse_order,
    render_order,
)
from asyncamanda.core.restore.kept_index import DumpName
from asyncamanda.server.restore.heads import HeadStore
from asyncamanda.server.restore.keep import Keeper, bound_reading

DAYS = tuple(f"202611{day:02}010000" for day in range(1, 29))
PROGRAM = "/usr/bin/rot13"


class Office:
    """A laptop's /home, its dumps, and their heads."""

    def __init__(self, tmp_path: Path) -> None:
        self.tree = tmp_path / "tree"
        self.tree.mkdir()
        self.dumps = Dumps(AmandaFiles(tmp_path / "amanda"))
        self.heads = tmp_path / "heads"
        self.said: list[str] = []
        self.held: list[HeldDump] = []
        self._snapshot = tmp_path / "snapshot"

    @property
    def store(self) -> HeadStore:
        """What is kept, opened once more."""
        return HeadStore("daily", self.heads)

    def dump(self, day: int, level: int, claims: str = PLAIN) -> bytes:
        """Dump the tree into the holding disk, and return the image."""
        image = make_image(self.tree, self._snapshot, level)
        packed = gzip(image) if claims == GZIPPED else image
        self.hold(day, level, packed, claims)
        return image

    def hold(self, day: int, level: int, packed: bytes, claims: str = PLAIN) -> None:
        """Put a dump into the holding disk."""
        self.dumps.hold(DAYS[day], level, packed, claims=claims, chunk=7000)
        self.held.append(HeldDump(HOST, DISK, DAYS[day], level, Filters()))

    def keeper(self, room: int = 10**9, seconds: float = 60) -> Keeper:
        """Return what keeps their heads, told as the dispatcher tells it."""
        holding = (str(self.dumps.files.holding),)
        order = KeepOrder("daily", holding, room, (PROGRAM,), tuple(self.held))
        told = parse_order(render_order(order))
        return Keeper(told, self.store, self.said.append, partial(bound_reading, seconds))

    def files(self) -> list[Path]:
        """Return all that is in the store's folder."""
        return sorted(path for path in self.heads.rglob("*") if path.is_file())

    def check(self, day: int, level: int, image: bytes) -> None:
        """See that what is kept of a dump is what its image has."""
        kept = self.store.find(HOST, DISK, DAYS[day], level)
        assert kept
        dump = read_dump(image, self.tree)
        assert dict(kept.lists()) == dict(dump.head.folders)
        files = [member for member in dump.members.values() if member.dumpdir is None]
        assert [kept.offset_of(member.path) for member in files] == [each.start for each in files]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Return a laptop of which nothing was dumped yet."""
    return Office(tmp_path)


def grow(folder: Path, names: Iterable[str], size: int = 1000) -> None:
    """Write files of bytes that cannot be packed."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))


@pytest.mark.parametrize("claims", [PLAIN, GZIPPED])
def test_the_head_of_each_held_dump_is_kept(office: Office, claims: str) -> None:
    """Of one packed by gzip as well, in several files; the later ones are small."""
    grow(office.tree, [f"d{number % 9}/{number * 7919**5:x}" for number in range(360)])
    first = office.dump(0, 0, claims)
    grow(office.tree, ["d1/new", "new/one"])
    second = office.dump(1, 1, claims)
    descriptors = count_descriptors()
    office.keeper().keep_new()
    assert count_descriptors() <= descriptors
    office.check(0, 0, first)
    office.check(1, 1, second)
    large, small = office.files()
    assert small.stat().st_size < large.stat().st_size / 2
    assert office.said == []


def test_a_dump_is_read_once(office: Office) -> None:
    """However often it is looked for."""
    grow(office.tree, ["a"])
    image = office.dump(0, 0)
    office.keeper().keep_new()
    before = [path.stat().st_mtime_ns for path in office.files()]
    office.keeper().keep_new()
    assert [path.stat().st_mtime_ns for path in office.files()] == before
    office.check(0, 0, image)


@pytest.mark.parametrize("claims", [PLAIN, GZIPPED])
def test_a_dump_that_is_broken_is_told_of_once(office: Office, claims: str) -> None:
    """And not read again; when it is gone, so is the note of it."""
    grow(office.tree, ["a", "b"], 100_000)
    image = make_image(office.tree, office.tree.with_name("other"), 0)
    cut = image[:150_000]
    office.hold(0, 0, gzip(cut)[:-9] if claims == GZIPPED else cut, claims)
    office.keeper().keep_new()
    office.keeper().keep_new()
    [words] = office.said
    assert f"{HOST}:{DISK}" in words
    assert [path.name for path in office.files()] == [f"{DAYS[0]}.0.refused"]
    assert office.store.find(HOST, DISK, DAYS[0], 0) is None
    office.held.clear()
    office.keeper().remove_old("")
    assert office.files() == []
    assert [*(office.heads / "daily").iterdir()] == []


@pytest.mark.parametrize("image", [b"x" * 99_999, bytes(10_240)])
def test_what_is_no_image_is_told_of(office: Office, image: bytes) -> None:
    """Though its header says so."""
    office.hold(0, 0, image)
    office.keeper().keep_new()
    assert len(office.said) == 1
    assert office.store.find(HOST, DISK, DAYS[0], 0) is None


def test_a_dump_that_nobody_may_unpack_here_is_left_alone(office: Office) -> None:
    """Nor one that is no image of tar's."""
    office.hold(0, 0, b"xxx", "comp cust program /bin/tar client_custom_compress /tmp/evil")
    office.hold(1, 0, b"xxx", "comp N program /sbin/dump")
    office.keeper().keep_new()
    assert office.files() == []
    assert office.said == []


def test_heads_go_with_their_dumps(office: Office) -> None:
    """When they lie on a volume they stay; when it was used again they go."""
    grow(office.tree, ["a"])
    images = [office.dump(day, min(day, 1)) for day in range(3)]
    office.keeper().keep_new()
    for day, image in enumerate(images):
        office.dumps.tape(DAYS[day], min(day, 1), image)
    on_volumes = office.dumps.rows
    office.held.clear()
    office.keeper().remove_old("\n".join(on_volumes))
    assert len(office.files()) == 3
    office.keeper().remove_old("", [wanted(DAYS[day], min(day, 1)) for day in range(3)])
    assert len(office.files()) == 3  # which are set aside
    office.keeper().remove_old("\n".join(on_volumes[:3]))
    assert len(office.files()) == 2
    office.check(1, 1, images[1])
    office.keeper().remove_old("")
    assert office.files() == []


def test_a_damaged_head_is_made_again(office: Office) -> None:
    """It counts as none, and so does what builds on it; what a kill has left goes, too."""
    grow(office.tree, [f"file{number}" for number in range(50)])
    first = office.dump(0, 0)
    second = office.dump(1, 1)
    office.keeper().keep_new()
    path = office.files()[0]
    kept = bytearray(path.read_bytes())
    kept[100] ^= 4
    path.write_bytes(kept)
    path.with_name(f".{path.name}.new").write_bytes(b"half")
    assert office.store.find(HOST, DISK, DAYS[0], 0) is None
    assert office.store.find(HOST, DISK, DAYS[1], 1) is None
    office.keeper().keep_new()
    office.keeper().remove_old("")
    office.check(0, 0, first)
    office.check(1, 1, second)
    assert len(office.files()) == 2


def test_too_much_is_not_kept(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not more than there is room for; nothing at all if there is none, or the disk is full."""
    grow(office.tree, [f"file{number}" for number in range(300)])
    image = office.dump(0, 0)
    office.keeper(0).keep_new()
    assert office.files() == []
    monkeypatch.setattr(HeadStore, "has_room", lambda _store, _least: False)
    office.keeper().keep_new()
    assert "nearly full" in office.said[0]
    assert office.files() == []
    monkeypatch.undo()
    office.keeper().keep_new()
    office.check(0, 0, image)
    office.keeper(100).remove_old("")
    assert [path.suffix for path in office.files()] == [".refused"]


def test_names_are_no_paths(office: Office) -> None:
    """Whatever a client's host and disk are called, and whatever a dump says."""
    office.hold(0, 0, b"x")
    for disk in ("../../etc", "/a\0b", "\udce9", "x" * 4000):
        store = office.store
        name = DumpName("daily", "..", disk, DAYS[0], 0)
        store.write(name, [b"x"])
        [path] = office.files()
        assert path.parent.parent == office.heads / "daily"
        assert path.parent.name.isalnum()
        store.remove(name)
    assert office.store.find(HOST, DISK, "../../../etc/passwd", 0) is None


def test_a_head_under_anothers_name_is_not_taken_for_it(office: Office) -> None:
    """As after somebody has put files back."""
    grow(office.tree, ["a"])
    office.dump(0, 0)
    office.keeper().keep_new()
    [path] = office.files()
    path.rename(path.with_name(f"{DAYS[1]}.0"))
    assert office.store.find(HOST, DISK, DAYS[1], 0) is None


@pytest.mark.parametrize("claims", [PLAIN, GZIPPED])
def test_a_dump_is_let_go_as_soon_as_it_was_read(
    office: Office, monkeypatch: pytest.MonkeyPatch, claims: str
) -> None:
    """A flush removes it meanwhile, and its room on the holding disk is needed."""
    grow(office.tree, ["a"], 30_000)
    for day in range(3):
        office.dump(day, 0, claims)
    opened: list[int] = []
    plain_write = HeadStore.write

    def write(store: HeadStore, name: DumpName, parts: Iterable[bytes]) -> None:
        plain_write(store, name, parts)
        opened.append(count_descriptors())

    monkeypatch.setattr(HeadStore, "write", write)
    office.keeper().keep_new()
    assert opened[0] > opened[1] > opened[2]


def test_a_dump_of_an_odd_date_keeps_no_other_from_being_kept(office: Office) -> None:
    """As one that was read in a log of somebody else's."""
    grow(office.tree, ["a"])
    office.held.append(HeldDump(HOST, DISK, "2026", 0, Filters()))
    office.held.append(HeldDump(HOST, DISK, DAYS[1], 1000, Filters()))
    image = office.dump(0, 0)
    keeper = office.keeper()
    keeper.remove_old("")
    keeper.keep_new()
    office.check(0, 0, image)


def test_what_there_was_no_room_for_is_not_read_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the dump is held: else each run's end would read it once more."""
    for day in range(2):
        grow(office.tree, [f"file{number}" for number in range(300)])
        office.dump(day, 0)
    office.keeper().keep_new()
    whole = sum(path.stat().st_size for path in office.files())
    office.keeper(whole - 1).remove_old("")
    assert len(office.files()) == 2
    monkeypatch.setattr(HeadStore, "write", lambda *_: pytest.fail("it was read again"))
    office.keeper(whole - 1).keep_new()
    monkeypatch.undo()
    office.held.clear()
    office.keeper().remove_old("")
    assert office.files() == []


def test_a_dump_that_takes_too_long_is_left_and_the_others_are_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that a client has packed to be small; and it is not tried again."""
    grow(office.tree, ["a"])
    images = [office.dump(day, 0) for day in range(2)]
    tries: list[DumpName] = []
    plain_write = HeadStore.write

    def write(store: HeadStore, name: DumpName, parts: Iterable[bytes]) -> None:
        tries.append(name)
        while name.timestamp == DAYS[0]:
            pass
        plain_write(store, name, parts)

    monkeypatch.setattr(HeadStore, "write", write)
    for _ in range(2):
        office.keeper(seconds=0.2).keep_new()
    assert len(tries) == 2
    assert len(office.said) == 1
    assert "too long" in office.said[0]
    office.check(1, 0, images[1])
