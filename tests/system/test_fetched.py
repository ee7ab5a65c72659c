"""A dump that only Amanda can bring is watched, counted, and compared with what is wanted.

What stands for amfetchdump here is a script; the real one is asked by tests/e2e/test_fetched.py.
"""

import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles
from tests.system.dumps import Dumps, gzip, wanted
from tests.system.watching import count_descriptors, until

from asyncamanda.core.amanda.dump_form import DumpForm
from asyncamanda.core.amanda.filters import FilterStep
from asyncamanda.core.amanda.header import HEADER_BYTES
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import BadDataError, LaterError
from asyncamanda.server.restore import fetched
from asyncamanda.server.restore.fetched import Drive, FetchedDump
from asyncamanda.server.restore.reading import find_image_size, write_raw
from asyncamanda.server.restore.shelves import UNREAD, Shelves
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.server.restore.streams import FilteredImage, PlainImage
from lab.patience import bound

MONDAY, TUESDAY = "20261123010000", "20261124010000"
IMAGE = b"".join(b"%08d" % number for number in range(300_000))
Let = Callable[[str], None]


@pytest.fixture
def dumps(tmp_path: Path) -> Dumps:
    """Return a dump on a volume, of which nobody knows in which folder it is."""
    made = Dumps(AmandaFiles(tmp_path))
    (path,) = made.tape(MONDAY, 1, IMAGE)
    path.rename(tmp_path / "volume")
    path.with_name("00000.DAILY-001").unlink()
    made.files.settings = replace(made.files.settings, vtapes=(), has_other_volumes=True)
    return made


@pytest.fixture
def let(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Let:
    """Let amfetchdump be a script, which has the volume's file in `$volume`; it is noted."""

    def be(text: str) -> None:
        script = f"echo x >>{tmp_path}/starts; volume={tmp_path}/volume\n{text}"
        monkeypatch.setattr(fetched, "plan_fetch", lambda *_: ["/bin/sh", "-c", script])

    be('exec cat "$volume"')
    return be


def count_starts(tmp_path: Path) -> int:
    """Return how often it was started."""
    return len((tmp_path / "starts").read_text().split())


def read_on(image: PlainImage | FilteredImage, at: int = 0) -> bytes:
    """Return an image's bytes from there on."""
    pieces = []
    while piece := image.read_at(at, 100_000):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)


@pytest.mark.usefixtures("let")
def test_a_dump_is_brought_where_no_virtual_tape_has_it(dumps: Dumps, tmp_path: Path) -> None:
    """Reading on does not bring it again, reading back does."""
    shelves = dumps.shelves
    assert shelves.peek(wanted(MONDAY, 1)) == UNREAD
    files = shelves.open(wanted(MONDAY, 1))
    assert (files.where, files.size) == ("volume DAILY-001", len(IMAGE))
    assert files.form == DumpForm("/bin/tar")
    image = PlainImage(files)
    assert read_on(image) == IMAGE
    assert count_starts(tmp_path) == 1
    assert image.read_at(1_000_000, 8) == IMAGE[1_000_000:1_000_008]
    assert count_starts(tmp_path) == 2
    image.close()


@pytest.mark.usefixtures("let")
def test_what_is_brought_is_unpacked_by_our_own_filters(dumps: Dumps, tmp_path: Path) -> None:
    """Its header is none of what they are fed."""
    before = count_descriptors()
    (path,) = dumps.tape(MONDAY, 1, gzip(IMAGE), labels=("DAILY-002",))
    path.replace(tmp_path / "volume")
    image = FilteredImage(dumps.shelves.open(wanted(MONDAY, 1)), [FilterStep("gzip")])
    assert read_on(image) == IMAGE
    image.close()
    assert count_descriptors() <= before


@pytest.mark.usefixtures("let")
@pytest.mark.parametrize("lines", [None, ()])
def test_a_whole_image_is_brought_though_its_size_is_not_known(
    dumps: Dumps, tmp_path: Path, lines: Iterable[str] | None
) -> None:
    """As where its header has none."""
    (path,) = dumps.tape(MONDAY, 1, IMAGE, labels=("DAILY-002",), lines=lines)
    path.replace(tmp_path / "volume")
    image = PlainImage(dumps.shelves.open(wanted(MONDAY, 1)))
    assert find_image_size(image) == (len(IMAGE) if lines is None else None)
    with (tmp_path / "raw").open("wb") as file:
        assert write_raw(image, Sink(file.fileno()), 8) == len(IMAGE)
    assert (tmp_path / "raw").read_bytes() == IMAGE[8:]
    image.close()


