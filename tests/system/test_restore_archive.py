"""One archive of what is wanted, out of images that the real tar has made, for the real tar."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles
from tests.system.dump_trees import Description, describe, make_tree
from tests.system.dumps import GZIPPED, PLAIN, Dumps, gzip, make_image, wanted

from asyncamanda.core.amanda.filters import FilterStep
from asyncamanda.core.restore.selection import Selection
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.archive import NO_TARGET, NOT_IN_IMAGE, ArchiveWriter, Written
from asyncamanda.server.restore.members import OffsetOf, read_head, walk_members
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.server.restore.streams import FilteredImage, Image, PlainImage

SUNDAY, MONDAY = "20261122010000", "20261123010000"
Missing = list[tuple[bytes, str]]


@pytest.fixture
def dumps(tmp_path: Path) -> Dumps:
    """Return Amanda's folders, all empty."""
    return Dumps(AmandaFiles(tmp_path / "amanda"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return an empty folder, to be dumped."""
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


class Chain:
    """The images of a tree's dumps, oldest first."""

    def __init__(
        self, dumps: Dumps, tree: Path, tmp_path: Path, *, is_packed: bool = False
    ) -> None:
        self.images: list[Image] = []
        self._dumps, self._tree, self._snapshot = dumps, tree, tmp_path / "snapshot"
        self._tmp_path, self._is_packed = tmp_path, is_packed

    def dump(self, *more: str) -> None:
        """Dump the tree, at the next level."""
        level = len(self.images)
        self.add(make_image(self._tree, self._snapshot, level, *more))

    def add(self, image: bytes) -> None:
        """Add an image, in chunks of its dump."""
        level, stamp = len(self.images), f"2026112{len(self.images) + 2}010000"
        claims, packed = (GZIPPED, gzip(image)) if self._is_packed else (PLAIN, image)
        self._dumps.hold(stamp, level, packed, claims=claims, chunk=7001)
        files = self._dumps.shelves.open(wanted(stamp, level))
        steps = [FilterStep("gzip")]
        self.images.append(FilteredImage(files, steps) if self._is_packed else PlainImage(files))

    def write(
        self,
        members: Sequence[Mapping[bytes, bytes]],
        folders: Sequence[bytes] = (),
        *,
        skip: int = 0,
        places: OffsetOf | None = None,
    ) -> tuple[bytes, Missing, Written]:
        """Return the archive of these, what is missing of it, and what was counted."""
        selection = Selection(tuple(map(dict, members)), tuple(folders))
        missing: Missing = []
        path = self._tmp_path / "archive"
        with path.open("wb") as file:
            writer = ArchiveWriter(
                Sink(file.fileno()), lambda path, why: missing.append((path, why)), skip
            )
            heads = [read_head(image) for image in self.images]
            writer.write(self.images, heads, selection, [places] * len(heads))
        archive = path.read_bytes()
        assert writer.written.bytes == len(archive)
        return archive, missing, writer.written

    def all_of(self, number: int) -> dict[bytes, bytes]:
        """Return all members of an image that are no folders, under their own names."""
        members = walk_members(self.images[number])
        return {each.path: each.path for each in members if each.dumpdir is None}

    def folders(self) -> list[bytes]:
        """Return the folders of the newest image."""
        return list(read_head(self.images[-1]))

    def close(self) -> None:
        """Close all."""
        for image in self.images:
            image.close()


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def chain(
    dumps: Dumps, tree: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Chain]:
    """Yield the dumps of the tree, none so far."""
    made = Chain(dumps, tree, tmp_path, is_packed=request.param)
    yield made
    made.close()


def fill(tree: Path) -> None:
    """Put one of everything into a folder, but for what tar would warn of."""
    tree.rmdir()
    make_tree(tree)
    for name in ("early", "late"):
        (tree / name).touch()


def without_attributes(found: dict[bytes, Description]) -> dict[bytes, Description]:
    """Return what of it old GNU headers have."""
    return {
        path: replace(each, attributes={}, mtime_ns=each.mtime_ns // 10**9)
        for path, each in found.items()
    }


def extract(archive: bytes, folder: Path) -> Path:
    """Return a new folder with what tar extracts, which has nothing to say."""
    folder.mkdir()
    argv = ["tar", "-x", "-p", "--delay-directory-restore", "--xattrs", "--xattrs-include=*"]
    argv += ["--acls", f"--directory={folder}"]
    done = subprocess.run(
        argv, input=archive, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return folder


def names(archive: bytes) -> list[str]:
    """Return the names in an archive, in its order."""
    done = subprocess.run(["tar", "-t"], input=archive, capture_output=True, check=True)
    return done.stdout.decode().splitlines()


@pytest.mark.parametrize("how", ["GNUTAR", "amgtar"])
def test_a_whole_disk_comes_back_as_it_was(
    chain: Chain, tree: Path, tmp_path: Path, how: str
) -> None:
    """With owners, modes, times, links, holes, devices, odd names, and closed folders."""
    fill(tree)
    chain.dump(*(() if how == "GNUTAR" else ("--xattrs", "--xattrs-include=*", "--acls")))
    archive, missing, written = chain.write([chain.all_of(0)], chain.folders())
    assert missing == []
    back, then = describe(extract(archive, tmp_path / "back")), describe(tree)
    if how == "GNUTAR":  # which knows neither attributes nor fractions of a second
        back, then = without_attributes(back), without_attributes(then)
    assert back == then
    assert (written.files, written.folders) == (len(chain.all_of(0)), len(chain.folders()))


def test_members_of_several_images_come_under_the_names_that_are_wanted(
    chain: Chain, tree: Path, tmp_path: Path
) -> None:
    """The newest image's folders first, then the oldest image's members."""
    (tree / "a").mkdir()
    (tree / "a" / "old").write_text("old")
    (tree / "a" / "changed").write_text("before")
    chain.dump()
    (tree / "a").rename(tree / "b")
    (tree / "b" / "changed").write_text("after")
    chain.dump()
    wishes = [{b"a/old": b"b/old"}, {b"b/changed": b"b/changed"}]
    archive, missing, _ = chain.write(wishes, [b"", b"b"])
    assert missing == []
    assert names(archive) == ["./", "./b/", "./b/old", "./b/changed"]
    back = describe(extract(archive, tmp_path / "back"))
    assert without_attributes(back) == without_attributes(describe(tree))


def test_folders_come_first_by_their_paths(chain: Chain, tree: Path) -> None:
    """In whatever order tar has them, which a kept head does not tell: who goes on counts them."""
    for name in ("z", "a", "a/z", "a/b", "a-b", "m"):
        (tree / name).mkdir()
        (tree / name / "file").write_text(name)
    chain.dump()
    archive, missing, _ = chain.write([chain.all_of(0)], chain.folders())
    assert missing == []
    folders = ["./", "./a/", "./a-b/", "./a/b/", "./a/z/", "./m/", "./z/"]
    assert names(archive)[:7] == sorted(folders, key=lambda name: name.rstrip("/"))
    rest, _, _ = chain.write([{}], list(reversed(chain.folders())), skip=3)
    assert names(rest) == names(archive)[3:7]


def test_nothing_of_an_image_is_read_behind_the_last_that_is_wanted(
    chain: Chain, tree: Path
) -> None:
    """However much comes there."""
    for name in ("one", "two", "three"):
        (tree / name).write_bytes(os.urandom(1 << 20))
    chain.dump()
    (image,) = chain.images
    _, second, third = (each for each in walk_members(image) if each.size)
    seen: list[int] = []
    read = image._read

    def note(at: int, count: int) -> bytes:
        seen.append(at)
        return read(at, count)

    image._read = note  # type: ignore[method-assign, assignment]
    chain.write([{second.path: second.path}])
    assert second.start <= max(seen) < second.end <= third.start


# -- hard links


def link_three(tree: Path) -> tuple[bytes, bytes, bytes]:
    """Make a file of three names; return them in the order in which tar dumps them."""
    (tree / "x").write_text("the file" * 1000)
    (tree / "y").write_text("another")
    for name in ("l1", "l2"):
        os.link(tree / "x", tree / name)
    return b"x", b"l1", b"l2"


def in_order(chain: Chain, *paths: bytes) -> list[bytes]:
    """Return these in the order of the first image."""
    return [path for path in chain.all_of(0) if path in paths]


def test_links_stay_links_of_each_other(chain: Chain, tree: Path, tmp_path: Path) -> None:
    """Under their new names."""
    paths = link_three(tree)
    chain.dump()
    first, second, third = in_order(chain, *paths)
    archive, missing, _ = chain.write([{first: b"n/1", second: b"n/2", third: b"n/3"}])
    assert missing == []
    back = extract(archive, tmp_path / "back")
    assert (back / "n" / "1").read_text() == "the file" * 1000
    assert len({(back / "n" / name).stat().st_ino for name in "123"}) == 1


def test_a_further_name_alone_becomes_the_file(chain: Chain, tree: Path, tmp_path: Path) -> None:
    """And one more is then a link to that."""
    paths = link_three(tree)
    chain.dump()
    _, second, third = in_order(chain, *paths)
    archive, missing, _ = chain.write([{third: b"n3", second: b"n2", b"y": b"y"}])
    assert missing == []
    back = extract(archive, tmp_path / "back")
    assert (back / "n3").read_text() == (back / "n2").read_text() == "the file" * 1000
    assert (back / "n2").stat().st_ino == (back / "n3").stat().st_ino
    assert (back / "n2").stat().st_mode == (tree / "x").stat().st_mode
    assert int((back / "n2").stat().st_mtime) == int((tree / "x").stat().st_mtime)
    assert (back / "y").read_text() == "another"


def test_a_link_whose_first_name_is_another_file_by_now_has_the_old_contents(
    chain: Chain, tree: Path, tmp_path: Path
) -> None:
    """Not those of the file that has that name in a newer image."""
    paths = link_three(tree)
    chain.dump()
    first, second, third = in_order(chain, *paths)
    (tree / first.decode()).unlink()
    (tree / first.decode()).write_text("new")
    chain.dump()
    archive, missing, _ = chain.write([{second: second, third: third}, {first: first}])
    assert missing == []
    back = extract(archive, tmp_path / "back")
    assert (back / first.decode()).read_text() == "new"
    assert (back / second.decode()).read_text() == "the file" * 1000
    assert (back / second.decode()).stat().st_nlink == 2


def test_a_link_to_what_the_image_does_not_have_is_missing(
    chain: Chain, tree: Path, tmp_path: Path
) -> None:
    """Never a name of something else, and never an empty file."""
    paths = link_three(tree)
    archive = tmp_path / "made"
    argv = ["tar", "--create", f"--file={archive}", f"--directory={tree}", "./x", "./l1", "./y"]
    subprocess.run(argv, check=True)
    subprocess.run(["tar", "--delete", f"--file={archive}", "./x"], check=True)
    chain.add(archive.read_bytes())
    made, missing, _ = chain.write([dict.fromkeys([*paths, b"y"], b"y") | {b"l1": b"new"}])
    assert names(made) == ["./y"]
    assert (b"new", NO_TARGET) in missing


# -- what is not there


def test_what_the_head_lists_and_the_image_lacks_is_missing(chain: Chain, tree: Path) -> None:
    """As a socket is, which tar lists and leaves out; the rest is written."""
    (tree / "there").write_text("x")
    chain.dump()
    made, missing, written = chain.write([{b"socket": b"s", b"there": b"there"}], [b"", b"gone"])
    assert names(made) == ["./", "./there"]
    assert missing == [(b"gone", NOT_IN_IMAGE), (b"s", NOT_IN_IMAGE)]
    assert (written.files, written.folders) == (1, 1)


def test_a_broken_image_gives_what_is_before_the_fault(
    dumps: Dumps, tree: Path, tmp_path: Path
) -> None:
    """And the images behind it all they have."""
    chain = Chain(dumps, tree, tmp_path)
    for name in ("a", "b", "c"):
        (tree / name).write_text(name)
    image = bytearray(make_image(tree, tmp_path / "s", 0))
    order = [
        bytes([image[at + 2]])
        for at in range(0, len(image), 512)
        if image[at : at + 2] == b"./" and image[at + 2] and not image[at + 3]
    ]
    at = image.index(b"./%b\0" % order[1])
    image[at] ^= 1
    chain.add(bytes(image))
    chain.add(make_image(tree, tmp_path / "s", 1))
    wishes = {path: path for path in order}
    made, missing, _ = chain.write([wishes, {}], [b""])
    assert names(made) == ["./", f"./{order[0].decode()}"]
    assert [path for path, _ in missing] == order[1:]
    assert all(why.startswith("the dump is broken at byte") for _, why in missing)
    chain.close()


def test_an_image_that_ends_in_the_middle_of_a_file_ends_the_archive(
    chain: Chain, tree: Path, tmp_path: Path
) -> None:
    """What has begun to go out cannot be taken back."""
    (tree / "big").write_bytes(os.urandom(1 << 20))
    image = make_image(tree, tmp_path / "s", 0)
    chain.add(image[: 1 << 19])
    with pytest.raises(BadDataError, match="ends at byte 524288"):
        chain.write([{b"big": b"big"}])


# -- going on


def test_the_archive_goes_on_behind_what_came_whole(chain: Chain, tree: Path) -> None:
    """Wherever it was cut: both pieces extracted into one folder are the whole."""
    fill(tree)
    link_three(tree)
    chain.dump()
    members = {path: path for path in chain.all_of(0) if path != b"x"}
    whole, missing, written = chain.write([members], chain.folders())
    assert missing == []
    order = names(whole)
    assert len(order) == written.files + written.folders
    for skip in (1, len(order) // 2, len(order) - 1, len(order)):
        rest, _, again = chain.write([members], chain.folders(), skip=skip)
        assert names(rest) == order[skip:]
        assert whole.endswith(rest)
        assert (again.files, again.folders) == (written.files, written.folders)


def test_a_reader_that_is_gone_ends_it(dumps: Dumps, tree: Path, tmp_path: Path) -> None:
    """As an error of the system's, which is no fault of the dump."""
    (tree / "big").write_bytes(os.urandom(1 << 20))
    chain = Chain(dumps, tree, tmp_path)
    chain.dump()
    reads, writes = os.pipe()
    os.close(reads)
    selection = Selection(({b"big": b"big"},), ())
    with pytest.raises(BrokenPipeError):
        ArchiveWriter(Sink(writes), lambda *_: None).write(
            chain.images, [read_head(chain.images[0])], selection
        )
    os.close(writes)
    chain.close()


# -- places that are known beforehand


def test_members_are_read_where_they_are_known_to_be(chain: Chain, tree: Path) -> None:
    """Of an image of megabytes hardly more than their headers; the archive is the same."""
    for number in range(40):
        (tree / f"file-{number}").write_bytes(os.urandom(100_000))
    link_three(tree)
    chain.dump()
    members = {each.path: each for each in walk_members(chain.images[0])}
    (image,) = chain.images
    read, seen = image._read, []

    def note(at: int, count: int) -> bytes:
        piece = read(at, count)
        seen.append(len(piece))
        return piece

    image._read = note  # type: ignore[method-assign, assignment]
    for some in ({b"file-3": b"a"}, {b"x": b"x", b"l1": b"l1", b"file-30": b"b", b"file-31": b"c"}):
        usual, _, _ = chain.write([some])
        seen.clear()
        fast, missing, _ = chain.write([some], places=lambda path: members[path].start)
        assert (fast, missing) == (usual, [])
        assert sum(seen) < 100_000


@pytest.mark.parametrize("shift", [512, 1024, 7, -512, 1 << 30])
def test_places_that_are_wrong_or_unknown_cost_time_alone(
    chain: Chain, tree: Path, shift: int
) -> None:
    """What is not there is looked for in the whole image."""
    for number in range(5):
        (tree / f"file-{number}").write_text(f"{number}" * 2000)
    chain.dump()
    members = {each.path: each.start + shift for each in walk_members(chain.images[0])}
    some = {b"file-3": b"a", b"file-1": b"b"}
    usual, _, _ = chain.write([some])
    wrong, missing, _ = chain.write([some], places=members.get)
    assert (sorted(names(wrong)), missing) == (sorted(names(usual)), [])
    unknown, missing, _ = chain.write([some], places=lambda _: None)
    assert (unknown, missing) == (usual, [])
