"""Restoring by kept heads: the same archive as without, and little is read for little."""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles
from tests.system.dumps import DISK, GZIPPED, HOST, PLAIN, Dumps, gzip, make_image

from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.dispatch.records import RunEnd, RunKind
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.restore.keep_order import HeldDump, KeepOrder
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.request import FilesRequest
from asyncamanda.core.restore.seek_points import SPACING
from asyncamanda.errors import BadDataError
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.restore.archive import NOT_IN_IMAGE
from asyncamanda.server.restore.dated import ChainFiles
from asyncamanda.server.restore.dump_files import DumpFiles
from asyncamanda.server.restore.gzip_image import GzipImage
from asyncamanda.server.restore.heads import HeadStore
from asyncamanda.server.restore.keep import Keeper
from asyncamanda.server.restore.owners import read_owners
from asyncamanda.server.restore.reading import open_chain, plan_restore, write_restore
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.server.restore.source import Source
from asyncamanda.server.restore.streams import PlainImage
from asyncamanda.server.restore.versions import list_versions
from asyncamanda.system.clock import parse_local_stamp

STAMPS = ("20261122010000", "20261123010000", "20261124010000")


class Office:
    """Three dumps of a laptop's /home on volumes, and their heads."""

    def __init__(self, tmp_path: Path, claims: str) -> None:
        self.tree = tmp_path / "tree"
        self.dumps = Dumps(AmandaFiles(tmp_path / "amanda"))
        self.ledger = Ledger.open(str(tmp_path / "ledger.sqlite"), timedelta(seconds=1))
        self.store = HeadStore("daily", tmp_path / "heads")
        self._snapshot = tmp_path / "snapshot"
        self._claims = claims

    def dump(self, number: int, level: int) -> None:
        """Dump the tree, keep its head, and bring it to a volume."""
        stamp = STAMPS[number]
        image = make_image(self.tree, self._snapshot, level)
        packed = gzip(image) if self._claims == GZIPPED else image
        paths = self.dumps.hold(stamp, level, packed, claims=self._claims, chunk=3_000_000)
        said: list[str] = []
        held = (HeldDump(HOST, DISK, stamp, level, Filters()),)
        holding = (str(self.dumps.files.holding),)
        Keeper(KeepOrder("daily", holding, 10**9, (), held), self.store, said.append).keep_new()
        assert said == []
        for path in paths:
            path.unlink()
        self.dumps.tape(stamp, level, packed, claims=self._claims, part=2_000_000)
        at = parse_local_stamp(stamp)
        run = self.ledger.runs.begin(RunKind.OTHER, "daily", (HOST,), (), at)
        self.ledger.runs.note(run.id, timestamp=stamp)
        verdict = DleVerdict(
            HOST, DISK, stamp, DumpState.STORED, level, has_begun=True, dumped_at=at
        )
        self.ledger.runs.end(run.id, at, RunEnd(0, is_clean=True, verdicts=(verdict,)), {})

    def source(self, *, has_heads: bool) -> Source:
        """Return the laptop's dumps."""
        return Source(
            settings=self.dumps.files.settings,
            host=HOST,
            dles=[Dle(HOST, DISK, filters=Filters())],
            dumps=self.ledger.verdicts.of_host("daily", HOST),
            ask=self.dumps.find,
            heads=self.store if has_heads else None,
        )

    def restore(self, out: Path, *paths: bytes, has_heads: bool = True) -> bytes:
        """Return the archive of these."""
        missing: list[tuple[bytes, str]] = []
        source = self.source(has_heads=has_heads)
        with out.open("w+b") as file, open_chain(source, DISK) as chain:
            selection = plan_restore(chain, paths)
            write_restore(chain, selection, Sink(file.fileno()), lambda *why: missing.append(why))
            assert all(isinstance(head, KeptHead) == has_heads for head in chain.read_heads())
        assert missing == []
        return out.read_bytes()


@pytest.fixture(params=[PLAIN, GZIPPED])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    """Yield the dumps: a full one, one of what is new since, and one of what is new since that."""
    made = Office(tmp_path, request.param)
    tree = made.tree
    for folder in range(30):
        (tree / f"d{folder}" / "sub").mkdir(parents=True)
        for number in range(20):
            (tree / f"d{folder}" / f"f{number}").write_bytes(os.urandom(5000))
    (tree / "z").write_bytes(b"six by")
    (tree / "d3" / "large").write_bytes(os.urandom(6_000_000))
    (tree / "d4" / "twin").hardlink_to(tree / "d3" / "large")
    (tree / "d4" / "way").symlink_to("../z")
    with (tree / "d5" / "holes").open("wb") as sparse:
        sparse.seek(900_000)
        sparse.write(b"end")
    made.dump(0, 0)
    (tree / "d7").rename(tree / "moved")
    (tree / "d8" / "f1").write_bytes(b"new")
    (tree / "d9" / "f1").unlink()
    made.dump(1, 1)
    (tree / "moved" / "f1").write_bytes(b"newer")
    made.dump(2, 2)
    yield made
    made.ledger.close()


@pytest.mark.parametrize(
    "paths",
    [
        (b"",),
        (b"z",),
        (b"d4",),
        (b"moved/f1", b"d8", b"d3/large", b"d4/twin"),
        (b"d4/twin",),
        (b"d5/holes", b"d29/sub", b"moved/sub"),
    ],
)
def test_the_archive_is_the_same_as_without(
    office: Office, tmp_path: Path, paths: tuple[bytes, ...]
) -> None:
    """Byte for byte: what is kept only tells where to look."""
    by_heads = office.restore(tmp_path / "one", *paths)
    without = office.restore(tmp_path / "other", *paths, has_heads=False)
    assert len(by_heads) > 1024
    assert by_heads == without


