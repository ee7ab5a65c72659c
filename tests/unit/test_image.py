"""Images of GNU tar: what their members are, and all the ways in which they are refused."""

import io
import tarfile
from dataclasses import replace

import pytest
from tests.tarimages import (
    BLOCK,
    END,
    POSIX,
    base_256,
    header,
    long_name,
    old_sparse,
    padded,
    parse_image,
    pax,
    raw_pax,
    record,
    seal,
)

from asyncamanda.core.restore.archive import render_member
from asyncamanda.core.restore.extensions import LONGEST_DUMPDIR, LONGEST_PAX
from asyncamanda.core.restore.image import BadImage, ImageParser, Kind, Member
from asyncamanda.core.restore.pax import MOST_ATTRIBUTES, MOST_RECORDS
from asyncamanda.core.restore.sparse import MOST_PIECES, judge_pieces
from asyncamanda.core.restore.tarfields import LONGEST_NAME, LONGEST_OWNER

SPARSE_1 = ((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"))
SPARSE_0 = ((b"GNU.sparse.size", b"9000"), (b"GNU.sparse.numblocks", b"2"))


def only(image: bytes) -> Member:
    """Return the one member of an image without its end."""
    [member] = parse_image(image + END)
    return member


def refuse(image: bytes, reason: str) -> None:
    """See that an image without its end is refused for one reason, told in one line."""
    with pytest.raises(BadImage, match=rf"^at byte [0-9]+: {reason}[^\n]*$"):
        parse_image(image + END)


def test_a_file_is_what_its_header_says() -> None:
    """All of its fields, and where its contents are."""
    image = header(
        b"./a/b", size=700, mode=0o4755, uid=1000, gid=100, mtime=17, owner=b"ann", group=b"users"
    ) + padded(bytes(700))
    assert only(image) == Member(
        start=0,
        data=512,
        stored=700,
        end=1536,
        kind=Kind.FILE,
        path=b"a/b",
        link=b"",
        mode=0o4755,
        uid=1000,
        gid=100,
        owner=b"ann",
        group=b"users",
        mtime_ns=17_000_000_000,
        size=700,
    )


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_another_writers_archive_is_read(form: int) -> None:
    """Python's: names of all lengths, and contents between them."""
    names = ["f", "d/" * 40 + "g", *(f"{'n' * length}" for length in (99, 100))]
    if form != tarfile.USTAR_FORMAT:
        names += ["n" * 101, "n" * 255, "d/" * 500 + "h"]
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=form) as archive:
        for size, name in enumerate(names, 511):
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(bytes(size)))
    found = parse_image(written.getvalue())
    assert [(each.path.decode(), each.size) for each in found] == [
        (name, size) for size, name in enumerate(names, 511)
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (b"\0", Kind.FILE),
        (b"7", Kind.FILE),
        (b"3", Kind.CHARACTER),
        (b"4", Kind.BLOCK),
        (b"5", Kind.FOLDER),
        (b"6", Kind.FIFO),
    ],
)
def test_the_type_says_what_a_member_is(kind: bytes, expected: Kind) -> None:
    """Only devices have numbers."""
    member = only(header(kind=kind, device=(8, 17)))
    assert member.kind is expected
    is_device = expected in {Kind.CHARACTER, Kind.BLOCK}
    assert member.device == ((8, 17) if is_device else (0, 0))


def test_links_have_targets() -> None:
    """A hard link's is a path in the image; a symbolic link's may be anything."""
    assert only(header(kind=b"1", link=b"./a/b")).link == b"a/b"
    assert only(header(kind=b"2", link=b"../../etc//passwd")).link == b"../../etc//passwd"
    assert only(long_name(b"/t" * 400, b"K") + header(kind=b"2", link=b"x")).link == b"/t" * 400
    assert only(header(kind=b"1", link=b"n" * 100)).link == b"n" * 100


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"./", b""),
        (b".", b""),
        (b"./a/", b"a"),
        (b"./a", b"a"),
        (b"a", b"a"),
        (b"./.a/..b/...", b".a/..b/..."),
        (b"./\n\xff\\ ", b"\n\xff\\ "),
        (b"n" * 100, b"n" * 100),
    ],
)
def test_a_folders_name_becomes_a_path(name: bytes, path: bytes) -> None:
    """However tar spells it."""
    assert only(header(name, b"5")).path == path


