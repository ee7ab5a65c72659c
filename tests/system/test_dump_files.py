"""The files of a dump are found and opened, and taken for nothing but what their headers say."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles
from tests.system.dumps import DISK, HOST, Dumps, wanted
from tests.system.watching import count_descriptors

from asyncamanda.core.amanda.header import HEADER_BYTES
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.dump_files import OpenDump

SUNDAY, MONDAY, TUESDAY = "20261122010000", "20261123010000", "20261124010000"
IMAGE = bytes(range(256)) * 100


@pytest.fixture
def dumps(tmp_path: Path) -> Dumps:
    """Return Amanda's folders, all empty."""
    return Dumps(AmandaFiles(tmp_path))


def read_all(files: OpenDump, count: int = 1000) -> bytes:
    """Return a dump's bytes, read in pieces."""
    pieces, at = [], 0
    while piece := files.read_at(at, count):
        pieces.append(piece)
        at += len(piece)
    files.close()
    return b"".join(pieces)


def read(dumps: Dumps, stamp: str = MONDAY, level: int = 1, *runs: str) -> bytes:
    """Return the bytes of a dump, wherever it is."""
    return read_all(dumps.shelves.open(wanted(stamp, level, *runs)))


def refuse(
    dumps: Dumps, stamp: str = MONDAY, level: int = 1, *runs: str, reference: str = "dump-gone"
) -> str:
    """Return why a dump cannot be had; nothing is left open."""
    before = count_descriptors()
    with pytest.raises(BadDataError) as error:
        dumps.shelves.open(wanted(stamp, level, *runs))
    assert count_descriptors() <= before
    assert error.value.reference == reference
    return error.value.message


# -- where it lies


@pytest.mark.parametrize("chunk", [0, 10_000])
def test_a_held_dump_is_its_files_joined(dumps: Dumps, chunk: int) -> None:
    """Without headers; and Amanda is not even asked."""
    dumps.hold(MONDAY, 1, IMAGE, chunk=chunk)
    files = dumps.shelves.open(wanted(MONDAY, 1))
    assert (files.size, files.where) == (len(IMAGE), "the holding disk")
    assert read_all(files) == IMAGE
    assert not dumps.asked


def test_parts_over_several_volumes_are_joined(dumps: Dumps) -> None:
    """In the order of their numbers, wherever they are."""
    dumps.tape(SUNDAY, 1, b"another")
    dumps.tape(MONDAY, 1, IMAGE, part=6000, labels=("DAILY-002", "DAILY-001", "DAILY-003"))
    files = dumps.shelves.open(wanted(MONDAY, 1))
    assert files.where == "volume DAILY-002, DAILY-001, DAILY-003"
    assert read_all(files) == IMAGE


def test_reading_begins_anywhere(dumps: Dumps) -> None:
    """And the kernel copies from there as well."""
    dumps.tape(MONDAY, 1, IMAGE, part=6000)
    files = dumps.shelves.open(wanted(MONDAY, 1))
    for at in (0, 1, 5999, 6000, 6001, 12_000, len(IMAGE) - 1):
        assert files.read_at(at, 7) == IMAGE[at : at + min(7, 6000 - at % 6000)]
        reads, writes = os.pipe()
        moved = files.send(writes, at, 9000)
        assert os.read(reads, 9000) == IMAGE[at : at + moved]
        os.close(reads)
        os.close(writes)
    assert files.read_at(len(IMAGE), 7) == b""
    files.close()


def test_all_dumps_of_a_host_are_asked_for_once(dumps: Dumps) -> None:
    """Amanda reads all of its logs for that."""
    dumps.tape(SUNDAY, 0, IMAGE)
    dumps.tape(MONDAY, 1, IMAGE)
    shelves = dumps.shelves
    for stamp, level in ((SUNDAY, 0), (MONDAY, 1)):
        assert read_all(shelves.open(wanted(stamp, level))) == IMAGE
    assert dumps.asked == 1


def test_a_copy_is_read_where_the_first_one_is_missing(dumps: Dumps) -> None:
    """Of another storage; Amanda itself would not try it."""
    dumps.tape(MONDAY, 1, IMAGE, labels=("DAILY-001",))
    dumps.tape(MONDAY, 1, IMAGE, labels=("VAULT-001",), storage="vault")
    shutil.rmtree(dumps.label("DAILY-001"))
    assert read(dumps) == IMAGE


def test_the_volume_is_read_where_the_held_file_is_cut_off(dumps: Dumps) -> None:
    """As one is that a flush is just removing."""
    held = dumps.hold(MONDAY, 1, IMAGE, chunk=10_000)
    held[1].unlink()
    dumps.tape(MONDAY, 1, IMAGE)
    assert read(dumps) == IMAGE


