"""Unpacking a tar stream: all comes back as it was, and nothing lands anywhere else."""

from __future__ import annotations

import errno
import io
import os
import random
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.system.trees import describe, make_tree, pack

from asyncamanda.core.restore.archive import END, render_member
from asyncamanda.core.restore.image import BadImage, ImageParser, Kind, Member
from asyncamanda.core.restore.tarfields import BLOCK, pad
from asyncamanda.system.account import ask_as
from asyncamanda.system.incoming import PipeSource, StreamCut
from asyncamanda.system.untar import Unpacked, Unpacker

WITH_ALL = ("--format=pax", "--sparse", "--xattrs", "--xattrs-include=*", "--acls")
BLANK = Member(0, 0, 0, 0, Kind.FILE, b"f", b"", 0o644, 0, 0, b"root", b"root", 10**18, 0)


@contextmanager
def piped(stream: bytes) -> Iterator[PipeSource]:
    """Yield a pipe out of which `stream` comes, from another process."""
    reader, writer = os.pipe()
    feeder = os.fork()
    if feeder == 0:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.close(reader)
        with open(writer, "wb") as pipe:  # noqa: PTH123
            pipe.write(stream)
        os._exit(0)
    os.close(writer)
    source = PipeSource(reader)
    try:
        yield source
    finally:
        source.close()
        os.close(reader)
        os.waitpid(feeder, 0)


def unpack(stream: bytes, target: Path, unpacker: Unpacker | None = None) -> list[Unpacked]:
    """Unpack `stream` into the new folder `target`; return each member with its result."""
    target.mkdir(mode=0o700, exist_ok=True)
    folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    unpacker = unpacker or Unpacker(folder)
    try:
        with piped(stream) as source:
            found = list(unpacker.unpack(source))
        unpacker.finish()
    finally:
        unpacker.close()
        os.close(folder)
    return found


def stream_of(*members: tuple[Member, bytes], links: dict[bytes, bytes] | None = None) -> bytes:
    """Return the stream of these members and their contents, as the server makes it."""
    pieces = []
    for member, contents in members:
        stored = replace(member, stored=len(contents), size=member.size or len(contents))
        head = render_member(stored, member.path, (links or {}).get(member.path))
        pieces += [head, contents, bytes(pad(len(contents)))]
    return b"".join(pieces) + END


def file(path: bytes, contents: bytes = b"contents", **how: object) -> tuple[Member, bytes]:
    """Return a file for a stream."""
    return replace(BLANK, path=path, **how), contents  # type: ignore[arg-type]


def other(kind: Kind, path: bytes, **how: object) -> tuple[Member, bytes]:
    """Return something else for a stream."""
    return replace(BLANK, kind=kind, path=path, **how), b""  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["tar's", "the server's"])
def test_all_comes_back_as_it_was(tmp_path: Path, how: str) -> None:
    """Owners, modes, times, holes, links, devices, attributes, lists and capabilities."""
    make_tree(tmp_path / "tree")
    pack(tmp_path / "tree", tmp_path / "packed", *WITH_ALL)
    stream = (tmp_path / "packed").read_bytes()
    if how == "the server's":
        stream = render_again(stream)
    found = unpack(stream, tmp_path / "out")
    assert [one for one in found if one.reason] == []
    assert describe(tmp_path / "out") == describe(tmp_path / "tree")
    assert (tmp_path / "out").stat().st_mtime_ns == (tmp_path / "tree").stat().st_mtime_ns


def render_again(image: bytes) -> bytes:
    """Return an image's members as a stream that the server would send."""
    parser, pieces = ImageParser(), []
    while not parser.is_ended:
        at = parser.offset
        for member in parser.feed(at, image[at : at + (1 << 16)]):
            pieces += [
                render_member(member, member.path),
                image[member.data : member.data + member.stored],
                bytes(pad(member.stored)),
            ]
    return b"".join(pieces) + END


def test_a_stream_in_tars_old_form_comes_back_but_for_what_that_has_not(tmp_path: Path) -> None:
    """It has no fractions of a second, and no attributes."""
    make_tree(tmp_path / "tree")
    pack(tmp_path / "tree", tmp_path / "packed", "--format=gnu", "--sparse")
    unpack((tmp_path / "packed").read_bytes(), tmp_path / "out")
    seen, was = (
        describe(tmp_path / name, without=("attributes",), nanoseconds=False)
        for name in ("out", "tree")
    )
    was[b"acl"]["mode"] = 0o664  # type: ignore[index]
    assert seen == was