@pytest.mark.parametrize(
    "name",
    [b"/a", b"./../a", b"a/../b", b"a/..", b"..", b"a//b", b"a/./b", b"", b"./a//", b".//", b"./."],
)
@pytest.mark.parametrize("kind", [b"0", b"5", b"1", b"D"])
def test_a_name_out_of_the_folder_is_refused(name: bytes, kind: bytes) -> None:
    """Wherever it stands."""
    reason = "a name does not lie in the image's folder"
    refuse(header(name, kind, link=b"./ok"), reason)
    refuse(long_name(name) + header(b"./ok", kind, link=b"./ok"), reason)
    if kind != b"D":
        refuse(pax((b"path", name)) + header(b"./ok", kind, link=b"./ok"), reason)
    refuse(header(kind=b"1", link=name), reason)


@pytest.mark.parametrize("name", [b"", b".", b"./", b"./a/"])
def test_a_file_is_not_named_like_a_folder(name: bytes) -> None:
    """Tar would make it one."""
    refuse(header(name), "a name does not lie in the image's folder")


def test_names_with_nul_or_without_end_are_refused() -> None:
    """And as long as they may be they are not."""
    refuse(long_name(b"a\0b") + header(), "a name is too long or has a NUL")
    refuse(pax((b"path", b"a\0b")) + header(), "a name is too long or has a NUL")
    refuse(pax((b"linkpath", b"a\0b")) + header(kind=b"2"), "a symbolic link's target is")
    refuse(pax((b"linkpath", b"")) + header(kind=b"2"), "a symbolic link's target is")
    refuse(header(kind=b"2"), "a symbolic link's target is")
    for key in (b"uname", b"gname"):
        for name in (b"a\0b", b"a" * (LONGEST_OWNER + 1)):
            refuse(pax((key, name)) + header(), "an owner's name is too long or has a NUL")
    longest = b"a/" * (LONGEST_NAME // 2 - 1) + b"b"
    assert only(long_name(longest) + header()).path == longest
    refuse(long_name(longest + b"cc") + header(), "a member's extension is empty or too large")
    refuse(pax((b"path", longest + b"cc")) + header(), "a name is too long")
    assert only(long_name(longest, b"K") + header(kind=b"2")).link == longest
    target = pax((b"linkpath", longest + b"cc"))
    refuse(target + header(kind=b"2"), "a symbolic link's target is empty, too long")


def test_large_and_early_numbers_are_read() -> None:
    """In base 256, and in pax records."""
    old = header(uid=base_256(1 << 31, 8), gid=base_256(4294967295, 8), mtime=base_256(-5, 12))
    assert only(old).mtime_ns == -5_000_000_000
    assert (only(old).uid, only(old).gid) == (1 << 31, 4294967295)
    sizes = header(size=base_256(1 << 40, 12))
    assert ImageParser().feed(0, sizes)[0].end == (1 << 40) + BLOCK
    records = pax((b"uid", b"2147483648"), (b"gid", b"7"), (b"size", b"99999999999"))
    [member] = ImageParser().feed(0, records + header())
    assert (member.uid, member.gid, member.stored) == (1 << 31, 7, 99_999_999_999)


@pytest.mark.parametrize(
    ("value", "nanoseconds"),
    [
        (b"0", 0),
        (b"1.5", 1_500_000_000),
        (b"-1.5", -1_500_000_000),
        (b"1795957171.123456789", 1_795_957_171_123_456_789),
        (b"1.1234567899", 1_123_456_789),
        (b"-0.000000001", -1),
    ],
)
def test_times_have_nanoseconds(value: bytes, nanoseconds: int) -> None:
    """As pax writes them."""
    assert only(pax((b"mtime", value)) + header(mtime=5)).mtime_ns == nanoseconds


@pytest.mark.parametrize("field", ["size", "uid", "mtime"])
@pytest.mark.parametrize(
    "value",
    [
        b"12_3",
        b"+1",
        b"-1",
        b"0o7",
        b"8",
        b"1 2",
        b"1\x002",
        b"\x001",
        b"\x81",
        b"\xfe",
        b"x",
        b"1" * 11 + b"x",
    ],
)
def test_a_number_that_is_none_is_refused(field: str, value: bytes) -> None:
    """Python's own ideas of numbers are not tar's."""
    width = 8 if field == "uid" else 12
    filled = value[-width:].ljust(width, b"\0")
    refuse(header(**{field: filled}), "a number is")  # type: ignore[arg-type]


def test_numbers_out_of_range_are_refused() -> None:
    """Negative ones but for times, and what no file or image can have."""
    out_of_range = "a number is out of range"
    refuse(header(size=base_256(-1, 12)), out_of_range)
    refuse(header(uid=base_256(1 << 32, 8)), out_of_range)
    refuse(header(gid=base_256(1 << 32, 8)), out_of_range)
    refuse(header(size=base_256(1 << 63, 12)), out_of_range)
    refuse(header(size=base_256((1 << 63) - 1, 12)), "a file is larger than any image")
    refuse(header(mtime=base_256(-1 << 64, 12)), out_of_range)
    for numbers in ((1 << 21, 0), (0, 1 << 21)):
        fields = header(kind=b"3")
        fields = fields[:329] + b"".join(base_256(n, 8) for n in numbers) + fields[345:]
        refuse(seal(fields), out_of_range)
    fields = header(kind=b"3")
    refuse(seal(fields[:329] + b"7" * 16 + fields[345:]), "a number is not octal, or out of range")
    for key in (b"uid", b"gid"):
        refuse(pax((key, b"4294967296")) + header(), out_of_range)
    for key in (b"size", b"uid", b"gid", b"mtime"):
        refuse(pax((key, b"9" * 30)) + header(), out_of_range)
        for value in (b"", b"x", b"1" * 5000, b"0x1", b"1_0", b" 1", b"--1"):
            refuse(pax((key, value)) + header(), "a number is not decimal")
    for value in (b"1.x", b"1._1", b"1." + b"0" * 41, b"1.1.1"):
        refuse(pax((b"mtime", value)) + header(), "a time is not decimal")


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_only_files_have_contents(kind: bytes) -> None:
    """What another reader would pass over, this one would not."""
    contents = "a member that is not a file has contents"
    refuse(header(kind=kind, size=512, link=b"t") + bytes(512), contents)
    refuse(pax((b"size", b"512")) + header(kind=kind, link=b"t") + bytes(512), contents)


@pytest.mark.parametrize("kind", [b"M", b"N", b"X", b"A", b"8", b" ", b"\xff", b"E"])
def test_an_unknown_kind_is_refused(kind: bytes) -> None:
    """The rest of a file that begins on another volume among them."""
    refuse(header(kind=kind), "a member is of the unknown kind")


@pytest.mark.parametrize("spoil", [slice(0, 1), slice(148, 149), slice(257, 262), slice(511, 512)])
def test_a_header_with_a_wrong_byte_is_refused(spoil: slice) -> None:
    """By its checksum; the fault says where."""
    image = bytearray(header() + header(b"./g"))
    image[512 + spoil.start : 512 + spoil.stop] = bytes(spoil.stop - spoil.start - 1) + b"\1"
    parser = ImageParser()
    assert [each.path for each in parser.feed(0, bytes(image))] == [b"f"]
    for call in (lambda: parser.feed(1024, END), parser.end):
        with pytest.raises(BadImage, match=r"^at byte 512: ") as caught:
            call()
        assert caught.value.offset == 512


def test_other_forms_of_header_are_refused() -> None:
    """The one before POSIX, whose fields nobody knows."""
    refuse(header(form=bytes(8)), "there is no header of GNU tar's")
    refuse(header(form=b"ustar\0  "), "there is no header of GNU tar's")


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513])
def test_a_cut_image_is_told_from_a_whole_one(length: int) -> None:
    """Also one that is cut between two members."""
    parser = ImageParser()
    parser.feed(0, (header() + END)[:length])
    assert not parser.is_ended
    with pytest.raises(BadImage, match="cut off"):
        parser.end()


