"""Kept heads: columns, differences and whole heads read as they were written, whatever they are."""

from hypothesis import given
from hypothesis import strategies as st
from tests.keptheads import FOLDER, Disk, File, keep, list_members

from asyncamanda.core.restore.columns import pack_columns, unpack_columns
from asyncamanda.core.restore.keeping import find_base_place
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.list_differences import apply_difference, find_difference, make_older
from asyncamanda.core.restore.member import Kind

numbers = st.lists(
    st.one_of(
        st.integers(0, 255),
        st.integers(0, 70_000),
        st.integers(-(1 << 63), (1 << 63) - 1),
    ),
    max_size=30,
)
names = st.binary(min_size=1, max_size=3).map(
    lambda raw: raw.replace(b"\0", b"n").replace(b"/", b"s")
)
records = st.tuples(st.sampled_from([b"Y", b"N", b"D"]), names).map(b"".join)
lists = st.lists(records, max_size=30).map(lambda some: b"".join(record + b"\0" for record in some))
files = st.builds(
    File,
    flag=st.sampled_from([b"Y", b"N"]),
    size=st.integers(0, 5000),
    mtime=st.integers(-5, 5),
    kind=st.sampled_from([Kind.FILE, Kind.SYMLINK, Kind.HARD_LINK]),
).map(lambda file: file if file.kind is Kind.FILE else File(file.flag, 0, file.mtime, file.kind))
folders = st.sampled_from([b"", b"a", b"a.b", b"a/b", b"a/b/c", b"a/c", b"\xff"])
disks = st.dictionaries(
    folders,
    st.dictionaries(
        st.sampled_from([b"f", b"g", b"g.", b"h"]), st.one_of(files, st.just(FOLDER)), max_size=4
    ),
    min_size=1,
)


@given(st.lists(numbers, max_size=6))
def test_columns_are_read_as_they_were_written(columns: list[list[int]]) -> None:
    """Of any numbers of 64 bits."""
    assert [[*column] for column in unpack_columns(pack_columns(columns))] == columns


@given(lists, lists)
def test_a_difference_makes_one_list_of_the_other(before: bytes, after: bytes) -> None:
    """Where there is one."""
    older = make_older(before)
    difference = find_difference(older, after)
    if difference:
        numbers, added = difference.numbers, difference.added
        assert apply_difference(older, numbers, added) == after
        assert apply_difference(older, numbers, added, is_older=True) == make_older(after)


@given(st.lists(disks, min_size=1, max_size=6))
def test_heads_that_build_on_one_another_tell_what_the_images_had(life: list[Disk]) -> None:
    """Each on the one that it would build on on a server."""
    kept: list[KeptHead] = []
    for place, disk in enumerate(life):
        base = kept[find_base_place(place)] if place else None
        head = keep(disk, base, place)
        head.check()
        kept.append(head)
        whole = keep(disk)
        assert dict(head.lists()) == dict(whole.lists())
        for folder in disk:
            assert head.members(folder) == whole.members(folder)
            assert head.folder(folder) == whole.folder(folder)
            assert [*head.entries(folder)] == [*whole.entries(folder)]
        for member in list_members(disk):
            if member.dumpdir is None:
                assert head.offset_of(member.path) == member.start