def test_another_user_gets_what_that_user_may_have(tmp_path: Path) -> None:
    """Their own files, no set-user-ID bits, no devices; and each that is missing is named."""
    make_tree(tmp_path / "tree")
    pack(tmp_path / "tree", tmp_path / "packed", *WITH_ALL)
    stream = (tmp_path / "packed").read_bytes()
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)

    def as_nobody() -> str:
        os.environ["HOME"] = str(home)
        found = unpack(stream, home / "out")
        return repr([(one.path, one.reason) for one in found if one.reason])

    failed = ask_as("nobody", as_nobody)
    assert failed == repr([(b"null", os.strerror(errno.EPERM))])
    seen = describe(home / "out", without=("owner", "names", "attributes", "is_sparse"))
    was = describe(tmp_path / "tree", without=("owner", "names", "attributes", "is_sparse"))
    del was[b"null"]
    was[b"suid"]["mode"] = 0o755  # type: ignore[index]
    was[b"sticky"]["mode"] = 0o777  # type: ignore[index]
    assert seen == was
    assert {path.owner() for path in (home / "out").rglob("*") if not path.is_symlink()} == {
        "nobody"
    }
    assert os.getxattr(home / "out/xattr", "user.name") == b"va\0lue\n"


def test_a_name_leads_over_no_link_of_the_streams(tmp_path: Path) -> None:
    """Neither as a folder on the way, nor as the file itself, nor as a hard link's first name."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("untouched")
    before = describe(tmp_path / "victim")
    out = os.fsencode(victim)
    stream = stream_of(
        other(Kind.SYMLINK, b"way", link=out),
        other(Kind.SYMLINK, b"up", link=b".."),
        other(Kind.SYMLINK, b"file", link=out + b"/file"),
        file(b"way/new"),
        file(b"way/file"),
        file(b"up/up/x"),
        other(Kind.FOLDER, b"way/folder"),
        other(Kind.FOLDER, b"way"),
        file(b"file", b"a file of the stream's own"),
        other(Kind.HARD_LINK, b"stolen", link=b"way/file"),
        other(Kind.FIFO, b"way/pipe"),
        other(Kind.SYMLINK, b"way/again", link=b"x"),
        file(b"after", b"and then it goes on"),
    )
    found = unpack(stream, tmp_path / "out")
    assert describe(victim) == before
    assert {one.path for one in found if one.reason} == {
        b"way/new",
        b"way/file",
        b"up/up/x",
        b"way/folder",
        b"way",
        b"stolen",
        b"way/pipe",
        b"way/again",
    }
    assert (tmp_path / "out/file").read_text() == "a file of the stream's own"
    assert not (tmp_path / "out/file").is_symlink()
    assert (tmp_path / "out/after").read_text() == "and then it goes on"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "victim"]


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a/..", "..", "a\0b"])
def test_a_name_that_leads_out_ends_it_all(tmp_path: Path, name: str) -> None:
    """What was there before the bad member stays; nothing is made outside."""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each in ("before", name):
            member = tarfile.TarInfo(each)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    stream = text.getvalue()
    if name == "a\0b":  # which needs a pax header
        head = b"%d path=a\0b\n" % 13
        info = tarfile.TarInfo("x")
        info.type, info.size = tarfile.XHDTYPE, len(head)
        stream = info.tobuf(tarfile.USTAR_FORMAT) + head.ljust(BLOCK, b"\0") + stream
    with pytest.raises(BadImage):
        unpack(stream, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not (tmp_path / "out/a").exists()


def test_a_link_to_a_file_that_never_came_is_named(tmp_path: Path) -> None:
    """And what follows comes nevertheless."""
    found = unpack(
        stream_of(other(Kind.HARD_LINK, b"second", link=b"first"), file(b"after")), tmp_path / "out"
    )
    assert [(one.path, one.reason) for one in found] == [
        (b"second", os.strerror(errno.ENOENT)),
        (b"after", ""),
    ]


def test_what_cannot_be_made_is_named_and_its_contents_passed_over(tmp_path: Path) -> None:
    """A name too long for this file system, a folder in a file's way; large ones as well."""
    contents = os.urandom(300_000)
    found = unpack(
        stream_of(
            other(Kind.FOLDER, b"folder"),
            file(b"folder", contents),
            file(b"n" * 256, contents),
            file(b"m" * 256, b"short"),
            file(b"good", contents),
        ),
        tmp_path / "out",
    )
    assert [bool(one.reason) for one in found] == [False, True, True, True, False]
    assert (tmp_path / "out/good").read_bytes() == contents
    assert (tmp_path / "out/folder").is_dir()