def test_the_end_is_two_zero_blocks_or_one() -> None:
    """What follows is nothing of the image's."""
    parser = ImageParser()
    assert len(parser.feed(0, header() + bytes(512) + b"junk")) == 1
    assert parser.is_ended
    parser.end()
    assert parser.feed(parser.offset, b"junk" * 1000) == []


def test_the_end_does_not_come_within_a_member() -> None:
    """After an extension there is a header."""
    refuse(long_name(b"a"), "the image ends within a member")
    refuse(pax((b"path", b"a")), "the image ends within a member")


def test_contents_are_jumped_over() -> None:
    """Whether their bytes come or not, and in memory that is shared."""
    image = (
        header(size=10_000) + padded(b"x" * 10_000) + header(b"./g", size=1) + padded(b"y") + END
    )
    seeking = ImageParser()
    assert [each.path for each in seeking.feed(0, memoryview(image)[:512])] == [b"f"]
    assert seeking.offset == 512 + 10_240
    assert seeking.feed(512, image[512:5000]) == []
    assert seeking.offset == 512 + 10_240
    [second] = seeking.feed(5000, image[5000:])
    assert (second.path, second.start, seeking.is_ended) == (b"g", 512 + 10_240, True)


def test_bytes_that_are_left_out_are_a_fault() -> None:
    """They would hide what the next ones are."""
    parser = ImageParser()
    with pytest.raises(BadImage, match="missing"):
        parser.feed(1, header())


