"""Kept heads: what they tell is what the image had, and what is damaged is noticed."""

import re
from dataclasses import replace

import pytest
from tests.keptheads import (
    FOLDER,
    NAME,
    OLDER,
    Disk,
    File,
    age,
    keep,
    list_members,
    open_on,
    write_kept,
)

from asyncamanda.core.restore import kept_writer
from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.inflater import SeekPoint
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.kept_facts import KeptFile, keep_folder
from asyncamanda.core.restore.kept_index import BadKept
from asyncamanda.core.restore.kept_writer import KeptWriter, Unkeepable
from asyncamanda.core.restore.member import Kind

SMALL: Disk = {
    b"": {b"a": FOLDER, b"a.b": FOLDER, b"top": File(size=3, mtime=5)},
    b"a": {b"old": File(size=600, mtime=-1), b"x\xff": File(size=1), b"z": FOLDER},
    b"a.b": {},
    b"a/z": {b"link": File(kind=Kind.SYMLINK, mtime=7)},
}


def test_all_of_an_image_is_told() -> None:
    """Its folders and names in order, and of each what its member says."""
    members = list_members(SMALL)
    kept = keep(SMALL)
    assert [*kept] == [b"", b"a", b"a.b", b"a/z"]
    assert len(kept) == 4
    assert [*kept.entries(b"a")] == [(b"old", b"Y"), (b"x\xff", b"Y"), (b"z", b"D")]
    assert [*kept.entries(b"a.b")] == [*kept.entries(b"nowhere")] == []
    assert [kept.flag(path) for path in (b"a", b"a/old", b"a/ol", b"", b"q/a")] == [
        b"D", b"Y", None, b"D", None,
    ]  # fmt: skip
    assert [path for path, _ in kept.walk()] == [
        b"a", b"a/old", b"a/x\xff", b"a/z", b"a/z/link", b"a.b", b"top",
    ]  # fmt: skip
    for member in members:
        if member.dumpdir is not None:
            facts = kept.folder(member.path)
            assert facts
            assert (facts.mtime_ns, facts.rights.mode) == (member.mtime_ns, 0o755)
            assert kept.changed_at(member.path) == member.mtime_ns // 1_000_000_000
            continue
        folder, _, name = member.path.rpartition(b"/")
        file = kept.members(folder)[name]
        assert kept.offset_of(member.path) == file.start == member.start
        assert file.end == member.end
        assert (file.kind, file.size, file.mtime_ns) == (member.kind, member.size, member.mtime_ns)
        assert file.rights[:5] == (0o640, 1000, 100, b"ann", b"users")
    assert kept.index.image_end == members[-1].end
    assert kept.end == members[3].end


def test_what_is_not_there_has_no_place() -> None:
    """A folder has none either: its member is among the head's."""
    kept = keep(SMALL)
    assert [kept.offset_of(path) for path in (b"a", b"a/none", b"none/a", b"")] == [None] * 4
    assert kept.folder(b"none") is None
    assert kept.changed_at(b"none") is None
    assert kept.members(b"none") == {}