def test_members_that_are_passed_over_leave_nothing(tmp_path: Path) -> None:
    """By who calls."""
    (tmp_path / "out").mkdir(mode=0o700)
    folder = os.open(tmp_path / "out", os.O_RDONLY)
    unpacker = Unpacker(folder, lambda path, _: None if path == b"no" else b"below/" + path)
    stream = stream_of(file(b"no", bytes(100_000)), file(b"yes"), file(b"no"))
    unpack(stream, tmp_path / "out", unpacker)
    os.close(folder)
    assert [*describe(tmp_path / "out")] == [b"below", b"below/yes"]


@pytest.mark.parametrize("seed", range(8))
def test_each_member_before_a_cut_is_whole_and_the_rest_comes_when_it_goes_on(
    tmp_path: Path, seed: int
) -> None:
    """Cut anywhere, tried again from the member after the last that was told, it is as it was."""
    rng = random.Random(seed)  # noqa: S311 - the same each time
    make_tree(tmp_path / "tree")
    pack(tmp_path / "tree", tmp_path / "packed", *WITH_ALL)
    whole = (tmp_path / "packed").read_bytes()
    starts, end = list_starts(whole)
    starts.append(end)
    (tmp_path / "out").mkdir(mode=0o700)
    folder = os.open(tmp_path / "out", os.O_RDONLY)
    unpacker = Unpacker(folder)
    done, cuts = 0, 0
    while cuts < 6:
        rest = whole[starts[done] : end]
        cut = rng.randrange(min(len(rest), rng.choice((2000, 1 << 22))) + 1)
        with piped(rest[:cut]) as source:
            done += count_to_cut(unpacker.unpack(source))
        cuts += 1
    with piped(whole[starts[done] :]) as source:
        assert not [one for one in unpacker.unpack(source) if one.reason]
    unpacker.finish()
    unpacker.close()
    os.close(folder)
    assert describe(tmp_path / "out") == describe(tmp_path / "tree")


def count_to_cut(members: Iterator[Unpacked]) -> int:
    """Return how many members came before the stream was cut."""
    count = 0
    while True:
        try:
            next(members)
        except StreamCut:
            return count
        count += 1


def list_starts(image: bytes) -> tuple[list[int], int]:
    """Return where each member of an image begins, and where the last one ends."""
    parser, starts, end = ImageParser(), [], 0
    while not parser.is_ended:
        at = parser.offset
        found = parser.feed(at, image[at : at + (1 << 16)])
        starts += [member.start for member in found]
        end = max([end, *(member.end for member in found)])
    return starts, end


def test_a_full_disk_ends_it_at_once(tmp_path: Path) -> None:
    """It is an error of all that is to come, and not of one file."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", place], check=True)
    try:
        stream = stream_of(file(b"a", bytes(50_000)), file(b"b", os.urandom(900_000)), file(b"c"))
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            unpack(stream, place / "out")
        assert (place / "out/a").stat().st_size == 50_000
        assert not (place / "out/c").exists()
    finally:
        subprocess.run(["umount", place], check=True)


def test_garbage_is_refused(tmp_path: Path) -> None:
    """And an empty stream is one that was cut."""
    with pytest.raises(BadImage):
        unpack(b"Welcome to this server!\n" * 100, tmp_path / "out")
    with pytest.raises(StreamCut):
        unpack(b"", tmp_path / "out")
    assert [*(tmp_path / "out").iterdir()] == []


def test_an_attribute_that_is_too_large_here_ends_nothing(tmp_path: Path) -> None:
    """File systems say so as if the disk were full (ext4): it is a matter of that file alone."""
    large = ((b"SCHILY.xattr.user.large", b"x" * 60_000),)
    stream = stream_of(file(b"a", attributes=large), file(b"b"))
    found = unpack(stream, tmp_path / "out")
    assert [(one.path, one.reason) for one in found] == [(b"a", ""), (b"b", "")]
    assert (tmp_path / "out/a").read_text() == "contents"
    assert (tmp_path / "out/a").stat().st_mtime_ns == BLANK.mtime_ns


def test_a_users_file_that_may_only_be_read_has_its_attributes(tmp_path: Path) -> None:
    """Only root may set them once the mode is."""
    stream = stream_of(
        file(b"a", mode=0o444, uid=65534, attributes=((b"SCHILY.xattr.user.name", b"value"),))
    )
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    ask_as("nobody", lambda: str(unpack(stream, home / "out")))
    assert os.getxattr(home / "out/a", "user.name") == b"value"
    assert (home / "out/a").stat().st_mode & 0o777 == 0o444