def test_a_parser_may_begin_at_any_member() -> None:
    """Offsets stay those of the image."""
    image = header(b"./f") + long_name(b"g" * 200) + header() + END
    first, second = parse_image(image)
    assert ImageParser(second.start).feed(first.end, image[first.end :]) == [second]


def test_a_folders_list_is_kept_with_it() -> None:
    """In the old form behind its header, in pax in it; without the NUL that ends it."""
    listed = b"Yfile\0Nold\0Dsub\0"
    old = header(b"./d/", b"D", size=len(listed) + 1) + padded(listed + b"\0")
    new = pax((b"GNU.dumpdir", listed + b"\0")) + header(b"./d/", b"5", form=POSIX)
    for image in (old, new):
        member = only(image)
        assert (member.path, member.dumpdir) == (b"d", listed)
        assert (member.kind, member.stored, member.size) == (Kind.FOLDER, 0, 0)
        assert member.end == len(image)
        assert member.data == member.end
    for empty in (b"", b"\0"):
        assert only(header(b"./d/", b"D", size=len(empty)) + padded(empty)).dumpdir == b""
    assert only(header(b"./d/", b"5")).dumpdir is None


@pytest.mark.parametrize(
    "listed", [b"Yfile", b"Yfile\0\0Ng\0\0", b"\0Yfile\0\0", b"\0\0", b"Y\0\0\0"]
)
def test_a_broken_list_is_refused(listed: bytes) -> None:
    """One without an end, or with an empty name in it."""
    refuse(header(b"./d/", b"D", size=len(listed)) + padded(listed), "a folder's list is broken")
    in_pax = pax((b"GNU.dumpdir", listed)) + header(b"./d/", b"5", form=POSIX)
    refuse(in_pax, "a folder's list is broken")


