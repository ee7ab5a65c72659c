"""What is set aside of a lost client: whole or not there, and found when its volumes are gone."""

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles
from tests.system.dumps import HOST, Dumps, wanted
from tests.system.test_dump_files import IMAGE, MONDAY, SUNDAY, TUESDAY, read, refuse

from asyncamanda.server.restore.aside import (
    AsidePlace,
    AsideStore,
    count_stored,
    list_aside,
    list_hosts,
)
from asyncamanda.server.restore.dump_files import DumpFiles, WantedDump

FULL, INCREMENT = wanted(SUNDAY, 0), wanted(MONDAY, 1)


@pytest.fixture
def dumps(tmp_path: Path) -> Dumps:
    """Return a full dump on volumes, in parts, and an incremental one that is held, in chunks."""
    made = Dumps(AmandaFiles(tmp_path))
    made.tape(SUNDAY, 0, IMAGE, part=6000, labels=("DAILY-001", "DAILY-002"))
    made.hold(MONDAY, 1, IMAGE[:9000], chunk=4000)
    return made


@pytest.fixture
def elsewhere() -> Iterator[AsidePlace]:
    """Yield a place on another file system."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield AsidePlace(folder)
    shutil.rmtree(folder)


def make_store(dumps: Dumps, *more: AsidePlace) -> AsideStore:
    """Return the place among the virtual tapes, and others."""
    own = AsidePlace(dumps.files.vtapes / "asyncamanda-aside")
    return AsideStore(dumps.files.settings, HOST, (own, *more))


def put(dumps: Dumps, store: AsideStore, dump: WantedDump, place: int = 0) -> list[int]:
    """Set a dump aside; return the inodes of its files."""
    files = dumps.shelves.open(dump)
    assert isinstance(files, DumpFiles)
    try:
        store.store(dump, files, store.places[place])
        return [os.fstat(each).st_ino for each in files.descriptors]
    finally:
        files.close()


def list_files(place: AsidePlace) -> list[Path]:
    """Return the files that are set aside there."""
    return sorted(path for path in place.folder.rglob("*") if path.is_file())


def lose_volumes(dumps: Dumps) -> None:
    """Let Amanda use all volumes again, and the holding disk be emptied."""
    for slot in dumps.files.vtapes.glob("slot*"):
        shutil.rmtree(slot)
    shutil.rmtree(dumps.files.holding / MONDAY)


def test_what_is_set_aside_outlasts_volumes_and_holding_disk(dumps: Dumps) -> None:
    """In files of the very same bytes, of which no copy is made; Amanda is not asked for them."""
    store = make_store(dumps)
    inodes = [*put(dumps, store, FULL), *put(dumps, store, INCREMENT)]
    assert sorted(path.stat().st_ino for path in list_files(store.places[0])) == sorted(inodes)
    assert {*list_aside(dumps.files.settings)} == {FULL, INCREMENT}
    lose_volumes(dumps)
    dumps.rows, dumps.asked = [""], 0
    assert read(dumps, SUNDAY, 0) == IMAGE
    assert read(dumps, MONDAY, 1) == IMAGE[:9000]
    assert dumps.asked == 0
    assert store.has(FULL)
    assert not store.has(wanted(SUNDAY, 1))
    folders = [store.places[0].folder, *store.places[0].folder.glob("**/")]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}  # others may not look
    store.keep_only([INCREMENT])
    assert store.count_bytes() == 9000 + 3 * 32768
    assert "is gone" in refuse(dumps, SUNDAY, 0)
    assert list_hosts(dumps.files.settings) == [HOST]
    store.keep_only([])
    assert store.count_bytes() == 0
    assert list_hosts(dumps.files.settings) == []
    assert "is gone" in refuse(dumps, MONDAY, 1)


def test_a_ledger_that_knows_less_lets_nothing_go(dumps: Dumps) -> None:
    """One that was made again, or is of an older export: what is newer, or of others, stays."""
    store = make_store(dumps)
    put(dumps, store, FULL)
    put(dumps, store, INCREMENT)
    store.supersede([])
    store.supersede([WantedDump(HOST, "/srv", TUESDAY, 0)])
    store.supersede([FULL])
    assert store.has(FULL)
    assert store.has(INCREMENT)
    (folder,) = {path.parent for path in list_files(store.places[0]) if MONDAY in str(path)}
    folder.with_name(f"{folder.name}.tmp").mkdir()
    store.supersede([INCREMENT])
    assert {path.parent for path in list_files(store.places[0])} == {folder}
    assert [*folder.parent.iterdir()] == [folder]


def test_another_file_system_gets_copies(dumps: Dumps, elsewhere: AsidePlace) -> None:
    """And so does a file that was removed after it was found."""
    store = make_store(dumps, elsewhere)
    inodes = put(dumps, store, FULL, place=1)
    assert not {path.stat().st_ino for path in list_files(elsewhere)} & {*inodes}
    files = dumps.shelves.open(INCREMENT)
    assert isinstance(files, DumpFiles)
    assert count_stored(files) == 9000 + 3 * 32768
    shutil.rmtree(dumps.files.holding / MONDAY)
    store.store(INCREMENT, files, store.places[0])
    files.close()
    lost = make_store(dumps, elsewhere)
    for dump, image in ((FULL, IMAGE), (INCREMENT, IMAGE[:9000])):
        (found,) = [each for each in lost.open(dump) if isinstance(each, DumpFiles)]
        assert found.read_at(0, 100) == image[:100]
        assert found.size == len(image)
        found.close()


def test_half_of_a_dump_is_none(dumps: Dumps) -> None:
    """As a kill leaves it, or a file that was cut off; the next time it is put there again."""
    store = make_store(dumps)
    put(dumps, store, FULL)
    files = list_files(store.places[0])
    folder = files[0].parent
    unfinished = folder.with_name(f"{folder.name}.tmp")
    folder.rename(unfinished)
    assert not store.has(FULL)
    put(dumps, store, FULL)
    assert store.has(FULL)
    assert not unfinished.exists()
    for content in (None, b"", files[0].read_bytes()):
        files[1].unlink()  # the volume has the same file
        if content is not None:
            files[1].write_bytes(content)
        assert not store.has(FULL)
        put(dumps, store, FULL)
        assert store.has(FULL)
        assert list_files(store.places[0]) == files


def test_what_finds_no_room_leaves_nothing(dumps: Dumps, elsewhere: AsidePlace) -> None:
    """Neither a part of it, nor the folder; what was set aside before stays."""
    store = make_store(dumps, elsewhere)
    put(dumps, store, INCREMENT, place=1)
    before = list_files(elsewhere)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (35_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            put(dumps, store, FULL, place=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list_files(elsewhere) == before
    assert store.has(INCREMENT)
    assert not store.has(FULL)
