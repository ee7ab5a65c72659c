"""Images: whatever the pieces, whatever the bytes; and what is written reads as it was."""

import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tarimages import (
    BLOCK,
    END,
    base_256,
    header,
    long_name,
    octal,
    old_sparse,
    padded,
    parse_image,
    pax,
    seal,
)

from asyncamanda.core.restore.archive import render_member
from asyncamanda.core.restore.image import BadImage, ImageParser, Kind, Member
from asyncamanda.core.restore.sparse import MOST_PIECES

FUZZED = settings(max_examples=2000 if os.environ.get("ASYNCAMANDA_CI") else 200)

parts = (
    st.one_of(
        st.binary(min_size=1, max_size=12),
        st.sampled_from([b"a", b"b", b"...", b".x", b"-rf", b"\n", b"\xff" * 255, b"n" * 99, b"="]),
    )
    .map(lambda raw: raw.replace(b"/", b"s").replace(b"\0", b"n"))
    .filter(lambda part: part not in {b".", b".."})
)
paths = st.lists(parts, min_size=1, max_size=8).map(b"/".join)
texts = st.binary(max_size=40).map(lambda raw: raw.replace(b"\0", b"n"))
targets = st.one_of(texts, st.sampled_from([b"t" * 100, b"t" * 101, b"/t" * 3000])).filter(len)
small_numbers = st.integers(0, 0o7777777)
ids = st.one_of(small_numbers, st.sampled_from([0o10000000, 1 << 31, (1 << 32) - 1]))
moments = st.one_of(
    st.integers(0, 1 << 62),
    st.integers(-(1 << 62), 1 << 70),
    st.integers(0, 0o777777777777).map(lambda seconds: seconds * 1_000_000_000),
)
attributes = st.dictionaries(
    st.sampled_from([b"SCHILY.xattr.", b"SCHILY.acl."]).flatmap(
        lambda kind: texts.filter(len).map(lambda name: kind + name.replace(b"=", b"%3D"))
    ),
    st.binary(max_size=600),
    max_size=4,
).map(lambda found: tuple(found.items()))


@st.composite
def pieces_of_files(draw: st.DrawFn) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Return a sparse file's size and pieces."""
    spans = draw(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 5000)), max_size=60))
    ends = accumulate(hole + length for hole, length in spans)
    found = tuple((end - length, length) for end, (_, length) in zip(ends, spans, strict=True))
    at = sum(found[-1]) if found else 0
    return at + draw(st.sampled_from([0, 1, 1 << 30, 1 << 50])), found


@st.composite
def members(draw: st.DrawFn) -> Member:
    """Return a member as a parser might."""
    kind = draw(st.sampled_from(Kind))
    link, size, pieces = b"", 0, None
    if kind is Kind.HARD_LINK:
        link = draw(paths)
    elif kind is Kind.SYMLINK:
        link = draw(targets)
    elif kind is Kind.FILE and draw(st.booleans()):
        size, pieces = draw(pieces_of_files())
    elif kind is Kind.FILE:
        size = draw(st.one_of(st.integers(0, 2000), st.sampled_from([1 << 33, (1 << 62) + 1])))
    is_device = kind in {Kind.CHARACTER, Kind.BLOCK}
    return Member(
        start=0,
        data=0,
        stored=size if pieces is None else sum(length for _, length in pieces),
        end=0,
        kind=kind,
        path=draw(st.one_of(paths, st.just(b"")) if kind is Kind.FOLDER else paths),
        link=link,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(ids),
        gid=draw(ids),
        owner=draw(texts),
        group=draw(texts),
        mtime_ns=draw(moments),
        size=size,
        device=(draw(small_numbers), draw(small_numbers)) if is_device else (0, 0),
        pieces=pieces,
        attributes=draw(attributes),
    )


def cut(image: bytes, cuts: list[int]) -> list[tuple[int, bytes]]:
    """Return an image in pieces, each with where it lies."""
    bounds = [0, *sorted(min(each, len(image)) for each in cuts), len(image)]
    return [(start, image[start:end]) for start, end in pairwise(bounds)]


def read(pieces: list[tuple[int, bytes]]) -> tuple[list[Member], str]:
    """Return what comes of an image's pieces: the members, and the fault after them, if any."""
    parser = ImageParser()
    found: list[Member] = []
    try:
        for at, piece in pieces:
            found += parser.feed(at, piece)
        parser.end()
    except BadImage as error:
        return found, str(error)
    return found, ""


def bare(member: Member) -> Member:
    """Return a member without what an archive has of its own, or has not: places and lists."""
    return replace(member, start=0, data=0, end=0, dumpdir=None)


def archive(image: bytes, found: list[Member]) -> bytes:
    """Return an archive of members, with their contents in an image."""
    written = [
        render_member(each, each.path) + padded(image[each.data : each.data + each.stored])
        for each in found
    ]
    return b"".join(written) + END


@given(members())
def test_what_is_written_reads_as_it_was(member: Member) -> None:
    """All that a member is, but its place and its list; and nothing else comes of it."""
    parser = ImageParser()
    blocks = render_member(member, member.path)
    assert len(blocks) % BLOCK == 0
    [again] = parser.feed(0, blocks)
    assert bare(again) == member
    assert (again.data, again.end) == (len(blocks), parser.offset)
    assert parser.offset == len(blocks) + member.stored + -member.stored % BLOCK