def test_lists_stand_where_they_belong() -> None:
    """Not with files, not twice, and not in another form's header."""
    listed = (b"GNU.dumpdir", b"Yf\0\0")
    refuse(pax(listed) + header(), "a member has a map or list that its kind has not")
    refuse(pax(listed) + header(b"./d/", b"D"), "a member is of two kinds")
    refuse(header(b"./d/", b"D", form=POSIX), "a member is of two kinds")
    refuse(header(b"./d/", b"D", size=LONGEST_DUMPDIR + 1), "a folder's list is too large")


def test_attributes_are_kept_as_they_are() -> None:
    """In their order; what else stands in a pax header is left out."""
    attributes = (
        (b"SCHILY.xattr.user.k", b"v\0\n=1 "),
        (b"SCHILY.acl.access", b"user::rw-\n"),
        (b"SCHILY.xattr.user.empty", b""),
    )
    others = (
        (b"atime", b"1.5"),
        (b"comment", b"x"),
        (b"RHT.security.selinux", b"y"),
        (b"SCHILY.xattr.", b"z"),
    )
    assert only(pax(*others, *attributes) + header()).attributes == attributes


def test_a_pax_header_is_bounded() -> None:
    """In its size, its records, and the attributes that it has."""
    refuse(header(kind=b"x", size=LONGEST_PAX + 1), "a member's extension is empty or too large")
    too_much = "a pax header says too much"
    refuse(pax(*((b"c%d" % n, b"") for n in range(MOST_RECORDS + 1))) + header(), too_much)
    refuse(pax((b"SCHILY.xattr.user.k", bytes(MOST_ATTRIBUTES))) + header(), too_much)
    assert only(pax(*((b"c%d" % n, b"") for n in range(MOST_RECORDS))) + header())


@pytest.mark.parametrize(
    "text",
    [
        b"x",
        b"9 path=ab",
        b"9 path=ab\n\0",
        b"10 path=ab\n",
        b"8 path=ab\n",
        b"0 path=ab\n",
        b"-9 path=ab\n",
        b"9  path=b\n",
        b"9path=ab\n",
        b"7 =abc\n",
        b"8 pathab\n",
        record(b"SCHILY.xattr.a\0b", b"c"),
        b"99999999999999999999999999999999999999999999 path=ab\n",
        b"12 path=ab\nxx",
        b"\n",
    ],
)
def test_a_broken_record_is_refused(text: bytes) -> None:
    """Its length counts, and has to be right."""
    refuse(raw_pax(text) + header(), "a pax record")


def test_what_is_said_twice_is_refused() -> None:
    """Readers would differ in what counts."""
    twice = "a pax header says something twice"
    refuse(pax((b"path", b"a"), (b"path", b"b")) + header(), twice)
    attribute = b"SCHILY.xattr.user.a"
    refuse(pax((attribute, b"1"), (attribute, b"2")) + header(), twice)
    twice = "a member has an extension twice"
    refuse(pax((b"path", b"a")) + pax((b"mtime", b"1")) + header(), twice)
    refuse(long_name(b"a") + long_name(b"b") + header(), twice)
    refuse(long_name(b"a", b"K") + long_name(b"b", b"K") + header(kind=b"2"), twice)
    names = "a member has several names"
    refuse(long_name(b"a") + pax((b"path", b"b")) + header(), names)
    refuse(long_name(b"a", b"K") + pax((b"linkpath", b"b")) + header(kind=b"2"), names)
    sparse_name = (b"GNU.sparse.name", b"b")
    refuse(long_name(b"a") + sparse_0(sparse_name, *SPARSE_0, FLAT_MAP), names)


def test_labels_and_notes_on_all_members_are_passed_over() -> None:
    """Unless they would change what a member is, or stand in the middle of one."""
    note = pax((b"GNU.volume.label", b"x"), kind=b"g")
    label = header(b"label", b"V")
    assert [each.start for each in parse_image(label + note + header() + END)] == [512 * 3]
    about_all = "a pax header is about all members"
    refuse(pax((b"path", b"x"), kind=b"g") + header(), about_all)
    refuse(pax((b"SCHILY.acl.access", b"x"), kind=b"g") + header(), about_all)
    refuse(pax((b"GNU.sparse.offset", b"1"), kind=b"g") + header(), about_all)
    refuse(long_name(b"x") + note + header(), "a member has an extension out of place")
    refuse(long_name(b"x") + label + header(), "a member has an extension out of place")
    refuse(header(b"label", b"V", size=512) + bytes(512), "a member is of the unknown kind")


