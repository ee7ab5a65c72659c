"""Images by the real tar, and tar's reading of what is written."""

import os
import random
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import IS_CI
from tests.system.dump_trees import PAGE, Description, describe, digest, make_tree
from tests.tarimages import BLOCK, END, old_sparse, padded, parse_image, seal

from asyncamanda.core.restore.archive import render_member
from asyncamanda.core.restore.image import BadImage, ImageParser, Kind, Member

# as Amanda's GNUTAR calls it (sendbackup-gnutar.c), and amgtar, which may have more
GNUTAR = ("--one-file-system", "--sparse", "--ignore-failed-read", "--totals")
ATTRIBUTES = ("--xattrs", "--xattrs-include=*", "--acls")
FORMS = {
    "gnu": (),
    "pax": ("--format=posix",),
    "attributes": ATTRIBUTES,
    "sparse 0.0": ("--format=posix", "--sparse-version=0.0"),
    "sparse 0.1": ("--format=posix", "--sparse-version=0.1"),
}
MANGLED = int(os.environ.get("ASYNCAMANDA_MANGLED", "20000" if IS_CI else "2000"))
# where fields begin, and what may stand there
FIELDS = (0, 2, 100, 108, 116, 124, 136, 156, 156, 157, 257, 265, 329, 345, 386, 398, 482, 483, 504)
TELLING = (
    *(bytes([kind]) for kind in b"\x001234567DSLKxgVM"), bytes(12), b"\x80" + bytes(11),
    b"\xff" * 12, b"00000001000\0", b"00000000000\0", b"/", b"../", b"\n", b"=", b" ", b"9", b"10 ",
    b"ustar\x0000", b"ustar  \0", b"GNU.sparse.map=", b"GNU.dumpdir=", b"path=", b"0,1,",
)  # fmt: skip
_FORMATS = {
    Kind.FILE: stat.S_IFREG,
    Kind.FOLDER: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.CHARACTER: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
    Kind.FIFO: stat.S_IFIFO,
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tree with one of everything."""
    top = tmp_path_factory.mktemp("tree") / "disk"
    make_tree(top)
    return top


def run_tar(*arguments: str | Path, locale: str = "C", **more: bytes) -> bytes:
    """Return what tar prints. Its warnings do not count, its failures do."""
    ran = subprocess.run(
        ["tar", *arguments],
        env={"PATH": os.environ["PATH"], "LC_ALL": locale},
        capture_output=True,
        check=False,
        **more,  # type: ignore[call-overload]
    )
    assert ran.returncode == 0, ran.stderr
    return bytes(ran.stdout)


def dump(tree: Path, image: Path, *options: str, snapshot: Path | None = None) -> bytes:
    """Return a tree's image, an incremental one by default; there are no sockets in it."""
    snapshot = snapshot or image.with_suffix(".snapshot")
    run_tar("-cf", image, "-C", tree, f"--listed-incremental={snapshot}", *GNUTAR, *options, ".")
    return image.read_bytes()


@pytest.fixture(scope="module", params=FORMS)
def image(
    request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """Return an image of the tree in one of tar's forms."""
    return dump(tree, tmp_path_factory.mktemp("image") / "image", *FORMS[request.param])


def write_archive(image: bytes, members: list[Member]) -> bytes:
    """Return an archive of an image's members."""
    written = [
        render_member(each, each.path) + padded(image[each.data : each.data + each.stored])
        for each in members
    ]
    return b"".join(written) + END


def write_file(path: Path, image: bytes, member: Member) -> None:
    """Write a member's contents as its pieces say."""
    with path.open("wb") as file:
        at = member.data
        whole = ((0, member.size),)
        for offset, length in whole if member.pieces is None else member.pieces:
            file.seek(offset)
            file.write(image[at : at + length])
            at += length
        file.truncate(member.size)


def test_members_are_what_was_dumped(image: bytes, tree: Path, tmp_path: Path) -> None:
    """All that the form can hold of each; folders first, with what is in them."""
    wanted = describe(tree)
    has_fractions = any(each.mtime_ns % 1_000_000_000 for each in parse_image(image))
    members = parse_image(image)
    assert len(members) == len(wanted)
    for member in members:
        expected = wanted.pop(member.path or b".")
        check_member(member, expected, has_fractions=has_fractions)
        if member.kind is Kind.FILE:
            write_file(tmp_path / "file", image, member)
            assert digest(tmp_path / "file") == expected.digest
    assert wanted == {}
    first_file = next(n for n, each in enumerate(members) if each.kind is not Kind.FOLDER)
    assert all(each.kind is not Kind.FOLDER for each in members[first_file:])


def check_member(member: Member, expected: Description, *, has_fractions: bool) -> None:
    """Compare a member with what was dumped."""
    if member.kind is Kind.HARD_LINK:
        assert member.link != member.path
        return
    seconds = expected.mtime_ns // 1_000_000_000 * 1_000_000_000
    assert (_FORMATS[member.kind], member.mode) == (expected.kind, expected.mode)
    assert (member.uid, member.gid) == expected.owner
    assert member.mtime_ns == (expected.mtime_ns if has_fractions else seconds)
    assert (member.size, member.link) == (expected.size, expected.target)
    assert member.device == expected.device
    if member.kind is Kind.FOLDER:
        assert member.dumpdir is not None
    if expected.has_holes:
        assert member.pieces is not None
        assert member.stored < member.size // 2


def test_a_folders_list_has_what_is_in_it(image: bytes, tree: Path) -> None:
    """One record for each name, that ends in NUL."""
    for member in parse_image(image):
        if member.kind is Kind.FOLDER:
            assert member.dumpdir is not None
            names = [record[1:] for record in member.dumpdir.split(b"\0")[:-1]]
            assert sorted(names) == sorted(
                os.fsencode(path.name) for path in (tree / os.fsdecode(member.path)).iterdir()
            )


def test_renames_are_in_the_lists(tmp_path: Path) -> None:
    """Of a level 1, in both forms."""
    top = tmp_path / "disk"
    (top / "old" / "inner").mkdir(parents=True)
    snapshots = [tmp_path / "gnu.snapshot", tmp_path / "pax.snapshot"]
    for snapshot in snapshots:
        dump(top, tmp_path / "full", snapshot=snapshot)
    (top / "old").rename(top / "new")
    gnu = parse_image(dump(top, tmp_path / "gnu", snapshot=snapshots[0]))
    pax = parse_image(dump(top, tmp_path / "pax", "--format=posix", snapshot=snapshots[1]))
    for members in (gnu, pax):
        assert members[0].dumpdir == b"Dnew\0R./old\0T./new\0"


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_tar_makes_the_tree_of_what_is_written(tree: Path, tmp_path: Path, locale: str) -> None:
    """Every bit of it: owners, modes, nanoseconds, links, holes, attributes, capabilities."""
    image = dump(tree, tmp_path / "image", *ATTRIBUTES)
    members = parse_image(image)
    (tmp_path / "archive").write_bytes(write_archive(image, members))
    (tmp_path / "out").mkdir()
    unpack = ("-xpf", tmp_path / "archive", "-C", tmp_path / "out", "--delay-directory-restore")
    run_tar(*unpack, *ATTRIBUTES, locale=locale)
    made, wanted = describe(tmp_path / "out"), describe(tree)
    assert made.keys() == wanted.keys()
    assert {path: made[path] for path in made if made[path] != wanted[path]} == {}


def test_what_is_written_reads_as_it_was(image: bytes) -> None:
    """By the parser, too, and however the image was made."""
    members = parse_image(image)
    written = write_archive(image, members)
    again = parse_image(written)
    assert [bare(each) for each in again] == [bare(each) for each in members]
    assert write_archive(written, again) == written


def bare(member: Member) -> Member:
    """Return a member without what an archive has of its own, or has not: places and lists."""
    return replace(member, start=0, data=0, end=0, dumpdir=None)


def test_tar_knows_the_sizes_of_what_is_huge(tree: Path, tmp_path: Path) -> None:
    """More than a header's field can hold, plain and sparse, with a member behind it."""
    [plain] = [each for each in parse_image(dump(tree, tmp_path / "i")) if each.path == b"fine"]
    huge = 9 << 30
    whole = replace(plain, path=b"whole", stored=huge, size=huge)
    sparse = replace(whole, path=b"sparse", size=huge + PAGE, pieces=((PAGE, huge),))
    with (tmp_path / "archive").open("wb") as file:
        for each in (whole, sparse):
            file.write(render_member(each, each.path))
            file.seek(huge, os.SEEK_CUR)
        file.write(render_member(replace(plain, stored=0, size=0), b"behind") + END)
    listed = run_tar("-tvf", tmp_path / "archive").decode().splitlines()
    assert [(line.split()[2], line.split()[-1]) for line in listed] == [
        (f"{huge}", "./whole"),
        (f"{huge + PAGE}", "./sparse"),
        ("0", "./behind"),
    ]


def mangle(image: bytes, chance: random.Random) -> bytes:
    """Return an image with some bytes of it changed, mostly in headers, whose sums are right."""
    mangled = bytearray(image)
    blocks = len(image) // BLOCK
    for _ in range(chance.choice([1, 1, 2, 5])):
        start = chance.randrange(blocks) * BLOCK
        match chance.randrange(8):
            case 0:
                mangled[start + chance.randrange(BLOCK)] = chance.randrange(256)
            case 1:
                end = chance.randrange(blocks) * BLOCK
                mangled[end : end + BLOCK] = mangled[start : start + BLOCK]
            case 2:
                del mangled[start : start + chance.choice([1, BLOCK])]
                mangled += bytes(len(image) - len(mangled))
            case _:
                at = start + chance.choice([*FIELDS, chance.randrange(BLOCK)])
                what = chance.choice(TELLING)
                mangled[at : at + len(what)] = what
                mangled[start : start + BLOCK] = seal(bytes(mangled[start : start + BLOCK]))
        del mangled[len(image) :]
    return bytes(mangled)


def read_hostile(image: bytes, piece: int) -> tuple[list[Member], str]:
    """Return the members of what may be no image, and the fault behind them."""
    parser = ImageParser()
    found: list[Member] = []
    try:
        while not parser.is_ended and parser.offset < len(image):
            found += parser.feed(parser.offset, image[parser.offset : parser.offset + piece])
        parser.end()
    except BadImage as error:
        return found, str(error)
    return found, ""


def test_mangled_images_are_refused_or_harmless(image: bytes) -> None:
    """Only by BadImage; and what is made of their members are these members."""
    pool = [image[each.start : each.end] for each in parse_image(image)]
    pool = [made for made in pool if len(made) < 20 * BLOCK]
    pool.append(old_sparse([(1000 * n, 1) for n in range(30)], 30_000, bytes(30)))
    refusals = 0
    for seed in range(MANGLED // len(FORMS)):
        chance = random.Random(seed)  # noqa: S311 - to repeat what was found
        mangled = mangle(b"".join(chance.sample(pool, 6)) + END, chance)
        found, fault = read_hostile(mangled, 1 << 16)
        refusals += fault != ""
        assert read_hostile(mangled, chance.randrange(1, 3000)) == (found, fault), seed
        whole = [each for each in found if each.data + each.stored <= len(mangled)]
        again = parse_image(write_archive(mangled, whole))
        assert [bare(each) for each in again] == [bare(each) for each in whole], seed
    assert 0 < refusals < MANGLED // len(FORMS)