def test_a_dump_that_moves_while_it_is_looked_for_is_found(dumps: Dumps) -> None:
    """It was in the holding disk when Amanda was asked, and is on a volume when that is over."""
    asked: list[str] = []

    def find(config: str, host: str) -> str:
        asked.append(host)
        if len(asked) == 1:
            return "\nNo dump to list\n"
        return dumps.find(config, host)

    dumps.tape(MONDAY, 1, IMAGE)
    shelves = dumps.shelves
    shelves._ask = find
    assert read_all(shelves.open(wanted(MONDAY, 1))) == IMAGE


def test_what_is_open_survives_a_flush_and_a_new_label(dumps: Dumps) -> None:
    """The names go; the bytes are read to their end."""
    held = dumps.hold(SUNDAY, 0, IMAGE, chunk=10_000)
    taped = dumps.tape(MONDAY, 1, IMAGE, part=10_000)
    shelves = dumps.shelves
    opened = [shelves.open(wanted(SUNDAY, 0)), shelves.open(wanted(MONDAY, 1))]
    for path in (*held, *taped):
        path.unlink()
    assert [read_all(files) for files in opened] == [IMAGE, IMAGE]


def test_a_dump_straight_to_a_volume_has_no_size_in_its_headers(dumps: Dumps) -> None:
    """Then the number of its parts decides."""
    dumps.tape(MONDAY, 1, IMAGE, part=10_000, lines=[])
    assert read(dumps) == IMAGE


# -- what it is


@pytest.mark.parametrize(
    "change",
    [
        {"host": "laptop2"},
        {"host": "Laptop"},
        {"disk": "/Home"},
        {"disk": "/home/"},
        {"disk": "_home"},
        {"lines": ["PARTIAL=YES"]},
        {"name": "laptop._home.1.tmp"},
    ],
)
def test_a_held_file_is_taken_by_its_header(dumps: Dumps, change: dict[str, str]) -> None:
    """Whatever it is called: it is another's, or not whole."""
    how = {"name": "laptop._home.1", **change}
    dumps.hold(MONDAY, 1, IMAGE, **how)  # type: ignore[arg-type]
    assert "/home" in refuse(dumps)


def test_a_dump_of_another_level_is_another_dump(dumps: Dumps) -> None:
    """Both may have the run's timestamp, if it was tried again."""
    dumps.hold(MONDAY, 0, IMAGE)
    refuse(dumps, MONDAY, 1)


def test_a_held_dump_that_is_too_short_or_too_long_is_not_whole(dumps: Dumps) -> None:
    """By the size that the driver has written into its header."""
    (path,) = dumps.hold(MONDAY, 1, IMAGE)
    path.write_bytes(path.read_bytes()[:-1])
    assert f"there are {len(IMAGE) - 1} bytes" in refuse(dumps)
    path.write_bytes(path.read_bytes() + b"xx")
    assert f"there are {len(IMAGE) + 1} bytes" in refuse(dumps)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_part_that_is_too_short_or_another_dumps_is_refused(dumps: Dumps, number: int) -> None:
    """Whatever Amanda's logs say of its place."""
    paths = dumps.tape(MONDAY, 1, IMAGE, part=10_000)
    whole = paths[number].read_bytes()
    paths[number].write_bytes(whole[:-1])
    assert f"there are {len(IMAGE) - 1} bytes" in refuse(dumps)
    paths[number].write_bytes(whole.replace(MONDAY.encode(), TUESDAY.encode(), 1))
    assert "holds something else by now" in refuse(dumps)
    paths[number].write_bytes(whole.replace(b"part ", b"part 1", 1))
    assert "holds something else by now" in refuse(dumps)
    paths[number].unlink()
    assert f"DAILY-001 has no file {number + 1}" in refuse(dumps)
    paths[number].write_bytes(whole)
    assert read(dumps) == IMAGE


def test_a_part_that_amanda_does_not_know_is_missed(dumps: Dumps) -> None:
    """All from 1 to the last have to be there."""
    dumps.tape(MONDAY, 1, IMAGE, part=10_000)
    del dumps.rows[2]
    assert "does not know where part 2 is" in refuse(dumps)


def test_links_pipes_and_folders_are_no_files_of_a_dump(dumps: Dumps) -> None:
    """Opening one of them must not lead elsewhere, and must not wait."""
    (path,) = dumps.hold(MONDAY, 1, IMAGE)
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert "cannot be opened" in refuse(dumps)
    path.unlink()
    os.mkfifo(path)
    assert "is not a file" in refuse(dumps)
    path.unlink()
    path.mkdir()
    assert "is not a file" in refuse(dumps)


def test_files_of_a_host_whose_name_goes_on_are_not_named(dumps: Dumps) -> None:
    """Only why files of this very disk cannot be used is said to who asks."""
    for name in (f"{HOST}.evil._secret.0", f"{HOST}._home2.0", f"{HOST}._home.1"):
        path = dumps.files.holding / MONDAY / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"broken")
    reason = refuse(dumps)
    assert "_home.1" in reason
    assert "secret" not in reason
    assert "_home2" not in reason