def test_an_empty_extension_is_refused() -> None:
    """Tar writes none."""
    for kind in (b"L", b"K", b"x", b"g"):
        refuse(header(kind=kind) + header(), "a member's extension is empty or too large")


PIECES = ((0, 1000), (4096, 200))
CONTENTS = b"a" * 1000 + b"b" * 200


def map_1(*numbers: int) -> bytes:
    """Return a map of the newest form."""
    return padded(b"".join(b"%d\n" % number for number in numbers))


def sparse_1(leading: bytes, size: int = 9000, contents: bytes = CONTENTS) -> bytes:
    """Return a sparse file of the newest form."""
    named = (b"GNU.sparse.name", b"./f"), (b"GNU.sparse.realsize", b"%d" % size)
    at = header(b"./GNUSparseFile.1/f", size=len(leading) + len(contents), form=POSIX)
    return pax(*SPARSE_1, *named) + at + leading + padded(contents)


def sparse_0(*records: tuple[bytes, bytes]) -> bytes:
    """Return a sparse file of the forms before."""
    return pax(*records) + header(size=len(CONTENTS), form=POSIX) + padded(CONTENTS)


FLAT = [
    (b"GNU.sparse.offset", b"0"),
    (b"GNU.sparse.numbytes", b"1000"),
    (b"GNU.sparse.offset", b"4096"),
    (b"GNU.sparse.numbytes", b"200"),
]
FLAT_MAP = (b"GNU.sparse.map", b"0,1000,4096,200")


@pytest.mark.parametrize(
    "image",
    [
        old_sparse(PIECES, 9000, CONTENTS),
        old_sparse([*PIECES, (9000, 0)], 9000, CONTENTS),
        sparse_1(map_1(2, 0, 1000, 4096, 200)),
        sparse_1(map_1(3, 0, 1000, 4096, 200, 9000, 0)),
        sparse_0(*SPARSE_0, *FLAT),
        sparse_0(*SPARSE_0, FLAT_MAP),
    ],
)
def test_a_sparse_file_is_the_same_in_all_its_forms(image: bytes) -> None:
    """Its pieces, and where they are stored."""
    member = only(image)
    assert (member.path, member.size, member.stored) == (b"f", 9000, 1200)
    assert member.pieces == PIECES
    assert image[member.data : member.data + member.stored] == CONTENTS
    assert member.end == len(image)


def test_a_sparse_files_own_name_counts() -> None:
    """A path beside it is the place that older readers would put it in."""
    for records in (
        [(b"GNU.sparse.name", b"./b"), (b"path", b"./GNUSparseFile.1/b")],
        [(b"path", b"../a"), (b"GNU.sparse.name", b"./b")],
    ):
        assert only(sparse_0(*records, *SPARSE_0, FLAT_MAP)).path == b"b"


@pytest.mark.parametrize("count", [0, 4, 5, 25, 26, 100])
def test_a_map_may_have_any_number_of_pieces(count: int) -> None:
    """Also as many as just fill a block."""
    pieces = tuple((1000 * n, 1) for n in range(count))
    numbers = [number for piece in pieces for number in piece]
    for image in (
        old_sparse(pieces, 200_000, bytes(count)),
        sparse_1(map_1(count, *numbers), 200_000, bytes(count)),
    ):
        member = only(image)
        assert (member.pieces, member.stored, member.end) == (pieces, count, len(image))


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([(0, 1000), (500, 200)], "overlap, or do not lie in it"),
        ([(4096, 200), (0, 1000)], "overlap, or do not lie in it"),
        ([(0, 1000), (8900, 200)], "overlap, or do not lie in it"),
        ([(0, 1200), (9001, 0)], "overlap, or do not lie in it"),
        ([(0, 1000), (4096, 199)], "are not what is stored"),
        ([(0, 1000)], "are not what is stored"),
        ([], "are not what is stored"),
    ],
)
def test_pieces_that_do_not_fit_are_refused(pieces: list[tuple[int, int]], reason: str) -> None:
    """Together they are what is stored, one after the other, in the file."""
    numbers = [number for piece in pieces for number in piece]
    flat = b",".join(b"%d" % number for number in numbers)
    size = (b"GNU.sparse.size", b"9000"), (b"GNU.sparse.numblocks", b"%d" % len(pieces))
    reason = f"a sparse file's pieces {reason}"
    refuse(old_sparse(pieces, 9000, CONTENTS), reason)
    refuse(sparse_1(map_1(len(pieces), *numbers)), reason)
    refuse(sparse_0(*size, (b"GNU.sparse.map", flat)), reason)