def test_two_dumps_are_never_brought_at_once(dumps: Dumps, tmp_path: Path, let: Let) -> None:
    """There may be one drive. Who is not at it any more is brought again from the start."""
    let(f'echo $$ >>{tmp_path}/running; exec cat "$volume"')
    shelves = dumps.shelves
    first, second = (PlainImage(shelves.open(wanted(MONDAY, 1))) for _ in range(2))
    for image in (first, second, first):
        assert image.read_at(0, 8) == IMAGE[:8]
        numbers = (tmp_path / "running").read_text().split()
        assert [number for number in numbers if Path(f"/proc/{number}").exists()] == numbers[-1:]
        image._piece = b""
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("exit 1", "exit status 1"),
        ("echo no volume >&2; exit 1", "no volume"),
        ("exit 0", "nothing comes"),
        (f'head -c {HEADER_BYTES - 1} "$volume"', "nothing comes"),
        ('tail -c +2 "$volume"', "something else comes"),
        (f'sed "1s/{MONDAY}/{TUESDAY}/" "$volume"', "something else comes"),
        ('sed "1s/lev 1/lev 0/" "$volume"', "something else comes"),
        ('sed "1s/laptop/another/" "$volume"', "something else comes"),
        ("exec sleep 1000", "has moved nothing"),
    ],
)
@pytest.mark.usefixtures("dumps")
def test_what_is_not_the_dump_is_refused(let: Let, text: str, how: str) -> None:
    """Whatever amfetchdump says of it; and one that hangs is killed."""
    let(text)
    patience = float(bound(0.5).rstrip("s"))
    before = count_descriptors()
    with pytest.raises(BadDataError, match=how) as error:
        FetchedDump(Drive("daily", patience), wanted(MONDAY, 1), ["DAILY-001"])
    assert error.value.reference == "fetch-failed"
    assert count_descriptors() <= before


@pytest.mark.parametrize("text", ['head -c 1000000 "$volume"', 'cat "$volume"; echo more'])
def test_bytes_that_are_too_few_or_too_many_are_an_error(dumps: Dumps, let: Let, text: str) -> None:
    """Though amfetchdump ends well."""
    let(text)
    image = PlainImage(dumps.shelves.open(wanted(MONDAY, 1)))
    with pytest.raises(BadDataError, match=f"of {format_size(len(IMAGE))} came"):
        read_on(image)
    image.close()


def test_a_failure_at_the_end_is_an_error(dumps: Dumps, let: Let) -> None:
    """As of a checksum."""
    let('cat "$volume"; echo CRC differs >&2; exit 1')
    image = PlainImage(dumps.shelves.open(wanted(MONDAY, 1)))
    with pytest.raises(BadDataError, match="CRC differs"):
        read_on(image)
    image.close()


@pytest.mark.usefixtures("let")
def test_volumes_that_amanda_uses_are_left_alone(dumps: Dumps, tmp_path: Path) -> None:
    """A run that writes to one would lose it, or go without."""
    taper = tmp_path / "taper"
    taper.symlink_to("/bin/sh")
    with subprocess.Popen([taper, "-c", "read end", "daily"], stdin=subprocess.PIPE):
        until(lambda: fetched.find_users("daily") == ["taper"], "the taper runs")
        with pytest.raises(LaterError, match="just now: taper") as error:
            dumps.shelves.open(wanted(MONDAY, 1))
    assert error.value.reference == "volumes-busy"
    assert not (tmp_path / "starts").exists()
    files = dumps.shelves.open(wanted(MONDAY, 1))
    files.close()


def test_dumps_that_are_on_virtual_tapes_are_not_brought(tmp_path: Path) -> None:
    """They are read where they lie, or are gone."""
    dumps = Dumps(AmandaFiles(tmp_path))
    dumps.tape(MONDAY, 1, IMAGE)
    settings = replace(dumps.files.settings, has_other_volumes=True)
    shelves = Shelves(settings, "laptop", dumps.find)
    files = shelves.open(wanted(MONDAY, 1))
    assert not isinstance(files, FetchedDump)
    files.close()
    dumps.label("DAILY-001").joinpath("00001.laptop._home.1").unlink()
    with pytest.raises(BadDataError) as error:
        shelves.open(wanted(MONDAY, 1))
    assert error.value.reference == "dump-gone"