def test_a_folder_is_read_once_though_subfolders_are_between_its_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the files of a disk are gone through; but not all that was ever read is kept."""
    disk: dict[bytes, dict[bytes, File]] = {b"": {}}
    for number in range(300):
        disk[b""] |= {b"%03d" % number: FOLDER, b"%03d.txt" % number: File(size=number)}
        disk[b"%03d" % number] = {b"x": File(size=1)}
    whole = keep(disk)
    read: list[bytes] = []
    plain_read = KeptHead._read_members

    def read_members(head: KeptHead, folder: bytes) -> dict[bytes, KeptFile]:
        read.append(folder)
        return plain_read(head, folder)

    monkeypatch.setattr(KeptHead, "_read_members", read_members)
    files = [path for path, flag in whole.walk() if flag == b"Y"]
    places = [whole.offset_of(path) for path in files]
    assert len({*places} - {None}) == len(files) == 600
    assert sorted(read) == sorted(disk)
    assert len(whole._recent_members._way) <= 2


def test_names_are_matched_in_the_order_of_the_image() -> None:
    """By a pattern for a NUL and a record, as other heads do it."""
    pattern = re.compile(rb"\0([YND])([^\0]*[ol][^\0]*)(?=\0)")
    found = keep(SMALL).match(pattern)
    assert [*found] == [(b"top", b"Y"), (b"a/old", b"Y"), (b"a/z/link", b"Y")]


def make_later() -> Disk:
    """Return SMALL with a file changed, one new, one gone; a folder new, one gone, one changed."""
    later = age(SMALL)
    later[b""][b"top"] = File(size=4000, mtime=50)
    later[b""][b"n"] = FOLDER
    later[b"n"] = {b"q": File(size=9)}
    del later[b"a"][b"old"]
    del later[b""][b"a.b"], later[b"a.b"]
    return later


def test_a_difference_tells_the_same_as_the_whole() -> None:
    """Of a later image: lists, places, facts; and the earlier one's files are still known."""
    first = keep(SMALL)
    whole, kept = keep(make_later()), keep(make_later(), first, 1)
    assert dict(kept.lists()) == dict(whole.lists())
    assert [*kept] == [*whole] == [b"", b"a", b"a/z", b"n"]
    for folder in (*whole, b"a.b", b"x"):
        assert kept.listed(folder) == whole.listed(folder)
        assert kept.members(folder) == whole.members(folder)
        assert kept.folder(folder) == whole.folder(folder)
        assert (folder in kept) == (folder in whole)
    assert kept.members(b"a/z") == {}
    assert kept.known(b"a/z") == first.members(b"a/z")
    assert kept.index.base
    assert kept.index.base.checksum == first.checksum


def test_an_unchanged_disk_takes_hardly_a_byte() -> None:
    """Whether the image has nothing of it, or all of it again."""
    many: Disk = {
        b"": {b"d%05d" % number: FOLDER for number in range(1000)},
        **{b"d%05d" % number: {b"f%09d" % (number * 77777): File()} for number in range(1000)},
    }
    first = keep(many)
    unchanged = b"".join(write_kept(list_members(age(many)), first, 1))
    again = b"".join(write_kept(list_members(many), first, 1))
    length = len(b"".join(write_kept(list_members(many))))
    assert len(unchanged) < 500
    assert len(again) < length * 0.7
    assert dict(open_on(unchanged, first).lists()) == dict(keep(age(many)).lists())
    assert open_on(again, first).members(b"d00500") == first.members(b"d00500")


def test_a_file_that_a_later_image_has_again_is_told_by_the_first_one() -> None:
    """However many lie between: all but the place where it begins."""
    first = keep(SMALL)
    second = keep(age(SMALL), first, 1)
    third = keep(SMALL, second, 2)
    assert third.members(b"a") == first.members(b"a")
    moved = {**SMALL, b"": {**SMALL[b""], b"a": File(size=5000), b"top": File(size=3, mtime=5)}}
    fourth = keep(moved, third, 3)
    assert fourth.members(b"")[b"top"][1:] == first.members(b"")[b"top"][1:]
    assert fourth.offset_of(b"top") == keep(moved).offset_of(b"top")


def test_names_that_the_image_lacks_are_skipped() -> None:
    """A file that vanished before tar came to it is flagged as in the image, and is not."""
    members = [member for member in list_members(SMALL) if member.path != b"a/old"]
    gap = 1024 + 512
    members = [
        replace(member, start=member.start - gap, end=member.end - gap)
        if member.path in {b"a/x\xff", b"a/z/link"}
        else member
        for member in members
    ]
    kept = open_on(b"".join(write_kept(members)))
    assert [*kept.members(b"a")] == [b"x\xff"]
    assert kept.offset_of(b"a/x\xff") == members[-2].start
    assert kept.flag(b"a/old") == b"Y"
    assert (kept.index.files, kept.index.unplaced) == (3, 0)


def test_members_out_of_place_are_counted_only() -> None:
    """In no list, in another order, or not right behind the one before: their place is not kept."""
    members = list_members(SMALL)
    stray = replace(
        members[-1], path=b"not/listed", start=members[-1].end, end=members[-1].end + 512
    )
    swapped = [
        *members[:-2],
        replace(members[-2], path=b"a/z/link"),
        replace(members[-1], path=b"a/old"),
    ]
    kept = open_on(b"".join(write_kept([*swapped, stray])))
    assert kept.offset_of(b"a/old") is not None
    assert kept.offset_of(b"not/listed") is None
    assert kept.index.unplaced == 2
    assert kept.index.files == len(members) - 4 - 1