@pytest.mark.parametrize(
    ("leading", "reason"),
    [
        (padded(b"2\n0\n1000\n4096\n"), "a sparse file's map is broken"),
        (b"2\n0\n" + b"0" * 508, "a sparse file's map is broken"),
        (padded(b"2\n0\n1000\n4096\n200x\n"), "a number is not decimal"),
        (padded(b"2\n0\n1000\n-4096\n200\n"), "a number is not decimal"),
        (padded(b"2\n0\n1000\n4096\n" + b"9" * 40 + b"\n"), "a number is out of range"),
        (padded(b"x\n0\n1000\n4096\n200\n"), "a number is not decimal"),
        (padded(b"%d\n" % (MOST_PIECES + 1)), "a sparse file has too many pieces"),
        (bytes(512), "a number is not decimal"),
        (b"", "a number is not decimal"),
    ],
)
def test_a_broken_map_is_refused(leading: bytes, reason: str) -> None:
    """Before more than a block of what is none is kept."""
    refuse(sparse_1(leading), reason)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([*SPARSE_0], "a sparse file has not as many pieces as it says"),
        ([*SPARSE_0, *FLAT, FLAT_MAP], "a sparse file has two maps"),
        ([*SPARSE_0, *FLAT[:2]], "a sparse file has not as many pieces as it says"),
        ([*SPARSE_0, *FLAT[:3]], "a sparse file has not as many pieces as it says"),
        ([*SPARSE_0, *FLAT, *FLAT[:2]], "a sparse file has not as many pieces as it says"),
        ([*SPARSE_0, FLAT[1], FLAT[0]], "a sparse file's pieces are not in pairs"),
        ([*SPARSE_0, FLAT[0], FLAT[0]], "a sparse file's pieces are not in pairs"),
        ([*SPARSE_0, (FLAT_MAP[0], b"0,1,2")], "a sparse file has not as many pieces as it says"),
        ([*SPARSE_0, (FLAT_MAP[0], b"0,1000,4096,")], "a number is not decimal"),
        ([SPARSE_0[0], *FLAT], "a number is not decimal"),
        ([SPARSE_0[1], *FLAT], "a number is not decimal"),
        ([*SPARSE_0, *FLAT, SPARSE_1[0]], "a sparse file's map is of an unknown kind"),
        ([(SPARSE_1[0][0], b"2"), SPARSE_1[1]], "a sparse file's map is of an unknown kind"),
        ([SPARSE_1[0], (SPARSE_1[1][0], b"1")], "a sparse file's map is of an unknown kind"),
        ([*SPARSE_1], "a number is not decimal"),
    ],
)
def test_records_of_no_sparse_file_are_refused(
    records: list[tuple[bytes, bytes]], reason: str
) -> None:
    """There is one map, all of it, and of a known kind."""
    refuse(sparse_0(*records), reason)


def test_the_pieces_of_a_file_are_bounded() -> None:
    """Before they are taken apart, where they come as one."""
    flat = b"1,0," * MOST_PIECES + b"1,0"
    refuse(sparse_0(*SPARSE_0, (FLAT_MAP[0], flat)), "a sparse file has too many pieces")
    with pytest.raises(ValueError, match="too many pieces"):
        judge_pieces([0] * (2 * MOST_PIECES + 2), 0, 0)


