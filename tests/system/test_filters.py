"""What a dump's bytes went through is undone by programs that may hang, fail or talk too much."""

import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles
from tests.system.dumps import GZIPPED, Dumps, gzip, wanted
from tests.system.watching import count_descriptors, until

from asyncamanda.core.amanda.filters import FilterStep
from asyncamanda.errors import BadDataError, ConfigurationError
from asyncamanda.server.restore.pipeline import NICENESS
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.server.restore.streams import FilteredImage, PlainImage
from asyncamanda.system.processes import iterate_processes
from lab.patience import bound

MONDAY = "20261123010000"
IMAGE = b"".join(b"%08d" % number for number in range(400_000))  # 3.2 MB: more than pipes hold
GUNZIP = FilterStep("gzip")


@pytest.fixture
def dumps(tmp_path: Path) -> Dumps:
    """Return Amanda's folders, all empty."""
    return Dumps(AmandaFiles(tmp_path))


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], FilterStep]:
    """Return a maker of filter programs."""

    def make(text: str) -> FilterStep:
        path = tmp_path / f"filter-{len(list(tmp_path.iterdir()))}"
        path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        path.chmod(0o755)
        return FilterStep(str(path))

    return make


@contextmanager
def unpacking(
    dumps: Dumps, packed: bytes, *steps: FilterStep, patience: float = 30.0
) -> Iterator[FilteredImage]:
    """Yield a held dump that is read through these programs; afterwards nothing is left of it."""
    before, children = count_descriptors(), list_children()
    dumps.hold(MONDAY, 0, packed, claims=GZIPPED, chunk=100_000)
    image = FilteredImage(dumps.shelves.open(wanted(MONDAY, 0)), steps, patience)
    try:
        yield image
    finally:
        image.close()
    assert count_descriptors() <= before
    assert list_children() == children


def list_children() -> list[int]:
    """Return the processes that this one has started and that are not gone."""
    return [each.pid for each in iterate_processes() if each.parent == os.getpid()]


def read_on(image: FilteredImage | PlainImage, at: int = 0, step: int = 50_000) -> bytes:
    """Return an image's bytes from there on."""
    pieces = []
    while piece := image.read_at(at, step):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)