# members in the old form, too, which is never written
made_members = st.one_of(
    members().filter(lambda member: member.stored < 1 << 20).map(
        lambda member: render_member(member, member.path) + padded(bytes(member.stored))
    ),
    paths.map(lambda path: long_name(b"./" + path) + header(size=3) + padded(b"abc")),
    st.builds(
        lambda path, names: (
            long_name(b"./" + path + b"/")
            + header(b"./d/", b"D", size=sum(len(name) + 2 for name in names) + 1)
            + padded(b"".join(b"Y%b\0" % name for name in names) + b"\0")
        ),
        paths,
        st.lists(parts, max_size=40),
    ),
    pieces_of_files().map(
        lambda file: old_sparse(file[1], file[0], bytes(sum(length for _, length in file[1])))
    ),
    st.just(header(b"label", b"V")),
    st.just(pax((b"comment", b"x"), kind=b"g")),
)  # fmt: skip
images = st.lists(made_members, max_size=5).map(lambda made: b"".join(made) + END)


@given(images, st.lists(st.integers(0, 20_000), max_size=8))
def test_the_pieces_in_which_an_image_comes_make_no_difference(
    image: bytes, cuts: list[int]
) -> None:
    """And nor does it whether contents come or are jumped over."""
    found, fault = read([(0, image)])
    assert fault == ""
    assert read(cut(image, cuts)) == (found, "")
    assert parse_image(image, 700) == found
    assert parse_image(image, 1 << 20) == found


@given(images)
def test_what_is_made_of_an_image_is_the_same_again(image: bytes) -> None:
    """Also the bytes: what is written of what was written is no other."""
    found = parse_image(image)
    once = archive(image, found)
    again = parse_image(once)
    assert [bare(each) for each in again] == [bare(each) for each in found]
    assert archive(once, again) == once


Spoiler = Callable[[bytes], bytes]


def overwrite(at: int, what: bytes) -> Spoiler:
    """Return what puts other bytes somewhere into an image."""
    return lambda image: image[: at % len(image)] + what + image[at % len(image) + len(what) :]


def overwrite_sealed(block: int, at: int, what: bytes) -> Spoiler:
    """Return what puts other bytes into a block, as a header whose checksum is right."""

    def spoil(image: bytes) -> bytes:
        start = block % (len(image) // BLOCK) * BLOCK
        changed = overwrite(at, what)(image[start : start + BLOCK])[:BLOCK]
        return image[:start] + seal(changed) + image[start + BLOCK :]

    return spoil


def move(source: int, target: int, count: int) -> Spoiler:
    """Return what copies blocks to another place, over others."""

    def spoil(image: bytes) -> bytes:
        start, end = (each % (len(image) // BLOCK) * BLOCK for each in (source, target))
        blocks = image[start : start + count * BLOCK]
        return image[:end] + blocks + image[end + len(blocks) :]

    return spoil


telling = st.sampled_from([
    b"\0", b"\xff", b"0", b"1", b"5", b"7", b"9", b"D", b"L", b"K", b"S", b"x", b"g", b"/", b"..",
    b"../", b"\n", b"=", b"ustar\x0000", b"ustar  \0", bytes(12), base_256(1 << 40, 12),
    b"00000000777\0", b"GNU.sparse.", b"SCHILY.acl.", b" ",
])  # fmt: skip
spoilers = st.one_of(
    st.builds(overwrite, st.integers(0, 1 << 16), st.one_of(telling, st.binary(max_size=16))),
    st.builds(
        overwrite_sealed,
        st.integers(0, 60),
        st.one_of(
            st.integers(0, BLOCK - 1),
            st.sampled_from([0, 100, 108, 116, 124, 136, 156, 157, 257, 265, 345, 386, 482, 483]),
        ),
        st.one_of(telling, st.binary(max_size=16)),
    ),
    st.builds(move, st.integers(0, 60), st.integers(0, 60), st.integers(1, 3)),
)


@FUZZED
@given(images, st.lists(spoilers, min_size=1, max_size=4), st.lists(st.integers(0, 20_000)))
def test_a_hostile_image_is_refused_or_harmless(
    image: bytes, spoiling: list[Spoiler], cuts: list[int]
) -> None:
    """Nothing but BadImage comes of it, the same in any pieces, and memory in bounds.

    What is made of its members reads as exactly these, so that nothing in one of them becomes
    another one's header.
    """
    for spoil in spoiling:
        image = spoil(image)
    found, fault = read([(0, image)])
    assert read(cut(image, cuts)) == (found, fault)
    whole = [each for each in found if each.data + each.stored <= len(image)]
    again = parse_image(archive(image, whole))
    assert [bare(each) for each in again] == [bare(each) for each in whole]


@given(st.binary(max_size=3 * BLOCK))
def test_any_bytes_are_refused_or_an_end(image: bytes) -> None:
    """Such as a file that was never an image."""
    found, fault = read([(0, image)])
    assert found == []
    assert (fault == "") == (len(image) >= BLOCK and not any(image[:BLOCK]))


@given(st.sampled_from([b"L", b"K", b"x", b"g", b"D", b"S"]), st.integers(0, 1 << 40))
@settings(max_examples=30)
def test_what_an_image_promises_is_not_kept_room_for(kind: bytes, size: int) -> None:
    """Memory goes by what has come."""
    image = header(kind=kind, size=base_256(size, 12))
    tracemalloc.start()
    try:
        found, _ = read([(at, image[at : at + 100]) for at in range(0, BLOCK, 100)])
        assert len(found) <= 1
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_map_without_end_is_refused() -> None:
    """The blocks of an old one, whose number nothing says beforehand."""
    full = ((octal(1, 12) + octal(0, 12)) * 21).ljust(BLOCK, b"\1")
    begin = header(kind=b"S", rest=bytes(41) + full[:96] + b"\1" + octal(5, 12))
    found, fault = read([(0, begin + full * (MOST_PIECES // 21 + 1))])
    assert (found, fault) == ([], "at byte 0: a sparse file has too many pieces")