def test_sparse_files_are_files() -> None:
    """In headers of their own form."""
    two_kinds = "a member is of two kinds"
    empty = pax((b"GNU.sparse.size", b"0"), (b"GNU.sparse.numblocks", b"0"))
    refuse(empty + header(kind=b"5"), "a member has a map or list that its kind has not")
    refuse(empty + old_sparse(PIECES, 9000, CONTENTS), two_kinds)
    image = old_sparse(PIECES, 9000, CONTENTS)
    refuse(seal(image[:257] + POSIX + image[265:512]) + image[512:], two_kinds)


def test_an_old_map_has_no_gap() -> None:
    """Tar would take it for its end, and the block that follows for contents."""
    image = bytearray(old_sparse([(n * 10, 1) for n in range(30)], 1000, bytes(30)))
    image[512 + 5 * 24 + 12] = 0
    refuse(bytes(image), "a sparse file's map has a gap")
    image = bytearray(old_sparse(PIECES, 9000, CONTENTS))
    image[482] = 1
    refuse(seal(bytes(image[:512])) + bytes(image[512:]), "a sparse file's map has a gap")


def test_a_written_header_has_only_what_was_parsed() -> None:
    """Nothing of the bytes that a header has besides its fields, and no list."""
    listed = b"Yf\0\0"
    image = header(
        b"./d/\0hidden", b"D", size=len(listed), owner=b"ann\0hidden", rest=b"hidden"
    ) + padded(listed)
    written = render_member(only(image), b"e")
    assert len(written) == BLOCK
    assert b"hidden" not in written
    member = only(written)
    assert (member.path, member.owner, member.dumpdir) == (b"e", b"ann", None)


def test_what_fits_needs_no_pax_header() -> None:
    """What does not gets one."""
    plain = only(header(b"./f", uid=0o7777777, owner=b"n" * 31, mtime=0o77777777777))
    assert len(render_member(plain, b"f" * 98)) == BLOCK
    assert len(render_member(plain, b"f" * 99)) == 3 * BLOCK
    for length in range(80, 110):
        written = render_member(only(header(kind=b"2", link=b"t")), b"f", b"t" * length)
        assert only(written).link == b"t" * length
    for length in (32, *range(85, 95)):
        long_owner = only(pax((b"uname", b"n" * length)) + header())
        assert record(b"uname", b"n" * length) in render_member(long_owner, b"f")
    for seconds in (-5, 1 << 34):
        moved = only(header(mtime=base_256(seconds, 12)))
        assert record(b"mtime", b"%d" % seconds) in render_member(moved, b"f")
    large = only(header(uid=base_256(0o10000000, 8)))
    assert record(b"uid", b"2097152") in render_member(large, b"f")


def test_what_no_parser_gives_is_not_written() -> None:
    """A header would say something else."""
    member = only(header(kind=b"3"))
    with pytest.raises(ValueError, match="field is too long"):
        render_member(replace(member, device=(1 << 21, 0)), b"f")
    with pytest.raises(ValueError, match="symbolic link's target"):
        render_member(only(header(kind=b"2", link=b"t")), b"f", b"")


@pytest.mark.parametrize("path", [b"", b"/a", b"../a", b"a/", b"./a", b"a//b", b".", b"a\0"])
def test_nothing_is_written_out_of_the_folder(path: bytes) -> None:
    """Nor by a hard link; only a folder may be the folder itself."""
    with pytest.raises(ValueError, match="a name"):
        render_member(only(header()), path)
    with pytest.raises(ValueError, match="a name"):
        render_member(only(header(kind=b"1", link=b"t")), b"ok", path)
    if path:
        with pytest.raises(ValueError, match="a name"):
            render_member(only(header(kind=b"5")), path)
    assert only(render_member(only(header(kind=b"5")), b"")).path == b""