def copy(
    image: FilteredImage | PlainImage, path: Path, at: int, count: int, flags: int = 0
) -> bytes:
    """Return what is copied of an image to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | flags)
    try:
        sink = Sink(descriptor)
        image.copy_to(sink, at, count)
        sink.flush()
        assert sink.written == count
    finally:
        os.close(descriptor)
    return path.read_bytes()


def test_a_compressed_dump_is_read_as_it_was(dumps: Dumps) -> None:
    """To its end; its chunks are fed one after another."""
    with unpacking(dumps, gzip(IMAGE), GUNZIP) as image:
        assert read_on(image) == IMAGE
        assert image.read_at(len(IMAGE), 10) == b""
        assert image.starts == 1


def test_reading_on_does_not_begin_again_and_reading_back_does(dumps: Dumps) -> None:
    """So that whoever goes through an image in its order unpacks it once."""
    with unpacking(dumps, gzip(IMAGE), GUNZIP) as image:
        for at in (0, 8000, 1_600_000, 3_199_000):
            assert image.read_at(at, 8) == IMAGE[at : at + 8]
        assert image.starts == 1
        assert image.read_at(16, 8) == IMAGE[16:24]
        assert image.starts == 2


@pytest.mark.parametrize("flags", [0, os.O_APPEND])
@pytest.mark.parametrize("is_packed", [False, True])
def test_contents_are_copied_by_the_kernel_or_else_by_hand(
    dumps: Dumps, tmp_path: Path, is_packed: bool, flags: int
) -> None:
    """A file that is appended to takes neither sendfile nor splice."""
    if not is_packed:
        dumps.hold(MONDAY, 0, IMAGE, chunk=1_000_000)
        plain = PlainImage(dumps.shelves.open(wanted(MONDAY, 0)))
        assert plain.read_at(500, 1000) == IMAGE[500:1500]
        assert copy(plain, tmp_path / "out", 600, 2_500_000, flags) == IMAGE[600:2_500_600]
        assert copy(plain, tmp_path / "out", 0, 500, flags) == IMAGE[:500]
        plain.close()
        return
    with unpacking(dumps, gzip(IMAGE), GUNZIP) as image:
        assert image.read_at(500, 1000) == IMAGE[500:1500]
        assert copy(image, tmp_path / "out", 600, 2_500_000, flags) == IMAGE[600:2_500_600]
        assert image.starts == 1  # what had been read was kept
        with pytest.raises(BadDataError, match=f"ends at byte {len(IMAGE)}"):
            copy(image, tmp_path / "out", 3_000_000, 1_000_000, flags)


def test_two_programs_are_joined(dumps: Dumps, script: Callable[[str], FilterStep]) -> None:
    """As for a dump that was compressed, then encrypted."""
    turned = bytes(255 - byte for byte in range(256))
    turn = script("exec tr '\\000-\\377' " + shlex.quote("".join(f"\\{b:03o}" for b in turned)))
    with unpacking(dumps, gzip(IMAGE).translate(turned), turn, GUNZIP) as image:
        assert read_on(image) == IMAGE


def test_a_damaged_dump_is_an_error_and_not_an_end(dumps: Dumps) -> None:
    """With what the program says of it."""
    packed = bytearray(gzip(IMAGE))
    packed[-6] ^= 1
    with unpacking(dumps, bytes(packed), GUNZIP) as image:
        with pytest.raises(BadDataError, match=r"gzip: .*crc error") as error:
            read_on(image)
        assert error.value.reference == "filter-failed"
    with (
        unpacking(dumps, gzip(IMAGE)[:-100], GUNZIP) as image,
        pytest.raises(BadDataError, match="unexpected end of file"),
    ):
        read_on(image)


def test_what_is_no_gzip_is_named(dumps: Dumps) -> None:
    """A header that claims so is wrong."""
    with (
        unpacking(dumps, IMAGE, GUNZIP) as image,
        pytest.raises(BadDataError, match="not in gzip format"),
    ):
        image.read_at(0, 10)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("exec sleep 1000", "has moved nothing"),
        ("head -c 1000; exec sleep 1000", "has moved nothing"),
        ("exec >&-; exec sleep 1000", "does not end"),
        ("exec 2>&-; exec sleep 1000", "has moved nothing"),
        ("while :; do echo x >&2; done", "has moved nothing"),
    ],
)
def test_a_program_that_hangs_is_killed(
    dumps: Dumps, script: Callable[[str], FilterStep], text: str, how: str
) -> None:
    """Though it takes nothing, and the pipe to it is full; or takes all and gives nothing."""
    patience = float(bound(0.3).rstrip("s"))
    with (
        unpacking(dumps, IMAGE, script(text), patience=patience) as image,
        pytest.raises(BadDataError, match=how),
    ):
        read_on(image)


def test_a_reader_that_is_slow_is_waited_for(dumps: Dumps) -> None:
    """Only the time counts in which the program is waited for."""
    patience = float(bound(1.0).rstrip("s"))
    with unpacking(dumps, gzip(IMAGE), GUNZIP, patience=patience) as image:
        assert image.read_at(0, 1000) == IMAGE[:1000]
        time.sleep(patience * 1.2)  # what is measured is that this much passes
        assert read_on(image, 1000) == IMAGE[1000:]


def test_complaints_without_end_do_not_stop_it_or_fill_the_memory(
    dumps: Dumps, script: Callable[[str], FilterStep]
) -> None:
    """They are read, and hardly any is kept."""
    with unpacking(
        dumps, IMAGE, script("head -c 300000 /dev/zero | tr '\\0' x >&2; cat; exit 3")
    ) as image:
        with pytest.raises(BadDataError) as error:
            read_on(image)
        assert "xxxx" in error.value.message
        assert len(error.value.message) < 3000


def test_a_program_that_wants_no_more_is_not_fed(
    dumps: Dumps, script: Callable[[str], FilterStep]
) -> None:
    """Its end is its own word: it has ended well."""
    with unpacking(dumps, IMAGE, script("exec head -c 5000")) as image:
        assert read_on(image) == IMAGE[:5000]


def test_a_program_sees_little_of_ours_and_gives_way(
    dumps: Dumps, script: Callable[[str], FilterStep], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No variable of the client's session; and it is niced."""
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "gate restore")
    seen = script("cat >/dev/null; until [ $(nice) -ge 10 ]; do :; done; pwd; env; nice")
    with unpacking(dumps, b"x", seen) as image:
        lines = read_on(image).decode().splitlines()
    assert lines[0] == "/"
    assert int(lines[-1]) >= NICENESS
    assert not [line for line in lines if "gate restore" in line]


def test_a_program_that_is_not_there_is_named(dumps: Dumps) -> None:
    """With what it is for."""
    with (
        unpacking(dumps, b"x", FilterStep("/usr/bin/no-such-program")) as image,
        pytest.raises((ConfigurationError, BadDataError), match="no-such-program"),
    ):
        image.read_at(0, 10)


def test_programs_end_with_the_process_that_reads(
    dumps: Dumps, script: Callable[[str], FilterStep]
) -> None:
    """Even if that is killed."""
    dumps.hold(MONDAY, 0, IMAGE)
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        image = FilteredImage(
            dumps.shelves.open(wanted(MONDAY, 0)), [script("echo $$; exec sleep 1000")]
        )
        os.write(writes, image.read_at(0, 100))
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    number = int(os.read(reads, 100))
    os.close(reads)
    os.close(writes)
    until(lambda: not Path(f"/proc/{number}").exists(), "the program is gone")