def test_folders_in_disorder_are_refused() -> None:
    """Nothing could be found in such a head."""
    members = list_members({b"a": {}, b"b": {}})
    with pytest.raises(Unkeepable, match="order"):
        b"".join(write_kept(reversed(members)))


def test_too_many_owners_and_renames_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads an index has all of it in memory, of whatever client's dump it is."""
    monkeypatch.setattr(kept_writer, "MOST_TOLD", 2000)
    members = [
        replace(member, owner=b"%0500d" % number, dumpdir=None)
        for number, member in enumerate(list_members({b"": {b"%d" % n: File() for n in range(9)}}))
    ]
    folder = list_members({b"": {b"%d" % n: File() for n in range(9)}})[0]
    with pytest.raises(Unkeepable, match="too much"):
        list(write_kept([folder, *members[1:]]))
    assert list(write_kept([folder, *members[1:3]]))
    names = b"".join(b"R%0600d\0T%0600d\0" % (n, n + 9) for n in range(3))
    assert folder.dumpdir
    with pytest.raises(Unkeepable, match="too much"):
        list(write_kept([replace(folder, dumpdir=folder.dumpdir + names)]))


@pytest.mark.parametrize("has_base", [False, True])
def test_no_damage_goes_unnoticed(has_base: bool) -> None:
    """Whichever byte is changed, or wherever it is cut off."""
    first = keep(SMALL) if has_base else None
    disk = make_later() if has_base else SMALL
    kept = b"".join(write_kept(list_members(disk), first))
    open_on(kept, first).check()
    for place in range(len(kept)):
        damaged = bytearray(kept)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(BadKept):
            open_on(bytes(damaged), first).check()
        with pytest.raises(BadKept):
            open_on(kept[:place], first).check()


def test_a_difference_is_read_on_its_own_base_alone() -> None:
    """Not without, nor on one that was written again."""
    first = keep(SMALL)
    kept = b"".join(write_kept(list_members(make_later()), first))
    for base in (None, keep({b"": {}})):
        with pytest.raises(BadKept, match="builds on"):
            open_on(kept, base)


def test_a_folder_keeps_its_access_list_but_no_large_attribute() -> None:
    """Of a file it is only told that there is more."""
    acl = (b"SCHILY.acl.access", b"user::rwx")
    large = (b"user.large", bytes(5000))
    folder, file = list_members({b"": {b"f": File()}})
    for attributes, expected in (((acl,), (acl,)), ((large,), ())):
        members = [replace(folder, attributes=attributes), replace(file, attributes=attributes)]
        kept = open_on(b"".join(write_kept(members)))
        facts, told = kept.folder(b""), kept.members(b"")[b"f"]
        assert facts
        assert facts.rights.attributes == expected
        assert facts.has_more == (not expected)
        assert told.has_more
        assert told.rights.attributes == ()


def test_seek_points_are_found_by_what_comes_after_them() -> None:
    """The last one before a byte; none before the first."""
    points = [SeekPoint(1000, 500, 3, bytes(999)), SeekPoint(2000, 800, 0, b"w" * 32768)]
    head = Head()
    for member in list_members({b"": {}}):
        head.add(member)
        folders = {b"": keep_folder(member)}
    writer = KeptWriter(NAME)
    kept = open_on(b"".join([*writer.begin(head, folders, []), *writer.end(points)]))
    assert kept.point_before(999) is None
    assert [kept.point_before(at) for at in (1000, 1999, 2000, 9999)] == [
        points[0], points[0], points[1], points[1],
    ]  # fmt: skip


def test_an_unchanged_file_is_where_its_flag_says() -> None:
    """A name that the image does not have is in the list, and has no place."""
    kept = keep({b"": {b"f": OLDER, b"g": File(size=1)}})
    assert kept.flag(b"f") == b"N"
    assert kept.offset_of(b"f") is None
    assert kept.offset_of(b"g") == 1024