def test_one_small_file_takes_little_reading(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large the dump is, and wherever in it the file lies."""
    read = 0

    def read_at(files: DumpFiles, offset: int, count: int) -> bytes:
        nonlocal read
        piece = plain_read(files, offset, count)
        read += len(piece)
        return piece

    plain_read = DumpFiles.read_at
    monkeypatch.setattr(DumpFiles, "read_at", read_at)
    office.restore(tmp_path / "one", b"z")
    with open_chain(office.source(has_heads=True), DISK) as chain:
        is_packed = isinstance(chain.images[0], GzipImage)
        size = chain.images[0].files.size
    assert size > 8_000_000
    assert read <= (SPACING if is_packed else 20_000)
    if not is_packed:
        assert read > 0


@pytest.mark.parametrize("claims", [PLAIN, GZIPPED])
def test_a_socket_is_not_looked_for_in_all_of_the_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claims: str
) -> None:
    """tar lists sockets and stores none; a folder with one comes as quickly as any."""
    office = Office(tmp_path, claims)
    for folder in ("a", "b"):
        (office.tree / folder).mkdir(parents=True)
    os.mknod(office.tree / "a" / "agent", stat.S_IFSOCK | 0o600)
    (office.tree / "a" / "pid").write_bytes(b"1234")
    (office.tree / "b" / "large").write_bytes(os.urandom(4_000_000))
    office.dump(0, 0)
    plain_read, read = DumpFiles.read_at, []

    def read_at(files: DumpFiles, offset: int, count: int) -> bytes:
        read.append(plain_read(files, offset, count))
        return read[-1]

    monkeypatch.setattr(DumpFiles, "read_at", read_at)
    missing: list[tuple[bytes, str]] = []
    for has_heads in (False, True):
        read.clear()
        source = office.source(has_heads=has_heads)
        with (tmp_path / "out").open("wb") as file, open_chain(source, DISK) as chain:
            sink = Sink(file.fileno())
            selection = plan_restore(chain, [b"a"])
            written = write_restore(chain, selection, sink, lambda *why: missing.append(why))
        assert written.files == 1
    assert missing == [(b"a/agent", NOT_IN_IMAGE)] * 2
    assert sum(map(len, read)) < 600_000
    office.ledger.close()


def test_a_head_that_does_not_fit_its_dump_misleads_nobody(office: Office, tmp_path: Path) -> None:
    """As after a mistake: what is where it should not be is looked for in all of the image."""
    expected = office.restore(tmp_path / "one", b"d8", b"z", b"moved", has_heads=False)
    right = KeptHead.offset_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KeptHead, "offset_of", lambda head, path: (right(head, path) or 0) + 512)
        assert office.restore(tmp_path / "other", b"d8", b"z", b"moved") == expected


def describe(office: Office, *, has_heads: bool) -> tuple[object, ...]:
    """Return all that a list says of the newest dump, and the versions of some paths."""
    source = office.source(has_heads=has_heads)
    with open_chain(source, DISK, is_list=True) as chain:
        names = [*chain.read_head().walk()]
        owners = read_owners(chain)
        some = read_owners(chain, [b"", b"moved"])
        keeps_acls = chain.keeps_acls
    found = [
        [(each.dump, each.flag, each.is_changed, each.ways) for each in versions]
        for path in (b"z", b"moved/f1", b"d8/f1", b"d9/f1", b"d9", b"d5/holes")
        if (versions := [*list_versions(source, DISK, path, has_ways=True)])
    ]
    return names, owners, some, keeps_acls, found


def test_a_list_needs_no_dump_to_be_read(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has to be there, that is all; and what is told is the same."""
    expected = describe(office, has_heads=False)

    def read_at(_files: DumpFiles, _offset: int, _count: int) -> bytes:
        pytest.fail("a dump was read")

    monkeypatch.setattr(DumpFiles, "read_at", read_at)
    assert describe(office, has_heads=True) == expected
    shutil.rmtree(office.dumps.files.vtapes)
    with pytest.raises(BadDataError) as error, open_chain(office.source(has_heads=True), DISK):
        pass
    assert error.value.reference == "dump-gone"


@pytest.mark.parametrize("paths", [(b"",), (b"z",), (b"d4/twin", b"moved"), (b"d5/holes",)])
def test_how_much_comes_is_known_beforehand(
    office: Office, tmp_path: Path, paths: tuple[bytes, ...]
) -> None:
    """By what is kept, holes not counted; without that for a trial, if nothing has to be unpacked.

    Of a further name of a file that is asked for alone it is not known which file that is.
    """
    request = FilesRequest(DISK, paths)
    for has_heads in (True, False):
        source = office.source(has_heads=has_heads)
        with open_chain(source, DISK) as chain, (tmp_path / "out").open("wb") as file:
            is_packed = not isinstance(chain.images[0], PlainImage)
            files = ChainFiles(source, request, chain)
            trial = ChainFiles(source, replace(request, is_dry_run=True), chain).plan.size
            files.write(file.fileno(), lambda _: None, lambda *_: None)
        sent = files.counts[1]
        if b"d4/twin" in paths:
            sent -= 6_000_000
        assert files.plan.size == (pytest.approx(sent, abs=1024) if has_heads else None)
        assert trial == (None if is_packed and not has_heads else pytest.approx(sent, abs=1024))


def test_versions_of_what_is_packed_have_a_size(office: Office) -> None:
    """Which without a kept head would take the unpacking of whole dumps."""
    versions = [*list_versions(office.source(has_heads=True), DISK, b"z")]
    assert [each.member and each.member.size for each in versions] == [6, 6, 6]