def test_a_file_that_goes_on_elsewhere_is_not_followed(dumps: Dumps, tmp_path: Path) -> None:
    """Nor is one that goes on in itself."""
    outside = tmp_path / "outside"
    first, second = dumps.hold(MONDAY, 1, IMAGE, chunk=len(IMAGE) // 2)
    shutil.copy(second, outside)
    whole = first.read_bytes()
    assert str(second).encode() in whole

    def lead_to(path: Path | str) -> str:
        text = whole[:HEADER_BYTES].replace(str(second).encode(), str(path).encode())
        text = text.rstrip(b"\0").ljust(HEADER_BYTES, b"\0")
        first.write_bytes(text + whole[HEADER_BYTES:])
        return refuse(dumps)

    assert "goes on at a strange place" in lead_to(outside)
    assert "goes on at a strange place" in lead_to(f"{second.parent}/../../outside")
    assert "is none of its files" in lead_to(first)


def test_a_header_that_is_cut_off_is_none(dumps: Dumps) -> None:
    """Such a file is not even as long as a header."""
    (path,) = dumps.hold(MONDAY, 1, b"x")
    path.write_bytes(path.read_bytes()[: HEADER_BYTES - 1])
    assert "has no header of a dump" in refuse(dumps)


def test_files_that_become_shorter_while_they_are_read_are_an_error(dumps: Dumps) -> None:
    """Not an end."""
    (path,) = dumps.hold(MONDAY, 1, IMAGE)
    files = dumps.shelves.open(wanted(MONDAY, 1))
    with path.open("r+b") as file:
        file.truncate(HEADER_BYTES + 10)
    assert files.read_at(0, 100) == IMAGE[:10]
    with pytest.raises(BadDataError, match="has become shorter"):
        files.read_at(10, 100)
    files.close()


def test_a_disk_that_cannot_be_read_is_told_from_a_reader_that_is_away(
    dumps: Dumps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel copies from one to the other, and has the same error for both."""
    dumps.hold(MONDAY, 1, IMAGE)
    files = dumps.shelves.open(wanted(MONDAY, 1))

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "sendfile", fail)
    with pytest.raises(OSError, match="Input/output"):
        files.send(1, 0, 100)
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(BadDataError, match="cannot be read: Input/output error"):
        files.send(1, 0, 100)
    files.close()


def test_what_is_added_to_a_file_that_is_open_is_none_of_the_dump(dumps: Dumps) -> None:
    """It is as long as it was when it was looked at."""
    paths = dumps.hold(MONDAY, 1, IMAGE, chunk=10_000)
    files = dumps.shelves.open(wanted(MONDAY, 1))
    for path in paths:
        with path.open("ab") as file:
            file.write(b"more")
    assert files.read_at(9_999, 10) == IMAGE[9_999:10_000]
    assert read_all(files) == IMAGE


# -- what is gone


FLUSHED = """\
INFO amflush amflush pid 266
DISK amflush laptop /home
START amflush date {stamp}
START driver date {stamp}
START taper datestamp {stamp} "ST:daily" "POOL:daily" label DAILY-008 tape 1
PART taper "ST:daily" "POOL:daily" DAILY-008 1 laptop /home {dumped} 1/-1 1 [sec 1.0 kb 5 kps 5.0]
FINISH driver date {stamp} time 0.2
INFO amflush pid-done 266
"""


def test_the_volume_that_was_used_again_is_named(dumps: Dumps) -> None:
    """By the log of the run that wrote the dump there: Amanda itself has forgotten it."""
    log = dumps.files.logdir / f"log.{TUESDAY}.0"
    log.write_text(FLUSHED.format(stamp=TUESDAY, dumped=MONDAY), "utf-8")
    dumps.label("DAILY-008", "20261201010000")
    message = refuse(dumps, MONDAY, 1, MONDAY, TUESDAY, reference="dump-overwritten")
    assert f"the dump of 2026-11-23 01:00:00 of {HOST}:{DISK} (level 1) is gone" in message
    assert "its volume DAILY-008 was used again on 2026-12-01 01:00:00" in message


def test_a_volume_that_is_away_is_named(dumps: Dumps) -> None:
    """Amanda says that it is there; nobody has it."""
    dumps.tape(MONDAY, 1, IMAGE)
    shutil.rmtree(dumps.label("DAILY-001"))
    assert "no virtual tape is labelled DAILY-001" in refuse(dumps)


def test_a_dump_of_which_nobody_knows_anything_is_gone(dumps: Dumps) -> None:
    """Without a log of a run that took it to a volume."""
    assert "neither the holding disk nor a volume has it" in refuse(dumps, MONDAY, 1, MONDAY)
